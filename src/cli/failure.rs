//! How a verb ends: an exit code that scripts can use, and one readable line.

use std::fmt;
use std::process::ExitCode;

/// Exit codes, the same for every verb.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    Failed = 1,
    /// The command line, or what was asked for, makes no sense. Also what clap exits with.
    Usage = 2,
    NotFound = 3,
    /// Not allowed as things stand now, or somebody else changed it meanwhile.
    Conflict = 4,
    /// The service cannot be reached or cannot take more now: the same command later may work.
    Unavailable = 5,
}

/// Why a verb did not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    message: String,
    /// The reader of our stdout went away, as `head` does: an end, not an error.
    hung_up: bool,
}

impl Failure {
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), hung_up: false }
    }

    pub fn failed(message: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub fn unavailable(message: impl fmt::Display) -> Self {
        Self::new(Exit::Unavailable, message)
    }

    /// What the process exits with; says why on stderr first.
    pub fn report(&self) -> ExitCode {
        if self.hung_up {
            return ExitCode::SUCCESS;
        }
        super::output::note(format_args!("adjourn: {}", self.message));
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Writing to stdout: everything else that does I/O says what it was doing.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let hung_up = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { hung_up, ..Self::failed(error) }
    }
}

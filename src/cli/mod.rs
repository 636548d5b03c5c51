//! The command line: one verb a file, data on stdout, everything else on stderr, exit codes that scripts can use.

mod failure;
mod input;
mod output;
mod rehearse;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use failure::Failure;
use output::Format;

/// Closes customer conversations that have gone quiet: exactly on time, exactly once, never over a reply.
#[derive(Parser)]
#[command(name = "adjourn", version, after_help = EXIT_CODES, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// How data is written to stdout
    #[arg(short, long, global = true, value_enum)]
    output: Option<Format>,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 service unavailable.";

#[derive(Subcommand)]
enum Verb {
    /// Say what a period would have done to past conversations
    Rehearse(rehearse::RehearseArgs),
    /// Print a completion script
    Completions { shell: clap_complete::Shell },
}

/// Reads the command line, does what it says, and answers with the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.verb {
        Verb::Rehearse(args) => rehearse::run(&args, cli.output),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "adjourn", &mut std::io::stdout());
            Ok(())
        }
    }
}

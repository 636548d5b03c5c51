//! Where the configuration comes from, and how the sources are laid over each other.

use std::collections::HashMap;
use std::path::PathBuf;

use config::{Environment, File, FileFormat, Map, Source, Value, ValueKind};

use super::{ConfigError, DEFAULTS, Raw};

/// Where settings come from, besides the defaults. Not to be shown: there are secrets in it.
#[derive(Clone, Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    /// Of these, `ADJOURN__…` count, and `ADJOURN_CONFIG` where there is no `file`.
    pub environment: HashMap<String, String>,
    /// Dotted keys, the strongest.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    pub(super) fn read(self) -> Result<Raw, ConfigError> {
        let file = self.file.or_else(|| self.environment.get("ADJOURN_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from));
        let environment = Environment::with_prefix("ADJOURN").prefix_separator("__").separator("__");
        let mut builder = config::Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        if let Some(file) = file {
            builder = builder.add_source(Unfolded(File::from(file).format(FileFormat::Toml)));
        }
        builder = builder.add_source(Unfolded(environment.source(Some(self.environment))));
        for (key, value) in self.flags {
            builder = builder.set_override(unfolded(&key), value)?;
        }
        Ok(builder.build()?.try_deserialize()?)
    }
}

/// `durability = "strict"` is short for `durability.mode = "strict"`: written out, a mode from one source and a number of
/// replicas from another do not wipe each other out.
fn unfolded(key: &str) -> &str {
    if key == "durability" { "durability.mode" } else { key }
}

/// A source with its short forms written out.
#[derive(Clone, Debug)]
struct Unfolded<S>(S);

impl<S: Source + Clone + Send + Sync + 'static> Source for Unfolded<S> {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let written_out = |(key, value): (String, Value)| match value.kind {
            ValueKind::Table(_) => (key, value),
            _ => (unfolded(&key).to_owned(), value),
        };
        Ok(self.0.collect()?.into_iter().map(written_out).collect())
    }
}

/// Without the lines that a file was misread at: one of them may be a password.
impl From<config::ConfigError> for ConfigError {
    fn from(error: config::ConfigError) -> Self {
        let quotes = |line: &&str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|');
        let text = error.to_string();
        Self::Unreadable(text.lines().filter(|line| !quotes(line)).collect::<Vec<_>>().join(", "))
    }
}

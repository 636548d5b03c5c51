//! What nobody else may know: said in place, or alone in a file.

use std::fs;
use std::path::Path;

use super::{ConfigError, refuse};

/// The secret of one of two keys, with the one that it was given by. Empty is none: in a compose file, variables that are not set
/// are.
pub fn secret(
    [key, file_key]: [&'static str; 2],
    given: Option<&str>,
    file: Option<&Path>,
) -> Result<Option<(&'static str, String)>, ConfigError> {
    match (given.filter(|given| !given.is_empty()), file.filter(|path| !path.as_os_str().is_empty())) {
        (Some(_), Some(_)) => Err(refuse(file_key, format!("{key} is set as well: one of them"))),
        (Some(given), None) => Ok(Some((key, given.to_owned()))),
        (None, Some(path)) => Ok(Some((file_key, read(file_key, path)?))),
        (None, None) => Ok(None),
    }
}

fn read(key: &'static str, path: &Path) -> Result<String, ConfigError> {
    let refuse = |problem: &str| refuse(key, format!("{}: {problem}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| refuse(&error.to_string()))?;
    // Editors and `echo` end a line that is none of the secret's.
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() || secret.contains(['\n', '\r']) {
        let what = key.rsplit('.').next().unwrap_or(key).trim_end_matches("_file");
        return Err(refuse(&format!("must hold the {what} on one line, and nothing else")));
    }
    Ok(secret.to_owned())
}

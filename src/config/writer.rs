//! Who writes closing notes.

use reqwest::Url;

use super::raw::RawWriter;
use super::secret::secret;
use super::{ConfigError, duration, refuse};
use crate::edge::writers::{Key, RemoteOptions, WriterChoice};

/// Longest name of a model, in characters: it stands beside each note that it wrote.
const MODEL_CHARS_MAX: usize = 128;

pub fn choice(raw: &RawWriter) -> Result<WriterChoice, ConfigError> {
    let timeout = duration("writer.timeout", &raw.timeout)?;
    let key = secret(["writer.key", "writer.key_file"], raw.key.as_deref(), raw.key_file.as_deref())?;
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let ca = raw.ca_file.clone().filter(|path| !path.as_os_str().is_empty());
    let Some(base_url) = given(&raw.base_url) else {
        // Whoever names a model wants it to write.
        return match (given(&raw.model), key) {
            (None, None) => Ok(WriterChoice::BuiltIn),
            (Some(_), _) => Err(refuse("writer.model", "needs writer.base_url, which says where it is")),
            (None, Some((key, _))) => Err(refuse(key, "needs writer.base_url, which says whom to show it")),
        };
    };
    let model = given(&raw.model).ok_or_else(|| refuse("writer.model", "must name the model that writer.base_url is asked for"))?;
    if model.chars().any(char::is_control) || model.chars().count() > MODEL_CHARS_MAX {
        return Err(refuse("writer.model", format!("must be at most {MODEL_CHARS_MAX} characters in one line")));
    }
    let key = match key {
        Some((name, key)) => Some(Key::new(&key).map_err(|_| refuse(name, "has characters that no key has"))?),
        None => None,
    };
    Ok(WriterChoice::Remote(Box::new(RemoteOptions { key, ca, timeout, ..RemoteOptions::new(checked(&base_url)?, model) })))
}

/// Not shown where it is refused: there may be a key in it.
fn checked(base_url: &str) -> Result<Url, ConfigError> {
    let refuse = |problem: &str| refuse("writer.base_url", problem);
    let url: Url = base_url.parse().map_err(|_| refuse("must be a URL, such as https://api.example.com/v1"))?;
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
        return Err(refuse("must be an http:// or https:// URL, such as https://api.example.com/v1"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("must end with its path, and a key belongs in writer.key or writer.key_file"));
    }
    Ok(url)
}

//! What kind of server answers, as far as it makes a difference.

use super::link::{Link, LinkError, field, text};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Server {
    /// Scripts may say what they are in their first line: from Redis 7 on, and every Valkey.
    pub has_script_flags: bool,
}

impl Server {
    /// # Errors
    /// As of any command.
    pub async fn ask(link: &Link) -> Result<Self, LinkError> {
        let mut info = redis::cmd("INFO");
        info.arg("server");
        let answer = link.run(info).await?;
        Ok(Self::of_info(text(&answer).unwrap_or_default().as_ref()))
    }

    fn of_info(info: &str) -> Self {
        let major = field(info, "redis_version").and_then(|version| version.split('.').next()?.parse().ok());
        Self { has_script_flags: major.is_some_and(|major: u32| major >= 7) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_known_from_version_7_on() {
        assert!(Server::of_info("redis_version:7.0.15\r\n").has_script_flags);
        assert!(!Server::of_info("redis_version:6.2.14\r\n").has_script_flags);
        assert!(!Server::of_info("").has_script_flags);
    }
}

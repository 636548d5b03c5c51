//! The configuration as it is written.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::EventLog;

/// Names and meaning: `config.default.toml`. What is secret in it is gone once it was checked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub(super) listen: String,
    pub(super) admin_listen: String,
    pub(super) insecure: bool,
    pub(super) store: String,
    pub(super) partitions: Option<u16>,
    pub(super) node: Option<String>,
    pub(super) address: Option<String>,
    pub(super) lease: String,
    pub(super) stop_grace: String,
    pub(super) retention: String,
    pub(super) snooze_max: String,
    pub(super) lists: bool,
    pub(super) horizon: String,
    pub(super) tick: String,
    pub(super) idle: String,
    pub(super) live_max: usize,
    pub(super) batch: usize,
    pub(super) batch_behind: usize,
    pub(super) due_batch: usize,
    pub(super) arbiters: usize,
    #[serde(default)]
    pub(super) keys: RawKeys,
    #[serde(default)]
    pub(super) tls: RawTls,
    pub(super) durability: RawDurability,
    pub(super) redis: RawRedis,
    pub(super) event_log: EventLog,
    pub(super) notifications: RawNotifications,
    pub(super) messages: RawKeep,
    pub(super) reports: RawKeep,
    pub(super) auto_close: RawBounds,
    pub(super) defaults: RawDefaults,
    pub(super) writer: RawWriter,
    pub(super) limits: RawLimits,
    pub(super) log: RawLog,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKeys {
    pub(super) operator: Option<String>,
    pub(super) operator_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDurability {
    pub(super) mode: String,
    pub(super) replicas: u32,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRedis {
    pub(super) prefix: String,
    pub(super) password: Option<String>,
    pub(super) password_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNotifications {
    pub(super) keep: Option<u64>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKeep {
    pub(super) keep: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBounds {
    pub(super) min_period: String,
    pub(super) max_period: String,
    pub(super) apply_rate: u32,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDefaults {
    pub(super) late_reply_window: String,
    pub(super) auto_close: RawAutoClose,
    pub(super) closing_notes: RawClosingNotes,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAutoClose {
    pub(super) enabled: bool,
    pub(super) period: String,
    pub(super) echo_arms: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClosingNotes {
    pub(super) mode: String,
    pub(super) auto_generate: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWriter {
    pub(super) base_url: Option<String>,
    pub(super) model: Option<String>,
    pub(super) key: Option<String>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) timeout: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) body_bytes: usize,
    pub(super) events: usize,
    pub(super) line_bytes: usize,
    pub(super) buffered_bytes: usize,
    pub(super) stall: String,
    pub(super) total: String,
    pub(super) apply: String,
    pub(super) rate: u32,
    pub(super) streams: usize,
    pub(super) keep_alive: String,
    pub(super) backlog: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) format: String,
    pub(super) level: String,
}

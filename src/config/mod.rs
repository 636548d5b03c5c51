//! What the operator decides: defaults (a commented file, compiled in) < a file < the environment < flags. Read raw,
//! checked once; whoever holds a [`Config`] need not look again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::actors::NodeOptions;
use crate::domain::id::is_name;
use crate::domain::settings::{APPLY_RATE_MAX, NotesMode, SettingsBounds};
use crate::domain::{PartitionCount, Settings, Span};
use crate::edge::http::Limits;
use crate::edge::http::access::OperatorKey;
use crate::edge::writers::WriterChoice;

mod args;
mod raw;
mod secret;
mod sources;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use args::ConfigArgs;
pub use raw::Raw;
use raw::{RawDefaults, RawKeys, RawLimits, RawLog, RawTls};
use secret::secret;
pub use sources::Sources;
pub use store::{RedisChoice, StoreChoice};

/// Three years: what is further back is asked of a data warehouse. Each day is kept and read on its own.
const REPORT_DAYS_MAX: i32 = 1_100;

/// The manual of the configuration, and its values.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

/// Shortest key of an operator, in bytes: what somebody thinks of is guessed.
const OPERATOR_KEY_BYTES_MIN: usize = 32;

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    /// The operator takes the risk of answering anybody, where there are no keys.
    pub insecure: bool,
    /// The operator's key.
    pub operator: Option<OperatorKey>,
    /// The certificate of the public port, and its key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// For how long a node that leaves others goes on answering.
    pub stop_grace: Duration,
    pub store: StoreChoice,
    pub partitions: Option<PartitionCount>,
    pub node_options: NodeOptions,
    /// Who writes closing notes.
    pub writer: WriterChoice,
    pub limits: Limits,
    /// Events accepted and not yet applied: over all partitions of an embedded store, in each partition of any other.
    pub backlog: u64,
    pub event_log: EventLog,
    pub log: LogConfig,
    /// As it was put together, for showing.
    pub raw: Raw,
}

/// The event log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EventLog {
    /// Of the embedded store's files: size at which the next one begins.
    pub segment_bytes: u64,
    /// Whether entries stay after they were applied.
    pub keep: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogConfig {
    pub format: LogFormat,
    /// A filter as `tracing` reads it.
    pub level: Box<str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    Text,
    Json,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration cannot be read: {0}")]
    Unreadable(String),
    #[error("{key}: {problem}")]
    Refused { key: &'static str, problem: String },
}

fn refuse(key: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Refused { key, problem: problem.into() }
}

impl Config {
    /// # Errors
    /// [`ConfigError`] names the key and what it must be.
    pub fn load(sources: Sources) -> Result<Self, ConfigError> {
        Self::checked(sources.read()?)
    }

    fn checked(mut raw: Raw) -> Result<Self, ConfigError> {
        let listen = address("listen", &raw.listen)?;
        let admin_listen = address("admin_listen", &raw.admin_listen)?;
        let partitions = match raw.partitions {
            None => None,
            Some(count) => {
                Some(PartitionCount::new(count).ok_or_else(|| refuse("partitions", format!("must be 1 to {}", PartitionCount::MAX)))?)
            }
        };
        let store = store::choice(&raw)?;
        let writer = writer::choice(&raw.writer)?;
        let operator = operator(&raw.keys)?;
        raw.hide_secrets(&store);
        Ok(Self {
            listen,
            admin_listen,
            insecure: raw.insecure,
            operator,
            tls: tls(&raw.tls)?,
            stop_grace: Duration::from_millis(span("stop_grace", &raw.stop_grace)?.as_millis().unsigned_abs()),
            partitions,
            node_options: node_options(&raw, &store)?,
            store,
            writer,
            limits: limits(&raw.limits)?,
            backlog: at_least("limits.backlog", raw.limits.backlog, 1)?,
            event_log: EventLog {
                segment_bytes: at_least("event_log.segment_bytes", raw.event_log.segment_bytes, 4_096)?,
                ..raw.event_log
            },
            log: log(&raw.log)?,
            raw,
        })
    }
}

/// Where the service of these sources has its health and metrics. Nothing else is checked: it runs, or says why it does not.
///
/// # Errors
/// When they cannot be read.
pub fn admin_listen(sources: Sources) -> Result<String, ConfigError> {
    Ok(sources.read()?.admin_listen)
}

/// Whether it may answer there at all is settled when the store is open, and says whether there are keys.
fn address(key: &'static str, text: &str) -> Result<SocketAddr, ConfigError> {
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| refuse(key, format!("`{text}` must be ADDRESS:PORT, such as 127.0.0.1:8080")))
}

fn tls(raw: &RawTls) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    let given = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
    match (given(&raw.cert_file), given(&raw.key_file)) {
        (Some(cert), Some(key)) => Ok(Some((cert, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(refuse("tls.key_file", "must name the key of tls.cert_file")),
        (None, Some(_)) => Err(refuse("tls.cert_file", "must name the certificate of tls.key_file")),
    }
}

fn operator(raw: &RawKeys) -> Result<Option<OperatorKey>, ConfigError> {
    let Some((key, secret)) = secret(["keys.operator", "keys.operator_file"], raw.operator.as_deref(), raw.operator_file.as_deref())?
    else {
        return Ok(None);
    };
    // What a header cannot carry would let nobody in.
    let fits = secret.len() >= OPERATOR_KEY_BYTES_MIN && secret.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        let problem = format!(
            "must be at least {OPERATOR_KEY_BYTES_MIN} printable ASCII characters without blanks, such as `openssl rand -hex 32` makes"
        );
        return Err(refuse(key, problem));
    }
    Ok(Some(OperatorKey::new(&secret)))
}

fn node_name(raw: &Raw) -> Result<Box<str>, ConfigError> {
    match raw.node.as_deref() {
        None => Ok(NodeOptions::default().node),
        Some(name) if is_name(name) => Ok(name.into()),
        Some(_) => Err(refuse("node", "must be 1 to 128 of A-Z a-z 0-9 . _ : -")),
    }
}

fn node_address(raw: &Raw) -> Result<Box<str>, ConfigError> {
    match raw.address.as_deref() {
        None => Ok("".into()),
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => Ok(url.into()),
        Some(other) => Err(refuse("address", format!("`{other}` must be a URL, such as http://10.0.0.7:8080"))),
    }
}

fn node_options(raw: &Raw, store: &StoreChoice) -> Result<NodeOptions, ConfigError> {
    let bounds = SettingsBounds {
        min_period: positive("auto_close.min_period", &raw.auto_close.min_period)?,
        max_period: span("auto_close.max_period", &raw.auto_close.max_period)?,
    };
    if bounds.max_period < bounds.min_period {
        return Err(refuse("auto_close.max_period", "must not be shorter than auto_close.min_period"));
    }
    let (horizon, tick) = (span("horizon", &raw.horizon)?, positive("tick", &raw.tick)?);
    if horizon.as_millis() < 3 * tick.as_millis() {
        return Err(refuse(
            "horizon",
            "must be at least three times `tick`: a scan may come late, and what falls due must be in memory before",
        ));
    }
    let batch = at_least("batch", raw.batch, 1)?;
    Ok(NodeOptions {
        node: node_name(raw)?,
        address: node_address(raw)?,
        lease: duration("lease", &raw.lease)?,
        defaults: defaults(&raw.defaults, &bounds)?,
        bounds,
        apply_rate: apply_rate(raw.auto_close.apply_rate)?,
        snooze_max: positive("snooze_max", &raw.snooze_max)?,
        retention: positive("retention", &raw.retention)?,
        texts_kept: positive("messages.keep", &raw.messages.keep)?,
        lists: raw.lists,
        report_days: report_days(&raw.reports.keep)?,
        horizon,
        idle: duration("idle", &raw.idle)?,
        live_max: at_least("live_max", raw.live_max, 1)?,
        batch,
        batch_behind: at_least("batch_behind", raw.batch_behind, batch)?,
        due_batch: at_least("due_batch", raw.due_batch, 1)?,
        tick: duration("tick", &raw.tick)?,
        notifications_kept: at_least("notifications.keep", raw.notifications.keep.unwrap_or(store.notifications_kept()), 1)?,
        arbiters: at_least("arbiters", raw.arbiters, 1)?,
    })
}

/// Whole days: sums are kept by the day.
fn report_days(text: &str) -> Result<i32, ConfigError> {
    let days = positive("reports.keep", text)?.as_millis() / Span::from_days(1).as_millis();
    match i32::try_from(days) {
        Ok(days @ 1..=REPORT_DAYS_MAX) => Ok(days),
        _ => Err(refuse("reports.keep", format!("must be 1d to {REPORT_DAYS_MAX}d"))),
    }
}

fn apply_rate(rate: u32) -> Result<u32, ConfigError> {
    let fits = (1..=APPLY_RATE_MAX).contains(&rate);
    if fits { Ok(rate) } else { Err(refuse("auto_close.apply_rate", format!("must be 1 to {APPLY_RATE_MAX}"))) }
}

fn defaults(raw: &RawDefaults, bounds: &SettingsBounds) -> Result<Settings, ConfigError> {
    let RawDefaults { late_reply_window, auto_close, closing_notes } = raw;
    let notes_mode = NotesMode::parse(&closing_notes.mode).ok_or_else(|| {
        refuse("defaults.closing_notes.mode", "must be off, optional, category_required or category_and_summary_required")
    })?;
    let change = crate::domain::settings::SettingsChange {
        enabled: Some(auto_close.enabled),
        period: Some(span("defaults.auto_close.period", &auto_close.period)?),
        echo_arms: Some(auto_close.echo_arms),
        late_reply_window: Some(span("defaults.late_reply_window", late_reply_window)?),
        notes_mode: Some(notes_mode),
        notes_auto_generate: Some(closing_notes.auto_generate),
        ..Default::default()
    };
    let settings = Settings::default().changed(change, bounds).map_err(|error| refuse("defaults", error.to_string()))?;
    // Nobody has changed them: a workspace's first PUT is version 1.
    Ok(Settings { version: 0, ..settings })
}

fn limits(raw: &RawLimits) -> Result<Limits, ConfigError> {
    let limits = Limits {
        body_bytes: at_least("limits.body_bytes", raw.body_bytes, 1_024)?,
        events: at_least("limits.events", raw.events, 1)?,
        line_bytes: at_least("limits.line_bytes", raw.line_bytes, 1_024)?,
        buffered_bytes: at_least("limits.buffered_bytes", raw.buffered_bytes, raw.body_bytes)?,
        rate: raw.rate,
        streams: raw.streams,
        stall: duration("limits.stall", &raw.stall)?,
        total: duration("limits.total", &raw.total)?,
        apply: duration("limits.apply", &raw.apply)?,
        keep_alive: duration("limits.keep_alive", &raw.keep_alive)?,
    };
    if limits.line_bytes > limits.body_bytes {
        return Err(refuse("limits.line_bytes", "must not be more than limits.body_bytes"));
    }
    if limits.stall > limits.total {
        return Err(refuse("limits.stall", "must not be longer than limits.total"));
    }
    Ok(limits)
}

fn log(raw: &RawLog) -> Result<LogConfig, ConfigError> {
    let format = match raw.format.as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        other => return Err(refuse("log.format", format!("`{other}` must be text or json"))),
    };
    // To the filter any bare word is a module's name, and a misspelt level would silence the log.
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    if let Some(word) = raw.level.split(',').map(str::trim).find(|word| !word.contains('=') && !levels.contains(word)) {
        return Err(refuse("log.level", format!("`{word}` must be one of {}", levels.join(", "))));
    }
    tracing_subscriber::EnvFilter::try_new(&raw.level).map_err(|error| refuse("log.level", error.to_string()))?;
    Ok(LogConfig { format, level: raw.level.as_str().into() })
}

fn span(key: &'static str, text: &str) -> Result<Span, ConfigError> {
    Span::parse(text).map_err(|error| refuse(key, error.to_string()))
}

fn positive(key: &'static str, text: &str) -> Result<Span, ConfigError> {
    let span = span(key, text)?;
    if span == Span::ZERO { Err(refuse(key, "must be longer than 0s")) } else { Ok(span) }
}

fn duration(key: &'static str, text: &str) -> Result<Duration, ConfigError> {
    Ok(Duration::from_millis(positive(key, text)?.as_millis().unsigned_abs()))
}

fn at_least<T: PartialOrd + std::fmt::Display>(key: &'static str, number: T, least: T) -> Result<T, ConfigError> {
    if number < least { Err(refuse(key, format!("must be at least {least}"))) } else { Ok(number) }
}

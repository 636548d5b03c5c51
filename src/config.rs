//! What the operator decides: defaults (a commented file, compiled in) < a file < the environment < flags. Read raw,
//! checked once; whoever holds a [`Config`] need not look again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::{Environment, File, FileFormat};
use serde::{Deserialize, Serialize};

use crate::actors::NodeOptions;
use crate::domain::id::is_name;
use crate::domain::settings::{NotesMode, SettingsBounds};
use crate::domain::{PartitionCount, Settings, Span};
use crate::edge::http::Limits;

/// The manual of the configuration, and its values.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    /// The operator takes the risk of answering anybody.
    pub insecure: bool,
    pub store: StoreChoice,
    pub partitions: Option<PartitionCount>,
    pub node_options: NodeOptions,
    pub limits: Limits,
    /// Events accepted and not yet applied, over all partitions.
    pub backlog: u64,
    pub event_log: EventLog,
    pub log: LogConfig,
    /// As it was put together, for showing.
    pub raw: Raw,
}

/// Where everything is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreChoice {
    Embedded(PathBuf),
}

/// The files of the embedded store's event log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EventLog {
    /// Size at which the next one begins.
    pub segment_bytes: u64,
    /// Whether they stay after everything in them was applied.
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

/// Where settings come from, besides the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    /// Of these, `ADJOURN__…` count, and `ADJOURN_CONFIG` where there is no `file`.
    pub environment: HashMap<String, String>,
    /// Dotted keys, the strongest.
    pub flags: Vec<(String, String)>,
}

/// The flags of `adjourn serve`: the main keys by name, any other with `--set`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigArgs {
    /// Configuration file, TOML
    #[arg(long, value_name = "FILE", env = "ADJOURN_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address of the API
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Address of health and metrics
    #[arg(long, value_name = "ADDR:PORT")]
    pub admin_listen: Option<String>,
    /// Where everything is kept, embedded:DIRECTORY
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
    /// Partitions of a new store
    #[arg(long, value_name = "N")]
    pub partitions: Option<u16>,
    /// This node's name [default: the machine's]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Silence after which a node's partitions are taken over, such as 3s
    #[arg(long, value_name = "DURATION")]
    pub lease: Option<String>,
    /// How long closed conversations are kept, such as 90d
    #[arg(long, value_name = "DURATION")]
    pub retention: Option<String>,
    /// Serve on any address, to anybody: no keys are configured
    #[arg(long)]
    pub insecure: bool,
    /// Any other key, such as --set limits.events=5000
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// These flags, and the process's environment.
    ///
    /// # Errors
    /// A `--set` without a value.
    pub fn sources(self) -> Result<Sources, ConfigError> {
        let named = [
            ("listen", self.listen),
            ("admin_listen", self.admin_listen),
            ("store", self.store),
            ("partitions", self.partitions.map(|count| count.to_string())),
            ("node", self.node),
            ("lease", self.lease),
            ("retention", self.retention),
            ("insecure", self.insecure.then(|| "true".to_owned())),
        ];
        let mut flags: Vec<(String, String)> = named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        for pair in self.set {
            let (key, value) = pair.split_once('=').ok_or_else(|| refuse("--set", format!("`{pair}` must be KEY=VALUE")))?;
            flags.push((key.to_owned(), value.to_owned()));
        }
        Ok(Sources { file: self.config, environment: std::env::vars().collect(), flags })
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration cannot be read: {0}")]
    Unreadable(#[from] config::ConfigError),
    #[error("{key}: {problem}")]
    Refused { key: &'static str, problem: String },
}

fn refuse(key: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Refused { key, problem: problem.into() }
}

/// The configuration as it is written. Names and meaning: `config.default.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    listen: String,
    admin_listen: String,
    insecure: bool,
    store: String,
    partitions: Option<u16>,
    node: Option<String>,
    address: Option<String>,
    lease: String,
    retention: String,
    snooze_max: String,
    horizon: String,
    tick: String,
    idle: String,
    live_max: usize,
    batch: usize,
    batch_behind: usize,
    due_batch: usize,
    arbiters: usize,
    event_log: EventLog,
    notifications: RawNotifications,
    auto_close: RawBounds,
    defaults: RawDefaults,
    limits: RawLimits,
    log: RawLog,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawNotifications {
    keep: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawBounds {
    min_period: String,
    max_period: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawDefaults {
    late_reply_window: String,
    auto_close: RawAutoClose,
    closing_notes: RawClosingNotes,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawAutoClose {
    enabled: bool,
    period: String,
    echo_arms: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawClosingNotes {
    mode: String,
    auto_generate: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    body_bytes: usize,
    events: usize,
    line_bytes: usize,
    buffered_bytes: usize,
    stall: String,
    total: String,
    apply: String,
    streams: usize,
    keep_alive: String,
    backlog: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    format: String,
    level: String,
}

impl Config {
    /// # Errors
    /// [`ConfigError`] names the key and what it must be.
    pub fn load(sources: Sources) -> Result<Self, ConfigError> {
        let file = sources.file.or_else(|| sources.environment.get("ADJOURN_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from));
        let environment = Environment::with_prefix("ADJOURN").prefix_separator("__").separator("__");
        let mut builder = config::Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        if let Some(file) = file {
            builder = builder.add_source(File::from(file).format(FileFormat::Toml));
        }
        builder = builder.add_source(environment.source(Some(sources.environment)));
        for (key, value) in sources.flags {
            builder = builder.set_override(key, value)?;
        }
        Self::checked(builder.build()?.try_deserialize()?)
    }

    fn checked(raw: Raw) -> Result<Self, ConfigError> {
        let listen = address("listen", &raw.listen, raw.insecure)?;
        let admin_listen = address("admin_listen", &raw.admin_listen, raw.insecure)?;
        let partitions = match raw.partitions {
            None => None,
            Some(count) => {
                Some(PartitionCount::new(count).ok_or_else(|| refuse("partitions", format!("must be 1 to {}", PartitionCount::MAX)))?)
            }
        };
        Ok(Self {
            listen,
            admin_listen,
            insecure: raw.insecure,
            store: store_choice(&raw.store)?,
            partitions,
            node_options: node_options(&raw)?,
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

fn address(key: &'static str, text: &str, insecure: bool) -> Result<SocketAddr, ConfigError> {
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = text.parse().map_err(|_| refuse(key, format!("`{text}` must be ADDRESS:PORT, such as 127.0.0.1:8080")))?;
    if !address.ip().is_loopback() && !insecure {
        let problem = "is not a loopback address, and no keys are configured, so that anybody could read and close conversations: \
                       use 127.0.0.1, or --insecure behind something that checks who asks";
        return Err(refuse(key, format!("{address} {problem}")));
    }
    Ok(address)
}

fn store_choice(text: &str) -> Result<StoreChoice, ConfigError> {
    match text.strip_prefix("embedded:") {
        Some(path) if !path.is_empty() => Ok(StoreChoice::Embedded(path.into())),
        _ => Err(refuse("store", format!("`{text}` must be embedded:DIRECTORY"))),
    }
}

fn node_name(raw: &Raw) -> Result<Box<str>, ConfigError> {
    match raw.node.as_deref() {
        None => Ok(NodeOptions::default().node),
        Some(name) if is_name(name) => Ok(name.into()),
        Some(_) => Err(refuse("node", "must be 1 to 128 of A-Z a-z 0-9 . _ : -")),
    }
}

fn node_options(raw: &Raw) -> Result<NodeOptions, ConfigError> {
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
        address: raw.address.as_deref().unwrap_or_default().into(),
        lease: duration("lease", &raw.lease)?,
        defaults: defaults(&raw.defaults, &bounds)?,
        bounds,
        snooze_max: positive("snooze_max", &raw.snooze_max)?,
        retention: positive("retention", &raw.retention)?,
        horizon,
        idle: duration("idle", &raw.idle)?,
        live_max: at_least("live_max", raw.live_max, 1)?,
        batch,
        batch_behind: at_least("batch_behind", raw.batch_behind, batch)?,
        due_batch: at_least("due_batch", raw.due_batch, 1)?,
        tick: duration("tick", &raw.tick)?,
        notifications_kept: at_least("notifications.keep", raw.notifications.keep, 1)?,
        arbiters: at_least("arbiters", raw.arbiters, 1)?,
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WallClock;
    use crate::store::embedded::EmbeddedOptions;

    fn load(flags: &[(&str, &str)]) -> Result<Config, String> {
        let flags = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Config::load(Sources { flags, ..Sources::default() }).map_err(|error| error.to_string())
    }

    #[test]
    fn the_manual_says_what_the_code_does() {
        let config = load(&[]).unwrap();
        assert_eq!(format!("{:?}", config.node_options), format!("{:?}", NodeOptions::default()));
        assert_eq!(format!("{:?}", config.limits), format!("{:?}", Limits::default()));
        let embedded = EmbeddedOptions::new(std::sync::Arc::new(WallClock));
        assert_eq!((config.event_log.segment_bytes, config.event_log.keep), (embedded.segment_bytes, embedded.log_retention));
        assert_eq!(config.store, StoreChoice::Embedded("./adjourn-data".into()));
    }

    #[test]
    fn flags_beat_the_environment_beats_the_file_beats_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("adjourn.toml");
        std::fs::write(&file, "node = \"file\"\nretention = \"7d\"\n[auto_close]\nmin_period = \"1m\"\n").unwrap();
        let environment = [
            ("ADJOURN__NODE", "environment"),
            ("ADJOURN__LIMITS__EVENTS", "7"),
            ("ADJOURN__DEFAULTS__AUTO_CLOSE__ENABLED", "true"),
            ("ADJOURN__AUTO_CLOSE__MIN_PERIOD", "1s"),
            ("ADJOURN_URL", "ignored"),
        ];
        let sources = Sources {
            file: Some(file),
            environment: environment.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            flags: vec![("node".to_owned(), "flag".to_owned())],
        };
        let config = Config::load(sources).unwrap();
        assert_eq!(&*config.node_options.node, "flag");
        assert_eq!(config.node_options.bounds.min_period, Span::from_secs(1));
        assert_eq!((config.limits.events, config.node_options.defaults.enabled), (7, true));
        assert_eq!(config.node_options.retention, Span::from_days(7));
        assert_eq!(config.node_options.bounds.max_period, Span::from_days(14));
    }

    #[test]
    fn mistakes_are_named() {
        for (key, value, says) in [
            ("lisen", "127.0.0.1:1", "lisen"),
            ("auto_close.min_perod", "1s", "min_perod"),
            ("listen", "0.0.0.0:8080", "--insecure"),
            ("listen", "8080", "ADDRESS:PORT"),
            ("store", "redis://localhost", "embedded:DIRECTORY"),
            ("partitions", "0", "1 to 1024"),
            ("retention", "forever", "is not a duration"),
            ("auto_close.max_period", "1m", "auto_close.max_period"),
            ("defaults.auto_close.period", "1m", "auto_close.period"),
            ("horizon", "2s", "three times"),
            ("batch_behind", "1", "batch_behind"),
            ("event_log.segment_bytes", "1", "event_log.segment_bytes"),
            ("limits.stall", "31s", "limits.stall"),
            ("log.format", "xml", "text or json"),
            ("log.level", "inf", "one of off"),
            ("limits.buffered_bytes", "5000", "limits.buffered_bytes"),
            ("node", "", "node"),
        ] {
            let problem = load(&[(key, value)]).expect_err(key);
            assert!(problem.contains(says), "{key}={value}: {problem}");
        }
    }

    #[test]
    fn the_operator_may_take_the_risk() {
        assert!(load(&[("listen", "0.0.0.0:8080"), ("insecure", "true")]).is_ok());
        assert!(load(&[("listen", "localhost:0"), ("admin_listen", "[::1]:0"), ("partitions", "8")]).is_ok());
    }
}

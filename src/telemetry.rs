//! What operators see: log lines on stderr, metrics in Prometheus' format. Which facts there are is said here; they are
//! told where they happen.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::actors::Node;
use crate::config::{LogConfig, LogFormat};

/// Between two rounds of looking after histograms and gauges: the exporter asks for seconds.
pub const UPKEEP: Duration = Duration::from_secs(5);

/// Lateness is promised in tens of milliseconds and worth knowing up to an hour of outage.
const LATENESS_SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0, 900.0, 3_600.0];
/// A planned move is promised in 50 ms; what takes a second is waiting for something.
const GAP_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// A commit is one `fsync`: a tenth of a millisecond on a good disk, seconds on a sick one.
const COMMIT_SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// What a stranger's malformed request writes as an error, and a server's start in five lines. `log.level` may name them.
const QUIET: &str = "actix_http::h1::dispatcher=off,actix_server=warn";

/// Log lines on stderr, for the whole process.
///
/// # Errors
/// When the process logs already.
pub fn start_logging(config: &LogConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.level)).context("log.level")?;
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}

/// The process's metrics; started when first asked for.
///
/// # Errors
/// When the process has another recorder.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    // Held while the recorder is installed: a second app of one process waits for the first one's.
    static HANDLE: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut installed = HANDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    // Without buckets the exporter makes summaries, which cannot be added up over nodes.
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("adjourn_timer_lateness_seconds".to_owned()), &LATENESS_SECONDS)?
        .set_buckets_for_metric(Matcher::Full("adjourn_store_commit_seconds".to_owned()), &COMMIT_SECONDS)?
        .set_buckets_for_metric(Matcher::Full("adjourn_partition_gap_seconds".to_owned()), &GAP_SECONDS)?
        .install_recorder()?;
    describe();
    Ok(installed.insert(handle).clone())
}

fn describe() {
    describe_counter!("adjourn_events_accepted_total", "Events made durable, or known to be, by the door they came through");
    describe_counter!("adjourn_events_rejected_total", "Events and requests refused, by the kind of their problem");
    describe_counter!("adjourn_requests_unauthorized_total", "Requests without a key that is good, by why");
    describe_counter!("adjourn_events_ignored_total", "Events of types without a rule, by family");
    describe_gauge!("adjourn_ingest_lag_seconds", "Age of the oldest event not yet applied");
    describe_gauge!("adjourn_timers_armed", "Conversations with something to look at: a deadline or the end of a snooze");
    describe_histogram!("adjourn_timer_lateness_seconds", "From a deadline to the clock its close is stamped with");
    describe_counter!("adjourn_conversations_closed_total", "Closes, by what closed");
    describe_counter!("adjourn_close_reversals_total", "Auto-closes taken back by a late reply");
    describe_counter!("adjourn_fenced_writes_total", "Writes refused because the partition has another owner");
    describe_gauge!("adjourn_partitions_owned", "Partitions whose shard is running on this node");
    describe_counter!("adjourn_partition_moves_total", "Partitions taken by this node, given to it or taken over");
    describe_histogram!("adjourn_partition_gap_seconds", "From hearing that a partition was given back to having it");
    describe_counter!("adjourn_lease_renewals_failed_total", "Signs of life that the store did not take");
    describe_gauge!("adjourn_closes_held", "1 while nothing closes: the store went back, or somebody said so; an operator ends it");
    describe_gauge!("adjourn_nodes_live", "Nodes that show signs of life, as this one sees it");
    describe_gauge!("adjourn_actors_live", "Conversations in memory");
    describe_counter!("adjourn_notifications_total", "Notifications committed, by type");
    describe_counter!("adjourn_dead_letters_total", "Entries set aside");
    describe_gauge!("adjourn_dead_letters", "Entries in the dead letters now");
    describe_gauge!("adjourn_backlog", "Events accepted and not yet applied");
    describe_histogram!("adjourn_store_commit_seconds", "Time one commit took");
    describe_gauge!("adjourn_clock_skew_seconds", "The store's clock minus this node's");
    describe_gauge!("adjourn_build_info", "1, with the version");
    describe_gauge!("adjourn_log_ahead_seconds", "How far ids in a partition's log are ahead of the store's clock");
    describe_counter!("adjourn_records_unreadable_total", "Stored records that could not be read and were passed over");
    describe_counter!("adjourn_events_appended_again_total", "Acknowledged events told to a Redis that took another's place");
    describe_counter!("adjourn_notes_total", "Closing notes asked of their writer, by outcome: written, given_up, again");
    describe_counter!("adjourn_notes_put_off_total", "Closing notes put off because too many were waiting");
    describe_counter!("adjourn_redis_errors_total", "Calls to Redis that failed, by the code of its answer");
    describe_counter!("adjourn_redis_keys_lost_total", "Keys of a partition that were gone and were made anew, by key");
    describe_gauge!("adjourn_redis_memory_bytes", "Memory in use by the Redis that has most");
    describe_gauge!("adjourn_redis_memory_limit_bytes", "What that Redis may use; 0: no limit");
    describe_gauge!("adjourn_timers_overdue", "Conversations whose time has passed and that nothing was done about, to 10,000 a partition");
    // From zero on: what appears with its first increment has, for whoever watches the increase, not happened.
    let totals = [
        "adjourn_close_reversals_total",
        "adjourn_fenced_writes_total",
        "adjourn_dead_letters_total",
        "adjourn_partition_moves_total",
        "adjourn_lease_renewals_failed_total",
    ];
    totals.into_iter().for_each(|name| counter!(name).increment(0));
    for transport in ["http", "redis"] {
        counter!("adjourn_events_accepted_total", "transport" => transport).increment(0);
    }
    gauge!("adjourn_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Looks after the metrics until it is dropped: lets histograms forget, and reads what nobody tells.
pub async fn upkeep(handle: PrometheusHandle, node: Node) {
    let mut rounds = tokio::time::interval(UPKEEP);
    loop {
        rounds.tick().await;
        handle.run_upkeep();
        observe(&node).await;
    }
}

/// A store that does not answer says so at `/readyz`; the gauges keep their last value.
async fn observe(node: &Node) {
    gauge!("adjourn_partitions_owned").set(node.shards_ready() as f64);
    gauge!("adjourn_actors_live").set(node.live_actors() as f64);
    if let Ok(skew) = node.clock_skew_ms().await {
        gauge!("adjourn_clock_skew_seconds").set(skew as f64 / 1_000.0);
    }
    if let Ok(overdue) = node.timers_overdue().await {
        gauge!("adjourn_timers_overdue").set(overdue as f64);
    }
    // Of the partitions this node has: over all nodes they add up to what there is.
    let Ok(stats) = node.own_stats().await else { return };
    for (partition, stats) in &stats {
        gauge!("adjourn_timers_armed", "partition" => partition.to_string()).set(stats.timers as f64);
    }
    gauge!("adjourn_backlog").set(stats.iter().map(|(_, stats)| stats.backlog).sum::<u64>() as f64);
    gauge!("adjourn_dead_letters").set(stats.iter().map(|(_, stats)| stats.dead_letters).sum::<u64>() as f64);
}

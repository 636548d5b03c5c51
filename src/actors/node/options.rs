//! The bounds a node works within, each with its unit and its reason. All of them are in the config.

use std::time::Duration;

use crate::domain::Span;
use crate::domain::id::{NAME_BYTES_MAX, is_name};
use crate::domain::settings::{Settings, SettingsBounds};

#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// This node's name: no other live process on the same store may have it.
    pub node: Box<str>,
    /// Where its API is for others, as URL.
    pub address: Box<str>,
    /// A partition whose owner shows no sign of life for this long is taken over. Shorter finds the dead sooner, and takes
    /// a slow network for death.
    pub lease: Duration,
    /// What a workspace starts with that never changed its settings.
    pub defaults: Settings,
    pub bounds: SettingsBounds,
    /// Timers a second of one workspace that hear of a period applied to them, where nobody says otherwise: each is a row and a
    /// notification, and perhaps a close with its own. A hundred are what a subscriber takes beside its daily work, and leave
    /// time to think better of it; ten thousand timers take two minutes.
    pub apply_rate: u32,
    /// The longest snooze, from the command's own `time`: one typed a century ahead is a slip, and would keep its row for
    /// as long.
    pub snooze_max: Span,
    /// How long a closed conversation stays in the store.
    pub retention: Span,
    /// How long after a close the texts of its messages stay, for who wants a note after all: then they go at the next round.
    pub texts_kept: Span,
    /// Whether lists of conversations are kept, so that a page of one costs the same however many conversations there are. Two
    /// short entries a conversation; without them lists look at rows.
    pub lists: bool,
    /// How many days reports go back. A day takes some hundred bytes a workspace and partition, more where more happens.
    pub report_days: i32,
    /// Conversations due within this are kept in memory with their own timer. Longer than several ticks, or the tick
    /// would have to find them all.
    pub horizon: Span,
    /// An actor untouched for this long is put to rest when it is not due within the horizon.
    pub idle: Duration,
    /// Live conversation actors on this node, about 4 KB each with what they hold. At the bound the horizon shrinks to ten
    /// seconds, and whoever is not due by then leaves after each commit.
    pub live_max: usize,
    /// Events in one commit while keeping up: larger ones only add latency.
    pub batch: usize,
    /// Events in one commit while behind: fewer fsyncs for each.
    pub batch_behind: usize,
    /// Due conversations in one commit: live events wait no longer than such a commit takes.
    pub due_batch: usize,
    /// How often the index is scanned for what no timer brought up.
    pub tick: Duration,
    /// Notifications kept in each partition. A subscriber away for longer gets a reset.
    pub notifications_kept: u64,
    /// Threads that shards and their conversations live on; 0: they live on the thread that starts the node, beside
    /// whatever else is there, as a simulation wants it.
    pub arbiters: usize,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            node: host_name(),
            address: "".into(),
            lease: Duration::from_secs(3),
            defaults: Settings::default(),
            bounds: SettingsBounds::default(),
            apply_rate: 100,
            snooze_max: Span::from_days(366),
            retention: Span::from_days(90),
            texts_kept: Span::from_hours(24),
            lists: true,
            report_days: 400,
            horizon: Span::from_mins(5),
            idle: Duration::from_secs(60),
            live_max: 250_000,
            batch: 256,
            batch_behind: 1_024,
            due_batch: 1_024,
            tick: Duration::from_millis(1_000),
            notifications_kept: 100_000,
            arbiters: 1,
        }
    }
}

/// What the machine is called, as far as that is a name here; in a container that is the container's own.
fn host_name() -> Box<str> {
    let system = rustix::system::uname();
    let fits = |letter: char| if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-') { letter } else { '-' };
    let name: String = system.nodename().to_string_lossy().chars().map(fits).take(NAME_BYTES_MAX).collect();
    if is_name(&name) { name.into() } else { "node".into() }
}

//! Who changed a workspace's settings, when, and what: the latest changes.

use super::settings::Settings;
use super::time::{Span, Timestamp};

/// Changes kept of one workspace: a year of more than three a week. Nobody reads through more.
pub const CHANGES_MAX: usize = 200;
/// Bytes of all of them, about: they are read and written as a whole with every change.
pub const HISTORY_BYTES_MAX: usize = 64 * 1024;
/// Longest text of a value that is kept, in characters; what is longer is cut, and ends in an ellipsis.
pub const VALUE_CHARS_MAX: usize = 256;

/// Oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SettingsHistory {
    pub changes: Vec<SettingsChanged>,
}

/// One version, and what it changed of the one before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettingsChanged {
    pub version: u64,
    /// By the store's clock.
    pub at: Timestamp,
    pub by: Option<Box<str>>,
    /// The store had lost this version, and had it back from a partition that had applied it: `at` is when that was seen,
    /// and who made it is not known any more.
    pub restored: bool,
    pub differences: Vec<Difference>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Its path, as in `auto_close.period`; of a category `categories.` and its name.
    pub setting: Box<str>,
    pub from: Value,
    pub to: Value,
}

/// What a setting is or was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    Nothing,
    Switch(bool),
    Span(Span),
    /// Of a category: its description, which may be empty.
    Text(Box<str>),
}

impl Value {
    fn text(text: &str) -> Self {
        match text.char_indices().nth(VALUE_CHARS_MAX) {
            Some((end, _)) => Self::Text(format!("{}\u{2026}", &text[..end]).into()),
            None => Self::Text(text.into()),
        }
    }

    fn maybe<T>(value: Option<T>, of: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Nothing, of)
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len() + 5,
            Self::Nothing | Self::Switch(_) | Self::Span(_) => 9,
        }
    }
}

impl SettingsHistory {
    /// With one more change, of the next version. Those that count as later are of a master document that is lost.
    pub fn record(&mut self, changed: SettingsChanged) {
        self.changes.retain(|change| change.version < changed.version);
        self.changes.push(changed);
        let mut bytes = 0;
        let kept = self.changes.iter().rev().take(CHANGES_MAX).take_while(|change| {
            bytes += change.bytes();
            bytes <= HISTORY_BYTES_MAX
        });
        let surplus = self.changes.len() - kept.count().max(1);
        self.changes.drain(..surplus);
    }
}

impl SettingsChanged {
    /// What `after` changed of `before`.
    pub fn between(before: &Settings, after: &Settings, at: Timestamp, by: Option<Box<str>>) -> Self {
        Self { version: after.version, at, by, restored: false, differences: differences(before, after) }
    }

    /// `after`, which nobody knew of any more but the partitions that had applied it.
    pub fn restored(before: &Settings, after: &Settings, at: Timestamp) -> Self {
        Self { restored: true, ..Self::between(before, after, at, None) }
    }

    fn bytes(&self) -> usize {
        let of = |one: &Difference| one.setting.len() + 5 + one.from.bytes() + one.to.bytes();
        self.by.as_ref().map_or(1, |by| by.len()) + 24 + self.differences.iter().map(of).sum::<usize>()
    }
}

fn differences(before: &Settings, after: &Settings) -> Vec<Difference> {
    let mut found: Vec<Difference> = listed(before)
        .into_iter()
        .zip(listed(after))
        .filter(|((_, from), (_, to))| from != to)
        .map(|((setting, from), (_, to))| Difference { setting: setting.into(), from, to })
        .collect();
    let described = |settings: &Settings, name: &str| {
        let category = settings.categories.iter().find(|category| *category.name == *name);
        Value::maybe(category, |category| Value::text(category.description.as_deref().unwrap_or_default()))
    };
    let added = after.categories.iter().filter(|category| described(before, &category.name) == Value::Nothing);
    for category in before.categories.iter().chain(added) {
        let (from, to) = (described(before, &category.name), described(after, &category.name));
        if from != to {
            found.push(Difference { setting: format!("categories.{}", category.name).into(), from, to });
        }
    }
    if let Some(running) = after.running.filter(|running| running.version == after.version) {
        found.push(Difference { setting: "apply_to_running".into(), from: Value::Nothing, to: Value::Span(running.period) });
    }
    found
}

/// All but the categories, under the names that people know, in their order.
fn listed(settings: &Settings) -> [(&'static str, Value); 8] {
    [
        ("auto_close.enabled", Value::Switch(settings.enabled)),
        ("auto_close.period", Value::Span(settings.period)),
        ("auto_close.echo_arms", Value::Switch(settings.echo_arms)),
        ("late_reply_window", Value::Span(settings.late_reply_window)),
        ("closing_notes.mode", Value::text(settings.notes_mode.as_str())),
        ("closing_notes.auto_generate", Value::Switch(settings.notes_auto_generate)),
        ("warning.before", Value::maybe(settings.warning_before, Value::Span)),
        ("farewell", Value::maybe(settings.farewell.as_deref(), Value::text)),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::categories::Category;
    use super::super::testing::at;
    use super::*;

    fn changed(version: u64, bytes: usize) -> SettingsChanged {
        let by = Some("x".repeat(bytes).into());
        SettingsChanged::between(&Settings::default(), &Settings { version, enabled: true, ..Settings::default() }, at(0), by)
    }

    #[test]
    fn every_setting_that_differs_is_told_with_what_it_was() {
        let category = |name: &str, text: Option<&str>| Category { name: name.into(), description: text.map(Into::into) };
        let before = Settings { categories: vec![category("A", None), category("B", Some("b"))], ..Settings::default() };
        let after = Settings {
            version: 1,
            period: Span::from_hours(12),
            warning_before: Some(Span::from_hours(1)),
            farewell: Some("é".repeat(300).into()),
            categories: vec![category("B", Some("bb")), category("C", None)],
            ..Settings::default()
        };
        let told = SettingsChanged::between(&before, &after, at(5), Some("ana".into()));
        let names: Vec<&str> = told.differences.iter().map(|difference| &*difference.setting).collect();
        assert_eq!(names, ["auto_close.period", "warning.before", "farewell", "categories.A", "categories.B", "categories.C"]);
        assert_eq!(told.differences[0].from, Value::Span(Span::from_hours(24)));
        assert_eq!(told.differences[2].to, Value::Text(format!("{}…", "é".repeat(256)).into()));
        assert_eq!((&told.differences[3].from, &told.differences[3].to), (&Value::Text("".into()), &Value::Nothing));
        assert_eq!((&told.differences[5].from, &told.differences[5].to), (&Value::Nothing, &Value::Text("".into())));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_latest_stays() {
        let mut history = SettingsHistory::default();
        (1..=300).for_each(|version| history.record(changed(version, 10)));
        let versions = |history: &SettingsHistory| (history.changes[0].version, history.changes.len());
        assert_eq!(versions(&history), (101, CHANGES_MAX));
        history.record(changed(301, HISTORY_BYTES_MAX / 2));
        assert!(history.changes.len() > 100);
        history.record(changed(302, 2 * HISTORY_BYTES_MAX));
        assert_eq!(versions(&history), (302, 1));
        history.record(changed(301, 1));
        assert_eq!(versions(&history), (301, 1), "one that the store has lost is not kept beside what took its place");
    }
}

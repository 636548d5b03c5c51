//! The changes of a workspace's settings as JSON.

use serde::{Serialize, Serializer};

use super::time::Rfc3339;
use crate::domain::history::{Difference, SettingsChanged, Value};

#[derive(Serialize)]
pub struct ChangeView<'a> {
    version: u64,
    at: Rfc3339,
    /// Null: nobody said.
    by: Option<&'a str>,
    changes: DifferencesView<'a>,
    /// The store had lost it: `at` is when that was seen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    restored: bool,
}

/// By the setting's path, in the order of the settings.
struct DifferencesView<'a>(&'a [Difference]);

#[derive(Serialize)]
struct DifferenceView<'a> {
    from: ValueView<'a>,
    to: ValueView<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ValueView<'a> {
    Nothing(()),
    Switch(bool),
    Span(String),
    Text(&'a str),
}

impl<'a> ChangeView<'a> {
    pub fn new(change: &'a SettingsChanged) -> Self {
        let SettingsChanged { version, at, by, restored, differences } = change;
        let changes = DifferencesView(differences);
        Self { version: *version, at: Rfc3339(*at), by: by.as_deref(), changes, restored: *restored }
    }
}

impl Serialize for DifferencesView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(DifferenceView::of))
    }
}

impl<'a> DifferenceView<'a> {
    fn of(difference: &'a Difference) -> (&'a str, Self) {
        let Difference { setting, from, to } = difference;
        (setting, Self { from: ValueView::new(from), to: ValueView::new(to) })
    }
}

impl<'a> ValueView<'a> {
    fn new(value: &'a Value) -> Self {
        match value {
            Value::Nothing => Self::Nothing(()),
            Value::Switch(on) => Self::Switch(*on),
            Value::Span(span) => Self::Span(span.to_string()),
            Value::Text(text) => Self::Text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Settings, Span, Timestamp};

    #[test]
    fn a_change_as_it_is_shown() {
        let after = Settings {
            version: 7,
            enabled: true,
            period: Span::from_hours(12),
            warning_before: Some(Span::from_hours(1)),
            ..Settings::default()
        };
        let at = Timestamp::from_millis(1_795_341_600_000);
        let change = SettingsChanged::between(&Settings::default(), &after, at, Some("ana".into()));
        assert_eq!(
            serde_json::to_string(&ChangeView::new(&change)).unwrap(),
            concat!(
                r#"{"version":7,"at":"2026-11-22T10:00:00.000Z","by":"ana","changes":{"auto_close.enabled":{"from":false,"to":true},"#,
                r#""auto_close.period":{"from":"24h","to":"12h"},"warning.before":{"from":null,"to":"1h"}}}"#
            )
        );
    }
}

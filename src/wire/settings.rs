//! A workspace's settings as JSON (CONTRACT.md, "settings"), and the change that a PUT asks for: members left out stay,
//! unknown ones are refused by name, so that a slip of the pen never looks like success. The version is the `ETag`.

use serde::Serialize;
use serde_json::{Map, Value};

use super::problem::Fault;
use super::split::{json_is_shallow, utf8};
use crate::domain::settings::{NotesMode, SettingsChange};
use crate::domain::time::SpanError;
use crate::domain::{Settings, Span};

/// The members of settings, in the contract's order.
#[derive(Serialize)]
pub struct SettingsView<'a> {
    auto_close: AutoCloseView,
    late_reply_window: String,
    closing_notes: ClosingNotesView,
    warning: WarningView,
    farewell: Option<&'a str>,
}

#[derive(Serialize)]
struct AutoCloseView {
    enabled: bool,
    period: String,
    echo_arms: bool,
}

#[derive(Serialize)]
struct ClosingNotesView {
    mode: &'static str,
    auto_generate: bool,
}

#[derive(Serialize)]
struct WarningView {
    before: Option<String>,
}

impl<'a> SettingsView<'a> {
    pub fn new(settings: &'a Settings) -> Self {
        Self {
            auto_close: AutoCloseView { enabled: settings.enabled, period: settings.period.to_string(), echo_arms: settings.echo_arms },
            late_reply_window: settings.late_reply_window.to_string(),
            closing_notes: ClosingNotesView { mode: settings.notes_mode.as_str(), auto_generate: settings.notes_auto_generate },
            warning: WarningView { before: settings.warning_before.map(|before| before.to_string()) },
            farewell: settings.farewell.as_deref(),
        }
    }
}

/// Why a body is no change of settings.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SettingsProblem {
    #[error(transparent)]
    Unreadable(#[from] Fault),
    #[error("there is no setting `{member}`; there are {known}")]
    Unknown { member: Box<str>, known: &'static str },
    #[error("`{member}` must be {expected}")]
    WrongType { member: &'static str, expected: &'static str },
    #[error("`{member}`: {error}")]
    NotADuration { member: &'static str, error: SpanError },
}

/// Reads the body of a PUT.
///
/// # Errors
/// [`SettingsProblem`] names the member.
pub fn parse_change(bytes: &[u8]) -> Result<SettingsChange, SettingsProblem> {
    let text = utf8(bytes)?;
    if !json_is_shallow(bytes) {
        return Err(Fault::TooDeep.into());
    }
    let body: Value = serde_json::from_str(text).map_err(|error| Fault::MalformedJson { reason: error.to_string().into() })?;
    let mut change = SettingsChange::default();
    for (member, value) in object(&body, "the body")? {
        match member.as_str() {
            "auto_close" => auto_close(object(value, "auto_close")?, &mut change)?,
            "late_reply_window" => change.late_reply_window = Some(span(value, "late_reply_window")?),
            "closing_notes" => closing_notes(object(value, "closing_notes")?, &mut change)?,
            "warning" => warning(object(value, "warning")?, &mut change)?,
            "farewell" => change.farewell = Some(farewell(value)?),
            _ => return Err(unknown("", member, "auto_close, late_reply_window, closing_notes, warning, farewell")),
        }
    }
    Ok(change)
}

fn auto_close(members: &Map<String, Value>, change: &mut SettingsChange) -> Result<(), SettingsProblem> {
    for (member, value) in members {
        match member.as_str() {
            "enabled" => change.enabled = Some(switch(value, "auto_close.enabled")?),
            "period" => change.period = Some(span(value, "auto_close.period")?),
            "echo_arms" => change.echo_arms = Some(switch(value, "auto_close.echo_arms")?),
            _ => return Err(unknown("auto_close.", member, "enabled, period, echo_arms")),
        }
    }
    Ok(())
}

fn closing_notes(members: &Map<String, Value>, change: &mut SettingsChange) -> Result<(), SettingsProblem> {
    let expected = "one of off, optional, category_required, category_and_summary_required";
    for (member, value) in members {
        match member.as_str() {
            "mode" => {
                let mode = value.as_str().and_then(NotesMode::parse);
                change.notes_mode = Some(mode.ok_or(SettingsProblem::WrongType { member: "closing_notes.mode", expected })?);
            }
            "auto_generate" => change.notes_auto_generate = Some(switch(value, "closing_notes.auto_generate")?),
            _ => return Err(unknown("closing_notes.", member, "mode, auto_generate")),
        }
    }
    Ok(())
}

fn warning(members: &Map<String, Value>, change: &mut SettingsChange) -> Result<(), SettingsProblem> {
    for (member, value) in members {
        match (member.as_str(), value) {
            ("before", Value::Null) => change.warning_before = Some(None),
            ("before", value) => change.warning_before = Some(Some(span(value, "warning.before")?)),
            _ => return Err(unknown("warning.", member, "before")),
        }
    }
    Ok(())
}

fn farewell(value: &Value) -> Result<Option<Box<str>>, SettingsProblem> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok((!text.is_empty()).then(|| text.as_str().into())),
        _ => Err(SettingsProblem::WrongType { member: "farewell", expected: "a text or null" }),
    }
}

fn object<'v>(value: &'v Value, member: &'static str) -> Result<&'v Map<String, Value>, SettingsProblem> {
    value.as_object().ok_or(SettingsProblem::WrongType { member, expected: "an object" })
}

fn switch(value: &Value, member: &'static str) -> Result<bool, SettingsProblem> {
    value.as_bool().ok_or(SettingsProblem::WrongType { member, expected: "true or false" })
}

fn span(value: &Value, member: &'static str) -> Result<Span, SettingsProblem> {
    let expected = "a duration: an integer and one of s, m, h, d, such as \"24h\"";
    let text = value.as_str().ok_or(SettingsProblem::WrongType { member, expected })?;
    Span::parse(text).map_err(|error| SettingsProblem::NotADuration { member, error })
}

/// A name from outside is shown shortened, for it may be as long as the body, and escaped, for a terminal may show it.
fn unknown(within: &str, member: &str, known: &'static str) -> SettingsProblem {
    let member: String = within.chars().chain(member.chars().take(64).flat_map(char::escape_debug)).collect();
    SettingsProblem::Unknown { member: member.into(), known }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_workspace_as_the_contract_shows_it() {
        assert_eq!(
            serde_json::to_string(&SettingsView::new(&Settings::default())).unwrap(),
            concat!(
                r#"{"auto_close":{"enabled":false,"period":"24h","echo_arms":true},"late_reply_window":"10m","#,
                r#""closing_notes":{"mode":"off","auto_generate":false},"warning":{"before":null},"farewell":null}"#
            )
        );
    }

    #[test]
    fn what_is_left_out_stays() {
        assert_eq!(parse_change(b"{}"), Ok(SettingsChange::default()));
        let period = SettingsChange { period: Some(Span::from_hours(1)), ..Default::default() };
        assert_eq!(parse_change(br#"{"auto_close":{"period":"1h"}}"#), Ok(period));
        let cleared = SettingsChange { warning_before: Some(None), farewell: Some(None), ..Default::default() };
        assert_eq!(parse_change(br#"{"warning":{"before":null},"farewell":null}"#), Ok(cleared));
    }

    #[test]
    fn what_is_shown_can_be_put_back() {
        let shown = serde_json::to_vec(&SettingsView::new(&Settings::default())).unwrap();
        let change = parse_change(&shown).unwrap();
        let bounds = crate::domain::settings::SettingsBounds::default();
        let again = Settings { version: 0, ..Settings::default().changed(change, &bounds).unwrap() };
        assert_eq!(again, Settings::default());
    }

    #[test]
    fn t2_anything_else_is_refused_by_name() {
        for (body, says) in [
            (r#"{"auto_close":{"perod":"1h"}}"#, "`auto_close.perod`"),
            (r#"{"autoclose":{}}"#, "`autoclose`"),
            (r#"{"auto_close":{"period":"-1h"}}"#, "`auto_close.period`"),
            (r#"{"auto_close":{"period":"1 fortnight"}}"#, "`1 fortnight` is not a duration"),
            (r#"{"auto_close":{"period":3600}}"#, "must be a duration"),
            (r#"{"auto_close":{"enabled":"yes"}}"#, "true or false"),
            (r#"{"auto_close":null}"#, "`auto_close` must be an object"),
            (r#"{"closing_notes":{"mode":"always"}}"#, "one of off"),
            (r#"{"late_reply_window":null}"#, "`late_reply_window`"),
            (r#"[]"#, "the body"),
            (r#"{"#, "not JSON"),
        ] {
            let problem = parse_change(body.as_bytes()).expect_err(body).to_string();
            assert!(problem.contains(says), "{body}: {problem}");
        }
    }
}

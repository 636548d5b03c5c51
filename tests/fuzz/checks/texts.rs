//! Texts that clients and operators write: cursors, settings, instants, durations, the store's URL.

use adjourn::actors::Cursor;
use adjourn::domain::access::{KEY_NAME_CHARS_MAX, KEY_WORKSPACES_MAX, Reach};
use adjourn::domain::id::is_name;
use adjourn::domain::settings::SettingsBounds;
use adjourn::domain::{Settings, Span};
use adjourn::store::LogId;
use adjourn::store::redis::Target;
use adjourn::wire::keys::parse_new;
use adjourn::wire::settings::parse_change;
use adjourn::wire::{SettingsView, time as instants};

use super::presentable;

/// The stream's cursor, and the ids of dead letters.
pub fn cursor(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Cursor::decode(text) {
        Ok(cursor) => {
            assert!(cursor.positions.len() <= text.len());
            assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
        }
        Err(error) => presentable(&error.to_string()),
    }
    if let Some(id) = LogId::parse(text) {
        assert_eq!(LogId::parse(&id.to_string()), Some(id));
    }
}

/// A change that was taken is shown, and what is shown can be put back without changing anything.
pub fn settings(data: &[u8]) {
    let bounds = SettingsBounds::default();
    match parse_change(data).map(|change| Settings::default().changed(change, &bounds)) {
        Ok(Ok(settings)) => {
            let shown = serde_json::to_vec(&SettingsView::new(&settings)).expect("settings are shown as JSON");
            let again = settings.changed(parse_change(&shown).expect("what is shown is read"), &bounds).expect("and taken");
            assert_eq!(Settings { version: settings.version, ..again }, settings);
        }
        Ok(Err(refused)) => presentable(&refused.to_string()),
        Err(problem) => presentable(&problem.to_string()),
    }
}

/// What a new key is to be: whatever was taken can be kept.
pub fn new_key(data: &[u8]) {
    match parse_new(data) {
        Ok(wanted) => {
            assert!(!wanted.scopes.is_empty() && !wanted.name.is_empty() && wanted.name.chars().count() <= KEY_NAME_CHARS_MAX);
            let Reach::Only(workspaces) = wanted.reach else { return };
            assert!((1..=KEY_WORKSPACES_MAX).contains(&workspaces.len()) && workspaces.iter().all(|workspace| is_name(workspace)));
        }
        Err(problem) => presentable(&problem.to_string()),
    }
}

pub fn time(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(at) = instants::parse(text) {
        let shown = instants::format(at);
        assert_eq!((instants::parse(&shown), shown.len()), (Some(at), 24), "{text:?}");
    }
}

pub fn duration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Span::parse(text) {
        Ok(span) => assert_eq!(Span::parse(&span.to_string()), Ok(span), "{text:?}"),
        Err(error) => presentable(&error.to_string()),
    }
}

/// What is shown in a password's place.
const MASK: &str = "***";

/// The password is shown nowhere.
pub fn store_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let target: Target = match text.parse() {
        Ok(target) => target,
        Err(_) => return,
    };
    let Some(secret) = target.login.password.as_ref().map(|secret| secret.reveal().to_owned()) else { return };
    // Nor does a star of what stands in its place, with what stands beside that.
    let shown = format!("{target} {target:?}").replace(MASK, " ");
    // One that is a part of something else that is shown says nothing.
    let without = shown_without_password(text);
    let is_telling = |others: String| !others.contains(&secret) && !MASK.contains(&secret);
    if without.is_some_and(is_telling) {
        assert!(!shown.contains(&secret), "{shown}");
    }
}

/// The same URL without its password, as it is shown.
fn shown_without_password(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (login, hosts) = rest.split_once('@')?;
    let (user, _) = login.split_once(':')?;
    let target: Target = format!("{scheme}://{user}@{hosts}").parse().ok()?;
    Some(format!("{target} {target:?}"))
}

//! What a workspace has decided about closing (CONTRACT.md, "settings"). Sound by construction.

use super::categories::{Category, CategoryChange, CategoryError};
use super::event::named;
use super::facts::HumanMessage;
use super::time::{Span, Timestamp};

/// One workspace's settings. The highest `version` wins, whatever the order in which versions arrive. The order of two values
/// has no other meaning ([`outranks`](Self::outranks)).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Settings {
    pub version: u64,
    /// Counts the times auto-close was switched on. An opening stamps it; a timer of another epoch has no deadline (T21).
    pub enable_epoch: u64,
    pub enabled: bool,
    pub period: Span,
    /// Whether a message from the channel's own app arms and resets (T8).
    pub echo_arms: bool,
    /// How long after an auto-close a contact's late message still takes it back (D7).
    pub late_reply_window: Span,
    pub notes_mode: NotesMode,
    pub notes_auto_generate: bool,
    /// So long before a close by timer those who want to know hear of it.
    pub warning_before: Option<Span>,
    /// For the product to send after a close by timer.
    pub farewell: Option<Box<str>>,
    /// What a note may name (L10), in the order in which they were added.
    pub categories: Vec<Category>,
    /// The latest command to apply the period to running timers (T23).
    pub running: Option<Running>,
}

/// "Apply to running timers" (T23): human messages that were taken in under a version before this one have this period, whatever
/// they were stamped with. Nothing is written anew for that: the deadline follows from it the moment a partition knows of it, and
/// only telling of it, and closing what is thereby due, takes its time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Running {
    /// That came with the command.
    pub version: u64,
    /// In force then.
    pub period: Span,
    /// When it was asked for, by the store's clock.
    pub at: Timestamp,
    /// Timers a second, over all partitions, that are told of it.
    pub rate: u32,
}

/// Asks for [`Running`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Apply {
    pub at: Timestamp,
    pub rate: u32,
}

/// Most timers a second: more than subscribers take, or one partition of a slow disk writes.
pub const APPLY_RATE_MAX: u32 = 10_000;

named! {
    NotesMode {
        Off = "off", Optional = "optional", CategoryRequired = "category_required",
        CategoryAndSummaryRequired = "category_and_summary_required",
    }
}

impl Default for Settings {
    /// A new workspace: auto-close off, 24 h, notes off.
    fn default() -> Self {
        Self {
            version: 0,
            enable_epoch: 0,
            enabled: false,
            period: Span::from_hours(24),
            echo_arms: true,
            late_reply_window: Span::from_mins(10),
            notes_mode: NotesMode::Off,
            notes_auto_generate: false,
            warning_before: None,
            farewell: None,
            categories: Vec::new(),
            running: None,
        }
    }
}

impl Settings {
    /// The switching-on that holds now, if auto-close is on.
    pub fn epoch_in_force(&self) -> Option<u64> {
        self.enabled.then_some(self.enable_epoch)
    }

    /// Whether texts of messages are kept: only where a note may be written from them (L7, L11).
    pub fn keeps_texts(&self) -> bool {
        self.notes_mode != NotesMode::Off
    }

    /// Whether a close without a note gets one (L11, L12).
    pub fn writes_notes(&self) -> bool {
        self.notes_auto_generate && self.notes_mode != NotesMode::Off
    }

    /// Whether a note may name it (L10).
    pub fn has_category(&self, name: &str) -> bool {
        self.categories.iter().any(|known| *known.name == *name)
    }

    /// The command that gave a message another period than it was stamped with (T23).
    pub fn applied_to(&self, message: &HumanMessage) -> Option<&Running> {
        self.running.as_ref().filter(|running| message.stamped_by < running.version)
    }

    /// Whether these take the place of `other`: the higher version does. Two documents of one version there are only after a
    /// store has lost its last second; of those every partition must choose the same, and one that is off does no harm.
    pub fn outranks(&self, other: &Self) -> bool {
        let by_rule = self.version.cmp(&other.version).then(other.enabled.cmp(&self.enabled));
        by_rule.then_with(|| self.cmp(other)).is_gt()
    }

    /// These settings changed by `change`, as the next version. Switching on starts a new enable epoch.
    ///
    /// # Errors
    /// [`SettingsError`] when a value lies outside `bounds`; nothing changed then (T2).
    pub fn changed(&self, change: SettingsChange, bounds: &SettingsBounds) -> Result<Self, SettingsError> {
        let mut next = self.clone();
        let SettingsChange {
            enabled,
            period,
            echo_arms,
            late_reply_window,
            notes_mode,
            notes_auto_generate,
            warning_before,
            farewell,
            category,
            apply,
            by: _,
        } = change;
        if let Some(period) = period {
            next.period = bounds.period(period)?;
        }
        if let Some(window) = late_reply_window {
            next.late_reply_window = bounds.late_reply_window(window)?;
        }
        if let Some(before) = warning_before {
            next.warning_before = before;
        }
        if let Some(text) = farewell {
            if text.as_ref().is_some_and(|t| t.len() > super::id::TEXT_BYTES_MAX) {
                return Err(SettingsError::FarewellTooLong);
            }
            next.farewell = text;
        }
        if let Some(on) = enabled {
            if on && !self.enabled {
                next.enable_epoch += 1;
            }
            next.enabled = on;
        }
        if let Some(change) = category {
            change.apply(&mut next.categories)?;
        }
        next.echo_arms = echo_arms.unwrap_or(next.echo_arms);
        next.notes_mode = notes_mode.unwrap_or(next.notes_mode);
        next.notes_auto_generate = notes_auto_generate.unwrap_or(next.notes_auto_generate);
        if next.warning_before.is_some_and(|before| before == Span::ZERO || before >= next.period) {
            return Err(SettingsError::WarningNotBeforeClose);
        }
        next.version += 1;
        if let Some(Apply { at, rate }) = apply {
            next.running = Some(Running { version: next.version, period: next.period, at, rate });
        }
        Ok(next)
    }
}

/// What a PUT names; what it leaves out stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SettingsChange {
    pub enabled: Option<bool>,
    pub period: Option<Span>,
    pub echo_arms: Option<bool>,
    pub late_reply_window: Option<Span>,
    pub notes_mode: Option<NotesMode>,
    pub notes_auto_generate: Option<bool>,
    pub warning_before: Option<Option<Span>>,
    pub farewell: Option<Option<Box<str>>>,
    pub category: Option<CategoryChange>,
    /// And the period to running timers.
    pub apply: Option<Apply>,
    /// Who asks for it, where that is known.
    pub by: Option<Box<str>>,
}

/// What the operator allows; T2's bounds unless the config moves them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SettingsBounds {
    pub min_period: Span,
    pub max_period: Span,
}

impl SettingsBounds {
    /// A close that could still be taken back days later would leave reports open that long.
    pub const LATE_REPLY_WINDOW_MAX: Span = Span::from_days(7);

    fn period(&self, period: Span) -> Result<Span, SettingsError> {
        if period < self.min_period || period > self.max_period {
            return Err(SettingsError::PeriodOutOfBounds { period, min: self.min_period, max: self.max_period });
        }
        Ok(period)
    }

    fn late_reply_window(&self, window: Span) -> Result<Span, SettingsError> {
        if window > Self::LATE_REPLY_WINDOW_MAX {
            return Err(SettingsError::LateReplyWindowTooLong { window });
        }
        Ok(window)
    }
}

impl Default for SettingsBounds {
    fn default() -> Self {
        Self { min_period: Span::from_mins(30), max_period: Span::from_days(14) }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("auto_close.period {period} is outside {min} .. {max}")]
    PeriodOutOfBounds { period: Span, min: Span, max: Span },
    #[error("late_reply_window {window} is longer than {}", SettingsBounds::LATE_REPLY_WINDOW_MAX)]
    LateReplyWindowTooLong { window: Span },
    #[error("warning.before must be longer than nothing and shorter than auto_close.period; null: no warning")]
    WarningNotBeforeClose,
    #[error("farewell is longer than {} bytes", super::id::TEXT_BYTES_MAX)]
    FarewellTooLong,
    #[error(transparent)]
    Category(#[from] CategoryError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(text: &str) -> Result<Settings, SettingsError> {
        let change = SettingsChange { period: Some(Span::parse(text).unwrap()), ..Default::default() };
        Settings::default().changed(change, &SettingsBounds::default())
    }

    #[test]
    fn t2_period_has_bounds() {
        for good in ["30m", "24h", "14d"] {
            assert!(period(good).is_ok(), "{good}");
        }
        for bad in ["29m", "0s", "15d", "1209601s"] {
            assert!(matches!(period(bad), Err(SettingsError::PeriodOutOfBounds { .. })), "{bad}");
        }
    }

    #[test]
    fn t2_a_new_workspace_is_off_with_24_hours() {
        let new = Settings::default();
        assert_eq!((new.enabled, new.period, new.echo_arms), (false, Span::from_hours(24), true));
    }

    #[test]
    fn t22_of_two_documents_of_one_version_the_same_counts_whatever_the_order() {
        let on = Settings { enabled: true, enable_epoch: 3, version: 2, ..Settings::default() };
        let (off, later) = (Settings { enabled: false, ..on.clone() }, Settings { version: 3, ..on.clone() });
        assert!(off.outranks(&on) && !on.outranks(&off));
        assert!(later.outranks(&off) && !off.outranks(&later));
        assert!(!on.outranks(&on.clone()), "one that is known is no news");
    }

    #[test]
    fn t21_each_switching_on_is_an_epoch_of_its_own() {
        let bounds = SettingsBounds::default();
        let switch = |s: &Settings, on| s.changed(SettingsChange { enabled: Some(on), ..Default::default() }, &bounds).unwrap();
        let on = switch(&Settings::default(), true);
        let still_on = switch(&on, true);
        let off = switch(&still_on, false);
        let again = switch(&off, true);
        assert_eq!(on.epoch_in_force(), still_on.epoch_in_force());
        assert_eq!(off.epoch_in_force(), None);
        assert_ne!(again.epoch_in_force(), on.epoch_in_force());
        assert_eq!(again.version, 4);
    }
}

//! "Apply to running timers" (T23), as it is asked for: what would come of it, and the command. What follows is in `owner::period_walk`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::actors::node::handle::{Node, SettingsRefused, Unready};
use crate::domain::settings::{Apply, SettingsChange};
use crate::domain::{Conversation, Settings, Span, Timestamp, deadline};

/// Timers looked at for one preview: some seconds of reading.
const ROWS_MAX: usize = 200_000;
/// Hours shown one by one: a week. What closes later nobody needs to be ready for yet.
const HOURS_MAX: i64 = 7 * 24;
const HOUR_MS: i64 = Span::from_hours(1).as_millis();

/// What applying the period to running timers comes to.
#[derive(Clone, Debug)]
pub struct Effect {
    /// To be applied.
    pub period: Span,
    /// Timers a second that are told.
    pub rate: u32,
    /// That would close at another time than now. Those of blocked and held conversations are not among them: they have no
    /// time until that ends.
    pub timers: u64,
    /// Of these.
    pub first_close_at: Option<Timestamp>,
    /// Of these, closing now, as fast as the rate allows.
    pub due_at_once: u64,
    /// Of these, by the hour they close in, within a week.
    pub by_hour: BTreeMap<Timestamp, u64>,
    /// And after that.
    pub later: u64,
    /// Whether every timer was looked at.
    pub complete: bool,
}

/// The command.
#[derive(Clone, Debug)]
pub struct ApplyToRunning {
    /// Timers a second; none: the operator's.
    pub rate: Option<u32>,
    pub by: Option<Box<str>>,
    /// Meant for this version of the settings.
    pub expected: Option<u64>,
}

impl Node {
    /// What this would come to, now: nothing is changed.
    ///
    /// # Errors
    /// As for the command.
    pub async fn preview_apply(&self, workspace: &str, command: &ApplyToRunning) -> Result<Effect, SettingsRefused> {
        let now = self.store().clock().await.map_err(Unready::from)?;
        let (_, before) = self.settings_to_change(workspace, command.expected).await?;
        let apply = Apply { at: now, rate: self.rate_of(command) };
        let next = before.changed(SettingsChange { apply: Some(apply), ..SettingsChange::default() }, &self.options().bounds)?;
        let mut effect = Effect {
            period: next.period,
            rate: apply.rate,
            timers: 0,
            first_close_at: None,
            due_at_once: 0,
            by_hour: BTreeMap::new(),
            later: 0,
            complete: true,
        };
        // Nothing is due later than the longest snooze, and the longest period after it.
        let until = now.plus(self.options().snooze_max).plus(self.options().bounds.max_period);
        let each = |conversation: &Conversation, applied: &Settings| effect.count(conversation, (applied, &next), now);
        let complete = self.each_due(workspace, until, ROWS_MAX, each).await.map_err(Unready::from)?;
        Ok(Effect { complete, ..effect })
    }

    /// Applies the period in force to running timers; answers when every partition knows, with what it comes to and the settings.
    ///
    /// # Errors
    /// As for any change of settings. `Invalid`: the period is outside bounds that the operator has moved since.
    pub async fn apply_to_running(
        &self,
        workspace: &str,
        command: ApplyToRunning,
        timeout: Duration,
    ) -> Result<(Effect, Settings), SettingsRefused> {
        let effect = self.preview_apply(workspace, &command).await?;
        let at = self.store().clock().await.map_err(Unready::from)?;
        let apply = Apply { at, rate: self.rate_of(&command) };
        let change = SettingsChange { apply: Some(apply), by: command.by, ..SettingsChange::default() };
        let settings = self.change_settings(workspace, change, command.expected, timeout).await?;
        Ok((effect, settings))
    }

    fn rate_of(&self, command: &ApplyToRunning) -> u32 {
        command.rate.unwrap_or(self.options().apply_rate)
    }
}

impl Effect {
    fn count(&mut self, conversation: &Conversation, (before, after): (&Settings, &Settings), now: Timestamp) {
        let at = |settings| deadline(conversation, settings).ok().map(|due| due.at).filter(|_| conversation.set_aside == 0);
        let (Some(before), Some(after)) = (at(before), at(after)) else { return };
        if before == after {
            return;
        }
        let closes_at = after.max(now);
        self.timers += 1;
        self.first_close_at = Some(self.first_close_at.map_or(closes_at, |first| first.min(closes_at)));
        self.due_at_once += u64::from(after <= now);
        let hour = |at: Timestamp| at.as_millis().div_euclid(HOUR_MS);
        if hour(closes_at) - hour(now) < HOURS_MAX {
            *self.by_hour.entry(Timestamp::from_millis(hour(closes_at) * HOUR_MS)).or_default() += 1;
        } else {
            self.later += 1;
        }
    }
}

//! A history as a person reads it: what was done to whom, in its order, and what became of the conversation in question.

use std::fmt::Write;

use adjourn::domain::Notice;
use adjourn::store::Entry;

use super::ground::Journal;
use super::plan::Plan;
use super::run::World;
use super::time::Time;

/// The acts that are left of a plan.
pub fn of_plan(plan: &Plan) -> String {
    let mode = match plan {
        Plan { exclusive: true, .. } => "exclusive",
        Plan { strict: true, .. } => "strict",
        Plan { .. } => "standard",
    };
    let mut story = format!(
        "seed {}: {} nodes, {} partitions, {mode}, closes after {} s\n",
        plan.seed,
        plan.nodes,
        plan.partitions,
        plan.period.as_millis() / 1_000
    );
    let mut at = 0;
    for planned in &plan.acts {
        at += planned.after_ms;
        let _ = writeln!(story, "  +{at:>6} ms  {:?}", planned.act);
    }
    story
}

/// What happened to a conversation: its log, what was committed of it, and the settings of its partition.
pub fn of_conversation(world: &World, journal: &Journal, name: &str) -> String {
    let mut lines: Vec<(i64, String)> = Vec::new();
    let key = adjourn::domain::ConversationKey::new(super::run::WORKSPACE, name).unwrap();
    let partition = key.partition(adjourn::store::Store::partitions(&*world.ground.store));
    let book = &journal.partitions[usize::from(partition.0)];
    for logged in &book.log {
        let what = match &logged.entry {
            Ok(entry @ (Entry::Event(_) | Entry::Again { .. })) if entry.event().is_some_and(|event| event.conversation == key) => {
                let event = entry.event().unwrap();
                let again = if matches!(entry, Entry::Again { .. }) { "again " } else { "" };
                let stamp = Time::of_story(event.time.as_millis());
                let accepted = Time::of_story(entry.accepted_at(logged.id).as_millis());
                format!("log {} {again}{} {:?}, stamped {stamp}, accepted {accepted}", logged.id, event.name.id(), event.kind)
            }
            Ok(Entry::Settings { settings, .. }) => format!(
                "log {} settings {}: {}, epoch {}, period {} s",
                logged.id,
                settings.version,
                if settings.enabled { "on" } else { "off" },
                settings.enable_epoch,
                settings.period.as_millis() / 1_000
            ),
            Ok(Entry::DeadLetter { id, action }) => format!("log {} {action:?} {id}", logged.id),
            _ => continue,
        };
        lines.push((logged.at, what));
    }
    for committed in &book.commits {
        for notification in &committed.batch.notifications {
            if let Notice::Conversation(told) = &notification.notice
                && told.key == key
            {
                let (snapshot, number) = (&told.snapshot, notification.number);
                let due = snapshot.scheduled_close_at.map(|at| Time::of_story(at.as_millis()));
                let what = format!("told {number} {:?}, episode {}, due {due:?}, by {:?}", told.kind, snapshot.episode, told.cause);
                lines.push((committed.at, what));
            }
        }
        for row in committed.batch.rows.iter().filter(|row| row.key == key) {
            if let adjourn::store::RowChange::Put { conversation, look_at } = &row.change {
                let look_at = look_at.map(|at| Time::of_story(at.as_millis()));
                let what = format!("row version {}, set aside {}, look at {look_at:?}", conversation.version, conversation.set_aside);
                lines.push((committed.at, what));
            }
        }
        for letter in &committed.batch.dead {
            lines.push((committed.at, format!("set aside {}: {}", letter.id, letter.reason)));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    let mut story = format!("{name}, in partition {partition}:\n");
    for (at, what) in lines {
        let _ = writeln!(story, "  {}  {what}", Time::of_story(at));
    }
    story
}

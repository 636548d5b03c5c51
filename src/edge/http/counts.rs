//! What the doors count: one function a fact. Labels come from fixed sets, never from a request.

use metrics::counter;

/// Events that are durable now, or were known to be.
pub fn accepted(events: u64) {
    counter!("adjourn_events_accepted_total", "transport" => "http").increment(events);
}

/// An event, or a whole request, that was refused.
pub fn rejected(kind: &'static str) {
    counter!("adjourn_events_rejected_total", "reason" => kind).increment(1);
}

/// An event of a type there is no rule for. Anybody may invent a type, so only its family is a label.
pub fn ignored(type_name: &str) {
    let family = if type_name.starts_with("inbox.") { "inbox" } else { "other" };
    counter!("adjourn_events_ignored_total", "type" => family).increment(1);
    tracing::debug!(type_name, "ignored an event of a type without a rule");
}

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

/// A request without a key that is good.
pub fn refused(reason: &'static str) {
    counter!("adjourn_requests_unauthorized_total", "reason" => reason).increment(1);
}

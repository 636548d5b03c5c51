//! What tests write notes from.

use crate::domain::Timestamp;
use crate::domain::categories::Category;
use crate::domain::writing::{Said, Speaker, Transcript};

pub fn transcript(messages: &[(Speaker, &str)]) -> Transcript {
    let said = |(at, (by, text)): (usize, &(Speaker, &str))| Said { by: *by, at: Timestamp::from_millis(at as i64), text: (*text).into() };
    Transcript::latest(messages.iter().enumerate().map(said).collect())
}

pub fn categories() -> Vec<Category> {
    let category = |(name, description): (&str, &str)| Category { name: name.into(), description: Some(description.into()) };
    [("Billing", "Invoices, refunds and payments"), ("Shipping", "Where a parcel is"), ("Technical", "Something does not work")]
        .map(category)
        .into()
}

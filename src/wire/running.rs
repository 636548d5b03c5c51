//! "Apply to running timers" (T23): its body, and what it comes to.

use serde::{Deserialize, Serialize};

use super::command::{CommandProblem, if_any};
use super::problem::Fault;
use crate::domain::settings::APPLY_RATE_MAX;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// Only to see what would come of it.
    pub preview: bool,
    /// Timers a second.
    pub rate: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ApplyBody {
    preview: bool,
    rate: Option<u32>,
}

/// `{preview?, rate?}`.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse(body: &[u8]) -> Result<Asked, CommandProblem> {
    let ApplyBody { preview, rate } = if_any(body)?;
    if rate.is_some_and(|rate| !(1..=APPLY_RATE_MAX).contains(&rate)) {
        return Err(CommandProblem::Invalid(Fault::WrongType { member: "rate", expected: RATES }));
    }
    Ok(Asked { preview, rate })
}

const RATES: &str = "1 to 10000 timers a second";
const _: () = assert!(APPLY_RATE_MAX == 10_000, "as `RATES` says");

/// What closes in one hour.
#[derive(Serialize)]
pub struct HourView {
    pub start: super::time::Rfc3339,
    pub closes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t23_a_preview_says_so_and_a_rate_is_bounded() {
        assert_eq!(parse(br#"{"preview":true,"rate":5}"#), Ok(Asked { preview: true, rate: Some(5) }));
        assert_eq!((parse(b""), parse(b"{}")), (Ok(Asked::default()), Ok(Asked::default())));
        let refused = [r#"{"rate":0}"#, r#"{"rate":10001}"#, r#"{"rate":-1}"#, r#"{"preview":1}"#, r#"{"period":"1h"}"#, "[true]"];
        assert!(refused.iter().all(|body| parse(body.as_bytes()).is_err()));
    }
}

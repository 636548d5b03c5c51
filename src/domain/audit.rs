//! What operators and administrators did: the latest of it, of each workspace by itself.

use super::time::Timestamp;

/// Deeds kept of one workspace, and of what belongs to none: months of ordinary work. The log has them all.
pub const DEEDS_MAX: usize = 500;
/// Longest part of a path that is kept, in bytes.
pub const PATH_BYTES_MAX: usize = 256;

/// Oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditLog {
    pub version: u64,
    pub deeds: Vec<Deed>,
}

/// One request that changed something, or tried to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deed {
    /// Counts up within the log, also over those that are gone from it.
    pub number: u64,
    /// When it was asked for, by the store's clock.
    pub at: Timestamp,
    /// The key's id and name; of somebody without one, where keys are not asked for, nothing.
    pub by: Option<(Box<str>, Box<str>)>,
    /// As in `PUT`.
    pub method: Box<str>,
    pub path: Box<str>,
    /// Under which the log of the node has it.
    pub request_id: Box<str>,
    /// What it was answered, as an HTTP status. `None`: it is not known whether it was done.
    pub status: Option<u16>,
}

impl AuditLog {
    /// With one more, which gets its number. It is written down before it is done, so that nothing is done that is not written down.
    pub fn begin(&mut self, deed: Deed) -> u64 {
        let number = self.deeds.last().map_or(1, |last| last.number + 1);
        self.version += 1;
        self.deeds.push(Deed { number, ..deed });
        let surplus = self.deeds.len().saturating_sub(DEEDS_MAX);
        self.deeds.drain(..surplus);
        number
    }

    /// What came of it; nothing where it is gone from the log already.
    pub fn end(&mut self, number: u64, status: u16) {
        self.version += 1;
        if let Some(deed) = self.deeds.iter_mut().find(|deed| deed.number == number) {
            deed.status = Some(status);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed() -> Deed {
        let (method, path, request_id) = ("PUT".into(), "/v1/workspaces/acme/settings".into(), "r-1".into());
        Deed { number: 0, at: Timestamp::from_millis(7), by: None, method, path, request_id, status: None }
    }

    #[test]
    fn a_deed_is_known_before_it_is_done_and_the_oldest_make_room() {
        let mut log = AuditLog::default();
        let first = log.begin(deed());
        assert_eq!(log.deeds[0].status, None);
        log.end(first, 204);
        assert_eq!((log.deeds[0].number, log.deeds[0].status, log.version), (1, Some(204), 2));
        for _ in 0..DEEDS_MAX {
            log.begin(deed());
        }
        log.end(first, 500);
        assert_eq!((log.deeds.len(), log.deeds[0].number, log.deeds[0].status), (DEEDS_MAX, 2, None));
    }
}

//! Every script: what it is given, what it does, what it answers. Each reads and checks first, and then only writes what
//! cannot fail; a script that failed half-way would keep what it had written.
//!
//! Errors begin with `FENCED` (the lease is not the stored one), `REFUSED` (nothing was written, reload) or `TAMPERED` (the
//! same, and what is stored was not written by us).

use super::link::Script;
use super::server::Server;

/// Numbers of notifications to a millisecond of the clock: more than a partition ever tells. When another primary answers, its
/// numbers go on at so many times its clock, above whatever was told before in what it has not heard of, be it under several
/// primaries: no reader's place is ever ahead of what is told next. A multiple says that nothing is known to have been told
/// before, one more that something was.
pub const NUMBERS_A_MILLISECOND: u64 = 1_000;

pub struct Scripts {
    /// KEYS lease, events, notifications, dead, states, settings, deadlines, letters, marks, rollups, texts, lists.
    /// ARGV nonce, node, instance, replication id of the primary; then the record seen: epoch (empty: nobody holds it),
    /// nonce, node, instance, beat; notifications to a millisecond, to number on under another primary; how many partitions there are; the last number this node has heard of.
    /// Effect: a new token; counts the attempt where entries wait; makes the partition's keys that are not there; numbers on
    /// behind what somebody else wrote into the notifications.
    /// Answer: epoch, commit, checkpoint, last number, numbered from, attempts, trying, settings applied, whether the index is
    /// to be made anew, which keys (counted from 1) were made, 1 when the lists are whole, how many elements
    /// they have.
    pub claim: Script,
    /// KEYS lease, states, deadlines, events, notifications, settings, dead, letters, marks, rollups, texts, lists.
    /// ARGV as the first lines of the script name them.
    /// Effect: the whole batch, the log trimmed up to the checkpoint, the lease's beat moved. Answer: the last number.
    pub commit: Script,
    /// KEYS lease. ARGV epoch, nonce. Effect: the beat moves. Answer: the beat.
    pub renew: Script,
    /// KEYS lease. ARGV epoch, nonce, channel, hint. Effect: nobody holds it, the others are told. Answer: 1 when held.
    pub release: Script,
    /// KEYS lease, events. Answer: seconds and microseconds of the clock, the last id of the log.
    pub barrier: Script,
    /// KEYS deadlines. ARGV until, instant, member, limit. Answer: members and scores strictly after (instant, member).
    pub due: Script,
    /// KEYS lease, lists. ARGV limit; then of each range where it begins and ends. Answer: nothing where the lists are not whole;
    /// else of each range its first entries, taken together.
    pub listed: Script,
    /// KEYS a hash of documents. ARGV field, version expected, document; then another field (empty: none) and its document, written
    /// with it. Answer: 1 when it was replaced.
    pub put_document: Script,
    /// KEYS nodes. ARGV node, instance, instance displaced (empty: none, `*`: any), the rest of the record, channel, hint, the
    /// pulse left last (empty: none), by how much it may be older.
    /// Effect: the record, and the pulse: the clock, never less than it was; a new process does not drain. Answer: 1 when it was
    /// taken, 0 when the name is another's, 2 when the pulse is older than that; and the pulse.
    pub heartbeat: Script,
    /// KEYS nodes. ARGV node, instance, channel, hint. Effect: its record and its pulse go. Answer: 1 when it was there.
    pub leave: Script,
}

impl Scripts {
    pub fn new(server: Server) -> Self {
        let plain = |source: &str| Script::new(source.to_owned());
        // Holding and closing must go on when memory is full, or it would never empty. Servers before 7 know no flags:
        // there a script may go on once its first write is one that needs no room.
        let roomy = |source: &str| match server.has_script_flags {
            true => Script::new(format!("#!lua flags=allow-oom\n{source}")),
            false => plain(source),
        };
        Self {
            claim: roomy(include_str!("script/claim.lua")),
            commit: roomy(include_str!("script/commit.lua")),
            renew: roomy(include_str!("script/renew.lua")),
            release: plain(include_str!("script/release.lua")),
            barrier: plain(include_str!("script/barrier.lua")),
            due: plain(include_str!("script/due.lua")),
            listed: plain(include_str!("script/listed.lua")),
            put_document: plain(include_str!("script/put_document.lua")),
            heartbeat: roomy(include_str!("script/heartbeat.lua")),
            leave: plain(include_str!("script/leave.lua")),
        }
    }

    /// For connections to bring along.
    pub fn all(&self) -> [&Script; 10] {
        let Self { claim, commit, renew, release, barrier, due, listed, put_document, heartbeat, leave } = self;
        [claim, commit, renew, release, barrier, due, listed, put_document, heartbeat, leave]
    }
}

//! Whether a Redis is fit for this: asked at the start, and by `adjourn redis check`.
//!
//! Asks `INFO` rather than `CONFIG`, which is often barred. What cannot be seen is said, never assumed to be fine.

use redis::{Cmd, Value};

use self::patches::known_hole;
use super::acl;
use super::link::{Link, LinkError, ServerError, field, text};
use super::target::{Address, Target, Topology};
use crate::clock::{Clock, Stopwatch};

mod patches;

/// Clocks further apart than this are worth a word: closes wait for the later one.
const CLOCKS_APART_MAX_MS: i64 = 1_000;
/// Of Redis; `XADD NOMKSTREAM`, `ZMSCORE` and channels under access control are not older.
const OLDEST: (u32, u32) = (6, 2);
/// The row of a server that does not answer.
pub const CONNECTION: &str = "connection";

/// What an acknowledged event must survive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Durability {
    /// A crash of Redis, too.
    pub strict: bool,
    /// The loss of the primary, where this many replicas have it.
    pub replicas: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    Ok,
    Warning,
    /// Not with this Redis as it is.
    Refused,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub name: &'static str,
    pub found: String,
    pub verdict: Verdict,
    /// What to do about it, or what it means; empty where there is nothing to say.
    pub advice: String,
}

impl Row {
    fn new(name: &'static str, found: impl Into<String>, verdict: Verdict, advice: impl Into<String>) -> Self {
        Self { name, found: found.into(), verdict, advice: advice.into() }
    }

    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, found, Verdict::Ok, "")
    }
}

/// What was found, the rows always in the same order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    pub rows: Vec<Row>,
}

impl Report {
    /// The worst of all.
    pub fn verdict(&self) -> Verdict {
        self.rows.iter().map(|row| row.verdict).max().unwrap_or(Verdict::Ok)
    }

    /// Keeps the worse of two rows of the same name, and says which server it is about.
    fn take_in(&mut self, address: Option<&Address>, rows: Vec<Row>) {
        for mut row in rows {
            if let (Some(address), true) = (address, row.verdict > Verdict::Ok) {
                row.found = format!("{} ({address})", row.found);
            }
            match self.rows.iter_mut().find(|known| known.name == row.name) {
                Some(known) if known.verdict < row.verdict => *known = row,
                Some(_) => {}
                None => self.rows.push(row),
            }
        }
    }

    pub fn refusals(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.verdict == Verdict::Refused)
    }
}

/// Looks at every primary behind the link; where they differ, a row tells of the worst.
/// `prefix`: of the keys.
pub async fn check(link: &Link, wanted: Durability, prefix: &str, clock: &dyn Clock) -> Report {
    let target = link.target();
    let user = target.login.user.as_deref().unwrap_or("default");
    let mut questions = vec![words(&["INFO"]), words(&["CONFIG", "GET", "appendfsync"])];
    questions.extend(acl::dry_runs(user, prefix));
    let primaries = match link.ask_each(questions).await {
        Ok(primaries) => primaries,
        Err(error) => return Report { rows: vec![unreachable(&error)] },
    };
    let mut report = Report { rows: vec![transport(target)] };
    for (address, outcome) in primaries {
        let rows = match outcome.as_deref().map(Seen::read) {
            Ok(seen) => seen.rows(target.mode(), wanted, user),
            Err(error) => vec![unreachable(error)],
        };
        report.take_in(address.as_ref(), rows);
    }
    for (address, row) in clocks(link, clock).await {
        report.take_in(address.as_ref(), vec![row]);
    }
    report
}

/// Whoever is on the way reads, and writes, what is not encrypted; the password among it.
fn transport(target: &Target) -> Row {
    const NAME: &str = "transport";
    let addresses = match &target.topology {
        Topology::Standalone(address) => std::slice::from_ref(address),
        Topology::Sentinel { sentinels, .. } => sentinels,
        Topology::Cluster { seeds } => seeds,
    };
    if target.tls.is_some() {
        return Row::ok(NAME, "TLS");
    }
    match addresses.iter().find(|address| !address.is_local()) {
        None => Row::ok(NAME, "within this machine"),
        Some(address) => {
            let advice = "whoever is on the way can read and change everything: use rediss://, or a network that nobody else is on";
            Row::new(NAME, format!("plain text to {address}"), Verdict::Warning, advice)
        }
    }
}

fn words(words: &[&str]) -> Cmd {
    let mut cmd = Cmd::new();
    cmd.arg(words);
    cmd
}

fn unreachable(error: &LinkError) -> Row {
    let said = error.to_string();
    let advice = match &said {
        said if said.contains("cluster support disabled") => "it is no cluster: use redis://, or redis+sentinel://",
        said if said.contains("SENTINEL") && said.contains("unknown command") => "it is no Sentinel: use redis://",
        said if said.contains("no primary") => "name the primary, or the Sentinels with redis+sentinel://",
        _ => "see that it runs, and that address, password and TLS are right",
    };
    Row::new(CONNECTION, said, Verdict::Refused, advice)
}

/// How far each primary's clock is from ours, give or take half of the time the question took.
async fn clocks(link: &Link, clock: &dyn Clock) -> Vec<(Option<Address>, Row)> {
    let (asked_at, asking) = (clock.now().as_millis(), Stopwatch::start());
    let Ok(primaries) = link.ask_each(vec![words(&["TIME"])]).await else { return Vec::new() };
    let half = i64::try_from(asking.elapsed().as_millis() / 2).unwrap_or(i64::MAX);
    let ours = asked_at.saturating_add(half);
    let told = primaries.into_iter().filter_map(|(address, outcome)| Some((address, millis(outcome.ok()?.first()?.as_ref().ok()?)?)));
    told.map(|(address, theirs)| (address, clock_row(theirs - ours))).collect()
}

fn clock_row(ahead: i64) -> Row {
    let found = match ahead {
        0.. => format!("{ahead} ms ahead of this machine"),
        _ => format!("{} ms behind this machine", ahead.unsigned_abs()),
    };
    if ahead.abs() <= CLOCKS_APART_MAX_MS {
        return Row::ok("clock", found);
    }
    Row::new("clock", found, Verdict::Warning, "synchronise both with NTP: a conversation closes when both clocks are past its deadline")
}

/// The answer to `TIME`.
fn millis(answer: &Value) -> Option<i64> {
    let Value::Array(parts) = answer else { return None };
    let number = |part: &Value| text(part)?.parse::<i64>().ok();
    let [seconds, micros] = parts.as_slice() else { return None };
    Some(number(seconds)? * 1_000 + number(micros)? / 1_000)
}

/// A distribution mends a version without giving it another number, which cannot be seen from here: said, not refused.
fn patched(name: &'static str, product: &'static str, version: &str) -> Row {
    let found = format!("{product} {version}");
    match known_hole(product, version) {
        None => Row::ok(name, found),
        Some(hole) => Row::new(name, found, Verdict::Warning, hole),
    }
}

/// What a primary says of itself.
struct Seen {
    info: String,
    /// `Err`: it may not be asked.
    appendfsync: Result<String, ServerError>,
    rights: Vec<Result<String, ServerError>>,
}

impl Seen {
    fn read(answers: &[Result<Value, ServerError>]) -> Self {
        let words =
            |answer: &Result<Value, ServerError>| answer.as_ref().map(|value| text(value).unwrap_or_default()).map_err(Clone::clone);
        let appendfsync = match answers.get(1) {
            Some(Ok(Value::Array(pair))) => Ok(pair.get(1).and_then(text).unwrap_or_default()),
            Some(Err(error)) => Err(error.clone()),
            _ => Ok(String::new()),
        };
        let info = answers.first().and_then(|answer| words(answer).ok()).unwrap_or_default();
        Self { info, appendfsync, rights: answers.iter().skip(2).map(words).collect() }
    }

    fn field(&self, name: &str) -> &str {
        field(&self.info, name).unwrap_or("not said")
    }

    fn rows(&self, mode: &str, wanted: Durability, user: &str) -> Vec<Row> {
        vec![
            self.server(),
            self.mode(mode),
            self.memory_policy(),
            self.memory_limit(),
            self.append_only_file(wanted.strict),
            self.replicas(wanted),
            self.rights(user),
        ]
    }

    fn server(&self) -> Row {
        const NAME: &str = "server";
        if let Some(version) = field(&self.info, "valkey_version") {
            return patched(NAME, "Valkey", version);
        }
        let version = self.field("redis_version");
        let found = format!("Redis {version}");
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        if (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < OLDEST {
            return Row::new(NAME, found, Verdict::Refused, "Redis 6.2 or later is needed, or Valkey");
        }
        patched(NAME, "Redis", version)
    }

    fn mode(&self, wanted: &str) -> Row {
        let found = self.field("redis_mode");
        if found == wanted {
            return Row::ok("mode", found);
        }
        let scheme = if found == "cluster" { "redis+cluster://" } else { "redis:// or redis+sentinel://" };
        Row::new("mode", found, Verdict::Refused, format!("the URL is for mode {wanted}: use {scheme}"))
    }

    fn memory_policy(&self) -> Row {
        let found = self.field("maxmemory_policy");
        if found == "noeviction" {
            return Row::ok("memory policy", found);
        }
        let advice = "a full memory would throw away conversations without a word: set maxmemory-policy noeviction";
        Row::new("memory policy", found, Verdict::Refused, advice)
    }

    fn memory_limit(&self) -> Row {
        match self.field("maxmemory") {
            "0" => {
                let advice = "without a limit the kernel ends Redis when memory runs out: set maxmemory, and new events are refused before";
                Row::new("memory limit", "none", Verdict::Warning, advice)
            }
            _ => Row::ok("memory limit", self.field("maxmemory_human")),
        }
    }

    fn append_only_file(&self, strict: bool) -> Row {
        const NAME: &str = "append-only file";
        if self.field("aof_enabled") != "1" {
            let verdict = if strict { Verdict::Refused } else { Verdict::Warning };
            return Row::new(NAME, "off", verdict, "a crash of Redis loses all since its last snapshot: set appendonly yes");
        }
        let (found, loses) = match &self.appendfsync {
            Ok(sync) if sync == "always" => return Row::ok(NAME, "on, synced always"),
            Ok(sync) if sync == "everysec" => {
                ("on, synced every second", "a crash of Redis can lose the last two seconds of what was accepted")
            }
            Ok(sync) if sync == "no" => ("on, synced by the kernel", "a crash of the machine can lose half a minute of what was accepted"),
            _ => {
                let advice = "how often it is synced cannot be seen without the right config|get; strict needs appendfsync always";
                return Row::new(NAME, "on", Verdict::Warning, advice);
            }
        };
        match strict {
            true => Row::new(NAME, found, Verdict::Refused, "durability = strict needs appendfsync always"),
            false => Row::new(NAME, found, Verdict::Warning, loses),
        }
    }

    /// Never a reason to refuse: after a failover there is one less, and then most of all nodes must be able to start.
    fn replicas(&self, wanted: Durability) -> Row {
        let online = |line: &&str| line.starts_with("slave") && line.contains(",state=online,");
        let online = u32::try_from(self.info.lines().filter(online).count()).unwrap_or(u32::MAX);
        let found = format!("{online} online, {} wanted", wanted.replicas);
        if online >= wanted.replicas {
            return Row::ok("replicas", found);
        }
        let advice = if wanted.strict { "no event is accepted until there are enough" } else { "a failover can lose more than it should" };
        Row::new("replicas", found, Verdict::Warning, advice)
    }

    fn rights(&self, user: &str) -> Row {
        const NAME: &str = "rights";
        let refused = |error: &ServerError| {
            let reason = match &*error.code {
                "NOPERM" => "it has not the right acl|dryrun",
                _ => "this server cannot be asked (Redis 7 can)",
            };
            Row::new(NAME, format!("{user}: not known"), Verdict::Warning, format!("{reason}; `adjourn redis acl` prints what is needed"))
        };
        let mut missing = Vec::new();
        for (needed, answer) in acl::COMMANDS.iter().zip(&self.rights) {
            match answer {
                Ok(answer) if answer == "OK" => {}
                Ok(_) => missing.push(needed.rule),
                Err(error) => return refused(error),
            }
        }
        if missing.is_empty() {
            return Row::ok(NAME, format!("{user}: all that are needed"));
        }
        let found = format!("{user}: not {}", missing.join(", "));
        Row::new(NAME, found, Verdict::Refused, "`adjourn redis acl` prints the line that gives them")
    }
}

#[cfg(test)]
mod tests;

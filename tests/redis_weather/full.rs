//! A memory that fills up: what comes in is refused before it is full, what is there goes on and leaves.

use adjourn::domain::{Event, EventName, PartitionId};
use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;
use crate::ground::*;
use crate::patience::eventually;
use crate::rig::server::Options;
use crate::witness::Witness;

const MEMORY: u64 = 16 << 20;
/// Of what somebody else puts there.
const PIECE: usize = 64 << 10;

async fn bounded() -> Ground {
    Ground::with(Options::default().line(format!("maxmemory {MEMORY}")).line("maxmemory-policy noeviction")).await
}

fn used(ground: &Ground) -> u64 {
    let info: String = ground.ask(&["INFO", "memory"]);
    info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse().unwrap()
}

fn hgets(ground: &Ground) -> u64 {
    let stats: String = ground.ask(&["INFO", "commandstats"]);
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_hget:calls=")?.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

/// Until so much is taken, or nothing more is.
fn fill(ground: &Ground, percent: u64) {
    let mut redis = ground.redis();
    let mut more = |n: usize| ::redis::cmd("SET").arg(format!("filler:{n}")).arg("x".repeat(PIECE)).exec(&mut redis).is_ok();
    let mut pieces = 0..;
    while used(ground) < MEMORY / 100 * percent && more(pieces.next().unwrap()) {}
}

async fn is_refused_by_us(ground: &Ground) -> bool {
    let taken = ground.store().append(vec![(P, entry("late"))]).await;
    matches!(taken, Err(StoreError::Full { used, limit }) if used > limit && limit > MEMORY / 100)
}

#[tokio::test]
async fn what_comes_in_is_refused_from_four_fifths_on_and_taken_again_below() {
    let ground = bounded().await;
    fill(&ground, 70);
    let before = hgets(&ground);
    // Two rounds of looking, each begins with these.
    eventually("it has looked", async || hgets(&ground) >= before + 2 * (1 + u64::from(PARTITIONS))).await;
    ground.bench.append(&["in time"]).await;
    fill(&ground, 85);
    eventually("events are refused", async || is_refused_by_us(&ground).await).await;
    let (mut owner, length) = (ground.bench.claim().await, ground.ask::<u64>(&["XLEN", "adjourn:{p1}:events"]));
    assert_eq!(length, ground.bench.read(P, LogId::ZERO).await.len() as u64, "nothing of what was refused is there");
    ground.bench.commit(&mut owner, |batch| batch.rows.push(put("acme/c1", None, Some(START)))).await.unwrap();
    ground.run(&["FLUSHALL"]);
    // All is gone, the store with it: another one takes events again.
    let another = ground.another().await;
    eventually("events are taken", async || another.append(vec![(P, entry("again"))]).await.is_ok()).await;
}

#[tokio::test]
async fn over_the_limit_all_goes_on_but_what_comes_in_and_room_is_made() {
    let ground = Ground::new().await;
    let long = |n: u64| Event { name: EventName::new("/test", &format!("{n:0>100}")).unwrap(), ..event("e") };
    let entries: Vec<_> = (0..2_000).map(|n| (P, Entry::Event(long(n)))).collect();
    let last = *ground.store().append(entries).await.unwrap().last().unwrap();
    let mut owner = ground.bench.claim().await;
    let elsewhere = ground.bench.claim_of(OTHER).await;
    // Somebody was there before and took the rest, and more.
    ground.run(&["CONFIG", "SET", "maxmemory", &(used(&ground) / 10 * 9).to_string()]);
    let witness = Witness::new();
    let plain = command(&["SET", "one", "more"]).exec(&mut ground.redis());
    assert!(plain.is_err_and(|error| error.code() == Some("OOM")), "a write of anybody else is refused");

    // Held, renewed, taken over, known, given back; nodes come and go, also new ones.
    ground.store().renew(owner.lease).await.unwrap();
    ground.store().release(elsewhere.lease, None).await.unwrap();
    let newcomer = ground.another().await;
    newcomer.seize(OTHER, member("new", 1)).await.unwrap();
    newcomer.claim(PartitionId(3), member("new", 1), None).await.unwrap();
    let record =
        NodeRecord { member: member("new", 1), address: "".into(), version: "1".into(), started_at: at(START), beat: 1, lease_ms: 0 };
    assert!(newcomer.heartbeat(record, None).await.unwrap());
    newcomer.leave(member("new", 1)).await.unwrap();

    // Only what comes in waits, with the reason.
    let settings = ground.store().put_settings("acme".into(), 0, settings(1)).await;
    assert!(matches!(settings, Err(StoreError::Full { .. })), "{settings:?}");
    witness.heard(&["Redis refused a command", "OOM", "its memory is full"]);
    witness.counted("adjourn_redis_errors_total", "code=\"OOM\"");
    eventually("events are refused", async || is_refused_by_us(&ground).await).await;

    // A commit that adds and applies: less is left than there was.
    let before = used(&ground);
    ground.bench.commit(&mut owner, |batch| *batch = everything(batch, last)).await.unwrap();
    assert!(used(&ground) < before, "{} of {before}", used(&ground));
    assert_eq!(ground.bench.read(P, LogId::ZERO).await, []);
    assert_eq!(ground.store().notifications(P, 0, 9).await.unwrap().items.len(), 2);
}

/// Redis refuses before this node has looked again.
#[tokio::test]
async fn a_memory_that_fills_between_two_looks_is_told_as_well() {
    let ground = bounded().await;
    ground.bench.append(&["in time"]).await;
    let before = ground.dump();
    ground.run(&["CONFIG", "SET", "maxmemory", "100kb"]);
    let refused = ground.store().append(vec![(P, entry("late")), (OTHER, entry("late"))]).await;
    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
    ground.is_as(&before, "an event that was refused");
}

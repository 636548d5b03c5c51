//! Answers that do not come, and requests that come late.

use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;
use crate::ground::*;
use crate::patience::eventually;
use crate::rig::proxy::Proxy;
use crate::rig::server::Server;
use crate::witness::Witness;

/// A server, the wire to it, and a node at the other end.
struct Far {
    server: Server,
    wire: Proxy,
    bench: Bench,
}

impl Far {
    async fn new() -> Self {
        let server = Server::start(Default::default());
        let wire = Proxy::start(server.address());
        Self { bench: bench(wire.url()).await, wire, server }
    }

    /// Another node, which needs no wire.
    async fn near(&self) -> Bench {
        bench(self.server.url()).await
    }

    fn dump(&self) -> crate::dump::Dump {
        crate::dump::Dump::of(&mut self.server.connection())
    }

    /// Of all scripts that were refused with this word, how many.
    fn refusals(&self, word: &str) -> u64 {
        let stats: String = command(&["INFO", "errorstats"]).query(&mut self.server.connection()).unwrap();
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("errorstat_{word}:count=")));
        line.map_or(0, |count| count.parse().unwrap())
    }
}

/// The bytes of this commit on its way.
fn on_its_way(batch: &Batch) -> Vec<Vec<u8>> {
    vec![b"EVALSHA".to_vec(), format!("{:x}", batch.id.0).into_bytes()]
}

fn slices(patterns: &[Vec<u8>]) -> Vec<&[u8]> {
    patterns.iter().map(Vec::as_slice).collect()
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_by_who_reloads() {
    let far = Far::new().await;
    let last = far.bench.append(&["a"]).await[0];
    let mut owner = far.bench.claim().await;
    far.bench.commit(&mut owner, |_| {}).await.unwrap(); // from here on the server knows the script
    let batch = everything(&owner.batch(), last);
    let (id, witness) = (batch.id, Witness::new());
    far.wire.cut_to_client();
    let committed = far.bench.store().commit(owner.lease, batch.clone()).await;
    assert!(matches!(committed, Err(StoreError::OutcomeUnknown(_))), "{committed:?}");
    witness.counted("adjourn_redis_errors_total", "code=\"no-answer\"");
    far.wire.heal();
    let claim = far.bench.store().seize(P, member("a", 1)).await.unwrap();
    assert_eq!((claim.head, claim.checkpoint, claim.last_notification), (id, last, 2));
    assert!(matches!(far.bench.store().load(P, vec![key("acme/c1")]).await.unwrap()[0], Loaded::Found { .. }));
    // Sent once more it would be written twice: the chain sees to that.
    let again = far.bench.store().commit(claim.lease, batch).await;
    assert!(is_refused(&again), "{again:?}");
}

#[tokio::test]
async fn events_whose_answer_is_lost_may_have_been_taken() {
    let far = Far::new().await;
    far.bench.append(&["a"]).await; // from here on it is known that there is room
    far.wire.cut_to_client();
    let taken = far.bench.store().append(vec![(P, entry("b"))]).await;
    assert!(matches!(taken, Err(StoreError::OutcomeUnknown(_))), "{taken:?}");
    far.wire.heal();
    // On a busy machine the request may still be on its way when its caller gives up.
    eventually("what was sent arrives", async || far.bench.read(P, LogId::ZERO).await.len() == 2).await;
    far.wire.refuse();
    far.wire.reset();
    let away = async || matches!(far.bench.store().append(vec![(P, entry("c"))]).await, Err(StoreError::Unavailable(_)));
    eventually("nothing is sent to a server that is away", away).await;
    assert_eq!(far.near().await.read(P, LogId::ZERO).await.len(), 2);
}

/// Whether there is room is asked first: where that is not answered nothing was taken.
#[tokio::test]
async fn a_question_that_is_not_answered_takes_nothing() {
    let far = Far::new().await;
    far.wire.cut_to_client();
    let asked = far.bench.store().append(vec![(P, entry("a"))]).await;
    assert!(matches!(asked, Err(StoreError::Unavailable(_))), "{asked:?}");
    assert_eq!(far.near().await.read(P, LogId::ZERO).await, []);
}

#[tokio::test]
async fn a_commit_that_comes_late_is_refused_whoever_has_committed_since() {
    let far = Far::new().await;
    let near = far.near().await;
    let last = far.bench.append(&["a"]).await[0];
    for by_another in [true, false] {
        let owner = far.bench.claim().await;
        let late = everything(&owner.batch(), last);
        let late = Batch { notifications: Vec::new(), ..late };
        let held = far.wire.hold_next(&slices(&on_its_way(&late)));
        let committed = far.bench.store().commit(owner.lease, late).await;
        assert!(held.is_caught() && matches!(committed, Err(StoreError::OutcomeUnknown(_))), "{committed:?}");
        let mut next = if by_another { near.claim().await } else { owner };
        assert_eq!(next.head, owner.head, "it was not written");
        let and_goes_on = if by_another { &near } else { &far.bench };
        and_goes_on.commit(&mut next, |batch| batch.rows.push(put("acme/c1", None, Some(START + 7)))).await.unwrap();

        let (before, word) = (far.dump(), if by_another { "FENCED" } else { "REFUSED" });
        let refused = far.refusals(word);
        held.release();
        eventually("it has arrived", async || far.refusals(word) > refused).await;
        assert_eq!(before.changed(&far.dump()), [""; 0], "a late commit changed something");
    }
}

#[tokio::test]
async fn a_renewal_or_a_claim_that_comes_late_changes_nothing() {
    let far = Far::new().await;
    let near = far.near().await;
    let owner = far.bench.claim().await;
    let nonce = format!("{:x}", owner.lease.nonce).into_bytes();
    let renewal = far.wire.hold_next(&[b"EVALSHA", &nonce]);
    assert!(matches!(far.bench.store().renew(owner.lease).await, Err(StoreError::OutcomeUnknown(_))));
    let holder = far.bench.holder().await;
    let claim = far.wire.hold_next(&[b"EVALSHA", b"late-claimer", &nonce]);
    let claimed = far.bench.store().claim(P, member("late-claimer", 9), holder).await;
    assert!(matches!(claimed, Err(StoreError::OutcomeUnknown(_))), "{claimed:?}");
    near.claim().await;
    let (before, refused) = (far.dump(), far.refusals("FENCED"));
    renewal.release();
    claim.release();
    eventually("both have arrived", async || far.refusals("FENCED") == refused + 2).await;
    assert_eq!(before.changed(&far.dump()), [""; 0]);
}

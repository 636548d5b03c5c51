//! Facts about actix that the actors are built on, as measured; an upgrade that changes one of them fails here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // clippy.toml excuses test functions, not their helpers

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;

struct Probe {
    fired: Arc<AtomicUsize>,
    stopped: Arc<AtomicUsize>,
    timer: Option<SpawnHandle>,
    handled: usize,
}

impl Probe {
    fn start_counting() -> (Addr<Self>, Arc<AtomicUsize>, Arc<AtomicUsize>) {
        let (fired, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let probe = Self { fired: fired.clone(), stopped: stopped.clone(), timer: None, handled: 0 };
        (probe.start(), fired, stopped)
    }
}

impl Actor for Probe {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        self.stopped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Supervised for Probe {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.fired.fetch_add(1_000, Ordering::SeqCst);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
enum Do {
    Arm(Duration),
    Disarm,
    Panic,
    Stop,
    Nothing,
}

impl Handler<Do> for Probe {
    type Result = ();

    fn handle(&mut self, what: Do, ctx: &mut Self::Context) {
        self.handled += 1;
        match what {
            Do::Arm(wait) => {
                self.timer = Some(ctx.run_later(wait, |probe, _| {
                    probe.fired.fetch_add(probe.handled, Ordering::SeqCst);
                }));
            }
            Do::Disarm => {
                self.timer.take().map(|timer| ctx.cancel_future(timer));
            }
            Do::Panic => panic!("on purpose"),
            Do::Stop => ctx.stop(),
            Do::Nothing => {}
        }
    }
}

#[actix::test]
async fn a_panic_kills_one_actor_and_its_senders_hear_of_it() {
    let (dies, ..) = Probe::start_counting();
    let (lives, ..) = Probe::start_counting();
    assert!(matches!(dies.send(Do::Panic).await, Err(MailboxError::Closed)));
    assert!(!dies.connected());
    assert!(lives.send(Do::Nothing).await.is_ok(), "its neighbours on the same Arbiter live on");
}

#[actix::test]
async fn a_supervisor_does_not_restart_after_a_panic() {
    let fired = Arc::new(AtomicUsize::new(0));
    let probe = Probe { fired: fired.clone(), stopped: Arc::default(), timer: None, handled: 0 };
    let address = actix::Supervisor::start(|_| probe);
    assert!(address.send(Do::Panic).await.is_err());
    assert!(address.send(Do::Nothing).await.is_err(), "which is why the node starts shards anew, and shards conversations");
    assert_eq!(fired.load(Ordering::SeqCst), 0);
}

#[actix::test]
async fn stopping_drops_what_is_queued_behind_it() {
    let (address, ..) = Probe::start_counting();
    address.do_send(Do::Stop);
    assert!(address.send(Do::Nothing).await.is_err(), "so only the shard puts to rest, with nothing in flight");
}

#[actix::test]
async fn dropping_the_last_address_does_not_stop_an_actor_with_a_timer() {
    let (address, _, stopped) = Probe::start_counting();
    address.send(Do::Arm(Duration::from_secs(3_600))).await.unwrap();
    drop(address);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stopped.load(Ordering::SeqCst), 0, "so whoever is put to rest is told");
}

#[actix::test]
async fn a_cancel_in_the_mailbox_beats_a_timer_that_is_due() {
    tokio::time::pause();
    let (address, fired, _) = Probe::start_counting();
    address.send(Do::Arm(Duration::from_millis(10))).await.unwrap();
    address.do_send(Do::Disarm);
    tokio::time::advance(Duration::from_millis(50)).await;
    address.send(Do::Nothing).await.unwrap();
    assert_eq!(fired.load(Ordering::SeqCst), 0);
}

#[actix::test]
async fn a_busy_mailbox_starves_timers() {
    let (address, fired, _) = Probe::start_counting();
    address.send(Do::Arm(Duration::ZERO)).await.unwrap();
    // All of these are handled before the timer is looked at, late as it is: so every message compares with the clock.
    (0..50_000).for_each(|_| address.do_send(Do::Nothing));
    address.send(Do::Nothing).await.unwrap();
    while fired.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(fired.load(Ordering::SeqCst), 50_002, "messages handled before a timer that was due at once");
}

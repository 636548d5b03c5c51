//! The weather clears: everybody finds a place, what was set aside is given up, and what is due closes.

use std::rc::Rc;
use std::time::Duration;

use adjourn::store::Store;

use super::end;
use super::laws::{Law, violates};
use super::process::Process;
use super::run::{World, pause};
use super::time::Ms;

impl World {
    /// The weather clears, what is due falls due, and everybody has time to do what is to be done.
    pub async fn come_to_rest(self: &Rc<Self>) {
        self.clear_up();
        // Whoever was asked while its node restarts would wait in vain; and what is taken only now may be set aside, behind the
        // back of whoever gave up what was.
        self.eventually(30_000, || self.under_way.get() == 0).await;
        self.settled("after the last fault").await;
        end::quarantine(self);
        self.dismiss_letters().await;
        // Whoever is late from here on has no excuse (I13).
        let disturbed_for = self.ledger.borrow().disturbed_until - self.now();
        pause(disturbed_for.max(0) as u64 + 1).await;
        // A node that heard of another primary only now put into the log again what it remembered, poison as well: an operator looks
        // until there is nothing to see.
        while self.dismiss_letters().await > 0 {
            pause(3_000).await;
        }
        self.pass(4 * 3_600_000);
        let done = self.eventually(20_000, || self.none_due() && self.unapplied() == 0).await;
        if !done {
            self.ground.report(violates(Law::Settles, "timers are still due, or entries unapplied, long after the last fault"));
        }
        let heard = self.eventually(15_000, || end::all_heard(self)).await;
        if !heard {
            let unheard = end::unheard(self);
            let about = format!("the subscriber has not heard {} of them, long after the last fault: {:?}", unheard.len(), unheard.first());
            self.ground.report(violates(Law::HeardIsStored, about));
        }
        self.ask_why().await;
        self.over.set(true);
        pause(3_000).await;
    }

    /// As a customer's inbox would ask.
    async fn ask_why(&self) {
        for partition in self.ground.store.partitions().all() {
            for (key, _) in self.ground.store.scan(partition, None, None, usize::MAX).await.unwrap() {
                match self.some_node(0).why(&key).await {
                    Ok(Some(why)) => _ = self.ledger.borrow_mut().whys.insert(key, why),
                    Ok(None) => {}
                    Err(error) => self.ground.report(violates(Law::StateIsTheLog, format!("nobody can say why {key} is open: {error}"))),
                }
            }
        }
    }

    fn clear_up(&self) {
        let clocks = self.seats.iter().map(|seat| &seat.clock).chain([&self.ground.clock]);
        if clocks.into_iter().any(|clock| clock.wrong_by() != 0) {
            self.disturb(0);
        }
        self.ground.clock.set_right();
        self.rivals.borrow_mut().drain(..).for_each(|rival| rival.kill());
        for seat in &self.seats {
            seat.clock.set_right();
            let process = seat.process.borrow().clone();
            process.line.heal();
            process.thaw();
            if !process.is_alive() {
                self.seat_anew(seat);
            }
        }
    }

    /// Every partition has an owner that works, and everything is applied: soon after now, or after what struck and lasts.
    pub async fn settled(&self, when: &str) {
        let begin = self.now();
        let until = || (self.ground.slow_until().max(begin) + 12_000).min(begin + 150_000);
        let holds = || {
            let owned = self.owners();
            let ready: usize = self.alive().map(|process| process.node.shards_ready()).sum();
            owned == usize::from(self.plan.partitions) && ready == owned && self.unapplied() == 0
        };
        if !self.eventually_by(until, holds).await {
            let about = format!("{when}: {} owners of {}, {} entries not applied", self.owners(), self.plan.partitions, self.unapplied());
            self.ground.report(violates(Law::Settles, about));
        }
    }

    fn alive(&self) -> impl Iterator<Item = Rc<Process>> {
        self.seats.iter().map(|seat| seat.process.borrow().clone()).filter(|process| process.is_alive())
    }

    fn owners(&self) -> usize {
        use futures_util::FutureExt;
        let view = self.ground.store.cluster().now_or_never();
        view.and_then(Result::ok).map_or(0, |view| view.holders.iter().flatten().count())
    }

    fn unapplied(&self) -> u64 {
        use futures_util::FutureExt;
        let stats = self.ground.store.stats().now_or_never().and_then(Result::ok).unwrap_or_default();
        stats.iter().map(|stats| stats.backlog).sum()
    }

    fn none_due(&self) -> bool {
        self.next_deadline().is_none_or(|next| next >= self.ground.time.now())
    }

    async fn eventually(&self, within_ms: Ms, holds: impl Fn() -> bool) -> bool {
        let until = self.now() + within_ms;
        self.eventually_by(|| until, holds).await
    }

    async fn eventually_by(&self, until: impl Fn() -> Ms, holds: impl Fn() -> bool) -> bool {
        while !holds() {
            if self.now() > until() {
                return false;
            }
            pause(50).await;
        }
        true
    }

    /// An operator looks at what was set aside, and gives it up: how many there were.
    async fn dismiss_letters(&self) -> usize {
        let mut seen = 0;
        for partition in self.ground.store.partitions().all() {
            let letters = self.ground.store.dead_letters(partition, adjourn::store::LogId::ZERO, usize::MAX).await.unwrap();
            seen += letters.len();
            for letter in letters {
                let action = adjourn::store::DeadLetterAction::Dismiss;
                let done = self.some_node(0).act_on_dead_letter(partition, letter.id, action, Duration::from_secs(60)).await;
                if done.is_err() {
                    self.ground.report(violates(Law::Settles, format!("{} cannot be dismissed: {done:?}", letter.id)));
                    return 0;
                }
            }
        }
        seen
    }
}

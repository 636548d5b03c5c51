//! A node's process: everything it does runs on a task set of its own. It is killed by dropping that, at any instant, and
//! stopped as SIGSTOP would by not letting it run: its timers fire when it goes on, all at once.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use adjourn::actors::{Node, NodeOptions, node};
use tokio::task::LocalSet;

use super::line::Line;
use super::poison;
use super::time::SimClock;

pub struct Process {
    pub node: Node,
    pub line: Arc<Line>,
    body: Rc<Body>,
}

struct Body {
    tasks: RefCell<Option<LocalSet>>,
    stopped: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    line: Arc<Line>,
}

impl Process {
    /// Must be called within a task set, which the process outlives in no case.
    pub fn start(name: &str, line: Arc<Line>, clock: Arc<SimClock>, options: NodeOptions) -> Self {
        let tasks = LocalSet::new();
        let node = {
            let _inside = tasks.enter();
            let options = NodeOptions { node: name.into(), ..options };
            node::start_with(line.clone(), clock, options, poison::step)
        };
        let body =
            Rc::new(Body { tasks: RefCell::new(Some(tasks)), stopped: Cell::new(false), waker: RefCell::default(), line: line.clone() });
        tokio::task::spawn_local(Run(body.clone()));
        Self { node, line, body }
    }

    /// At the next instant nothing of it is left; from now on nothing it does arrives anywhere.
    pub fn kill(&self) {
        self.line.end();
        self.body.wake();
    }

    pub fn is_alive(&self) -> bool {
        !self.line.is_ended()
    }

    /// It does nothing for so long, and does not know.
    pub fn freeze(&self, ms: u64) {
        self.body.stopped.set(true);
        let body = self.body.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            body.thaw();
        });
    }

    pub fn thaw(&self) {
        self.body.thaw();
    }

    pub fn is_frozen(&self) -> bool {
        self.body.stopped.get()
    }
}

impl Body {
    fn thaw(&self) {
        self.stopped.set(false);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// Lets a process run.
struct Run(Rc<Body>);

impl Future for Run {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let body = &self.0;
        *body.waker.borrow_mut() = Some(cx.waker().clone());
        if !body.line.is_ended() && !body.stopped.get() {
            let mut tasks = body.tasks.borrow_mut();
            if let Some(tasks) = tasks.as_mut() {
                let _ = Pin::new(tasks).poll(cx);
            }
        }
        if body.line.is_ended() {
            let tasks = body.tasks.borrow_mut().take();
            drop(tasks);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

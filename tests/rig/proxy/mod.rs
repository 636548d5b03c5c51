//! The wire between a client and a server on loopback, and everything that can happen to it.
//!
//! What a method says holds when it returns: it is not asked of the proxy, it is done. What a cut holds up is kept and
//! arrives when the wire is whole again, as TCP would send it once more: also the end of a connection, and also what was
//! sent by somebody who has gone since. A client that connects during a cut is accepted (the kernel does that for us), but the
//! server does not hear of it before requests can pass.

mod pump;
pub mod requests;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::process::{PATIENCE, free_port, wait_until};
use super::server::loopback;

/// One proxy in front of one server. Its connections end when it is dropped.
pub struct Proxy {
    port: u16,
    wire: Arc<Wire>,
    listening: mpsc::UnboundedSender<(bool, std_mpsc::Sender<()>)>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Accepts connections when this returns, and passes everything on.
    pub fn start(server: SocketAddr) -> Self {
        let port = free_port();
        let wire = Arc::new(Wire::new(server));
        let (listening, orders) = mpsc::unbounded_channel();
        let own = Arc::clone(&wire);
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(accept(port, own, orders));
        });
        let proxy = Self { port, wire, listening, thread: Some(thread) };
        proxy.listen(true);
        proxy
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Whole again: no cut, no delay, no slices, new connections are taken.
    pub fn heal(&self) {
        self.wire.rules.send_modify(|rules| *rules = Rules::default());
        self.listen(true);
    }

    /// Everything takes this much longer, each way.
    pub fn delay(&self, by: Duration) {
        self.wire.rules.send_modify(|rules| rules.delay = by);
    }

    /// Everything passes byte by byte, each way: whoever reads meets a cut at every place.
    pub fn slice(&self) {
        self.wire.rules.send_modify(|rules| rules.sliced = true);
    }

    /// Nothing passes, neither way; connections stay.
    pub fn cut(&self) {
        self.wire.rules.send_modify(|rules| rules.open = [false, false]);
    }

    /// Requests do not arrive; what the server has to say does.
    pub fn cut_to_server(&self) {
        self.wire.rules.send_modify(|rules| rules.open = [false, true]);
    }

    /// Requests arrive, answers do not.
    pub fn cut_to_client(&self) {
        self.wire.rules.send_modify(|rules| rules.open = [true, false]);
    }

    /// Every connection there is ends with a reset, both ways; what it held up is lost. New ones are taken.
    pub fn reset(&self) {
        let ended = std::mem::replace(&mut *self.wire.reset.lock().unwrap(), broadcast::Sender::new(1));
        let _ = ended.send(());
        wait_until("the connections have ended", || ended.receiver_count() == 0);
    }

    /// New connections are refused, as if nobody listened; those there are stay.
    pub fn refuse(&self) {
        self.listen(false);
    }

    /// Holds back the next request in which all of these bytes occur, and what its connection sends behind it.
    pub fn hold_next(&self, patterns: &[&[u8]]) -> Held {
        let (release, released) = oneshot::channel();
        let caught = Arc::new(AtomicBool::new(false));
        let patterns = patterns.iter().map(|bytes| bytes.to_vec()).collect();
        let armed = Armed { patterns, hold: Hold { caught: Arc::clone(&caught), released } };
        self.wire.armed.lock().unwrap().push(armed);
        Held { caught, release }
    }

    /// A copy of every request in which all of these bytes occur, as it comes by: before it is cut off or held back.
    pub fn watch(&self, patterns: &[&[u8]]) -> std_mpsc::Receiver<Vec<u8>> {
        let (seen, watched) = std_mpsc::channel();
        let patterns = patterns.iter().map(|bytes| bytes.to_vec()).collect();
        self.wire.watchers.lock().unwrap().push(Watcher { patterns, seen });
        watched
    }

    pub fn counts(&self) -> Counts {
        let counters = &self.wire.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Counts {
            accepted: read(&counters.accepted),
            open: read(&counters.accepted) - read(&counters.ended),
            bytes_to_server: read(&counters.bytes[Way::ToServer as usize]),
            bytes_to_client: read(&counters.bytes[Way::ToClient as usize]),
            bytes_alone: read(&counters.alone),
        }
    }

    fn listen(&self, listen: bool) {
        let (done, is_done) = std_mpsc::channel();
        self.listening.send((listen, done)).unwrap();
        is_done.recv().expect("the proxy's thread took the order");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The accepting task ends with the channel of its orders, and its runtime with it.
        self.listening = mpsc::unbounded_channel().0;
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || ended.is_some_and(|ended| ended.is_ok()), "the proxy's thread panicked");
    }
}

/// What has passed so far; what passes just now may not be counted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Connections taken, ever.
    pub accepted: u64,
    /// Of these, how many have not ended.
    pub open: u64,
    pub bytes_to_server: u64,
    pub bytes_to_client: u64,
    /// Of both, those that passed one by one.
    pub bytes_alone: u64,
}

/// A request that was or will be held back. Dropped, the request is lost, and its connection with it.
pub struct Held {
    caught: Arc<AtomicBool>,
    release: oneshot::Sender<std_mpsc::Sender<()>>,
}

impl Held {
    /// Whether the proxy has it by now.
    pub fn is_caught(&self) -> bool {
        self.caught.load(Ordering::SeqCst)
    }

    pub fn wait_caught(&self) {
        wait_until("the request comes by", || self.is_caught());
    }

    /// Lets it go on to the server, even if its client has gone: sent when this returns. Let a cut be healed before.
    pub fn release(self) {
        assert!(self.is_caught(), "nothing was held back");
        let (sent, is_sent) = std_mpsc::channel();
        self.release.send(sent).expect("its connection to the server is still there");
        is_sent.recv_timeout(PATIENCE).expect("it goes on to the server");
    }
}

/// What the control and the connections share.
struct Wire {
    server: SocketAddr,
    rules: watch::Sender<Rules>,
    /// Of the connections that began since the last one.
    reset: Mutex<broadcast::Sender<()>>,
    armed: Mutex<Vec<Armed>>,
    watchers: Mutex<Vec<Watcher>>,
    counters: Counters,
}

struct Watcher {
    patterns: Vec<Vec<u8>>,
    seen: std_mpsc::Sender<Vec<u8>>,
}

#[derive(Clone, Copy)]
struct Rules {
    /// By [`Way`].
    open: [bool; 2],
    delay: Duration,
    sliced: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { open: [true, true], delay: Duration::ZERO, sliced: false }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer = 0,
    ToClient = 1,
}

struct Armed {
    patterns: Vec<Vec<u8>>,
    hold: Hold,
}

/// The connection's end of a [`Held`].
struct Hold {
    caught: Arc<AtomicBool>,
    released: oneshot::Receiver<std_mpsc::Sender<()>>,
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    ended: AtomicU64,
    /// By [`Way`].
    bytes: [AtomicU64; 2],
    alone: AtomicU64,
}

impl Wire {
    fn new(server: SocketAddr) -> Self {
        let (rules, reset) = (watch::Sender::new(Rules::default()), Mutex::new(broadcast::Sender::new(1)));
        Self { server, rules, reset, armed: Mutex::default(), watchers: Mutex::default(), counters: Counters::default() }
    }

    /// Shows this request to whoever wants to see it.
    fn show(&self, request: &[u8]) {
        let sees = |watcher: &Watcher| watcher.patterns.iter().all(|bytes| contains(request, bytes));
        self.watchers.lock().unwrap().retain(|watcher| !sees(watcher) || watcher.seen.send(request.to_vec()).is_ok());
    }

    /// What holds this request back, if anything does. Nobody waits for what was dropped.
    fn hold(&self, request: &[u8]) -> Option<Hold> {
        let mut armed = self.armed.lock().unwrap();
        armed.retain_mut(|armed| !armed.hold.is_dropped());
        let at = armed.iter().position(|armed| armed.patterns.iter().all(|bytes| contains(request, bytes)))?;
        let hold = armed.remove(at).hold;
        hold.caught.store(true, Ordering::SeqCst);
        Some(hold)
    }
}

impl Hold {
    fn is_dropped(&mut self) -> bool {
        matches!(self.released.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }
}

fn contains(text: &[u8], bytes: &[u8]) -> bool {
    text.windows(bytes.len()).any(|window| window == bytes)
}

type Orders = mpsc::UnboundedReceiver<(bool, std_mpsc::Sender<()>)>;

async fn accept(port: u16, wire: Arc<Wire>, mut orders: Orders) {
    let mut listener = None;
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some((listen, done)) = order else { return };
                if !listen {
                    listener = None;
                } else if listener.is_none() {
                    listener = Some(TcpListener::bind(loopback(port)).await.unwrap());
                }
                let _ = done.send(());
            }
            client = next_client(listener.as_ref()) => {
                wire.counters.accepted.fetch_add(1, Ordering::SeqCst);
                let reset = wire.reset.lock().unwrap().subscribe();
                tokio::spawn(serve(client, reset, Arc::clone(&wire)));
            }
        }
    }
}

async fn next_client(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        Some(listener) => listener.accept().await.unwrap().0,
        None => std::future::pending().await,
    }
}

/// One connection, until both sides have ended it or it is reset.
async fn serve(mut client: TcpStream, mut reset: broadcast::Receiver<()>, wire: Arc<Wire>) {
    let mut server = None;
    tokio::select! {
        () = pump::connect_and_carry(&mut client, &mut server, &wire) => {}
        _ = reset.recv() => {
            for stream in [Some(&client), server.as_ref()].into_iter().flatten() {
                let _ = stream.set_zero_linger();
            }
        }
    }
    drop((client, server, reset));
    wire.counters.ended.fetch_add(1, Ordering::SeqCst);
}

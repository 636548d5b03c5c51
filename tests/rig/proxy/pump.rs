//! One way of one connection: read, wait its time, write.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::requests::Requests;
use super::{Hold, Rules, Way, Wire};

/// As much as is read at once.
const CHUNK: usize = 16 * 1024;
/// Chunks on the way; whoever sends more than these is held up, as a full socket would.
const CHUNKS_MAX: usize = 1_024;
/// Between a byte that passes alone and the next, for the first to be read alone.
const APART: Duration = Duration::from_micros(20);

/// Bytes on their way.
struct Parcel {
    due: Instant,
    bytes: Vec<u8>,
    hold: Option<Hold>,
}

/// Connects to the server, when it can be reached, and carries what both have to say until both have ended.
pub async fn connect_and_carry(client: &mut TcpStream, server: &mut Option<TcpStream>, wire: &Wire) {
    reachable(&mut wire.rules.subscribe(), Way::ToServer).await;
    // Nobody there: the client sees its connection end.
    let Ok(connected) = TcpStream::connect(wire.server).await else { return };
    let server = server.insert(connected);
    for stream in [&*client, &*server] {
        let _ = stream.set_nodelay(true);
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    tokio::join!(carry(Way::ToServer, from_client, to_server, wire), carry(Way::ToClient, from_server, to_client, wire));
}

async fn carry(way: Way, from: ReadHalf<'_>, to: WriteHalf<'_>, wire: &Wire) {
    let (parcels, arrived) = mpsc::channel(CHUNKS_MAX);
    tokio::join!(read(way, from, parcels, wire), write(way, arrived, to, wire));
}

/// Until the sender has ended, or nobody takes what it sends.
async fn read(way: Way, from: ReadHalf<'_>, parcels: mpsc::Sender<Parcel>, wire: &Wire) {
    let mut requests = (way == Way::ToServer).then(Requests::default);
    let mut chunk = [0; CHUNK];
    loop {
        let read = match from.readable().await.and_then(|()| from.try_read(&mut chunk)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Ok(0) | Err(_) => break,
            Ok(read) => &chunk[..read],
        };
        let due = due(wire);
        let whole = match &mut requests {
            Some(requests) => requests.push(read),
            None => vec![read.to_vec()],
        };
        for bytes in whole {
            let hold = match way {
                Way::ToServer => {
                    wire.show(&bytes);
                    wire.hold(&bytes)
                }
                Way::ToClient => None,
            };
            if parcels.send(Parcel { due, bytes, hold }).await.is_err() {
                return;
            }
        }
    }
    let rest = requests.map(Requests::rest).unwrap_or_default();
    let _ = parcels.send(Parcel { due: due(wire), bytes: rest, hold: None }).await;
}

/// When that which comes now is to be passed on.
fn due(wire: &Wire) -> Instant {
    Instant::now() + wire.rules.borrow().delay
}

/// Until everything was delivered. Whoever cannot take it any more does not stop the other from having it taken.
async fn write(way: Way, mut arrived: mpsc::Receiver<Parcel>, mut to: WriteHalf<'_>, wire: &Wire) {
    let mut rules = wire.rules.subscribe();
    let mut takes = true;
    while let Some(Parcel { due, bytes, hold }) = arrived.recv().await {
        let sent = match hold {
            None => None,
            Some(hold) => match hold.released.await {
                Ok(sent) => Some(sent),
                Err(_) => break, // dropped: lost, with all that comes behind it
            },
        };
        sleep_until(due).await;
        takes = takes && deliver(way, &to, &bytes, &mut rules, wire).await.is_ok();
        if let Some(sent) = sent.filter(|_| takes) {
            let _ = sent.send(());
        }
    }
    reachable(&mut rules, way).await;
    let _ = to.shutdown().await;
}

async fn deliver(way: Way, to: &WriteHalf<'_>, mut bytes: &[u8], rules: &mut watch::Receiver<Rules>, wire: &Wire) -> io::Result<()> {
    while !bytes.is_empty() {
        reachable(rules, way).await;
        to.writable().await?;
        // Looked at once more and kept from changing while the bytes go: a cut that has returned lets nothing pass.
        let now = rules.borrow();
        let (is_open, sliced) = (now.open[way as usize], now.sliced);
        let piece = if sliced { &bytes[..1] } else { bytes };
        let written = to.try_write(if is_open { piece } else { &[] });
        drop(now);
        match written {
            Ok(written) => {
                bytes = &bytes[written..];
                wire.counters.bytes[way as usize].fetch_add(written as u64, Ordering::SeqCst);
                if sliced && written > 0 {
                    wire.counters.alone.fetch_add(1, Ordering::SeqCst);
                    // All connections wait with it: shorter than the runtime could let one of them sleep.
                    std::thread::sleep(APART);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until this way is open. The sender of the rules outlives every connection.
async fn reachable(rules: &mut watch::Receiver<Rules>, way: Way) {
    let _ = rules.wait_for(|rules| rules.open[way as usize]).await;
}

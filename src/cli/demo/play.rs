//! The slice, event by event at its time.

use std::time::Duration;

use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::input::Lines;
use crate::cli::send::Sender;
use crate::cli::send::pace::{Pace, Speed};
use crate::clock::{Clock, WallClock};
use crate::domain::{Span, Timestamp};

/// See README.md beside it for where it comes from.
const SLICE: &[u8] = include_bytes!("ubuntu-irc-slice.ndjson.gz");

/// For the first connection, so that the first messages are not late already.
const HEAD_START: Span = Span::from_millis(200);
/// The service is in this process: if it takes nothing for so long, it is broken.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Play {
    /// Each with the moment it is to be sent.
    lines: Vec<(Timestamp, Vec<u8>)>,
}

impl Play {
    /// Every event happens when it is sent: the first soon after `now`, the others in their pace, `speed` times faster.
    pub fn new(speed: Speed, now: Timestamp) -> Result<Self, Failure> {
        let mut pace = Pace::new(Some(speed), true, None);
        let start = now.plus(HEAD_START);
        let mut lines = Vec::new();
        let mut slice = Lines::of(SLICE)?;
        while let Some(line) = slice.next()? {
            let line = line.map_err(Failure::failed)?.to_vec();
            let (line, due) = pace.place(line, start);
            lines.push((due.unwrap_or(start), line));
        }
        Ok(Self { lines })
    }

    pub fn events(&self) -> u64 {
        self.lines.len() as u64
    }

    /// How long it plays.
    pub fn length(&self) -> Span {
        match (self.lines.first(), self.lines.last()) {
            (Some((first, _)), Some((last, _))) => last.since(*first),
            _ => Span::ZERO,
        }
    }

    /// Sends each event when it is due; answers with how many were taken.
    pub fn run(self, client: &Client) -> impl Future<Output = Result<u64, Failure>> + use<> {
        let mut sender = Sender::new(client.clone(), PATIENCE);
        async move {
            let mut accepted = 0;
            let mut left = &self.lines[..];
            while let Some((due, _)) = left.first() {
                let early_ms = due.since(WallClock.now()).as_millis().unsigned_abs();
                tokio::time::sleep(Duration::from_millis(early_ms)).await;
                let now = WallClock.now();
                let count = left.iter().take_while(|(due, _)| *due <= now).count();
                let (ready, later) = left.split_at(count.max(1));
                let body = ready.iter().flat_map(|(_, line)| [line.as_slice(), b"\n"]).collect::<Vec<_>>().concat();
                let answer = sender.deliver(body).await?;
                accepted += answer["accepted"].as_u64().unwrap_or(0);
                left = later;
            }
            Ok(accepted)
        }
    }
}

//! Sends commands to whom they belong, and again where the server says that it has not run them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use redis::{Cmd, Pipeline};

use super::super::target::Address;
use super::cluster::Cluster;
use super::dial::Primary;
use super::error::{Answers, LinkError, Remedy};
use super::histories::Histories;
use super::node::Node;
use super::script::Scripts;
use super::slots;
use crate::clock::Stopwatch;

/// So long a command that was not run is sent again: a slot that moves, a primary that loads its data or is replaced on
/// purpose are over in less, and callers are still waiting.
const TRY_FOR: Duration = Duration::from_secs(1);
/// Between two attempts, doubled from one to the next...
const PAUSE_FIRST: Duration = Duration::from_millis(5);
/// ...up to this.
const PAUSE_LONGEST: Duration = Duration::from_millis(100);

pub struct Router {
    pub servers: Servers,
    pub histories: Arc<Histories>,
    pub scripts: Arc<Scripts>,
    pub response_timeout: Duration,
}

pub enum Servers {
    /// Standalone, or whom the Sentinels name.
    One(Arc<Node>),
    Cluster(Box<Cluster>),
}

/// What is to be sent, and where it is known to belong.
struct Request {
    /// The commands from `from` on, of all there were.
    cmds: Pipeline,
    from: usize,
    slot: Option<u16>,
    /// The next attempt goes here, each command introduced by `ASKING`.
    ask: Option<Address>,
    /// Scripts the next attempt brings along.
    loads: Vec<Cmd>,
    /// Not for any primary but those of this generation.
    under: Option<u64>,
}

impl Request {
    fn new(cmds: Vec<Cmd>) -> Self {
        let slot = slots::slot_of(&cmds);
        Self { cmds: pipeline(cmds), from: 0, slot, ask: None, loads: Vec::new(), under: None }
    }

    fn narrow(&mut self, from: usize) {
        if from > self.from {
            self.cmds = pipeline(self.cmds.cmd_iter().skip(from - self.from).cloned());
            self.from = from;
        }
    }

    /// As it is sent, where that is more than the commands themselves.
    fn dressed(&self) -> Option<Pipeline> {
        if self.ask.is_none() && self.loads.is_empty() {
            return None;
        }
        let asking = self.ask.as_ref().map(|_| redis::cmd("ASKING"));
        let cmds = self.cmds.cmd_iter().flat_map(|cmd| asking.iter().chain([cmd]));
        Some(pipeline(self.loads.iter().chain(cmds).cloned()))
    }

    /// The commands' own answers.
    fn undress(&self, mut answers: Answers) -> Answers {
        answers.drain(..self.loads.len());
        let each = if self.ask.is_some() { 2 } else { 1 };
        answers.into_iter().skip(each - 1).step_by(each).collect()
    }
}

fn pipeline(cmds: impl IntoIterator<Item = Cmd>) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for cmd in cmds {
        pipeline.add_command(cmd);
    }
    pipeline
}

/// The first of a tail of commands none of which was run, and what to do about it.
fn not_run(answers: &Answers) -> Option<(usize, Remedy)> {
    let remedy = |answer: &Result<_, super::error::ServerError>| answer.as_ref().err().and_then(super::error::ServerError::remedy);
    let tail = answers.iter().rev().take_while(|answer| remedy(answer).is_some()).count();
    let from = answers.len() - tail;
    Some((from, remedy(answers.get(from)?)?))
}

impl Router {
    pub async fn node(&self, slot: Option<u16>) -> Result<Arc<Node>, LinkError> {
        match &self.servers {
            Servers::One(node) => Ok(Arc::clone(node)),
            Servers::Cluster(cluster) => cluster.primary(slot).await,
        }
    }

    /// Sends commands together and waits for their answers. Sent again is only a tail of them of which none was run: what
    /// stands behind another stays behind it.
    pub async fn execute(&self, cmds: Vec<Cmd>) -> Result<Answers, LinkError> {
        self.carry(Request::new(cmds)).await
    }

    /// The same, but for no primary that was met since `generation`: to them nothing is sent, and they are `Replaced`.
    pub async fn execute_under(&self, generation: u64, cmds: Vec<Cmd>) -> Result<Answers, LinkError> {
        self.carry(Request { under: Some(generation), ..Request::new(cmds) }).await
    }

    async fn carry(&self, mut request: Request) -> Result<Answers, LinkError> {
        let mut answers = Answers::new();
        if request.cmds.is_empty() {
            return Ok(answers);
        }
        let (started, mut pause) = (Stopwatch::start(), PAUSE_FIRST);
        loop {
            match self.attempt(&request).await {
                Ok((primary, tail)) => {
                    answers.truncate(request.from);
                    answers.extend(tail);
                    let Some((from, remedy)) = not_run(&answers) else { return Ok(answers) };
                    request.narrow(from);
                    if !self.prepare(&mut request, &primary, remedy, &answers).await {
                        return Ok(answers);
                    }
                }
                // Once a server has said that it is not the one, another is looked for until the time is over.
                Err(error @ LinkError::Away(_)) if answers.is_empty() && !self.found_elsewhere(request.slot).await => return Err(error),
                Err(LinkError::Away(_)) => {}
                Err(error) => return Err(error),
            }
            if started.elapsed() >= TRY_FOR {
                return if answers.is_empty() { Err(LinkError::Away("no primary was found in time".into())) } else { Ok(answers) };
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    /// Several pipelines that do not depend on each other, each of one slot. They go out together and are waited for
    /// together.
    pub async fn execute_all(&self, pipelines: Vec<Vec<Cmd>>) -> Vec<Result<Answers, LinkError>> {
        join_all(pipelines.into_iter().map(|cmds| self.execute(cmds))).await
    }

    /// The same commands to every primary, each once, with the address it has: a look at all there is.
    pub async fn ask_each(&self, cmds: Vec<Cmd>) -> Result<Vec<(Option<Address>, Result<Answers, LinkError>)>, LinkError> {
        let nodes = match &self.servers {
            Servers::One(node) => vec![Arc::clone(node)],
            Servers::Cluster(cluster) => cluster.primaries().await?,
        };
        let cmds = pipeline(cmds);
        let asking = nodes.iter().map(|node| async {
            match node.shared().await {
                Ok(primary) => {
                    (Some(primary.connection.address.clone()), primary.connection.send(&cmds, Some(self.response_timeout)).await)
                }
                Err(error) => (node.address().cloned(), Err(error)),
            }
        });
        Ok(join_all(asking).await)
    }

    /// A connection of one's own to the primary of a slot.
    pub async fn own(&self, slot: u16) -> Result<Primary, LinkError> {
        match self.node(Some(slot)).await?.own().await {
            Err(LinkError::Away(_)) if self.found_elsewhere(Some(slot)).await => self.node(Some(slot)).await?.own().await,
            outcome => outcome,
        }
    }

    async fn attempt(&self, request: &Request) -> Result<(Arc<Primary>, Answers), LinkError> {
        let node = match (&self.servers, &request.ask) {
            (Servers::Cluster(cluster), Some(address)) => cluster.node(address),
            _ => self.node(request.slot).await?,
        };
        let primary = node.shared().await?;
        // A primary is counted before its connection is handed out: whoever has this one knows of it.
        if request.under.is_some_and(|generation| generation != self.histories.generation()) {
            return Err(LinkError::Replaced);
        }
        let dressed = request.dressed();
        match primary.connection.send(dressed.as_ref().unwrap_or(&request.cmds), Some(self.response_timeout)).await {
            Ok(answers) => Ok((primary, request.undress(answers))),
            Err(error) => {
                node.forget(&primary);
                Err(error)
            }
        }
    }

    /// Sees to it that the next attempt has a chance; false where it has none.
    async fn prepare(&self, request: &mut Request, primary: &Arc<Primary>, remedy: Remedy, answers: &Answers) -> bool {
        let asked = request.ask.take();
        request.loads.clear();
        match remedy {
            Remedy::Load => {
                request.ask = asked; // whoever said so is to be given them
                request.loads = self.missing(request, answers);
                !request.loads.is_empty()
            }
            Remedy::Ask(to) => {
                request.ask = to.from(&primary.connection.address);
                request.ask.is_some()
            }
            other => self.heed(request.slot, primary, &other).await,
        }
    }

    /// The scripts that the server said it has not got, each once.
    fn missing(&self, request: &Request, answers: &Answers) -> Vec<Cmd> {
        let asked = request.cmds.cmd_iter().zip(&answers[request.from..]);
        let refused = asked.filter(|(_, answer)| answer.as_ref().is_err_and(|error| error.remedy() == Some(Remedy::Load)));
        self.scripts.loads_for(refused.map(|(cmd, _)| cmd))
    }

    /// Takes in what an answer says about who serves what; false where nothing can be done about it.
    pub async fn heed(&self, slot: Option<u16>, primary: &Arc<Primary>, remedy: &Remedy) -> bool {
        match (&self.servers, remedy) {
            (_, Remedy::Wait) => true,
            (Servers::One(node), Remedy::FindPrimary) => {
                node.forget(primary);
                true
            }
            (Servers::Cluster(cluster), Remedy::FindPrimary) => {
                cluster.node(&primary.connection.address).forget(primary);
                // Where the map cannot be read, the old one is tried again.
                let _ = cluster.read_map(Some(&primary.connection.address)).await;
                true
            }
            (Servers::Cluster(cluster), Remedy::Moved(to)) => {
                let _ = cluster.read_map(None).await;
                // Who had the slot knows better than a node that has not heard of it yet.
                if let (Some(slot), Some(to)) = (slot, to.from(&primary.connection.address)) {
                    cluster.moved(slot, &to);
                }
                true
            }
            _ => false,
        }
    }

    /// Whether somebody else turns out to serve what could not be reached.
    async fn found_elsewhere(&self, slot: Option<u16>) -> bool {
        let Servers::Cluster(cluster) = &self.servers else { return false };
        let Ok(before) = cluster.primary(slot).await else { return false };
        if cluster.read_map(before.address()).await.is_err() {
            return false;
        }
        cluster.primary(slot).await.is_ok_and(|now| !Arc::ptr_eq(&before, &now))
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::super::error::ServerError;
    use super::*;

    fn answers(codes: &[&str]) -> Answers {
        let error = |code: &str| ServerError { code: code.into(), detail: "1 h:1".into() };
        codes.iter().map(|code| if *code == "ok" { Ok(Value::Okay) } else { Err(error(code)) }).collect()
    }

    #[test]
    fn only_a_tail_of_which_nothing_was_run_is_sent_again() {
        let from = |codes: &[&str]| not_run(&answers(codes)).map(|(from, _)| from);
        assert_eq!(from(&["ok", "ok"]), None);
        assert_eq!(from(&["READONLY", "READONLY"]), Some(0));
        assert_eq!(from(&["ok", "MOVED", "TRYAGAIN"]), Some(1));
        assert_eq!(from(&["ok", "TRYAGAIN", "ok"]), None);
        assert_eq!(from(&["TRYAGAIN", "ERR"]), None);
    }

    #[test]
    fn what_is_brought_along_leaves_no_trace_in_the_answers() {
        let cmds = ["A", "B", "C"].map(redis::cmd).to_vec();
        let mut request = Request::new(cmds);
        request.narrow(1);
        request.ask = Some(Address::Unix("/s".into()));
        request.loads = vec![redis::cmd("L")];
        let sent = request.dressed().unwrap().get_packed_pipeline();
        let words: Vec<&str> = std::str::from_utf8(&sent).unwrap().lines().filter(|line| !line.starts_with(['*', '$'])).collect();
        assert_eq!(words, ["L", "ASKING", "B", "ASKING", "C"]);
        let came: Answers = (0..5).map(|n| Ok(Value::Int(n))).collect();
        assert_eq!(request.undress(came), [Ok(Value::Int(2)), Ok(Value::Int(4))]);
    }
}

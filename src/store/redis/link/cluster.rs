//! A cluster: which primary serves which slot, and finding out anew.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use redis::Pipeline;

use super::super::target::Address;
use super::dial::{Connection, Dialer, field, text};
use super::error::LinkError;
use super::histories::Histories;
use super::node::{Node, Place};
use super::slots::{self, Range, SLOTS};
use crate::clock::Stopwatch;

/// The map is read no more often than this, however many commands find it wrong.
const READ_EVERY: Duration = Duration::from_millis(100);

pub struct Cluster {
    seeds: Vec<Address>,
    dialer: Arc<Dialer>,
    histories: Arc<Histories>,
    /// The primary of each slot; empty until the map was read.
    primaries: RwLock<Vec<Option<Arc<Node>>>>,
    nodes: Mutex<HashMap<Address, Arc<Node>>>,
    /// Held while the map is read: when that was, and what came of it.
    reading: tokio::sync::Mutex<Option<(Stopwatch, Result<(), LinkError>)>>,
}

/// What a node says of the cluster.
struct Report {
    ranges: Vec<Range>,
    /// It sees a majority and all slots served: one that was cut off does not.
    healthy: bool,
}

impl Cluster {
    pub fn new(seeds: Vec<Address>, dialer: Arc<Dialer>, histories: Arc<Histories>) -> Self {
        let (primaries, nodes) = (RwLock::default(), Mutex::default());
        Self { seeds, dialer, histories, primaries, nodes, reading: tokio::sync::Mutex::default() }
    }

    /// The primary of a slot; for what names no key any primary, rather one that is connected.
    ///
    /// # Errors
    /// `Away` where the map cannot be read or nobody serves the slot.
    pub async fn primary(&self, slot: Option<u16>) -> Result<Arc<Node>, LinkError> {
        if let Some(node) = self.serving(slot) {
            return Ok(node);
        }
        self.read_map(None).await?;
        self.serving(slot).ok_or_else(|| LinkError::Away(format!("no primary serves slot {}", slot.unwrap_or_default()).into()))
    }

    fn serving(&self, slot: Option<u16>) -> Option<Arc<Node>> {
        let known = self.known();
        match slot {
            Some(slot) => known.get(usize::from(slot)).cloned().flatten(),
            None => {
                let mut nodes = known.iter().flatten();
                nodes.clone().find(|node| node.connected().is_some()).or_else(|| nodes.next()).cloned()
            }
        }
    }

    /// All that serve slots.
    pub async fn primaries(&self) -> Result<Vec<Arc<Node>>, LinkError> {
        if self.known().is_empty() {
            self.read_map(None).await?;
        }
        let mut found: Vec<Arc<Node>> = self.known().iter().flatten().map(Arc::clone).collect();
        found.sort_by_key(|node| node.address().cloned());
        found.dedup_by(|a, b| Arc::ptr_eq(a, b));
        Ok(found)
    }

    fn known(&self) -> std::sync::RwLockReadGuard<'_, Vec<Option<Arc<Node>>>> {
        self.primaries.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node at an address; made where it is not known.
    pub fn node(&self, address: &Address) -> Arc<Node> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Node::new(Place::At(address.clone()), Arc::clone(&self.dialer), Arc::clone(&self.histories)));
        Arc::clone(nodes.entry(address.clone()).or_insert_with(new))
    }

    /// A slot has moved, says the node that had it.
    pub fn moved(&self, slot: u16, to: &Address) {
        let node = self.node(to);
        let mut primaries = self.primaries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(primary) = primaries.get_mut(usize::from(slot)) {
            *primary = Some(node);
        }
    }

    /// Finds out anew who serves what, from whom it can reach; not from the one that was wrong, if another answers.
    ///
    /// # Errors
    /// `Away` when no node answers.
    pub async fn read_map(&self, suspect: Option<&Address>) -> Result<(), LinkError> {
        let mut reading = self.reading.lock().await;
        if let Some((since, outcome)) = &*reading
            && since.elapsed() < READ_EVERY
        {
            return outcome.clone();
        }
        let outcome = match self.ask_all(suspect).await {
            Ok(report) => {
                self.use_map(&report.ranges).await;
                Ok(())
            }
            Err(reason) => Err(LinkError::Away(reason)),
        };
        *reading = Some((Stopwatch::start(), outcome.clone()));
        outcome
    }

    async fn use_map(&self, ranges: &[Range]) {
        let mut map: Vec<Option<Arc<Node>>> = vec![None; usize::from(SLOTS)];
        for (first, last, address) in ranges {
            let node = self.node(address);
            for slot in *first..=*last {
                map[usize::from(slot)] = Some(Arc::clone(&node));
            }
        }
        let serving: HashSet<&Address> = ranges.iter().map(|(_, _, address)| address).collect();
        let nodes: Vec<Arc<Node>> = {
            let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            nodes.retain(|address, _| serving.contains(address));
            nodes.values().map(Arc::clone).collect()
        };
        let first = std::mem::replace(&mut *self.primaries.write().unwrap_or_else(PoisonError::into_inner), map).is_empty();
        // Whoever is new is met now: a primary nobody knew is noticed even where no command goes to it.
        let meeting = join_all(nodes.into_iter().filter(|node| node.connected().is_none()).map(|node| async move { node.shared().await }));
        if first {
            meeting.await;
            self.histories.settle();
        } else {
            tokio::spawn(meeting);
        }
    }

    /// The first report of a healthy cluster; failing that the first report at all.
    async fn ask_all(&self, suspect: Option<&Address>) -> Result<Report, Arc<str>> {
        let mut others: Vec<Address> = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        others.extend(self.seeds.iter().cloned());
        others.sort();
        others.dedup();
        if others.len() > 1 {
            others.retain(|address| Some(address) != suspect);
        }
        let mut asking: FuturesUnordered<_> = others.iter().map(|address| self.ask(address)).collect();
        let mut unhealthy = None;
        let mut wrong: Arc<str> = "there is no node to ask".into();
        while let Some(answer) = asking.next().await {
            match answer {
                Ok(report) if report.healthy => return Ok(report),
                Ok(report) => unhealthy = unhealthy.or(Some(report)),
                Err(reason) => wrong = reason,
            }
        }
        unhealthy.ok_or(wrong)
    }

    async fn ask(&self, address: &Address) -> Result<Report, Arc<str>> {
        let known = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(address).and_then(|node| node.connected());
        match known {
            Some(primary) => report(&primary.connection, self.dialer.connect_timeout).await,
            None => report(&self.dialer.any(address).await?, self.dialer.connect_timeout).await,
        }
    }
}

async fn report(connection: &Connection, limit: Duration) -> Result<Report, Arc<str>> {
    let mut questions = Pipeline::new();
    questions.cmd("CLUSTER").arg("INFO").cmd("CLUSTER").arg("SLOTS");
    let answers = connection.send(&questions, Some(limit)).await.map_err(|error| Arc::from(error.to_string()))?;
    let values = answers.into_iter().collect::<Result<Vec<_>, _>>();
    let values = values.map_err(|error| Arc::from(format!("{}: {error}", connection.address)))?;
    let [info, map] = values.as_slice() else { return Err("too few answers".into()) };
    let healthy = text(info).is_some_and(|info| field(&info, "cluster_state") == Some("ok"));
    let ranges = slots::ranges(map, &connection.address).filter(|ranges| !ranges.is_empty());
    let ranges = ranges.ok_or_else(|| Arc::from(format!("{}: it knows of no slots", connection.address)))?;
    Ok(Report { ranges, healthy })
}

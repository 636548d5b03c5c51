//! Nodes, draining and pins: one hash; leases: one for each partition.

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;
use serde::{Deserialize, Serialize};

use super::commit::nonce;
use super::errors::{general, of_read, of_server, of_write};
use super::lease::{hex, read_holder};
use super::value::{list, number, odd, pairs, text};
use super::{Inner, heads, hold};
use crate::domain::{PartitionId, Timestamp};
use crate::store::{ClusterView, Holder, Member, NodeRecord, StoreError};

/// What is kept of a node behind its instance, so that anybody can read it.
#[derive(Serialize, Deserialize)]
struct Record<'a> {
    address: std::borrow::Cow<'a, str>,
    version: std::borrow::Cow<'a, str>,
    started_at_ms: i64,
    beat: u64,
    #[serde(default)]
    lease_ms: u64,
}

impl Inner {
    pub async fn cluster(&self) -> Result<ClusterView, StoreError> {
        self.serves()?;
        let mut all = redis::cmd("HGETALL");
        all.arg(&*self.keys.nodes);
        let leases = self.partitions.all().map(|partition| {
            let mut get = redis::cmd("HMGET");
            get.arg(&*self.keys.of(partition).lease).arg(&["epoch", "nonce", "node", "instance", "beat"]);
            vec![get]
        });
        let mut answers = self.link.pipelines(std::iter::once(vec![all]).chain(leases).collect()).await.into_iter();
        let known = answers.next().ok_or_else(|| odd("nodes"))?.map_err(general)?.into_iter().next().unwrap_or(Ok(Value::Nil));
        let known = pairs(known.map_err(|error| of_server(PartitionId(0), &error))?).ok_or_else(|| odd("nodes"))?;
        let mut holders = Vec::with_capacity(usize::from(self.partitions.get()));
        for (partition, answers) in self.partitions.all().zip(answers) {
            let answer =
                answers.map_err(|error| of_read(partition, error)).map(|answers| answers.into_iter().next().unwrap_or(Ok(Value::Nil)));
            // A lease that cannot be read costs its own partition, which nobody can claim then, and no other.
            let values = answer.and_then(|answer| answer.map_err(|error| of_server(partition, &error))).ok().and_then(list);
            holders.push(values.and_then(|values| read_holder(partition, &values)));
        }
        Ok(view(&known, holders))
    }

    pub async fn heartbeat(&self, record: NodeRecord, over: Option<u64>) -> Result<bool, StoreError> {
        self.serves()?;
        let NodeRecord { member, address, version, started_at, beat, lease_ms } = &record;
        let rest = Record {
            address: (&**address).into(),
            version: (&**version).into(),
            started_at_ms: started_at.as_millis(),
            beat: *beat,
            lease_ms: *lease_ms,
        };
        let rest = serde_json::to_string(&rest).map_err(|error| StoreError::Refused(error.to_string().into()))?;
        let instance = nonce(member.instance);
        let is_mine = member.node == self.options.node;
        let stay = self.store_hold.stay();
        loop {
            if is_mine && (self.store_hold.is_leaving() || self.store_hold.stay() != stay) {
                return Ok(true); // it stays away
            }
            let over = if is_mine && self.store_hold.name_is_ours() { "*".to_owned() } else { over.map_or(String::new(), nonce) };
            let left = self.store_hold.pulse().filter(|_| is_mine);
            let (pulse, behind) = (left.map_or(String::new(), |left| left.to_string()), hold::behind_max().to_string());
            let args = [&*member.node, &instance, &over, &rest, &self.keys.signals, heads::CHANGED, &pulse, &behind].map(str::as_bytes);
            let answer = self.link.script(&self.scripts.heartbeat, &[&self.keys.nodes], &args).await.map_err(general)?;
            let answer = list(answer).unwrap_or_default();
            let [code, kept] = [0, 1].map(|at| answer.get(at).and_then(number));
            match (code, kept) {
                (Some(1), Some(pulse)) => {
                    if is_mine {
                        self.store_hold.left(pulse, stay);
                    }
                    return Ok(true);
                }
                // Said to all before it is hidden by this sign of life.
                (Some(2), Some(kept)) => self.hold_closes(left.unwrap_or(0), kept, stay).await?,
                (Some(0), _) => return Ok(false),
                _ => return Err(odd("a heartbeat")),
            }
        }
    }

    pub async fn leave(&self, member: &Member) -> Result<(), StoreError> {
        self.serves()?;
        let instance = nonce(member.instance);
        let is_mine = member.node == self.options.node;
        if is_mine {
            self.store_hold.leave();
        }
        let args = [&*member.node, &instance, &self.keys.signals, heads::CHANGED].map(str::as_bytes);
        let left = self.link.script(&self.scripts.leave, &[&self.keys.nodes], &args).await.map(drop).map_err(general);
        if is_mine {
            self.store_hold.has_left();
        }
        left
    }

    pub async fn drain(&self, node: &str) -> Result<(), StoreError> {
        self.mark(&format!("drain/{node}"), Some("1")).await
    }

    pub async fn pin(&self, partition: PartitionId, to: Option<&str>) -> Result<(), StoreError> {
        self.known(partition)?;
        self.mark(&format!("pin/{}", partition.0), to).await
    }

    async fn mark(&self, field: &str, value: Option<&str>) -> Result<(), StoreError> {
        self.serves()?;
        let mut cmd = redis::cmd(if value.is_some() { "HSET" } else { "HDEL" });
        cmd.arg(&*self.keys.nodes).arg(field).arg(value);
        self.link.run(cmd).await.map_err(|error| of_write(PartitionId(0), error))?;
        self.tell(heads::CHANGED).await;
        Ok(())
    }
}

/// What cannot be read, from a newer version perhaps, is left out.
fn view(known: &[(Value, Value)], holders: Vec<Option<Holder>>) -> ClusterView {
    let (mut nodes, mut draining, mut pins) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    for (field, value) in known {
        let (Some((kind, name)), Some(value)) = (text(field).and_then(|field| field.split_once('/')), text(value)) else { continue };
        match kind {
            "node" => {
                nodes.extend(read_node(name, value).map(|record| (name, record)));
            }
            "drain" => {
                draining.insert(name.into());
            }
            "pin" => {
                pins.extend(name.parse().ok().map(|partition| (PartitionId(partition), value.into())));
            }
            _ => {}
        }
    }
    ClusterView { nodes: nodes.into_values().collect(), draining, pins, holders }
}

fn read_node(name: &str, value: &str) -> Option<NodeRecord> {
    let (instance, rest) = value.split_once(' ')?;
    let Record { address, version, started_at_ms, beat, lease_ms } = serde_json::from_str(rest).ok()?;
    Some(NodeRecord {
        member: Member { node: name.into(), instance: hex(instance)? },
        address: address.into(),
        version: version.into(),
        started_at: Timestamp::from_millis(started_at_ms),
        beat,
        lease_ms,
    })
}

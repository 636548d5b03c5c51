//! Entries that nobody can read come into the logs, and owners die over them: they are set aside, each once, and all else is
//! applied as if they were not there (I15).

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};

use super::fleet::{Fleet, NODES, Plan, pause};
use super::load::WORKSPACE;
use super::node::PARTITIONS;
use super::report::{Done, Run};
use super::rig::process::PATIENCE;
use super::verdict::judge;

/// Fields that mean nothing, an event of another partition, a form of a version to come.
const KINDS: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn s10_what_nobody_can_read_is_set_aside_and_nothing_else() {
    let run = Run::of("s10_what_nobody_can_read_is_set_aside_and_nothing_else");
    let began = Instant::now();
    let mut fleet = Fleet::start(Plan::new("entries that nobody can read, an owner killed over each third"), run.rng()).await;
    let (mut done, mut put) = (Done::default(), BTreeSet::new());
    for round in 0..run.rounds {
        fleet.settled().await;
        pause(fleet.rng.between(100, 600)).await;
        let partition = fleet.rng.below(u64::from(PARTITIONS)) as u16;
        done.hits += u64::from(fleet.await_in_flight(None).await);
        put.insert((partition, inject(&fleet, round % KINDS, partition)));
        if (round / KINDS).is_multiple_of(3) {
            let owner = (0..NODES).find(|node| fleet.partitions_of(*node).contains(&partition));
            let victim = owner.unwrap_or(0);
            fleet.nodes[victim].kill();
            fleet.nodes[victim].start();
            fleet.owned().await;
        }
        done.rounds += 1;
        run.progress(done.rounds);
    }
    fleet.settled().await;
    let asked = Instant::now();
    while letters(&fleet).await != put {
        assert!(asked.elapsed() < PATIENCE, "set aside is {:?}, put there was {put:?}", letters(&fleet).await);
        pause(50).await;
    }
    done.poison = put.len();
    done.notes.push(format!("{} entries put there, as many set aside, by their ids", put.len()));
    judge(fleet, run, began, done, false).await;
}

/// Answers the id it was given.
fn inject(fleet: &Fleet, kind: u64, partition: u16) -> String {
    let mut add = redis::cmd("XADD");
    add.arg(format!("adjourn:{{p{partition}}}:events")).arg("*");
    match kind {
        0 => add.arg("ct").arg("application/cloudevents+json").arg("ce").arg("{\"specversion\":\"1.0\",\"id\""),
        1 => {
            let home = |name: &str| crc32fast::hash(format!("{WORKSPACE}/{name}").as_bytes()) % u32::from(PARTITIONS);
            let stranger = (0..).map(|nth| format!("stranger-{nth}")).find(|name| home(name) != u32::from(partition)).unwrap();
            let event = json!({"specversion": "1.0", "id": "lost-its-way", "source": "/fleet/poison", "type": "inbox.message.v1",
                               "subject": stranger, "workspace": WORKSPACE, "time": "2026-01-01T00:00:00Z", "data": {"source": "user"}});
            add.arg("ct").arg("application/cloudevents+json").arg("ce").arg(event.to_string())
        }
        _ => add.arg("e").arg([0xfe_u8, 1, 2, 3].as_slice()),
    };
    add.query(&mut fleet.connection()).unwrap()
}

async fn letters(fleet: &Fleet) -> BTreeSet<(u16, String)> {
    let Ok(answer) = fleet.client.get(fleet.nodes[0].url("/v1/dead-letters?limit=200")).send().await else { return BTreeSet::new() };
    let list: Value = answer.json().await.unwrap_or_default();
    let letter = |letter: &Value| (letter["partition"].as_u64().unwrap() as u16, letter["id"].as_str().unwrap().to_owned());
    list["items"].as_array().map(|letters| letters.iter().map(letter).collect()).unwrap_or_default()
}

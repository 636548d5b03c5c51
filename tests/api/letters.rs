//! The dead letters, page by page, and what a wait for events is bounded by.

use adjourn::clock::ManualClock;
use adjourn::domain::{Event, PartitionCount};
use adjourn::store::memory::MemoryStore;
use adjourn::store::{Entry, Store};
use adjourn::wire::{Parsed, parse_json};
use serde_json::{Value, json};

use crate::nodes::served;
use crate::patience::{eventually, found};
use crate::support::*;

fn parsed(event: &Value) -> Event {
    match parse_json(event.to_string().as_bytes()) {
        Ok(Parsed::Event(event)) => event,
        other => panic!("{other:?}"),
    }
}

/// What no door would take: a day ahead of the store's clock. In the log it becomes a dead letter.
fn ahead(id: usize) -> Value {
    with(message(&format!("m-{id}"), &format!("c-{id}")), json!({"time": "2026-11-23T10:00:00Z"}))
}

#[actix_rt::test]
async fn dead_letters_come_in_pages_and_none_is_left_out() {
    let clock = ManualClock::at(START);
    let partitions = PartitionCount::new(4).unwrap();
    let store = MemoryStore::new(partitions, clock.clone());
    let (node, address) = served("only", store.clone(), &clock);
    let get = async |query: &str| {
        Answer::of(adjourn::tls::http(None).unwrap().build().unwrap().get(format!("http://{address}/v1/dead-letters?{query}"))).await
    };
    let entries = (0..20).map(|id| parsed(&ahead(id))).map(|event| (event.conversation.partition(partitions), Entry::Event(event)));
    store.append(entries.collect()).await.unwrap();
    eventually("twenty letters", async || get("limit=500").await.json["items"].as_array().unwrap().len() == 20).await;
    let all = get("limit=500").await.json;
    let all = (all["items"].as_array().unwrap().clone(), all["next"].clone());
    assert_eq!((all.0.len(), all.1), (20, Value::Null));

    let (mut found, mut query, mut pages) = (Vec::new(), "limit=3".to_owned(), 0);
    loop {
        let page = get(&query).await.json;
        found.extend(page["items"].as_array().unwrap().clone());
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        let last = found.last().unwrap();
        assert_eq!(next, format!("{}/{}", last["partition"], last["id"].as_str().unwrap()));
        query = format!("limit=3&after={next}");
    }
    assert_eq!((found, pages), (all.0, 7));
    assert_eq!(get("limit=20").await.json["next"], Value::Null, "exactly all of them");
    for bad in ["after=1", "after=x/1-1", "after=1/x", "after=4/1-1"] {
        let refused = get(bad).await;
        assert_eq!((refused.status.as_u16(), refused.problem()), (400, "invalid-parameter"), "{bad}");
    }
    node.stop().await;
}

#[actix_rt::test]
async fn a_wait_ends_when_it_said_and_what_was_accepted_stays_so() {
    let clock = ManualClock::at(START);
    let store = MemoryStore::new(PartitionCount::new(1).unwrap(), clock.clone());
    let (node, address) = served("only", store.clone(), &clock);
    let post = async |id: &str| {
        let request = adjourn::tls::http(None)
            .unwrap()
            .build()
            .unwrap()
            .post(format!("http://{address}/v1/events"))
            .header("content-type", JSON)
            .header("prefer", "wait=1");
        Answer::of(request.body(message(id, "c-1").to_string())).await
    };
    store.faults().stall_commits(1);
    let answer = post("m-1").await;
    assert_eq!((answer.status.as_u16(), &answer.json["accepted"], &answer.json["conversations"]), (202, &json!(1), &Value::Null));
    store.faults().release_stalled();
    // Its commit is made by now, or will be: a second one waits for both.
    let answer = found("both to be applied", async || Some(post("m-2").await).filter(|answer| answer.status == 200)).await;
    assert_eq!(answer.json["conversations"][0]["messages"]["incoming"], 2);
    node.stop().await;
}

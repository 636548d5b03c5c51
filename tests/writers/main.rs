//! A model that writes closing notes (L11, L12), and every way in which it can fail to: what its caller is told, how long that
//! takes, and that nothing of what was said or of the key is in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy.toml excuses test functions, not their helpers

mod failing;
#[path = "../rig/papers.rs"]
mod papers;
mod real;
mod stub;
mod tls;

use std::time::Duration;

use adjourn::actors::notes::writer::NoteWriter;
use adjourn::domain::Timestamp;
use adjourn::domain::categories::Category;
use adjourn::domain::writing::{Brief, Proposal, Said, Speaker, Transcript, WriteError};
use adjourn::edge::writers::{Key, Remote, RemoteOptions, WriterChoice, from_config};
use serde_json::json;

use stub::{Answer, Stub, answer, note, says};

/// In what a customer wrote.
const WORDS: &str = "canary-words-of-a-customer";
const KEY: &str = "canary-key-of-the-writer";

/// Patient enough for a busy machine, in no hurry to fail, and without pauses worth waiting for.
fn options(url: &str) -> RemoteOptions {
    RemoteOptions {
        key: Some(Key::new(KEY).unwrap()),
        timeout: Duration::from_secs(30),
        pause: Duration::from_millis(1),
        ..RemoteOptions::new(url.parse().unwrap(), "small-1")
    }
}

fn categories() -> Vec<Category> {
    ["Billing", "Shipping"].map(|name| Category { name: name.into(), description: Some(format!("about {name}").into()) }).into()
}

async fn write(options: RemoteOptions) -> Result<Proposal, WriteError> {
    let said = |by, text: &str| Said { by, at: Timestamp::from_millis(0), text: text.into() };
    let transcript = Transcript::latest(vec![said(Speaker::Contact, WORDS), said(Speaker::Human, "Paid back.")]);
    let brief = Brief { transcript: &transcript, categories: &categories(), learnt: None };
    let written = Remote::new(options).unwrap().write(brief).await;
    if let Err(error) = &written {
        let told = format!("{error} {error:?}");
        assert!(!told.contains("canary"), "{told}");
    }
    written
}

fn proposal(category: Option<&str>, summary: &str) -> Result<Proposal, WriteError> {
    Ok(Proposal { category: category.map(Into::into), summary: Some(summary.into()) })
}

#[tokio::test]
async fn l11_a_model_writes_a_note() {
    let stub = Stub::start(vec![note("Billing", "Paid twice, paid back.")]).await;
    assert_eq!(write(options(&stub.url)).await, proposal(Some("Billing"), "Paid twice, paid back."));
    let [asked] = stub.asked().try_into().unwrap_or_else(|asked: Vec<_>| panic!("{} times", asked.len()));
    let head = asked.head.to_lowercase();
    for line in ["post /v1/chat/completions http/1.1\r\n", "content-type: application/json\r\n", "host: 127.0.0.1:"] {
        assert!(head.contains(line), "{head}");
    }
    assert!(head.contains(&format!("authorization: bearer {KEY}\r\n")), "{head}");
    assert_eq!((&asked.body["model"], &asked.body["stream"]), (&json!("small-1"), &json!(false)));
    assert_eq!(asked.body["response_format"]["json_schema"]["strict"], json!(true));
    assert!(asked.body["messages"][1]["content"].as_str().unwrap().contains(WORDS));
    assert!(!format!("{:?}", options(&stub.url)).contains("canary"));
}

#[tokio::test]
async fn l11_who_writes_signs() {
    let chosen = |choice| from_config(&choice).unwrap().name().to_owned();
    assert_eq!(chosen(WriterChoice::default()), "built-in");
    assert_eq!(chosen(WriterChoice::Remote(Box::new(options("http://127.0.0.1:1/")))), "small-1");
    let unasked = Remote::new(options("http://127.0.0.1:1/")).unwrap();
    let nothing = unasked.write(Brief { transcript: &Transcript::default(), categories: &[], learnt: None }).await;
    assert!(matches!(nothing, Err(WriteError::Never { .. })), "{nothing:?}");
}

#[tokio::test]
async fn l11_prose_around_the_note_does_no_harm() {
    let stub = Stub::start(vec![says(
        "Of course!\n```json\n{\"category\": \"billing\", \"summary\": \"Paid\\u0000 back.\"}\n```\nAnything else?",
    )])
    .await;
    assert_eq!(write(options(&stub.url)).await, proposal(Some("Billing"), "Paid back."));
    assert_eq!(stub.asked().len(), 1);
}

#[tokio::test]
async fn l10_a_foreign_category_is_corrected_or_left_out() {
    let stub = Stub::start(vec![note("Weather", "It rains."), note("Shipping", "It is late.")]).await;
    assert_eq!(write(options(&stub.url)).await, proposal(Some("Shipping"), "It is late."));
    let corrected = stub.asked()[1].body["messages"].clone();
    assert!(
        corrected[2]["content"].as_str().unwrap().contains("Weather") && corrected[3]["content"].as_str().unwrap().contains("`category`")
    );

    let stub = Stub::start(vec![note("Weather", "It rains.")]).await;
    assert_eq!(write(options(&stub.url)).await, proposal(None, "It rains."));
    assert_eq!(stub.asked().len(), 2);
}

#[tokio::test]
async fn l11_what_the_first_answer_had_outlives_a_second_that_fails() {
    let stub = Stub::start(vec![note("Weather", "It rains."), answer("401 Unauthorized", "", "")]).await;
    assert_eq!(write(options(&stub.url)).await, proposal(None, "It rains."));
    let stub = Stub::start(vec![says(r#"{"category":"Billing"}"#), says("no")]).await;
    assert_eq!(write(options(&stub.url)).await, Ok(Proposal { category: Some("Billing".into()), summary: None }));
}

#[tokio::test]
async fn l10_a_note_of_a_talkative_model_is_cut() {
    let stub = Stub::start(vec![note("Billing", &"A sentence. ".repeat(100))]).await;
    let summary = write(options(&stub.url)).await.unwrap().summary.unwrap();
    assert!(summary.chars().count() <= 512 && summary.ends_with("A sentence."), "{summary}");
}

#[tokio::test]
async fn l11_a_server_that_knows_no_schemas_is_asked_without() {
    let refused = answer("400 Bad Request", "", r#"{"error":"response_format"}"#);
    let stub = Stub::start(vec![refused, note("Billing", "Paid back.")]).await;
    let remote = Remote::new(options(&stub.url)).unwrap();
    let said = Said { by: Speaker::Contact, at: Timestamp::from_millis(0), text: "Hello".into() };
    let transcript = Transcript::latest(vec![said]);
    for _ in 0..2 {
        remote.write(Brief { transcript: &transcript, categories: &categories(), learnt: None }).await.unwrap();
    }
    let with_schema: Vec<bool> = stub.asked().iter().map(|asked| asked.body.get("response_format").is_some()).collect();
    assert_eq!(with_schema, [true, false, false], "from then on it is not asked for again");
}

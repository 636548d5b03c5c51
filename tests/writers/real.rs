//! What is built in, on real conversations: the demo's (`src/cli/demo/README.md` says whose).

use std::collections::BTreeMap;
use std::io::Read;

use adjourn::edge::writers::BuiltIn;
use flate2::read::GzDecoder;
use futures_util::future::FutureExt;
use serde_json::Value;

use super::*;

const SLICE: &[u8] = include_bytes!("../../src/cli/demo/ubuntu-irc-slice.ndjson.gz");

fn conversations() -> Vec<Transcript> {
    let mut events = String::new();
    GzDecoder::new(SLICE).read_to_string(&mut events).unwrap();
    let mut found: BTreeMap<String, Vec<Said>> = BTreeMap::new();
    for event in events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let by = match event["data"]["source"].as_str() {
            Some("contact") => Speaker::Contact,
            Some("workflow") => Speaker::Machine,
            _ => Speaker::Human,
        };
        let Some(text) = event["data"]["text"].as_str() else { continue };
        let said = Said { by, at: Timestamp::from_millis(0), text: text.into() };
        found.entry(event["subject"].as_str().unwrap().to_owned()).or_default().push(said);
    }
    found.into_values().map(Transcript::latest).collect()
}

fn summary(transcript: &Transcript) -> Option<Box<str>> {
    let written = BuiltIn.write(Brief { transcript, categories: &[], learnt: None }).now_or_never().unwrap();
    written.ok().and_then(|note| note.summary)
}

#[test]
fn l11_real_conversations_are_summarised_in_their_own_words() {
    let (mut with_question, mut kept) = (0, 0);
    for conversation in conversations() {
        let Some(summary) = summary(&conversation) else {
            panic!("{:?}", conversation.messages().iter().map(|said| &said.text).collect::<Vec<_>>())
        };
        assert!(!summary.is_empty() && summary.chars().count() <= 512, "{summary}");
        assert_eq!(self::summary(&conversation), Some(summary.clone()), "the same again");
        let said: Vec<String> = conversation.messages().iter().flat_map(|said| said.text.split_whitespace()).map(str::to_owned).collect();
        let foreign = summary
            .split_whitespace()
            .find(|word| !["–", "/"].contains(word) && !word.ends_with('…') && !said.iter().any(|said| said == word));
        assert_eq!(foreign, None, "{summary}");
        let asked =
            conversation.messages().iter().find(|said| said.by == Speaker::Contact && said.text.ends_with('?') && said.text.len() > 40);
        if let Some(asked) = asked {
            with_question += 1;
            let end: String = asked.text.split_whitespace().last().unwrap().to_owned();
            kept += usize::from(summary.contains(&end) || summary.contains('?'));
        }
    }
    assert!(with_question > 20 && kept * 10 >= with_question * 9, "{kept} of {with_question}");
}

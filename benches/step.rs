//! What one step of the state machine costs, and deriving the deadline.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)] // a bench that cannot go on should say so by panicking

use std::hint::black_box;

use adjourn::domain::event::{EventKind, MessageSource};
use adjourn::domain::{Accepted, Conversation, ConversationKey, Event, EventName, Input, Settings, Timestamp, deadline, step};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn message(number: i64, source: MessageSource) -> Input {
    let time = Timestamp::from_millis(1_800_000_000_000 + number * 1_000);
    let name = EventName::new("/bench", &format!("m-{number}")).expect("a valid name");
    let conversation = ConversationKey::new("acme", "conv-1").expect("a valid key");
    let event = Event { name, conversation, time, kind: EventKind::Message { source, agent: None, message_id: None, text: None } };
    Input::Event(Accepted { event, accepted_at: time })
}

/// A conversation as most are: a few messages to and fro, the agent's last.
fn typical(settings: &Settings) -> (ConversationKey, Conversation) {
    let key = ConversationKey::new("acme", "conv-1").expect("a valid key");
    let now = Timestamp::from_millis(1_800_000_000_000);
    let inputs = [(0, MessageSource::Contact), (1, MessageSource::User), (2, MessageSource::Contact), (3, MessageSource::User)];
    let conversation = inputs
        .into_iter()
        .fold(Conversation::new(now), |before, (number, source)| step(&key, before, &message(number, source), settings, now).after);
    (key, conversation)
}

fn benches(c: &mut Criterion) {
    let settings = Settings { enabled: true, enable_epoch: 1, version: 1, ..Settings::default() };
    let (key, conversation) = typical(&settings);
    let now = Timestamp::from_millis(1_800_000_010_000);
    for (name, source) in [
        ("human message resets", MessageSource::User),
        ("contact's reply cancels", MessageSource::Contact),
        ("broadcast changes nothing", MessageSource::Broadcast),
    ] {
        let input = message(9, source);
        c.bench_function(&format!("step/{name}"), |b| {
            b.iter_batched(|| conversation.clone(), |before| step(&key, before, &input, &settings, now), BatchSize::SmallInput);
        });
    }
    c.bench_function("step/auto-close", |b| {
        let late = Timestamp::from_millis(1_900_000_000_000);
        b.iter_batched(|| conversation.clone(), |before| step(&key, before, &Input::WakeUp, &settings, late), BatchSize::SmallInput);
    });
    c.bench_function("deadline", |b| b.iter(|| deadline(black_box(&conversation), &settings).map(|d| d.at)));
}

criterion_group!(step_benches, benches);
criterion_main!(step_benches);

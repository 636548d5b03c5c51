//! A change of settings and kill -9: it is there or it is not, everywhere, and what was answered holds.

use std::collections::BTreeSet;
use std::time::Duration;

use adjourn::domain::{ConversationKey, PartitionCount, Span, Timestamp};
use adjourn::wire::time;
use serde_json::{Value, json};

use super::checker::check;
use super::history::{History, Ms};
use super::judge::record::left_in_directory;
use super::rig::process::PATIENCE;
use super::rng::{Rng, number_from};
use super::rounds::{ROUNDS, rng};
use super::service::{PARTITIONS, Service, nap, now};

/// A fifth of the rounds of the main job: each takes longer.
fn rounds() -> u64 {
    number_from("ADJOURN_KILL_ROUNDS").unwrap_or(ROUNDS).div_ceil(5)
}

async fn within<F: Future<Output = ()>>(rounds: u64, test: F) {
    tokio::time::timeout(Duration::from_secs(60 + 20 * rounds), test).await.expect("it takes far too long");
}

/// A person writes in this conversation, now.
fn human(workspace: &str, conversation: &str) -> Value {
    let stamp = time::format(Timestamp::from_millis(now()));
    json!({"specversion": "1.0", "id": format!("m-{conversation}"), "source": "/test", "type": "inbox.message.v1", "subject": conversation,
           "workspace": workspace, "time": stamp, "data": {"source": "user", "agent": "ana"}})
}

/// Sends these and waits until they are applied; answers the conversations they are about.
async fn apply(service: &Service, events: &[Value]) -> Vec<Value> {
    let post = service.client.post(service.url("/v1/events")).header("content-type", "application/cloudevents-batch+json");
    let answer = post.header("prefer", "wait=30").body(json!(events).to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["rejected"], json!([]));
    answer["conversations"].as_array().unwrap().clone()
}

async fn put(service: &Service, workspace: &str, settings: &Value) {
    let answer = service.put_settings(workspace, settings).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

fn at(conversation: &Value, member: &str) -> Option<Ms> {
    Some(time::parse(conversation[member].as_str()?).unwrap().as_millis())
}

/// What a partition makes of a new conversation: whole seconds to its close, or nothing.
type Seconds = Option<i64>;

/// Asks every partition, by a new conversation in each.
async fn by_partition(service: &Service, names: &mut impl Iterator<Item = u64>) -> BTreeSet<Seconds> {
    let count = PartitionCount::new(PARTITIONS).unwrap();
    let mut asked = vec![None; usize::from(PARTITIONS)];
    while asked.iter().any(Option::is_none) {
        let name = format!("probe-{}", names.next().unwrap());
        let partition = ConversationKey::new("acme", &name).unwrap().partition(count);
        asked[usize::from(partition.0)].get_or_insert(name);
    }
    let events: Vec<Value> = asked.into_iter().flatten().map(|name| human("acme", &name)).collect();
    let answers = apply(service, &events).await;
    assert_eq!(answers.len(), usize::from(PARTITIONS));
    let seconds =
        |one: &Value| at(one, "scheduled_close_at").map(|at_ms| (at_ms - at(one, "last_human_message_at").unwrap()) / 10_000 * 10);
    answers.iter().map(seconds).collect()
}

/// Periods are tens of seconds, so that nothing that is slow can take one for another, and nothing closes.
fn change(rng: &mut Rng, before: &Value) -> Value {
    if rng.percent(40) {
        json!({"auto_close": {"enabled": before["auto_close"]["enabled"] != true}})
    } else {
        // As it is shown: 120s is 2m.
        json!({"auto_close": {"period": Span::from_secs(20 * rng.between(1, 20) as i64).to_string()}})
    }
}

fn changed(before: &Value, change: &Value) -> Value {
    let mut after = before.clone();
    for (member, value) in change["auto_close"].as_object().unwrap() {
        after["auto_close"][member] = value.clone();
    }
    after
}

/// As the document is, so every partition must be.
fn meant(settings: &Value) -> BTreeSet<Seconds> {
    let period = Span::parse(settings["auto_close"]["period"].as_str().unwrap()).unwrap();
    let on = settings["auto_close"]["enabled"] == true;
    [on.then(|| period.as_millis() / 1_000)].into()
}

#[tokio::test]
async fn t22_a_change_of_settings_that_was_killed_is_whole_or_not_at_all() {
    within(rounds(), interrupted(rounds() * 2, rng("interrupted"))).await;
}

async fn interrupted(rounds: u64, mut rng: Rng) {
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service::new(dir.path());
    let path = "/v1/workspaces/acme/settings";
    service.start();
    service.ready().await;
    put(&service, "acme", &json!({"auto_close": {"enabled": true, "period": "20s"}})).await;
    let mut names = 0..;
    let (mut before, mut was_old, mut was_new, mut answered, mut under_way) = (service.get(path).await, 0, 0, 0, 0);
    for round in 0..rounds {
        let change = change(&mut rng, &before);
        let after = changed(&before, &change);
        let request = tokio::spawn(service.put_settings("acme", &change).send());
        // More often soon than late: it takes some ten milliseconds.
        let most = rng.between(1, 30_000);
        tokio::time::sleep(Duration::from_micros(rng.below(most))).await;
        under_way += u64::from(!request.is_finished());
        service.kill();
        let answer = request.await.unwrap();
        let told = answer.is_ok_and(|answer| answer.status() == 200);
        service.start();
        service.ready().await;
        let found = service.get(path).await;
        assert!(found == before || found == after, "round {round}: {found} is neither {before} nor {after}");
        assert!(!told || found == after, "round {round}: it was answered, and is gone");
        let meant = meant(&found);
        let mut partitions = by_partition(&service, &mut names).await;
        assert!(!told || partitions == meant, "round {round}: answered, and yet {partitions:?}, not {meant:?}");
        let asked = tokio::time::Instant::now();
        while partitions != meant {
            assert!(asked.elapsed() < PATIENCE, "round {round}: the partitions say {partitions:?}, the document {meant:?}");
            nap().await;
            partitions = by_partition(&service, &mut names).await;
        }
        answered += u64::from(told);
        was_new += u64::from(!told && found == after && found != before);
        was_old += u64::from(found == before);
        before = found;
    }
    eprintln!(
        "{rounds} changes, {under_way} killed under way: {answered} were answered, {was_new} came true without an answer, {was_old} did not"
    );
    assert!(under_way > 0, "no kill came before the answer");
    service.stop().await;
}

#[tokio::test]
async fn t22_switched_off_stays_switched_off_over_a_kill() {
    within(rounds(), switched_off(rounds(), rng("switched off"))).await;
}

async fn switched_off(rounds: u64, mut rng: Rng) {
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service::new(dir.path());
    service.start();
    let (mut closed, mut kept) = (0, 0);
    for round in 0..rounds {
        service.ready().await;
        let (workspace, control) = (format!("off-{round}"), format!("on-{round}"));
        let on = json!({"auto_close": {"enabled": true, "period": "1s"}});
        put(&service, &workspace, &on).await;
        put(&service, &control, &on).await;
        for batch in 0..16 {
            let events: Vec<Value> = (0..8).map(|n| human(&workspace, &format!("c{batch}-{n}"))).collect();
            apply(&service, &events).await;
            tokio::time::sleep(Duration::from_millis(rng.between(20, 60))).await;
        }
        // Due after all the others, in every partition: when these have closed, nothing of the others is still to come.
        let events: Vec<Value> = (0..64).map(|n| human(&control, &format!("c{n}"))).collect();
        apply(&service, &events).await;
        tokio::time::sleep(Duration::from_millis(rng.below(700))).await;
        put(&service, &workspace, &json!({"auto_close": {"enabled": false}})).await;
        let off = now();
        let still_open = if rng.percent(50) { Some(list(&service, &workspace, "open").await) } else { None };
        service.kill();
        service.start();
        service.ready().await;
        let asked = tokio::time::Instant::now();
        while service.timers(&control).await > 0 {
            assert!(asked.elapsed() < PATIENCE, "what is still switched on does not close:\n{}", service.last_words());
            nap().await;
        }
        let open = list(&service, &workspace, "open").await;
        for one in list(&service, &workspace, "closed").await {
            assert!(at(&one, "closed_at").unwrap() <= off, "round {round}: closed after it was switched off: {one}");
            closed += 1;
        }
        assert!(still_open.is_none_or(|before| names(&before) == names(&open)), "round {round}: closed after it was switched off");
        assert!(open.iter().all(|one| one["scheduled_close_at"].is_null()), "round {round}: scheduled times must vanish");
        kept += open.len();
    }
    service.stop().await;
    eprintln!("{rounds} rounds: {closed} closed before it was switched off, {kept} did not");
    assert!(closed > 0 && kept > 0, "it was switched off at no interesting time");
    let histories = left_in_directory(&service.store()).await;
    assert_eq!(histories.len() as u64, 2 * rounds);
    histories.into_iter().for_each(|(workspace, history)| judge(&workspace, history));
}

async fn list(service: &Service, workspace: &str, status: &str) -> Vec<Value> {
    let page = service.get(&format!("/v1/workspaces/{workspace}/conversations?status={status}&limit=200")).await;
    assert!(page["next"].is_null(), "one page is enough");
    page["items"].as_array().unwrap().clone()
}

fn names(conversations: &[Value]) -> BTreeSet<String> {
    conversations.iter().map(|one| one["id"].to_string()).collect()
}

/// The judge of the main job, on what it was not told: nobody listened, and the log itself says what was sent.
fn judge(workspace: &str, mut history: History) {
    history.sent = history.log.iter().filter_map(|logged| Some(logged.message()?.0.clone())).collect();
    history.acknowledged = history.sent.iter().map(|message| message.name.clone()).collect();
    history.heard = history.told.iter().map(|told| (told.id.clone(), Ms::MAX)).collect();
    assert_eq!(check(&history, Ms::MAX).0, [], "{workspace}");
}

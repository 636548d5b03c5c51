//! S15 on the embedded store: a backup under load, the service killed, the backup restored in another process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use adjourn::clock::WallClock;
use adjourn::domain::Timestamp;
use adjourn::store::embedded::{EmbeddedOptions, EmbeddedStore, OpenError};
use adjourn::wire::time;
use serde_json::{Value, json};

use super::judge::record::left_in_directory;
use super::rig::process::PATIENCE;
use super::service::{BINARY, Service, nap, now};

const WORKSPACE: &str = "main";
/// Conversations begun in one request.
const BATCH: usize = 20;
/// What may close has closed by then.
const TICKS: Duration = Duration::from_secs(3);
const KILLS: u64 = 6;

/// Conversations that began before the answer to their message came.
type Acknowledged = Arc<Mutex<Vec<String>>>;

/// Begins conversations until told to stop; each closes after a while.
fn load(service: &Service, acknowledged: &Acknowledged, stop: &Arc<AtomicBool>, prefix: &'static str) -> tokio::task::JoinHandle<()> {
    let (client, url) = (service.client.clone(), service.url("/v1/events"));
    let (acknowledged, stop) = (Arc::clone(acknowledged), Arc::clone(stop));
    tokio::spawn(async move {
        for round in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let names: Vec<String> = (0..BATCH).map(|n| format!("{prefix}-{round}-{n}")).collect();
            let events: Vec<Value> = names.iter().map(|name| human(name)).collect();
            let post = client.post(&url).header("content-type", "application/cloudevents-batch+json").body(json!(events).to_string());
            // The service is killed at some time.
            if post.send().await.is_ok_and(|answer| answer.status() == 200) {
                acknowledged.lock().unwrap().extend(names);
            }
            nap().await;
        }
    })
}

fn human(conversation: &str) -> Value {
    let stamp = time::format(Timestamp::from_millis(now()));
    json!({"specversion": "1.0", "id": format!("m-{conversation}"), "source": "/test", "type": "inbox.message.v1", "subject": conversation,
           "workspace": WORKSPACE, "time": stamp, "data": {"source": "user", "agent": "ana"}})
}

async fn adjourn(service: &Service, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).env("ADJOURN_URL", service.url("/")).env_remove("ADJOURN_CONFIG");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Conversations by name, with how they stand.
async fn all(service: &Service) -> BTreeMap<String, String> {
    let (mut found, mut after) = (BTreeMap::new(), String::new());
    loop {
        let page = service.get(&format!("/v1/workspaces/{WORKSPACE}/conversations?limit=500{after}")).await;
        let member = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
        found.extend(page["items"].as_array().unwrap().iter().map(|item| (member(item, "id"), member(item, "status"))));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return found,
        }
    }
}

async fn started(service: &mut Service, period: &str) {
    service.start();
    service.ready().await;
    let settings = json!({"auto_close": {"enabled": true, "period": period}});
    assert_eq!(service.put_settings(WORKSPACE, &settings).send().await.unwrap().status(), 200);
}

/// Waits until it is so of how all conversations stand.
async fn until(service: &Service, what: &str, holds: impl Fn(&BTreeMap<String, String>) -> bool) {
    let asked = Instant::now();
    while !holds(&all(service).await) {
        assert!(asked.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn until_all_closed(service: &Service) {
    until(service, "all are closed", |all| all.values().all(|status| status == "closed")).await;
}

/// The id of each close, by conversation.
async fn closes(store: &Path) -> BTreeMap<String, String> {
    let told = left_in_directory(store).await.remove(WORKSPACE).unwrap().told;
    let mut ids = BTreeMap::new();
    for told in told.into_iter().filter(|told| told.close.is_some()) {
        assert_eq!(ids.insert(told.conversation.clone(), told.id), None, "{} closed twice", told.conversation);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_a_backup_under_load_is_restored_and_nothing_closes_until_an_operator_says_so() {
    let (dir, restored_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut service = Service::new(dir.path());
    started(&mut service, "2s").await;
    let (acknowledged, stop) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
    let load = load(&service, &acknowledged, &stop, "c");
    until(&service, "some are closed while others are under way", |all| all.values().any(|status| status == "closed")).await;
    let before: BTreeSet<String> = acknowledged.lock().unwrap().iter().cloned().collect();
    let mut restored = Service::new(restored_dir.path());
    let path = restored.store().display().to_string();
    let taken = adjourn(&service, &["backup", &path, "--admin-listen", &service.admin(), "-o", "json"]).await;
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    let contents: Value = serde_json::from_slice(&taken.stdout).unwrap();
    assert_eq!(contents["state"], "whole");
    let again = adjourn(&service, &["backup", &path, "--admin-listen", &service.admin()]).await;
    assert!(again.status.code() == Some(1) && String::from_utf8_lossy(&again.stderr).contains("no empty directory"), "{again:?}");
    let incarnation = service.get("/v1/topology").await["incarnation"].clone();
    tokio::time::sleep(Duration::from_millis(300)).await;
    service.kill();
    stop.store(true, Ordering::Relaxed);
    load.await.unwrap();

    restored.start();
    restored.ready().await;
    let topology = restored.get("/v1/topology").await;
    assert!(topology["closes_held"].as_str().is_some_and(|why| why.contains("was restored")), "{topology}");
    assert_ne!(topology["incarnation"], incarnation);
    let found = all(&restored).await;
    let lost: Vec<&String> = before.iter().filter(|name| !found.contains_key(*name)).collect();
    assert!(lost.is_empty(), "{} of {} are not in it, among them {:?}", lost.len(), before.len(), &lost[..lost.len().min(5)]);
    tokio::time::sleep(TICKS).await;
    assert_eq!(all(&restored).await, found, "something closed before anybody said so");
    let open = found.values().filter(|status| *status == "open").count();
    let closed = found.len() - open;
    assert!(open > 0 && closed > 0, "{open} open, {closed} closed: nothing was under way");
    let hold = restored.get("/v1/hold").await;
    assert_eq!((&hold["closes_at_once"], &hold["held"]), (&json!(open), &json!(true)), "{hold}");

    let asked = adjourn(&restored, &["resume-firing"]).await;
    assert_eq!(asked.status.code(), Some(2), "there is nobody to ask: {asked:?}");
    assert_eq!(restored.get("/v1/hold").await["held"], true);
    let resumed = adjourn(&restored, &["resume-firing", "--yes"]).await;
    let said = String::from_utf8_lossy(&resumed.stderr).into_owned();
    assert!(resumed.status.success() && said.contains(&format!("{open} conversations close at once")), "{said}");
    until_all_closed(&restored).await;
    restored.stop().await;

    // What went on without noticing closes the same conversations under the same ids.
    service.start();
    service.ready().await;
    until_all_closed(&service).await;
    service.stop().await;
    let (there, here) = (closes(&service.store()).await, closes(&restored.store()).await);
    assert_eq!(here.len(), found.len());
    for (conversation, id) in &here {
        assert_eq!(there.get(conversation), Some(id), "{conversation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_a_service_killed_during_a_backup_leaves_a_whole_one_or_none() {
    let (dir, backups) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut service = Service::new(dir.path());
    started(&mut service, "1h").await;
    let (acknowledged, stop) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
    let load = load(&service, &acknowledged, &stop, "c");
    let path = backups.path().join("backup");
    let mut cut_off = 0;
    for round in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let before = acknowledged.lock().unwrap().len() as u64;
        let post = service.client.post(format!("http://{}/v1/backup", service.admin())).header("content-type", "application/json");
        assert_eq!(post.body(json!({"path": path}).to_string()).send().await.unwrap().status(), 202);
        tokio::time::sleep(Duration::from_millis(round * 8)).await;
        service.kill();
        if path.exists() {
            let store = open(&path).unwrap();
            assert!(adjourn::store::Store::closes_held(&*store).is_some());
            let in_it = adjourn::store::Store::stats(&*store).await.unwrap();
            assert!(in_it.iter().map(|stats| stats.conversations + stats.backlog).sum::<u64>() >= before);
            store.close();
            std::fs::remove_dir_all(&path).unwrap();
        } else {
            assert!(matches!(open(&path.with_extension("part")), Err(OpenError::CutOff { .. })), "round {round}");
            cut_off += 1;
        }
        service.start();
        service.ready().await;
    }
    stop.store(true, Ordering::Relaxed);
    load.await.unwrap();
    let taken = adjourn(&service, &["backup", path.to_str().unwrap(), "--admin-listen", &service.admin()]).await;
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    // Of a stopped one as well, by whoever asks.
    let stopped = backups.path().join("stopped").display().to_string();
    let store = format!("embedded:{}", service.store().display());
    let in_use = adjourn(&service, &["backup", &stopped, "--store", &store]).await;
    assert!(in_use.status.code() == Some(4) && String::from_utf8_lossy(&in_use.stderr).contains("leave out --store"), "{in_use:?}");
    service.stop().await;
    let taken = adjourn(&service, &["backup", &stopped, "--store", &store]).await;
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    assert!(cut_off > 0, "every backup was whole before the kill");
}

fn open(path: &Path) -> Result<Arc<EmbeddedStore>, OpenError> {
    EmbeddedStore::open(path, EmbeddedOptions::new(Arc::new(WallClock)))
}

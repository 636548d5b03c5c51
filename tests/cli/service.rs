//! The verbs against the real service: `adjourn serve` as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{adjourn, adjourn_reading};

/// A service that ends with the test.
struct Service {
    process: Child,
    url: String,
    home: tempfile::TempDir,
}

impl Service {
    fn start(more: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = format!("embedded:{}", home.path().join("store").display());
        let mut process = Command::new(env!("CARGO_BIN_EXE_adjourn"))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--store", &store, "--partitions", "4"])
            .args(["--set", "log.format=json", "--set", "log.level=info"])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = log
            .by_ref()
            .find_map(|line| {
                let line: Value = serde_json::from_str(&line.unwrap()).ok()?;
                line["public_addr"].as_str().map(str::to_owned)
            })
            .expect("the log says where it listens");
        std::thread::spawn(move || log.for_each(drop)); // a full pipe would stop it
        Self { process, url: format!("http://{address}"), home }
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let ran = adjourn(&self.url, arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        ran.out
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[arguments, &["-o", "json"]].concat())).unwrap()
    }

    fn send(&self, events: &[Value]) -> Value {
        let input: String = events.iter().map(|event| format!("{event}\n")).collect();
        let ran = adjourn_reading(&self.url, &["events", "send", "-"], input.as_bytes());
        assert_eq!(ran.code, 0, "{}", ran.err);
        serde_json::from_str(&ran.out).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn message(id: &str, conversation: &str, source: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/test", "type": "inbox.message.v1", "subject": conversation, "workspace": "acme",
           "time": chrono::Utc::now(), "data": {"source": source}})
}

#[test]
fn a_day_at_the_desk() {
    let service = Service::start(&["--set", "auto_close.min_period=1s"]);
    let settings = service.json(&["settings", "set", "-w", "acme", "auto_close.enabled=true", "auto_close.period=1s"]);
    assert_eq!(settings["auto_close"], json!({"enabled": true, "period": "1s", "echo_arms": true}));
    assert_eq!(service.json(&["settings", "get", "-w", "acme"]), settings);

    let events = [message("1", "c1", "contact"), message("2", "c2", "user"), message("3", "c3", "contact")];
    assert_eq!(service.send(&events), json!({"accepted": 3, "duplicates": 0, "rejected": 0}));
    let closed = service.ok(&["notifications", "tail", "--workspace", "acme", "--types", "closed", "--after", "0", "--max", "1"]);
    let closed: Value = serde_json::from_str(&closed).unwrap();
    assert_eq!((&closed["subject"], &closed["data"]["closed_source"]), (&json!("c2"), &json!("auto_close")));

    let open = service.json(&["conversations", "ls", "-w", "acme", "--status", "open"]);
    let ids: Vec<&str> = open.as_array().unwrap().iter().map(|conversation| conversation["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["c1", "c3"]);
    assert_eq!(service.json(&["conversations", "get", "-w", "acme", "c2"])["status"], "closed");
    assert_eq!(service.json(&["conversations", "why", "-w", "acme", "c1"])["reason"], "contact_spoke_last");
    let first = adjourn(&service.url, &["conversations", "ls", "-w", "acme", "--limit", "1", "-o", "ndjson"]);
    assert_eq!((first.out.lines().count(), first.err.contains("--after c1")), (1, true), "{}", first.err);
    let table = service.ok(&["conversations", "ls", "-w", "acme"]);
    assert!(table.contains("STATUS") && table.contains("auto_close"), "{table}");
    assert_eq!(service.json(&["dead-letters", "ls"]), json!([]));

    let unknown = adjourn(&service.url, &["conversations", "get", "-w", "acme", "nobody"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (3, ""), "{}", unknown.err);
    let letter = adjourn(&service.url, &["dead-letters", "dismiss", "0", "1-1"]);
    assert_eq!(letter.code, 3, "{}", letter.err);
}

#[test]
fn a_conversation_is_acted_on() {
    let service = Service::start(&[]);
    service.send(&[message("1", "c1", "contact")]);
    let act = |arguments: &[&str]| service.json(&[&["conversations"], arguments, &["-w", "acme", "c1"]].concat());
    let assigned = act(&["assign", "--to", "ana", "--name", "Ana"]);
    assert_eq!(assigned["assignee"], json!({"kind": "human", "id": "ana", "name": "Ana"}));
    assert_eq!(act(&["unassign"])["assignee"], Value::Null);
    let snoozed = service.json(&["conversations", "snooze", "-w", "acme", "c1", "2h"]);
    assert_eq!(snoozed["status"], "snoozed");
    assert_eq!(act(&["unsnooze"])["status"], "open");
    assert_eq!((&act(&["block"])["blocked"], &act(&["unblock"])["blocked"]), (&json!(true), &json!(false)));
    service.json(&["settings", "set", "-w", "acme", "closing_notes.mode=optional"]);
    service.json(&["categories", "add", "-w", "acme", "Billing", "Money"]);
    let closed = act(&["close", "--by", "ana", "--category", "Billing"]);
    assert_eq!((&closed["closed_by"], &closed["closing_note"]["category"]), (&json!("ana"), &json!("Billing")));
    let again = adjourn(&service.url, &["conversations", "close", "-w", "acme", "c1"]);
    assert_eq!((again.code, again.err.contains("not open")), (4, true), "{}", again.err);
    assert_eq!(act(&["note", "--category", "Billing", "--summary", "Paid"])["closing_note"]["summary"], "Paid");
    assert_eq!(act(&["open"])["episode"], 2);
    let never = adjourn(&service.url, &["conversations", "snooze", "-w", "acme", "c1", "whenever"]);
    assert_eq!((never.code, never.err.contains("such as 2h")), (2, true), "{}", never.err);
}

#[test]
fn a_timer_is_kept_and_its_story_told() {
    let service = Service::start(&[]);
    service.json(&["settings", "set", "-w", "acme", "auto_close.enabled=true", "auto_close.period=30m"]);
    service.send(&[message("1", "c1", "user")]);
    let act = |arguments: &[&str]| service.json(&[&["conversations"], arguments, &["-w", "acme", "c1"]].concat());
    assert_eq!(act(&["hold", "--reason", "waits for parts"])["hold"]["until"], Value::Null);
    let extended = service.json(&["conversations", "extend", "-w", "acme", "c1", "2d", "--reason", "on holiday"]);
    assert_eq!(extended["hold"]["until"], extended["scheduled_close_at"]);
    assert!(act(&["release"]).get("hold").is_none());
    let forecast = service.ok(&["conversations", "forecast", "-w", "acme", "--within", "1h"]);
    assert!(forecast.contains("CLOSES"), "{forecast}");
    let why = service.ok(&["conversations", "why", "-w", "acme", "c1"]);
    for said in
        ["armed the timer for 30m", "It closes at ", "The message 1 armed the timer", "The hold (waits for parts) lets the timer wait"]
    {
        assert!(why.contains(said), "{said}: {why}");
    }
    assert_eq!(act(&["exempt", "--reason", "a friend"])["exemption"]["reason"], "a friend");
    assert!(act(&["unexempt"]).get("exemption").is_none());
}

#[test]
fn agents_at_the_command_line() {
    let service = Service::start(&[]);
    service.json(&["agents", "add", "-w", "acme", "ana", "Ana Müller", "--avatar-url", "https://example.com/a.png"]);
    service.json(&["agents", "add", "-w", "acme", "bo", "Bo"]);
    assert_eq!(service.json(&["agents", "set", "-w", "acme", "ana", "--available", "false", "--avatar-url", ""])["initials"], "AM");
    let found = service.json(&["agents", "ls", "-w", "acme", "--q", "mull", "--available", "false"]);
    assert_eq!((found.as_array().unwrap().len(), &found[0]["id"]), (1, &json!("ana")));
    service.ok(&["agents", "rm", "-w", "acme", "ana"]);
    let gone = adjourn(&service.url, &["agents", "set", "-w", "acme", "ana", "--name", "x"]);
    assert_eq!((gone.code, gone.err.contains("no agent `ana`")), (3, true), "{}", gone.err);
}

#[test]
fn reports_and_proposed_notes_at_the_command_line() {
    let service = Service::start(&[]);
    service.json(&["settings", "set", "-w", "acme", "closing_notes.mode=optional"]);
    let mut asks = message("1", "c1", "contact");
    asks["data"]["text"] = json!("Where is my parcel?");
    service.send(&[asks, message("2", "c2", "user")]);
    let proposed = service.json(&["conversations", "suggest", "-w", "acme", "c1"]);
    assert_eq!(proposed["writer"], "built-in");
    service.json(&["conversations", "close", "-w", "acme", "c1"]);
    let report = service.json(&["report", "-w", "acme", "--interval", "month", "--from", "2026-11-01", "--group-by", "opened_source"]);
    let sum = |column: &str| report["rows"].as_array().unwrap().iter().map(|row| row[column].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("opened"), sum("closed")), (2, 1), "{report}");
    let bars = service.ok(&["report", "-w", "acme", "--interval", "month", "--from", "2026-11-01"]);
    assert!(bars.contains('\u{2588}') && bars.contains("2026-11-01"), "{bars}");
    let csv = service.ok(&["report", "-w", "acme", "--csv"]);
    assert!(csv.starts_with("start,group,opened,closed,"), "{csv}");
    let mars = adjourn(&service.url, &["report", "-w", "acme", "--tz", "Mars/Olympus"]);
    assert_eq!((mars.code, mars.err.contains("time zone")), (1, true), "{}", mars.err);
}

#[test]
fn categories_at_the_command_line() {
    let service = Service::start(&[]);
    service.json(&["categories", "add", "-w", "acme", "Billing / €"]);
    assert_eq!(service.json(&["categories", "describe", "-w", "acme", "Billing / €", "Money"])["description"], "Money");
    let table = service.ok(&["categories", "ls", "-w", "acme"]);
    assert!(table.contains("Billing / €") && table.contains("Money"), "{table}");
    let again = adjourn(&service.url, &["categories", "add", "-w", "acme", "Billing / €"]);
    assert_eq!((again.code, again.err.contains("already")), (4, true), "{}", again.err);
    service.ok(&["categories", "rm", "-w", "acme", "Billing / €"]);
    assert_eq!(service.json(&["categories", "ls", "-w", "acme"]), json!([]));
}

#[test]
fn nodes_and_shards_at_a_glance() {
    let service = Service::start(&["--node", "only", "--lease", "2s"]);
    let mut nodes = service.json(&["nodes", "ls"]);
    while nodes == json!([]) {
        nodes = service.json(&["nodes", "ls"]); // it has not shown itself yet
    }
    assert_eq!((&nodes[0]["name"], &nodes[0]["state"], &nodes[0]["address"]), (&json!("only"), &json!("live"), &json!(service.url)));
    let table = service.ok(&["shards", "ls"]);
    assert!(table.contains("DESIRED") && table.matches("only").count() >= 4, "{table}");
    let lines = service.ok(&["shards", "ls", "-o", "ndjson"]);
    assert_eq!(lines.lines().count(), 4);
    service.ok(&["shards", "move", "3", "only"]);
    service.ok(&["shards", "move", "3", "--unpin"]);
    for (arguments, code) in [
        (&["shards", "move", "3", "other"][..], 4),
        (&["shards", "move", "4", "only"], 3),
        (&["shards", "move", "3"], 2),
        (&["nodes", "drain", "other"], 3),
        (&["nodes", "drain", "only"], 4),
    ] {
        assert_eq!(adjourn(&service.url, arguments).code, code, "{arguments:?}");
    }
    assert_eq!(service.json(&["nodes", "ls"])[0]["state"], "live", "the last node is not drained");
    assert_eq!(service.json(&["shards", "ls"])[0]["node"], "only");
}

#[test]
fn loads_are_measured_and_nothing_is_missing() {
    let service = Service::start(&["--set", "auto_close.min_period=1s"]);
    let storm = service.json(&["loadgen", "storm", "--timers", "200", "--within", "1s", "--lead", "1s"]);
    let whole = |result: &Value| [&result["closed"], &result["missing"], &result["doubled"], &result["early"]].map(|n| n.as_u64().unwrap());
    assert_eq!(whole(&storm), [200, 0, 0, 0], "{storm}");
    let trickle = service.json(&["loadgen", "trickle", "--rate", "50", "--for", "1s"]);
    assert_eq!(whole(&trickle), [50, 0, 0, 0], "{trickle}");
    let ingest = service.json(&["loadgen", "ingest", "--events", "1000", "--batch", "100"]);
    assert!(ingest["durable_events_per_s"].as_u64().unwrap() > 0, "{ingest}");
    let single = service.json(&["loadgen", "single", "--connections", "4", "--for", "200ms"]);
    assert!(single["events"].as_u64().unwrap() > 0, "{single}");
}

#[test]
fn a_load_that_needs_a_shorter_period_says_so() {
    let service = Service::start(&[]);
    let ran = adjourn(&service.url, &["loadgen", "storm", "--timers", "10"]);
    assert!(ran.code == 1 && ran.err.contains("ADJOURN__AUTO_CLOSE__MIN_PERIOD=1s adjourn serve"), "{}", ran.err);
}

#[test]
fn asked_to_stop_it_ends_well() {
    let mut service = Service::start(&[]);
    let id = rustix::process::Pid::from_child(&service.process);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(service.process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_service_on_the_same_directory_is_refused() {
    let service = Service::start(&[]);
    let store = format!("embedded:{}", service.home.path().join("store").display());
    let ran = adjourn("", &["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--store", &store]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("adjourn: store"), "{}", ran.err);
}

#[test]
fn the_demo_shows_the_main_job() {
    let ran = adjourn("", &["demo", "--speed", "1000x"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("783 messages in 94 conversations"), "{}", ran.out);
    assert!(ran.out.contains("nobody replied within the period") && ran.err.contains("CC BY 4.0"), "{}", ran.err);
}

#[test]
fn settings_have_a_history_and_a_period_is_applied_to_running_timers() {
    let service = Service::start(&[]);
    service.ok(&["settings", "set", "-w", "acme", "--by", "ana", "auto_close.enabled=true", "auto_close.period=1h"]);
    service.send(&[message("1", "c1", "user")]);
    service.ok(&["settings", "set", "-w", "acme", "auto_close.period=2h"]);
    let apply = ["settings", "apply-to-running", "-w", "acme"];
    let preview = service.json(&[&apply[..], &["--preview"]].concat());
    assert_eq!((&preview["timers"], &preview["period"], &preview["preview"]), (&json!(1), &json!("2h"), &json!(true)));
    let table = service.ok(&[&apply[..], &["--preview"]].concat());
    assert!(table.contains("due_at_once") && table.contains("CLOSES"), "{table}");
    let unasked = adjourn(&service.url, &apply);
    assert_eq!((unasked.code, unasked.out.as_str()), (2, ""), "{}", unasked.err);
    assert!(unasked.err.contains("1 timers get a period of 2h") && unasked.err.contains("--yes"), "{}", unasked.err);
    let applied = service.json(&[&apply[..], &["--yes", "--rate", "5", "--by", "bo"]].concat());
    assert_eq!((&applied["timers"], &applied["rate"], &applied["preview"]), (&json!(1), &json!(5), &json!(false)));

    let history = service.json(&["settings", "history", "-w", "acme"]);
    let by: Vec<&Value> = history.as_array().unwrap().iter().map(|change| &change["by"]).collect();
    assert_eq!(by, [&json!("bo"), &Value::Null, &json!("ana")]);
    let table = service.ok(&["settings", "history", "-w", "acme"]);
    assert!(table.contains("auto_close.period: 1h -> 2h") && table.contains("apply_to_running: - -> 2h"), "{table}");
    let first = adjourn(&service.url, &["settings", "history", "-w", "acme", "--limit", "1", "-o", "ndjson"]);
    assert_eq!((first.out.lines().count(), first.err.contains("--after 3")), (1, true), "{}", first.err);
    service.ok(&["categories", "add", "-w", "acme", "Billing", "--by", "cy"]);
    assert_eq!(service.json(&["settings", "history", "-w", "acme", "--limit", "1"])[0]["by"], "cy");
}

/// The key alone on stdout, for a script to take; from then on nothing goes without one.
#[test]
fn row_2_keys_are_made_replaced_and_ended() {
    let service = Service::start(&[]);
    let with = |key: &str, arguments: &[&str]| adjourn(&service.url, &[arguments, &["--api-key", key]].concat());
    let created = adjourn(&service.url, &["keys", "create", "--name", "root", "--scope", "admin,read", "-w", "*"]);
    let root = created.out.trim().to_owned();
    assert!(root.starts_with("adj_") && !root.contains('\n') && created.err.contains("shown once"), "{} {}", created.out, created.err);
    let nobody = adjourn(&service.url, &["keys", "ls"]);
    assert_eq!(nobody.code, 1);
    assert!(nobody.err.contains("Unauthorized") && nobody.err.contains("adjourn keys create"), "{}", nobody.err);

    let made = with(&root, &["keys", "create", "--name", "pipeline", "--scope", "ingest", "-w", "acme", "-o", "json"]);
    let made: Value = serde_json::from_str(&made.out).unwrap();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let refused = with(key, &["settings", "get", "-w", "acme"]);
    assert!(refused.code == 1 && refused.err.contains("scope admin"), "{}", refused.err);
    let foreign = with(key, &["conversations", "ls", "-w", "other"]);
    assert_eq!(foreign.code, 3, "{}", foreign.err);
    let rotated = with(&root, &["keys", "rotate", id, "--grace", "1h"]);
    assert!(rotated.out.starts_with("adj_") && rotated.err.contains("good until"), "{}", rotated.err);
    assert_eq!(with(&root, &["keys", "retire", id]).code, 0);
    assert_eq!(with(&root, &["keys", "revoke", id]).code, 0);
    assert_eq!(with(&root, &["keys", "revoke", id]).code, 4);
    let listed = with(&root, &["keys", "ls"]).out;
    assert!(listed.contains("pipeline") && listed.contains("revoked") && !listed.contains(&root), "{listed}");
    let audit = with(&root, &["audit", "ls", "-o", "json"]).out;
    let audit: Vec<Value> = serde_json::from_str(&audit).unwrap();
    assert_eq!((audit.len(), &audit[0]["method"], &audit[0]["status"]), (6, &json!("DELETE"), &json!(409)), "{audit:?}");
}

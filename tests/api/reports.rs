//! Reports: what was opened and closed, by interval and by what it has in common (L14, D7).

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};

use crate::patience::eventually;
use crate::support::*;

const REPORT: &str = "/v1/workspaces/acme/reports/conversations";
const HOUR: i64 = 3_600_000;

/// Auto-close after an hour, and a note where somebody wants one.
async fn start() -> TestApp {
    let app = TestApp::start().await;
    app.add_category("acme", "Billing").await;
    let settings = json!({"auto_close": {"enabled": true, "period": "1h"}, "closing_notes": {"mode": "optional"}});
    assert_eq!(app.put_settings("acme", settings).await.status, 200);
    app
}

async fn report(app: &TestApp, query: &str) -> Value {
    let answer = app.get(&format!("{REPORT}?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    answer.json
}

/// Sums of a column over all rows, by group.
fn sums(report: &Value, column: &str) -> Vec<(Value, u64)> {
    let mut sums: Vec<(Value, u64)> = Vec::new();
    for row in report["rows"].as_array().unwrap() {
        let count = row[column].as_u64().unwrap();
        match sums.iter_mut().find(|(group, _)| *group == row["group"]) {
            Some((_, sum)) => *sum += count,
            None => sums.push((row["group"].clone(), count)),
        }
    }
    sums.retain(|(_, sum)| *sum > 0);
    sums
}

fn total(report: &Value, column: &str) -> u64 {
    sums(report, column).iter().map(|(_, sum)| sum).sum()
}

/// Waits until the timer has closed it.
async fn closed(app: &TestApp, conversation: &str) {
    let path = format!("/v1/workspaces/acme/conversations/{conversation}");
    eventually("the close", async || app.get(&path).await.json["status"] == "closed").await;
}

async fn close(app: &TestApp, conversation: &str, body: Value) {
    let path = format!("/v1/workspaces/acme/conversations/{conversation}/close");
    let answer = Answer::of(app.asking(Method::POST, &path, &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
}

#[actix_rt::test]
async fn l14_openings_and_closings_are_counted_by_each_thing_they_have_in_common() {
    let app = start().await;
    app.apply(&[message("a1", "a"), message("b1", "b"), human("c1", "c")]).await;
    let assign = app.client.put(app.url("/v1/workspaces/acme/conversations/a/assignee"));
    let body = json!({"kind": "human", "id": "ana"}).to_string();
    assert_eq!(Answer::of(assign.header("content-type", "application/json").body(body)).await.status, 200);
    app.pass(90_000);
    close(&app, "a", json!({"note": {"category": "Billing", "summary": "Paid."}, "by": "ana"})).await;
    close(&app, "b", json!({"source": "api"})).await;
    app.pass(HOUR);
    closed(&app, "c").await;

    let all = report(&app, "interval=day").await;
    assert_eq!((total(&all, "opened"), total(&all, "closed"), total(&all, "reopened"), total(&all, "reversed")), (3, 3, 0, 0));
    assert_eq!(all["rows"].as_array().unwrap().len(), 30, "days without anything are there");
    let by = async |group: &str, column: &str| sums(&report(&app, &format!("group_by={group}")).await, column);
    let expected = |groups: &[(Value, u64)]| groups.to_vec();
    assert_eq!(by("closed_source", "closed").await, expected(&[(json!("user"), 1), (json!("api"), 1), (json!("auto_close"), 1)]));
    assert_eq!(by("closed_source", "opened").await, expected(&[(Value::Null, 3)]), "nothing had closed them when they opened");
    assert_eq!(by("opened_source", "opened").await, expected(&[(json!("user"), 1), (json!("contact"), 2)]));
    assert_eq!(by("category", "closed").await, expected(&[(Value::Null, 2), (json!("Billing"), 1)]));
    assert_eq!(by("agent", "closed").await, expected(&[(Value::Null, 2), (json!("ana"), 1)]));
    let user = report(&app, "group_by=closed_source").await;
    let row = user["rows"].as_array().unwrap().iter().find(|row| row["group"] == "user").unwrap().clone();
    let within = |name: &str| row[name].as_i64().unwrap().abs_diff(100);
    assert!(within("resolution_p50_s") <= 3 && within("resolution_p90_s") <= 3, "open for 100 s: {row}");
    app.stop().await;
}

#[actix_rt::test]
async fn l14_d7_a_reversed_close_is_not_counted() {
    let app = start().await;
    app.apply(&[human("a1", "a")]).await;
    app.pass(HOUR);
    closed(&app, "a").await;
    assert_eq!(total(&report(&app, "").await, "closed"), 1);
    // Written in time, and late on its way.
    app.apply(&[with(message("a2", "a"), json!({"time": "2026-11-22T10:30:00Z"}))]).await;
    let taken_back = report(&app, "group_by=closed_source").await;
    assert_eq!((total(&taken_back, "closed"), total(&taken_back, "opened"), total(&taken_back, "reopened")), (0, 1, 0));
    assert_eq!(sums(&taken_back, "reversed"), [(json!("auto_close"), 1)]);
    close(&app, "a", json!({})).await;
    assert_eq!(sums(&report(&app, "group_by=closed_source").await, "closed"), [(json!("user"), 1)]);
    app.stop().await;
}

#[actix_rt::test]
async fn l14_a_later_note_moves_its_close_to_its_category_and_a_new_episode_is_a_conversation_of_its_own() {
    let app = start().await;
    app.apply(&[message("a1", "a")]).await;
    app.pass(60_000);
    close(&app, "a", json!({})).await;
    let put = app.client.put(app.url("/v1/workspaces/acme/conversations/a/closing-note"));
    let note = json!({"category": "Billing", "summary": null}).to_string();
    assert_eq!(Answer::of(put.header("content-type", "application/json").body(note)).await.status, 200);
    assert_eq!(sums(&report(&app, "group_by=category").await, "closed"), [(json!("Billing"), 1)]);
    app.pass(60_000);
    let open = app.client.post(app.url("/v1/workspaces/acme/conversations/a/open")).header("content-type", "application/json").body("{}");
    assert_eq!(Answer::of(open).await.status, 200);
    let all = report(&app, "group_by=opened_source").await;
    assert_eq!(sums(&all, "opened"), [(json!("user"), 1), (json!("contact"), 1)]);
    assert_eq!(sums(&all, "reopened"), [(json!("user"), 1)]);
    assert_eq!(total(&report(&app, "").await, "closed"), 1, "what was closed stays closed");
    app.stop().await;
}

#[actix_rt::test]
async fn l14_days_are_those_of_the_zone_asked_for() {
    let app = start().await;
    app.apply(&[message("a1", "a")]).await;
    let day = async |tz: &str| {
        let report = report(&app, &format!("tz={tz}")).await;
        assert_eq!(report["tz"], tz.replace("%2B", "+"));
        let rows = report["rows"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["opened"] == 1).unwrap()["start"].clone()
    };
    // The message is of 2026-11-22T10:00Z.
    assert_eq!(day("UTC").await, "2026-11-22T00:00:00+00:00");
    assert_eq!(day("Pacific/Kiritimati").await, "2026-11-23T00:00:00+14:00");
    assert_eq!(day("Pacific/Honolulu").await, "2026-11-22T00:00:00-10:00");
    app.stop().await;
}

#[actix_rt::test]
async fn reports_come_as_csv_for_who_accepts_that() {
    let app = start().await;
    app.apply(&[message("a1", "a")]).await;
    let get = app.client.get(app.url(&format!("{REPORT}?interval=month&from=2026-11-01&group_by=agent")));
    let answer = get.header(ACCEPT, "text/csv").send().await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
    let expected =
        "start,group,opened,closed,reversed,reopened,resolution_p50_s,resolution_p90_s\r\n2026-11-01T00:00:00+00:00,,1,0,0,0,,\r\n";
    assert_eq!(answer.text().await.unwrap(), expected);
    app.stop().await;
}

#[actix_rt::test]
async fn what_a_report_cannot_be_asked_is_said() {
    let app = start().await;
    for query in ["interval=year", "tz=Mars", "from=tomorrow", "group_by=colour", "from=2026-01-01&interval=hour", "from=2027-01-01", "x=1"]
    {
        let answer = app.get(&format!("{REPORT}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.json);
        assert!(["invalid-parameter", "unknown-parameter"].contains(&answer.problem()), "{query}");
    }
    assert_eq!(app.get("/v1/workspaces/no%20name/reports/conversations").await.status, 400);
    app.stop().await;
}

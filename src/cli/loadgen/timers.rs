//! Storm and trickle: timers that fall due, and how late their closes are.

use std::collections::HashSet;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::plan::Plan;
use super::{Common, bar, message, per_second, post_all, spread, taken_whole};
use crate::cli::client::Client;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::note;
use crate::cli::send::Sender;
use crate::cli::settings;
use crate::cli::sse::{Filter, Follow};
use crate::clock::{Clock, Stopwatch, WallClock};
use crate::domain::event::AHEAD_MAX;
use crate::domain::{Span, Timestamp};
use crate::wire::time;

/// What a load is expected to take at the least: the first deadline lies behind it.
const LOAD_PER_SECOND: u64 = 5_000;
/// For the rest of the way: settings, the first connections.
const LEAD_MIN: Span = Span::from_secs(3);
/// A close that has not come this long after the last deadline is missing.
const OVERDUE: Duration = Duration::from_secs(15);
/// When all have come: how long to listen for one that comes twice.
const DOUBLES: Duration = Duration::from_secs(1);
/// A trickle is sent this long before its messages' stamps, so that the deadlines are where they were planned.
const TRICKLE_AHEAD: Span = Span::from_millis(500);

#[derive(Args)]
pub struct StormArgs {
    #[arg(long, default_value_t = 50_000)]
    timers: u64,
    /// Over which their deadlines are spread
    #[arg(long, default_value = "1s", value_parser = span)]
    within: Span,
    /// From the load's begin to the first deadline [default: a second for every 5000 timers, and 3]
    #[arg(long, value_parser = span)]
    lead: Option<Span>,
    /// The workspace's period; must be allowed by the service's auto_close.min_period
    #[arg(long, default_value = "1s", value_parser = span)]
    period: Span,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct TrickleArgs {
    /// Timers that fall due each second
    #[arg(long, default_value_t = 250)]
    rate: u64,
    /// For how long
    #[arg(long = "for", default_value = "20s", value_parser = span)]
    duration: Span,
    /// The workspace's period; must be allowed by the service's auto_close.min_period
    #[arg(long, default_value = "1s", value_parser = span)]
    period: Span,
    #[command(flatten)]
    common: Common,
}

pub fn span(text: &str) -> Result<Span, String> {
    Span::parse(text).map_err(|error| error.to_string())
}

pub async fn storm(args: &StormArgs) -> Result<Value, Failure> {
    let client = Client::new(&args.common.target)?;
    let workspace = args.common.workspace();
    switch_on(&client, &workspace, args.period).await?;
    let usual = LEAD_MIN.as_millis() + (args.timers * 1_000 / LOAD_PER_SECOND) as i64;
    let lead = args.lead.unwrap_or(Span::from_millis(usual));
    if lead.as_millis() + args.within.as_millis() > AHEAD_MAX.as_millis() {
        return Err(Failure::usage("stamps may lie 5 min ahead at most: fewer timers, or a shorter --lead and --within"));
    }
    let first_deadline = WallClock.now().plus(lead).plus(args.period);
    let plan = Plan { workspace, timers: args.timers, period: args.period, first_deadline, within: args.within };
    let closes = Closes::follow(&client, &plan).await?;
    let batch = args.common.batch;
    let load = async {
        let (watch, bar) = (Stopwatch::start(), bar(plan.batches(batch), "loading, in batches"));
        post_all(&client, args.connections, plan.batches(batch), |number| plan.body(number, batch), &bar).await?;
        bar.finish_and_clear();
        let elapsed = watch.elapsed();
        note(format_args!("loaded {} timers in {:.1} s; the first is due in {:.1} s", plan.timers, elapsed.as_secs_f64(), {
            first_deadline.since(WallClock.now()).as_millis() as f64 / 1_000.0
        }));
        Ok((elapsed, WallClock.now() <= first_deadline))
    };
    let ((elapsed, loaded_in_time), told) = futures_util::try_join!(load, closes.collect(&plan))?;
    let mut result = judge(&plan, &told);
    result["load_events_per_s"] = per_second(plan.timers, elapsed).into();
    result["loaded_before_first_deadline"] = loaded_in_time.into();
    if !loaded_in_time {
        note("the load took longer than the lead: closes ran while it was under way; raise --lead for a clean storm");
    }
    Ok(result)
}

pub async fn trickle(args: &TrickleArgs) -> Result<Value, Failure> {
    let client = Client::new(&args.common.target)?;
    let workspace = args.common.workspace();
    switch_on(&client, &workspace, args.period).await?;
    let timers = args.rate * args.duration.as_millis().unsigned_abs() / 1_000;
    let first_deadline = WallClock.now().plus(LEAD_MIN).plus(args.period);
    let plan = Plan { workspace, timers, period: args.period, first_deadline, within: args.duration };
    let closes = Closes::follow(&client, &plan).await?;
    let load = async {
        let bar = bar(plan.timers, "messages");
        let mut sender = Sender::new(client.clone(), super::PATIENCE);
        let mut next = 0;
        while next < plan.timers {
            let stamp = |number| plan.deadline(number).minus(plan.period);
            let early_ms = stamp(next).minus(TRICKLE_AHEAD).since(WallClock.now()).as_millis().unsigned_abs();
            tokio::time::sleep(Duration::from_millis(early_ms)).await;
            let until = WallClock.now().plus(TRICKLE_AHEAD);
            let mut body = Vec::new();
            while next < plan.timers && stamp(next) <= until {
                message(&mut body, &plan.workspace, &format!("c{next}"), next, &time::format(stamp(next)), "user");
                next += 1;
            }
            if !body.is_empty() {
                taken_whole(&sender.deliver(body).await?)?;
            }
            bar.set_position(next);
        }
        bar.finish_and_clear();
        Ok(())
    };
    let ((), told) = futures_util::try_join!(load, closes.collect(&plan))?;
    Ok(judge(&plan, &told))
}

/// A period as short as a load test needs is usually not allowed: says how to allow it.
pub async fn switch_on(client: &Client, workspace: &str, period: Span) -> Result<(), Failure> {
    let change = json!({"auto_close": {"enabled": true, "period": period.to_string()}});
    let advice = "\nFor a load test, start it with: ADJOURN__AUTO_CLOSE__MIN_PERIOD=1s adjourn serve";
    let refused = |failure: Failure| match failure.exit {
        Exit::Failed => Failure::failed(format_args!("{failure}{advice}")),
        _ => failure,
    };
    settings::put(client, workspace, &change, None).await.map_err(refused)?;
    Ok(())
}

/// A close as the stream told it: read only when all have come, so that reading costs the measurement nothing.
struct Arrival {
    arrived: Timestamp,
    data: String,
}

struct Closes {
    follow: Follow,
}

impl Closes {
    async fn follow(client: &Client, plan: &Plan) -> Result<Self, Failure> {
        let types = Some("adjourn.conversation.closed.v1".to_owned());
        let filter = Filter { workspace: Some(plan.workspace.clone()), types, after: None };
        Ok(Self { follow: Follow::start(client.clone(), filter).await? })
    }

    /// Everything told until all have come and nothing came for a while, or some are missing.
    async fn collect(mut self, plan: &Plan) -> Result<Vec<Arrival>, Failure> {
        let mut told = Vec::new();
        let last_deadline = plan.first_deadline.plus(plan.within);
        loop {
            let all = told.len() as u64 >= plan.timers;
            let until_last = Duration::from_millis(last_deadline.since(WallClock.now()).as_millis().unsigned_abs());
            let patience = if all { DOUBLES } else { until_last + OVERDUE };
            match tokio::time::timeout(patience, self.follow.next()).await {
                Ok(message) => told.push(Arrival { data: message?.data, arrived: WallClock.now() }),
                Err(_) => return Ok(told),
            }
        }
    }
}

#[derive(Deserialize)]
struct Close {
    subject: String,
    data: CloseData,
}

#[derive(Deserialize)]
struct CloseData {
    scheduled_close_at: String,
    late_ms: i64,
}

fn judge(plan: &Plan, told: &[Arrival]) -> Value {
    let mut conversations = HashSet::new();
    let (mut late_ms, mut arrival_late_ms, mut doubled, mut unreadable, mut early) = (Vec::new(), Vec::new(), 0_u64, 0_u64, 0_u64);
    for Arrival { arrived, data } in told {
        let close = serde_json::from_str::<Close>(data).ok();
        let Some((close, due)) = close.and_then(|close| time::parse(&close.data.scheduled_close_at).map(|due| (close, due))) else {
            unreadable += 1;
            continue;
        };
        if !conversations.insert(close.subject) {
            doubled += 1;
            continue;
        }
        late_ms.push(close.data.late_ms);
        arrival_late_ms.push(arrived.as_millis() - due.as_millis());
        early += u64::from(*arrived < due);
    }
    let last = told.iter().map(|told| told.arrived.since(plan.first_deadline).as_millis()).max();
    json!({
        "timers": plan.timers,
        "within": plan.within.to_string(),
        "closed": conversations.len(),
        "missing": plan.timers.saturating_sub(conversations.len() as u64),
        "doubled": doubled,
        "early": early,
        "unreadable": unreadable,
        "late_ms": spread(late_ms),
        "arrival_late_ms": spread(arrival_late_ms),
        "last_arrival_after_first_deadline_ms": last,
    })
}

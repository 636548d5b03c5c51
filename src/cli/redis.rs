//! `adjourn redis`: whether a Redis is fit for this, and who may use it.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::failure::{Exit, Failure};
use super::output::{Format, Listing, document, note};
use crate::clock::WallClock;
use crate::config::{Config, ConfigArgs, RedisChoice, StoreChoice};
use crate::domain::id::is_name;
use crate::store::redis::acl::{acl_line, acl_optional_line};
use crate::store::redis::check::{Row, Verdict, check};
use crate::store::redis::link::Link;
use crate::store::redis::{RedisOptions, RedisStore, hold};

/// The user and the prefix where nothing is said of either.
const USUAL: &str = "adjourn";

#[derive(Subcommand)]
pub enum RedisVerb {
    /// Say whether a Redis is fit for `adjourn serve`, as it would at its start
    Check(CheckArgs),
    /// Let nothing close from now on: before a backup is restored under nodes that are stopped
    Hold(StoreArgs),
    /// Let closing go on, after a backup was restored or `hold`
    Resume(StoreArgs),
    /// Print the command that makes a user who may do what adjourn needs, and nothing else
    Acl(AclArgs),
}

/// What `adjourn serve` would be told: the file and the environment count as they do there.
#[derive(Args)]
pub struct StoreArgs {
    /// Configuration file, TOML
    #[arg(long, value_name = "FILE", env = "ADJOURN_CONFIG")]
    config: Option<PathBuf>,
    /// The Redis, such as redis://HOST
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Any key of the configuration, such as --set redis.prefix=staging
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Args)]
pub struct CheckArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// What an accepted event must survive, standard or strict
    #[arg(long, value_name = "MODE")]
    durability: Option<String>,
}

#[derive(Args)]
pub struct AclArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The user's name [default: the one of the store's URL, else adjourn]
    #[arg(long, value_name = "NAME", value_parser = name)]
    user: Option<String>,
    /// What the keys begin with [default: redis.prefix]
    #[arg(long, value_name = "PREFIX", value_parser = name)]
    prefix: Option<String>,
}

fn name(text: &str) -> Result<String, &'static str> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("must be 1 to 128 of A-Z a-z 0-9 . _ : -") }
}

pub async fn run(verb: RedisVerb, format: Option<Format>) -> Result<(), Failure> {
    match verb {
        RedisVerb::Check(args) => look(args, format.unwrap_or(Format::Table)).await,
        RedisVerb::Hold(args) => hold_closes(args).await,
        RedisVerb::Resume(args) => resume_closes(args).await,
        RedisVerb::Acl(args) => print_acl(args, format),
    }
}

fn configured(store: StoreArgs, durability: Option<String>) -> Result<StoreChoice, Failure> {
    let StoreArgs { config, store, set } = store;
    let args = ConfigArgs { config, store, durability, set, ..ConfigArgs::default() };
    let config = args.sources().and_then(Config::load).map_err(|error| Failure::new(Exit::Usage, error))?;
    Ok(config.store)
}

fn linked(args: StoreArgs, durability: Option<String>) -> Result<(Link, RedisChoice), Failure> {
    let StoreChoice::Redis(choice) = configured(args, durability)? else {
        return Err(Failure::usage("the configured store is no Redis: name one with --store redis://HOST"));
    };
    let link = RedisStore::link(choice.target.clone(), &RedisOptions::new("cli")).map_err(Failure::failed)?;
    Ok((link, *choice))
}

async fn hold_closes(args: StoreArgs) -> Result<(), Failure> {
    let (link, RedisChoice { prefix, .. }) = linked(args, None)?;
    let begins = hold::hold(&link, &prefix, "an operator said so").await.map_err(Failure::failed)?;
    // A node that is about to look has closes on their way.
    note("asking every node to hold");
    tokio::time::sleep(hold::HEARD_AFTER).await;
    note(if begins { "nothing closes from now on; `adjourn redis resume` ends that" } else { "it was held already" });
    Ok(())
}

async fn resume_closes(args: StoreArgs) -> Result<(), Failure> {
    let (link, RedisChoice { prefix, .. }) = linked(args, None)?;
    match hold::resume(&link, &prefix).await.map_err(Failure::failed)? {
        Some(hold) => note(format_args!("closing goes on within a second; it was held: {}", hold.why)),
        None => note("nothing was held"),
    }
    Ok(())
}

async fn look(args: CheckArgs, format: Format) -> Result<(), Failure> {
    let (link, RedisChoice { prefix, durability, .. }) = linked(args.store, args.durability)?;
    let report = check(&link, durability, &prefix, &WallClock).await;
    let items: Vec<Finding> = report.rows.iter().map(Finding::of).collect();
    let columns = &["check", "verdict", "found", "advice"];
    let row = |finding: &Finding| [finding.check, finding.verdict, finding.found, finding.advice].map(str::to_owned).into();
    Listing { items: &items, columns, row: &row }.print(format)?;
    match report.verdict() {
        Verdict::Ok | Verdict::Warning => Ok(()),
        Verdict::Refused => Err(Failure::failed(format_args!("{} cannot be used as it is", link.target()))),
    }
}

#[derive(Serialize)]
struct Finding<'a> {
    check: &'a str,
    verdict: &'static str,
    found: &'a str,
    advice: &'a str,
}

impl<'a> Finding<'a> {
    fn of(row: &'a Row) -> Self {
        let verdict = match row.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Refused => "refused",
        };
        Self { check: row.name, verdict, found: &row.found, advice: &row.advice }
    }
}

fn print_acl(args: AclArgs, format: Option<Format>) -> Result<(), Failure> {
    let (user, prefix) = match configured(args.store, None)? {
        StoreChoice::Redis(choice) => (choice.target.login.user, choice.prefix),
        StoreChoice::Embedded(_) => (None, USUAL.into()),
    };
    let user = args.user.map(Into::into).or(user).unwrap_or_else(|| USUAL.into());
    let prefix = args.prefix.map_or(prefix, Into::into);
    let (acl, optional) = (acl_line(&user, &prefix), acl_optional_line(&user));
    match format {
        Some(format @ (Format::Json | Format::Ndjson)) => document(format, &json!({"acl": acl, "optional": optional}))?,
        // Not as a table: the line is to be copied.
        Some(Format::Table) | None => {
            writeln!(std::io::stdout().lock(), "{acl}")?;
            note(format_args!("Optional, for `redis check` to see how often the append-only file is synced: {optional}"));
        }
    }
    Ok(())
}

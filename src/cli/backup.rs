//! `adjourn backup`: a copy of the embedded store, by the service that has it or, where that is stopped, by this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::failure::{Exit, Failure};
use super::healthcheck::reachable;
use super::output::{Format, cell, document, note, watched};
use crate::clock::WallClock;
use crate::config::{ConfigArgs, admin_listen};
use crate::edge::http::backup::view;
use crate::store::embedded::{EmbeddedOptions, EmbeddedStore, OpenError};
use crate::store::{BackupRefused, Store};

/// Between two questions how far it is.
const ASK_AGAIN: Duration = Duration::from_millis(200);
const API: [&str; 2] = ["v1", "backup"];

#[derive(Args)]
pub struct BackupArgs {
    /// A new directory for it, on the machine of the service and outside its store
    path: PathBuf,
    /// Configuration file of the service, TOML; of it, where its admin port is
    #[arg(long, value_name = "FILE", env = "ADJOURN_CONFIG")]
    config: Option<PathBuf>,
    /// Address of the service's admin port
    #[arg(long, value_name = "ADDR:PORT")]
    admin_listen: Option<String>,
    /// Copy the store in this directory, whose service is stopped
    #[arg(long, value_name = "embedded:DIRECTORY", conflicts_with = "admin_listen")]
    store: Option<String>,
}

pub async fn run(args: BackupArgs, format: Option<Format>) -> Result<(), Failure> {
    // The service has another working directory.
    let path = std::path::absolute(&args.path).map_err(|error| Failure::usage(format_args!("{}: {error}", args.path.display())))?;
    let whole = match &args.store {
        Some(store) => here(store, path).await?,
        None => by_the_service(args, &path).await?,
    };
    note("restore it with `adjourn serve --store embedded:` and a copy of that directory: it begins with its closes held");
    Ok(document(format.unwrap_or(Format::Table), &whole)?)
}

async fn by_the_service(args: BackupArgs, path: &Path) -> Result<Value, Failure> {
    let config = ConfigArgs { config: args.config, admin_listen: args.admin_listen, ..ConfigArgs::default() };
    let listen = config.sources().and_then(admin_listen).map_err(|error| Failure::new(Exit::Usage, error))?;
    let client = Client::near(&reachable(&listen))?;
    let path = path.to_str().ok_or_else(|| Failure::usage("the path must be UTF-8"))?;
    let begun = client.act(Method::POST, &API, &[], &json!({"path": path})).await?;
    let bar = bar();
    if watched() {
        note("interrupted here, it goes on in the service");
    }
    loop {
        let now = client.get(&API, &[]).await?;
        if now["path"] != begun["path"] || now["taken_at"] != begun["taken_at"] {
            return Err(Failure::failed("the service was started again, or took another backup: this one is not known any more"));
        }
        if let Some(ended) = ended(&bar, now)? {
            return Ok(ended);
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

async fn here(store: &str, path: PathBuf) -> Result<Value, Failure> {
    let Some(dir) = store.strip_prefix("embedded:").filter(|dir| !dir.is_empty()) else {
        return Err(Failure::usage("--store must be embedded:DIRECTORY; Redis keeps its own files, which are to be copied"));
    };
    let options = EmbeddedOptions { as_it_is: true, ..EmbeddedOptions::new(Arc::new(WallClock)) };
    let store = EmbeddedStore::open(Path::new(dir), options).map_err(|error| match error {
        OpenError::InUse { .. } => {
            Failure::new(Exit::Conflict, "a service is using that store: leave out --store, and it takes the backup")
        }
        error => Failure::failed(error),
    })?;
    store.begin_backup(path).await.map_err(|refused| match refused {
        BackupRefused::Place(_) => Failure::usage(refused),
        refused => Failure::failed(refused),
    })?;
    let bar = bar();
    loop {
        if let Some(whole) = store.backup().map(|now| ended(&bar, view(&now))).transpose()?.flatten() {
            return Ok(whole);
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// `None`: it goes on.
fn ended(bar: &ProgressBar, now: Value) -> Result<Option<Value>, Failure> {
    let number = |name: &str| now[name].as_u64().unwrap_or(0);
    match now["state"].as_str() {
        Some("running") => {
            bar.set_length(number("rows_of"));
            bar.set_position(number("rows"));
            Ok(None)
        }
        Some("whole") => {
            bar.finish_and_clear();
            Ok(Some(now))
        }
        _ => Err(Failure::failed(format_args!("there is no backup: {}", cell(&now["reason"])))),
    }
}

fn bar() -> ProgressBar {
    if !watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {human_pos} of {human_len} rows");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

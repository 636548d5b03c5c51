//! `adjourn demo`: the main job on real conversations, in half a minute.
//!
//! The service runs in this process, on the embedded store in a directory of its own that is gone afterwards. A slice of a
//! real help channel is played into it over HTTP, so much faster than it happened that the period takes seconds; what the
//! service tells is shown as it comes (`board.rs`).

mod board;
mod play;
mod view;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::client::Client;
use super::failure::Failure;
use super::output::note;
use super::send::pace::{Speed, scaled};
use super::serve::{chain, shutdown};
use super::sse::{Filter, Follow};
use super::{notifications, settings};
use crate::app::App;
use crate::clock::{Clock, WallClock};
use crate::config::{Config, Sources};
use crate::domain::Span;
use board::Board;
use play::Play;
use view::View;

/// The workspace of the slice.
const WORKSPACE: &str = "ubuntu";
/// Between two looks at the countdowns.
const FRAME: Duration = Duration::from_millis(100);
/// After the last message and the last deadline: nothing more comes.
const QUIET: Span = Span::from_secs(1);

#[derive(Args)]
pub struct DemoArgs {
    /// Go on serving afterwards, for trying things out
    #[arg(long)]
    keep: bool,
    /// Quiet time after which a conversation closes, in the time of the channel
    #[arg(long, default_value = "5m", value_parser = period)]
    period: Span,
    /// How much faster than it happened
    #[arg(long, default_value = "100x")]
    speed: Speed,
}

fn period(text: &str) -> Result<Span, String> {
    Span::parse(text).map_err(|error| error.to_string())
}

pub fn run(args: &DemoArgs) -> Result<(), Failure> {
    actix::System::new().block_on(async {
        let home = Home::new()?;
        let app = App::build(config(&home)?).map_err(|error| chain(&error))?;
        let client = Client::local(app.public_addr())?;
        let url = format!("http://{}", app.public_addr());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::task::spawn_local(app.run_until(async { drop(stopped.await) }));
        let interrupted = shutdown()?;
        let shown = tokio::select! {
            shown = demonstrate(args, &client, &url) => shown,
            () = interrupted => Ok(()),
        };
        drop(stop);
        serving.await.map_err(Failure::failed)?.map_err(|error| chain(&error))?;
        shown
    })
}

/// The period as it is played: whole seconds, because that is what settings take, and one at the least.
fn played_period(args: &DemoArgs) -> Span {
    let seconds = (scaled(args.period, args.speed).as_millis() + 999) / 1_000;
    Span::from_secs(seconds.max(1))
}

/// A service for one demo: any free ports, a short period allowed, and nothing of the caller's environment.
fn config(home: &Home) -> Result<Config, Failure> {
    let store = format!("embedded:{}", home.0.join("store").display());
    let flags = [("listen", "127.0.0.1:0"), ("admin_listen", "127.0.0.1:0"), ("store", &store), ("auto_close.min_period", "1s")];
    let flags = flags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Config::load(Sources { file: None, environment: HashMap::new(), flags }).map_err(Failure::failed)
}

/// Shows the slice; then goes on serving until interrupted, where that is wanted.
async fn demonstrate(args: &DemoArgs, client: &Client, url: &str) -> Result<(), Failure> {
    show(args, client).await?;
    if args.keep {
        note(goodbye(url, played_period(args)));
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// Plays the slice and shows what comes of it.
async fn show(args: &DemoArgs, client: &Client) -> Result<(), Failure> {
    let period = played_period(args);
    let change = json!({"auto_close": {"enabled": true, "period": period.to_string()}});
    settings::put(client, WORKSPACE, &change, None).await?;
    let filter = Filter { workspace: Some(WORKSPACE.into()), types: Some(notifications::full_names(board::TYPES)), after: None };
    let mut follow = Follow::start(client.clone(), filter).await?;
    let play = Play::new(args.speed, WallClock.now())?;
    let mut view = View::new(&play, args.period, args.speed, period)?;
    let mut board = Board::new();
    let playing = play.run(client);
    tokio::pin!(playing);
    let mut frames = tokio::time::interval(FRAME);
    let mut played = None;
    while !(played.is_some() && board.is_quiet(WallClock.now(), QUIET)) {
        tokio::select! {
            message = follow.next() => {
                if let Some(happening) = board.take_in(&message?.data, WallClock.now()) {
                    view.tell(&happening)?;
                }
            }
            sent = &mut playing, if played.is_none() => played = Some(sent?),
            _ = frames.tick() => view.draw(&board, WallClock.now()),
        }
    }
    view.finish();
    Ok(view::summary(&board, played.unwrap_or_default(), args.keep)?)
}

/// What to try while it goes on serving.
fn goodbye(url: &str, period: Span) -> String {
    format!(
        r#"
Still serving at {url}; Ctrl-C ends it and removes everything. In a second terminal:

  export ADJOURN_URL={url}
  curl -s $ADJOURN_URL/v1/workspaces/{WORKSPACE}/conversations?limit=3
  curl -N $ADJOURN_URL/v1/notifications?workspace={WORKSPACE} &
  curl -s $ADJOURN_URL/v1/events -H 'Content-Type: application/cloudevents+json' -d '{{"specversion":"1.0","id":"try-1",
    "source":"/curl","type":"inbox.message.v1","subject":"mine","workspace":"{WORKSPACE}","time":"'$(date -u +%FT%TZ)'","data":{{"source":"user"}}}}'

That message arms a timer: {period} later the conversation `mine` closes, unless its contact ("source":"contact") replies."#
    )
}

/// A directory that is gone when the demo is.
struct Home(PathBuf);

impl Home {
    fn new() -> Result<Self, Failure> {
        let name = format!("adjourn-demo-{}-{}", std::process::id(), WallClock.now().as_millis());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(|error| Failure::failed(format_args!("{}: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

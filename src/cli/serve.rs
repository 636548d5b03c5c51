//! `adjourn serve`: the service, until it is told to stop.

use tokio::signal::unix::{SignalKind, signal};

use super::failure::{Exit, Failure};
use crate::app::App;
use crate::config::{Config, ConfigArgs};
use crate::telemetry;

pub fn run(args: ConfigArgs) -> Result<(), Failure> {
    let unusable = |error| Failure::new(Exit::Usage, error);
    let config = args.sources().and_then(Config::load).map_err(unusable)?;
    telemetry::start_logging(&config.log).map_err(|error| chain(&error))?;
    actix::System::new().block_on(async {
        // The signals first: whoever stops us while we start is heard.
        let shutdown = shutdown()?;
        let app = App::build(config).map_err(|error| chain(&error))?;
        app.run_until(shutdown).await.map_err(|error| chain(&error))
    })
}

/// Resolves when the process is asked to stop, by the terminal or by whoever runs it.
pub fn shutdown() -> Result<impl Future<Output = ()>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// An error with all its causes, on one line.
pub fn chain(error: &anyhow::Error) -> Failure {
    Failure::failed(format_args!("{error:#}"))
}

//! Who listens to what is logged and counted: on the thread of a test by itself, on all others together.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tracing_subscriber::fmt::MakeWriter;

/// What the threads say that belong to no test: those of the stores.
static OTHERS: LazyLock<(Log, PrometheusHandle)> = LazyLock::new(|| {
    let log = Log::default();
    tracing::subscriber::set_global_default(subscriber(&log)).unwrap();
    (log, PrometheusBuilder::new().install_recorder().unwrap())
});

fn subscriber(log: &Log) -> impl tracing::Subscriber + Send + Sync + use<> {
    tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish()
}

/// From its making until it is dropped.
pub struct Witness {
    log: Log,
    metrics: PrometheusHandle,
    _heard: tracing::subscriber::DefaultGuard,
    _counted: metrics::LocalRecorderGuard<'static>,
}

impl Witness {
    pub fn new() -> Self {
        LazyLock::force(&OTHERS);
        let log = Log::default();
        // Lives as long as the process: a guard must not outlive it.
        let recorder: &'static PrometheusRecorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        Self {
            metrics: recorder.handle(),
            _heard: tracing::subscriber::set_default(subscriber(&log)),
            _counted: metrics::set_default_local_recorder(recorder),
            log,
        }
    }

    /// That a line was logged in which all of these occur.
    pub fn heard(&self, words: &[&str]) {
        let log = self.log.text() + &OTHERS.0.text();
        assert!(log.lines().any(|line| words.iter().all(|word| line.contains(word))), "no line with {words:?} in\n{log}");
    }

    /// That a counter of this name and label has been counted.
    pub fn counted(&self, name: &str, label: &str) {
        let all = self.metrics.render() + &OTHERS.1.render();
        assert!(all.lines().any(|line| line.starts_with(name) && line.contains(label)), "no {name} with {label} in\n{all}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

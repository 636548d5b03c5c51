//! Children that do not outlive their test, however it ends.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use std::{array, io};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

/// For anything that is only waited for: far more than it takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A command that the kernel ends with us: a test that is killed, or a server kept for the whole run, leaves nothing behind.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A running child.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts what [`command`] began. Its words go to the end of `log`.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let words = |_| OpenOptions::new().create(true).append(true).open(log).unwrap();
        let [out, err]: [File; 2] = array::from_fn(words);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = spawn(command).unwrap_or_else(|error| panic!("setpriv (of util-linux) starts every server of the tests: {error}"));
        Self { child, log: log.to_owned() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL; gone when this returns.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGSTOP; every thread of it stands still when this returns.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        self.wait_for(WaitIdOptions::STOPPED);
    }

    /// SIGCONT.
    pub fn cont(&self) {
        self.signal(Signal::CONT);
        self.wait_for(WaitIdOptions::CONTINUED);
    }

    /// SIGTERM, and waits for what comes of it.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let mut status = None;
        wait_until("it ends when it is asked to", || {
            status = self.ended();
            status.is_some()
        });
        status.unwrap()
    }

    /// SIGTERM.
    pub fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// The end of what it said, for a failing test.
    pub fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn wait_for(&self, state: WaitIdOptions) {
        let told = waitid(WaitId::Pid(self.pid()), state).unwrap();
        assert!(told.is_some_and(|status| !status.exited() && !status.killed()), "it ended instead:\n{}", self.last_words());
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command to be run when this is dropped or when this process is gone, however that came.
pub struct Afterwards(Child);

impl Afterwards {
    /// It waits for the end of its input, whose other end only we have; a Ctrl-C is meant for us.
    pub fn run(words: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", r#"trap "" INT TERM HUP; read -r _; exec "$@""#, "afterwards"]).args(words);
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Afterwards {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A directory of its own, gone when it is dropped, or with this process where it is kept for the whole run.
pub fn directory() -> TempDir {
    static ALL: LazyLock<(PathBuf, Afterwards)> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap().keep();
        let removal = Afterwards::run(&["rm", "-rf", dir.to_str().unwrap()]);
        (dir, removal)
    });
    tempfile::tempdir_in(&ALL.0).unwrap()
}

/// Starts it from a thread that lives as long as this process: the kernel ends a child with the *thread* that made it, and a
/// test's own thread ends before what it shares with others.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, received) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in received {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, spawned) = mpsc::channel();
    SPAWNER.send((command, answer)).unwrap();
    spawned.recv().unwrap()
}

/// Asks every few milliseconds until it is so.
pub fn wait_until(what: &str, mut it_is_so: impl FnMut() -> bool) {
    let asked = Instant::now();
    while !it_is_so() {
        assert!(asked.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A port nobody listens on, below those that the system gives to connections going out: between two lives of a server, one
/// of those could otherwise take the place, or a client that tries again and again could meet itself.
pub fn free_port() -> u16 {
    /// Given out to the tests of this process, which run side by side; a server that was just killed holds none.
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap();
    loop {
        // Random bits from the one source of them there is here.
        let port = 10_000 + (uuid::Uuid::new_v4().as_u128() % 22_000) as u16;
        if given.insert(port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

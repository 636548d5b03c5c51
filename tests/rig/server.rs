//! A `redis-server` of our own on loopback, in a directory of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use redis::TlsCertificates;
use tempfile::TempDir;

use super::clock::ClockFile;
use super::power;
use super::process::{self, Process, free_port, wait_until};

/// What is written to the append-only file before a command is answered.
#[derive(Clone, Copy, Default)]
pub enum Aof {
    #[default]
    Off,
    Everysec,
    Always,
}

#[derive(Clone, Default)]
pub struct Options {
    pub aof: Aof,
    /// Lines for `redis.conf`, e.g. `maxmemory 8mb` or `user app on >secret ~adjourn:* +@all`.
    pub lines: Vec<String>,
    /// The port of its primary.
    pub replica_of: Option<u16>,
    /// A second port that speaks TLS, with a certificate for 127.0.0.1 and localhost.
    pub tls: bool,
    /// The date it goes by.
    pub clock: Option<Arc<ClockFile>>,
    /// Whether it can lose its power; its date is the machine's then.
    pub power: bool,
}

impl Options {
    pub fn aof(aof: Aof) -> Self {
        Self { aof, ..Self::default() }
    }

    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }
}

/// The directory of the append-only file's parts, as Redis calls it.
const APPENDED: &str = "appendonlydir";

/// One server. It ends when this is dropped.
pub struct Server {
    process: Option<Process>,
    port: u16,
    tls_port: Option<u16>,
    clock: Option<Arc<ClockFile>>,
    power: bool,
    dir: TempDir,
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "{} cannot be copied to {}", from.display(), to.display());
}

impl Server {
    /// Answers `PING` when this returns.
    pub fn start(options: Options) -> Self {
        let dir = process::directory();
        let tls_port = options.tls.then(free_port);
        if options.tls {
            make_certificates(dir.path());
        }
        let mut server = Self { process: None, port: free_port(), tls_port, clock: options.clock.clone(), power: options.power, dir };
        fs::write(server.file("redis.conf"), server.config(&options)).unwrap();
        server.restart();
        server
    }

    /// Starts it again, on the same port and what is on the disk, as the README has it: what was cut off in the middle of a
    /// transaction is taken away first.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        self.mend_append_only_file();
        let mut command = process::command("redis-server");
        command.arg(self.file("redis.conf")).current_dir(self.dir.path());
        if let Some(clock) = &self.clock {
            clock.preload(&mut command);
        }
        if self.power {
            assert!(self.clock.is_none(), "one library is preloaded, not two");
            power::preload(self.dir.path(), &mut command);
        }
        self.process = Some(Process::start(command, &self.file("log")));
        wait_until("redis-server answers", || {
            let process = self.process.as_mut().unwrap();
            assert!(process.ended().is_none(), "redis-server ended at once:\n{}", process.last_words());
            answers(self.port)
        });
    }

    /// Redis leaves the beginning of a transaction in its file that a crash cut off within a command, and takes what it writes
    /// from then on for the rest of it: at the next start that runs late, or not at all (valkey-io/valkey#4342).
    fn mend_append_only_file(&self) {
        let manifest = self.file(APPENDED).join("appendonly.aof.manifest");
        if !manifest.exists() {
            return;
        }
        let mut check = Command::new("redis-check-aof");
        check.arg("--fix").arg(&manifest).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut checking = check.spawn().expect("redis-check-aof, which comes with redis-server");
        // It asks where there is something to be mended, and may be gone before it is answered where there is not.
        let _ = checking.stdin.take().unwrap().write_all(b"y\n");
        let told = checking.wait_with_output().unwrap();
        assert!(told.status.success(), "{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    }

    /// SIGKILL: what was not written is lost.
    pub fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// What was not brought to the disk is lost, of the append-only file: how many bytes.
    pub fn lose_power(&mut self) -> u64 {
        self.kill();
        let entries = fs::read_dir(self.file(APPENDED)).unwrap().map(|entry| entry.unwrap().path());
        let appended: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().ends_with(".incr.aof")).collect();
        power::lose(self.dir.path(), &appended)
    }

    /// Copies its append-only file into this directory, while it writes or not.
    pub fn back_up(&self, to: &Path) {
        copy(&self.file(APPENDED), to);
    }

    /// SIGKILL; it comes back with what [`Self::back_up`] put there.
    pub fn restore(&mut self, from: &Path) {
        self.kill();
        fs::remove_dir_all(self.file(APPENDED)).unwrap();
        copy(&from.join(APPENDED), self.dir.path());
        self.restart();
    }

    /// From now on nothing can be appended to its file.
    pub fn fill_disk(&self) {
        assert!(self.power, "started with the shim that can do it");
        fs::write(power::full(self.dir.path()), "").unwrap();
    }

    pub fn free_disk(&self) {
        fs::remove_file(power::full(self.dir.path())).unwrap();
    }

    /// SIGTERM: it writes what it has and goes.
    pub fn terminate(&mut self) -> ExitStatus {
        self.process.take().expect("it runs").terminate()
    }

    /// SIGSTOP: connections stay, and are accepted by the kernel, but nobody answers.
    pub fn stop(&self) {
        self.process.as_ref().expect("it runs").stop();
    }

    /// SIGCONT.
    pub fn cont(&self) {
        self.process.as_ref().expect("it runs").cont();
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// For clients that trust [`Self::ca`].
    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.tls_port.expect("started with TLS"))
    }

    /// The certificate of the authority that signed the server's, as PEM.
    pub fn ca(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// The directory it keeps its files in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A connection of the test's own, with time limits on everything.
    pub fn connection(&self) -> redis::Connection {
        connection_to(self.port)
    }

    pub fn tls_connection(&self) -> redis::Connection {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificates = TlsCertificates { client_tls: None, root_cert: Some(fs::read(self.ca()).unwrap()) };
        connect(&redis::Client::build_with_tls(self.tls_url(), certificates).unwrap()).unwrap()
    }

    /// What it wrote to its log last, for a failing test.
    pub fn last_words(&self) -> String {
        self.process.as_ref().map(Process::last_words).unwrap_or_default()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self, options: &Options) -> String {
        let mut lines = vec![
            format!("port {}", self.port),
            "bind 127.0.0.1".to_owned(),
            format!("dir {}", self.dir.path().display()),
            // No snapshots: what a test is told to be kept, the append-only file keeps.
            "save \"\"".to_owned(),
            // A replica that joins waits for nobody else.
            "repl-diskless-sync-delay 0".to_owned(),
        ];
        match options.aof {
            Aof::Off => lines.push("appendonly no".to_owned()),
            Aof::Everysec => lines.extend(["appendonly yes".to_owned(), "appendfsync everysec".to_owned()]),
            Aof::Always => lines.extend(["appendonly yes".to_owned(), "appendfsync always".to_owned()]),
        }
        lines.extend(options.replica_of.map(|port| format!("replicaof 127.0.0.1 {port}")));
        if let Some(port) = self.tls_port {
            let file = |name| self.file(name).display().to_string();
            lines.push(format!("tls-port {port}"));
            lines.push(format!("tls-cert-file {}", file("server.crt")));
            lines.push(format!("tls-key-file {}", file("server.key")));
            lines.push(format!("tls-ca-cert-file {}", file("ca.crt")));
            lines.push("tls-auth-clients no".to_owned());
        }
        lines.extend(options.lines.iter().cloned());
        lines.join("\n") + "\n"
    }
}

pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Long enough for any answer of a server that lives, and short enough to find out that one does not.
const ANSWER: Duration = Duration::from_secs(10);

/// A connection to whoever listens there, with time limits on everything.
pub fn connection_to(port: u16) -> redis::Connection {
    try_connection_to(port).unwrap()
}

/// For who asks while servers change their roles: Sentinel has them end their connections then.
pub fn try_connection_to(port: u16) -> redis::RedisResult<redis::Connection> {
    connect(&redis::Client::open(format!("redis://127.0.0.1:{port}"))?)
}

fn connect(client: &redis::Client) -> redis::RedisResult<redis::Connection> {
    let connection = client.get_connection_with_timeout(ANSWER)?;
    connection.set_read_timeout(Some(ANSWER))?;
    connection.set_write_timeout(Some(ANSWER))?;
    Ok(connection)
}

/// Whether somebody on this port has an answer to `PING` by now, be it that we may not ask.
pub fn answers(port: u16) -> bool {
    let reply = || {
        let mut stream = TcpStream::connect_timeout(&loopback(port), ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(b"PING\r\n")?;
        let mut reply = [0; 5];
        stream.read_exact(&mut reply)?;
        std::io::Result::Ok(reply)
    };
    reply().is_ok_and(|reply| [*b"+PONG", *b"-NOAU", *b"-NOPE"].contains(&reply))
}

/// An authority of this server's own and a certificate signed by it.
fn make_certificates(dir: &Path) {
    fs::write(dir.join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(dir, &format!("req -x509 {key} -days 2 -subj /CN=rig-ca -keyout ca.key -out ca.crt"));
    openssl(dir, &format!("req {key} -subj /CN=localhost -keyout server.key -out server.csr"));
    openssl(dir, "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt");
}

fn openssl(dir: &Path, args: &str) {
    let told = Command::new("openssl").args(args.split(' ')).current_dir(dir).output().expect("openssl makes the certificates");
    assert!(told.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&told.stderr));
}

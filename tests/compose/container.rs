//! One container, and what can happen to it.

use std::time::Duration;

use serde_json::Value;

use super::docker::{PROMPT_S, docker, run, told, until};

/// The admin port, inside.
const ADMIN: u16 = 9090;
/// For one answer: a frozen container accepts a connection and says nothing.
const ANSWER: Duration = Duration::from_secs(2);

/// Which packets between two containers are lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// What this one sends.
    Out,
    /// What the other one sends.
    In,
    Both,
}

#[derive(Clone, Debug)]
pub struct Container {
    pub id: String,
}

impl Container {
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned() }
    }

    /// As `docker inspect` shows it.
    pub fn inspect(&self) -> Value {
        let all: Value = serde_json::from_str(&docker(&["inspect", &self.id])).unwrap();
        all[0].clone()
    }

    pub fn name(&self) -> String {
        self.inspect()["Name"].as_str().unwrap().trim_start_matches('/').to_owned()
    }

    fn service(&self) -> String {
        self.inspect()["Config"]["Labels"]["com.docker.compose.service"].as_str().unwrap().to_owned()
    }

    pub fn is_running(&self) -> bool {
        self.inspect()["State"]["Running"] == true
    }

    /// Its first process, as this machine counts.
    pub fn pid(&self) -> String {
        self.inspect()["State"]["Pid"].to_string()
    }

    /// The end of what it wrote.
    pub fn logs(&self, count: u32) -> String {
        let output = run(PROMPT_S, "docker", &["logs", "--tail", &count.to_string(), &self.id]);
        [output.stdout, output.stderr].iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// Runs a program inside.
    pub fn exec(&self, arguments: &[&str]) -> String {
        docker(&[&["exec", &self.id], arguments].concat())
    }

    /// Where this machine reaches a port of it; another place after each start and each `connect`, none while cut off.
    pub fn url(&self, port: u16) -> Option<String> {
        let inspected = self.inspect();
        let published = inspected["NetworkSettings"]["Ports"][format!("{port}/tcp")][0]["HostPort"].as_str()?;
        Some(format!("http://127.0.0.1:{published}"))
    }

    /// Whether it answers a GET with 200, within 2 s.
    pub async fn answers(&self, port: u16, path: &str) -> bool {
        let Some(url) = self.url(port) else { return false };
        let client = adjourn::tls::http(None).unwrap().no_proxy().timeout(ANSWER).build().unwrap();
        client.get(format!("{url}{path}")).send().await.is_ok_and(|answer| answer.status() == 200)
    }

    pub async fn is_ready(&self) -> bool {
        self.answers(ADMIN, "/readyz").await
    }

    /// Waits until it serves all that it should.
    pub async fn ready(&self) {
        until(&format!("{} is ready", self.name()), async || self.is_ready().await).await;
    }

    /// SIGKILL. It stays down: Compose's restarts are for what ends by itself.
    pub fn kill(&self) {
        docker(&["kill", "--signal", "KILL", &self.id]);
        assert_eq!(docker(&["wait", &self.id]), "137");
    }

    /// SIGTERM, and what it came to: the exit code.
    pub fn stop(&self) -> String {
        docker(&["stop", "--time", "30", &self.id]);
        self.inspect()["State"]["ExitCode"].to_string()
    }

    /// After `kill` or `stop`: the same container, with its files and its name. Cuts are healed.
    pub fn start(&self) {
        docker(&["start", &self.id]);
    }

    /// Frozen where it stands; connections stay open.
    pub fn pause(&self) {
        docker(&["pause", &self.id]);
    }

    pub fn unpause(&self) {
        docker(&["unpause", &self.id]);
    }

    /// Off the network, for everybody, this machine too.
    pub fn disconnect(&self) {
        docker(&["network", "disconnect", &self.network(), &self.id]);
    }

    /// On the network again, under its service's name.
    pub fn connect(&self) {
        let project = self.inspect()["Config"]["Labels"][super::project::LABEL].as_str().unwrap().to_owned();
        docker(&["network", "connect", "--alias", &self.service(), &format!("{project}_default"), &self.id]);
    }

    /// Loses packets to and from another one, with nobody told. Everybody else gets through.
    pub fn cut(&self, other: &Self, way: Way) {
        let address = other.address();
        if way != Way::In {
            self.iptables(&["-A", "OUTPUT", "-d", &address, "-j", "DROP"]);
        }
        if way != Way::Out {
            self.iptables(&["-A", "INPUT", "-s", &address, "-j", "DROP"]);
        }
    }

    /// Ends its cuts; answers how many packets they took: a cut that took none proved nothing.
    pub fn heal(&self) -> u64 {
        let listed = self.iptables(&["-n", "-v", "-x", "-L"]);
        let rules = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let dropped = rules.filter(|words| words.get(2) == Some(&"DROP")).map(|words| words[0].parse::<u64>().unwrap()).sum();
        self.iptables(&["-F"]);
        dropped
    }

    /// From this machine, as root: the container needs no capability for it.
    fn iptables(&self, arguments: &[&str]) -> String {
        self.in_its_network(&[&["iptables-legacy", "--wait"], arguments].concat())
    }

    /// Runs a program of this machine where the container is.
    pub fn in_its_network(&self, arguments: &[&str]) -> String {
        let pid = self.pid();
        let all = [&["--target", &pid, "--net"], arguments].concat();
        told(&run(PROMPT_S, "nsenter", &all), &format!("nsenter {} (it needs root)", all.join(" ")))
    }

    /// Its one network.
    fn network(&self) -> String {
        self.inspect()["NetworkSettings"]["Networks"].as_object().unwrap().keys().next().expect("on a network").clone()
    }

    /// Its address there.
    pub fn address(&self) -> String {
        self.inspect()["NetworkSettings"]["Networks"][self.network()]["IPAddress"].as_str().unwrap().to_owned()
    }
}

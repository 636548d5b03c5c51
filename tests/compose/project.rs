//! The compose file, up under a name of its own, and nothing left of it afterwards.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::container::Container;
use super::docker::{self, PATIENT_S, PROMPT_S, docker, run, told};
use super::image::{self, Image, ROOT};

/// What every project of these tests begins with; the process's id and a number follow.
const PREFIX: &str = "adjourn-test-";
/// Compose puts it on all it makes, the old program as well as the plugin: names differ between them.
pub const LABEL: &str = "com.docker.compose.project";
/// The file itself, and what a test needs otherwise.
const FILES: [&str; 2] = ["deploy/compose.yaml", "tests/compose/override.yaml"];

pub struct Project {
    pub name: String,
    image: Arc<Image>,
}

impl Project {
    /// Redis and three nodes, each of them ready. What an earlier run left is removed first.
    pub async fn up() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        remove_leftovers();
        let name = format!("{PREFIX}{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let project = Self { name, image: Image::get() };
        project.compose(&["up", "--detach", "--no-build"]);
        for node in project.nodes() {
            node.ready().await;
        }
        project
    }

    /// Runs a compose command on this project.
    pub fn compose(&self, arguments: &[&str]) -> String {
        let (program, plugin) = docker::compose();
        let files: Vec<String> = FILES.iter().map(|file| format!("--file={ROOT}/{file}")).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let all = [plugin, &["--project-name", &self.name], &files, arguments].concat();
        let ran = docker::limited(PATIENT_S, program, &all).env("ADJOURN_IMAGE", &self.image.tag).output().unwrap();
        told(&ran, &format!("{program} {}", all.join(" ")))
    }

    pub fn nodes(&self) -> Vec<Container> {
        self.containers("node")
    }

    pub fn redis(&self) -> Container {
        self.containers("redis").remove(0)
    }

    /// Of a service, running or not, in the order they were numbered.
    fn containers(&self, service: &str) -> Vec<Container> {
        let [project, service] = [format!("label={LABEL}={}", self.name), format!("label=com.docker.compose.service={service}")];
        let format = "{{.Label \"com.docker.compose.container-number\"}} {{.ID}}";
        let listed = docker(&["ps", "--all", "--no-trunc", "--filter", &project, "--filter", &service, "--format", format]);
        let mut numbered: Vec<&str> = listed.lines().collect();
        numbered.sort_unstable();
        numbered.into_iter().filter_map(|line| Some(Container::new(line.split_once(' ')?.1))).collect()
    }

    /// The last words of everybody, for a failing test.
    fn logs(&self) -> String {
        let containers = [self.nodes(), self.containers("redis")].concat();
        containers.iter().map(|container| format!("--- {}\n{}\n", container.name(), container.logs(20))).collect()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        remove(&self.name);
    }
}

/// Removes all of a project, as it is: frozen, cut off, or half begun.
fn remove(project: &str) {
    let of_it = format!("label={LABEL}={project}");
    for (list, remove) in [
        (&["ps", "--all", "--quiet"][..], &["rm", "--force", "--volumes"][..]),
        (&["network", "ls", "--quiet"], &["network", "rm"]),
        (&["volume", "ls", "--quiet"], &["volume", "rm", "--force"]),
    ] {
        let listed = run(PROMPT_S, "docker", &[list, &["--filter", &of_it]].concat());
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let ids: Vec<&str> = listed.lines().collect();
        if !ids.is_empty() {
            run(PROMPT_S, "docker", &[remove, &ids].concat());
        }
    }
}

/// Removes what processes left that did not come to their end.
pub fn remove_leftovers() {
    let any = format!("label={LABEL}");
    let name = format!("{{{{.Label \"{LABEL}\"}}}}");
    for list in [&["ps", "--all"][..], &["network", "ls"], &["volume", "ls"]] {
        let listed = docker(&[list, &["--filter", &any, "--format", &name]].concat());
        listed.lines().filter(|project| is_left_over(project)).for_each(remove);
    }
    image::remove_leftovers(is_dead);
}

fn is_left_over(project: &str) -> bool {
    let process = project.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
    process.is_some_and(is_dead)
}

fn is_dead(process: &str) -> bool {
    !Path::new("/proc").join(process).exists()
}

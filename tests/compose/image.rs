//! The image of the binary that this test run has built: by the very Dockerfile, without its minutes of compiling.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::{env, fs};

use tempfile::TempDir;

use super::docker::{self, PATIENT_S, docker, run, told};

/// Of the images, and of the label on what building them leaves behind; the tag and the label's value are the process's id.
const NAME: &str = "adjourn-compose-test";

/// Stands in for cargo: what it would build has been built.
const CARGO: &str = "#!/bin/sh\nmkdir -p target/release && cp /adjourn target/release/\n";
const COMPILER: &str = "FROM debian:bookworm-slim\nCOPY cargo /usr/local/bin/\nCOPY adjourn /\n";

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// An image, gone with the last that uses it.
pub struct Image {
    pub tag: String,
    /// Not somebody else's.
    ours: bool,
}

impl Image {
    /// The one image of this process.
    pub fn get() -> Arc<Self> {
        static IMAGE: Mutex<Weak<Image>> = Mutex::new(Weak::new());
        let mut image = IMAGE.lock().unwrap_or_else(PoisonError::into_inner);
        image.upgrade().unwrap_or_else(|| {
            let made = Arc::new(Self::make());
            *image = Arc::downgrade(&made);
            made
        })
    }

    fn make() -> Self {
        told(&run(PATIENT_S, &format!("{ROOT}/deploy/images.sh"), &["debian:bookworm-slim", "redis:7"]), "base images");
        if let Ok(tag) = env::var("ADJOURN_TEST_IMAGE") {
            return Self { tag, ours: false };
        }
        let id = std::process::id();
        let (compiler, label) = (format!("{NAME}-build:{id}"), format!("{NAME}={id}"));
        let image = Self { tag: format!("{NAME}:{id}"), ours: true };
        docker::build(&compiler, compiler_context().path(), &["--label", &label]);
        let build_image = format!("BUILD_IMAGE={compiler}");
        docker::build(&image.tag, Path::new(ROOT), &["--label", &label, "--build-arg", &build_image]);
        let ran = run(docker::PROMPT_S, "docker", &["run", "--rm", &image.tag, "--version"]);
        told(&ran, "this run's binary does not run in the image; name one that was built by `docker build` in ADJOURN_TEST_IMAGE");
        image
    }
}

/// What an image with such a cargo is built of.
fn compiler_context() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let place = |name: &str| home.path().join(name);
    // Without what a debugger reads: four fifths of it.
    told(&run(PATIENT_S, "strip", &["-o", place("adjourn").to_str().unwrap(), env!("CARGO_BIN_EXE_adjourn")]), "strip");
    fs::write(place("cargo"), CARGO).unwrap();
    fs::set_permissions(place("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(place("Dockerfile"), COMPILER).unwrap();
    home
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.ours {
            remove(&std::process::id().to_string());
        }
    }
}

/// Removes the images of a process, and what building them left.
fn remove(id: &str) {
    run(docker::PROMPT_S, "docker", &["rmi", &format!("{NAME}:{id}"), &format!("{NAME}-build:{id}")]);
    run(docker::PROMPT_S, "docker", &["image", "prune", "--force", "--filter", &format!("label={NAME}={id}")]);
}

/// Removes the images of processes that died.
pub fn remove_leftovers(is_dead: impl Fn(&str) -> bool) {
    let images = docker(&["image", "ls", "--filter", &format!("label={NAME}"), "--format", "{{.Tag}}"]);
    images.lines().filter(|id| *id != "<none>" && is_dead(id)).for_each(remove);
}

//! How far a file has been sent: kept beside it while it is under way, so that the next run goes on there.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::pace::Shift;
use crate::cli::failure::Failure;
use crate::cli::output::note;

#[derive(Serialize, Deserialize, Default)]
pub struct Progress {
    /// Size of the file it speaks of; another size is another file.
    file_bytes: u64,
    /// Who took them: another service has none of it.
    service: String,
    /// Lines acknowledged, from the first.
    pub lines: u64,
    pub accepted: u64,
    pub duplicates: u64,
    pub rejected: u64,
    pub shift: Option<Shift>,
    #[serde(skip)]
    path: Option<PathBuf>,
    /// Somebody asked for it to be remembered, there.
    #[serde(skip)]
    asked: bool,
}

impl Progress {
    /// Takes up what an earlier run left, if it left anything.
    pub fn open(file: &str, service: &str, path: Option<&str>) -> Result<Self, Failure> {
        let asked = path.is_some();
        let path = match (path, file) {
            (Some(path), _) => Some(PathBuf::from(path)),
            (None, "-") => None,
            (None, file) => Some(PathBuf::from(format!("{file}.adjourn-progress"))),
        };
        let file_bytes = if file == "-" { 0 } else { fs::metadata(file).map_err(|error| unusable(file, error))?.len() };
        let fresh = Self { file_bytes, service: service.to_owned(), path: path.clone(), asked, ..Self::default() };
        let Some(path) = path else { return Ok(fresh) };
        let shown = path.display().to_string();
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(fresh),
            read => read.map_err(|error| unusable(&shown, error))?,
        };
        let earlier: Self = serde_json::from_slice(&text).map_err(|error| unusable(&shown, error))?;
        if earlier.file_bytes != file_bytes {
            return Err(Failure::failed(format_args!("{shown} speaks of another version of {file}: remove it to start anew")));
        }
        if earlier.service != service {
            let before = earlier.service;
            note(format_args!("{shown} speaks of {before}: starting anew at {service}, where what was sent before changes nothing"));
            return Ok(fresh);
        }
        Ok(Self { path: fresh.path, asked, ..earlier })
    }

    pub fn path(&self) -> String {
        self.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }

    /// Written whole, then put in place: an interruption leaves the old one or the new one.
    /// Where nobody asked for it and nothing can be written, as on a medium that is only to be read, the file is sent
    /// all the same.
    pub fn save(&mut self) -> Result<(), Failure> {
        let Some(path) = &self.path else { return Ok(()) };
        let part = format!("{}.part", path.display());
        let text = serde_json::to_vec(self).map_err(Failure::failed)?;
        match fs::write(&part, text).and_then(|()| fs::rename(&part, path)) {
            Err(error) if self.asked => Err(unusable(&self.path(), error)),
            Err(error) => {
                let action = "an interrupted run will start anew; --progress names another place";
                note(format_args!("{}: {error}: {action}", path.display()));
                self.path = None;
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// The file has been sent: there is nothing to go on with.
    pub fn remove(&self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

fn unusable(what: &str, error: impl std::fmt::Display) -> Failure {
    Failure::failed(format_args!("{what}: {error}"))
}

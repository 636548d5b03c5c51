//! A few lines of C that are preloaded into another process, compiled.

use std::fs;
use std::process::Command;

use super::process::directory;

/// The shared object made of `source`. The linker that Rust needs compiles it.
pub fn compiled(source: &str) -> Vec<u8> {
    let dir = directory();
    let (file, object) = (dir.path().join("shim.c"), dir.path().join("shim.so"));
    fs::write(&file, source).unwrap();
    let told = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&object).arg(&file).output();
    let told = told.expect("cc: Rust's linker, which compiles the shims");
    assert!(told.status.success(), "{}\n{source}", String::from_utf8_lossy(&told.stderr));
    fs::read(object).unwrap()
}

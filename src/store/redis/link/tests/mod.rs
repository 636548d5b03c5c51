//! What only real servers show. All of it with the rights of `acl` and no more.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::Value;
use tempfile::TempDir;

use super::super::testing::*;
use super::*;
use crate::clock::Stopwatch;

mod cluster;
mod sentinel;
mod standalone;
mod tls;

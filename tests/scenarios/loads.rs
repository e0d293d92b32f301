//! Load as a process of its own: `e2e-guest load …`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use e2e::expect::{Context, Failure, Outcome};
use e2e::load::{Limit, opens, read_once, spawn};
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

/// `spawn PROGRAM COUNT PREFIX` runs a program again and again; `read FILE THREADS` has each thread open and read
/// the file once and copies the byte to standard output; `open FILE COUNT` opens a file again and again; `peek FILE` opens it with `O_PATH`
/// and says that it got through.
pub(crate) fn run(words: &[&str]) -> Outcome<ExitCode> {
    match words {
        ["spawn", program, count, prefix] => {
            spawn(Path::new(program), count.parse().context("count")?, prefix)?;
        }
        ["read", file, threads] => {
            read_once(Path::new(file), threads.parse().context("threads")?)?;
        }
        ["open", file, count] => {
            let limit = Limit { time: Duration::from_mins(10), calls: count.parse().context("count")? };
            opens(Path::new(file), 1, limit, &Arc::new(AtomicBool::new(false)))?;
        }
        ["peek", file] => {
            drop(openat(AT_FDCWD, Path::new(file), OFlag::O_PATH, Mode::empty())?);
            crate::say("got through");
        }
        _ => return Err(Failure(format!("load: unknown: {}", words.join(" ")))),
    }
    Ok(ExitCode::SUCCESS)
}

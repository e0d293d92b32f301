//! What events show of a process on request: its environment, the name of its user, its ancestors.

use std::process::Command;

use e2e::ensure;
use e2e::expect::{Failure, Outcome};
use e2e::scenario::{Guest, Settings};

use crate::processes::tiny;

/// Bytes of a variable that needs several records.
const LONG: usize = 100_000;
/// Names of users.
const USERS: &str = "/etc/passwd";

/// A program with three variables, one longer than a record and one not to be shown, run with long arguments by a shell of a shell.
pub(crate) fn on_request(guest: &Guest) -> Outcome {
    let users = std::fs::read(USERS)?;
    std::fs::write(USERS, "master:x:0:0::/:/bin/sh\n")?;
    let outcome = with_users(guest);
    // other scenarios read it
    std::fs::write(USERS, users)?;
    outcome
}

fn with_users(guest: &Guest) -> Outcome {
    let flags = [
        "--enable-process-environment-variables",
        "--filter-environment-variables=MARK,LONG",
        "--enable-ancestors=base",
        "--username-metadata=unix",
    ];
    let mut daemon = Settings::default().flags(&flags).start(guest)?;
    let mut events = daemon.events()?;
    let program = tiny(guest)?;
    let long = "y".repeat(LONG);
    let script = format!("/bin/sh -c '{program} marked $LONG; :'; :");
    let status = Command::new("/bin/sh")
        .args(["-c", &script])
        .env_clear()
        .envs([("MARK", "here"), ("LONG", &long), ("HIDDEN", "x")])
        .status()?;
    ensure!(status.success(), "the shell ended with {status}");
    let seen = daemon.settle(&mut events)?;
    let mut execs = seen.iter().filter_map(|event| event.process_exec.as_ref());
    let exec = there(execs.find(|exec| exec.process.binary == program), "its exec event")?;
    let process = &exec.process;
    ensure!(process.arguments == format!("marked {long}"), "{} bytes of arguments", process.arguments.len());
    let mut variables: Vec<(&str, usize)> = process
        .environment_variables
        .iter()
        .map(|variable| (variable.key.as_str(), variable.value.len()))
        .collect();
    variables.sort_unstable();
    ensure!(variables == [("LONG", LONG), ("MARK", 4)], "variables {variables:?}, flags {}", process.flags);
    ensure!(process.user.name == "master", "user {:?}", process.user);
    ensure!(!process.flags.contains("error"), "flags {}", process.flags);
    let first = there(exec.ancestors.first(), "an ancestor")?;
    ensure!(first.exec_id == exec.parent.parent_exec_id && first.binary == "/bin/sh", "{first:?}");
    let last = there(exec.ancestors.last(), "an ancestor")?;
    ensure!(last.pid == 1, "the last is init: {last:?}");
    Ok(())
}

fn there<T>(what: Option<T>, name: &str) -> Outcome<T> {
    what.ok_or_else(|| Failure(format!("{name} is missing")))
}

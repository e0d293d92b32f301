//! The main job: a policy on the file of password hashes, with each action.

use std::os::unix::process::ExitStatusExt;

use e2e::ensure;
use e2e::event::{Event, Hook};
use e2e::expect::{Failure, Outcome};
use e2e::scenario::{Daemon, Ended, Guest, Settings, must, run, tetra};

use crate::policies;

const POLICY: &str = "detect-shadow-read";

/// Kills the reader before it prints a byte, kills nobody else, and tells who it was.
pub(crate) fn kill(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().policy(&policies::shadow("action: Sigkill")).start(guest)?;
    let mut events = daemon.events()?;
    let before = must(&["cat", "/etc/passwd"])?;
    ensure!(before.stdout.starts_with(b"root:"), "cat /etc/passwd printed {}", before.text());
    let reader = run(&["cat", "/etc/shadow"])?;
    ensure!(reader.killed(), "cat /etc/shadow ended with {}; {}", reader.status, reader.stderr);
    ensure!(reader.stdout.is_empty(), "cat /etc/shadow printed {}", reader.text());
    // What only looks like it is left alone.
    must(&["cat", "/etc/hosts"])?;
    must(&["sh", "-c", "echo x > /etc/shado; cat /etc/shado"])?;

    let seen = daemon.settle(&mut events)?;
    let hook = only_event(&seen, &reader)?;
    expect_shadow(hook, "KPROBE_ACTION_SIGKILL", guest)?;
    let exit = seen.iter().filter_map(|event| event.process_exit.as_ref());
    let exit = exit.filter(|exit| exit.process.pid == reader.pid).collect::<Vec<_>>();
    ensure!(exit.len() == 1, "{} exit events of the reader", exit.len());
    ensure!(exit[0].signal == "SIGKILL", "its exit names the signal {:?}", exit[0].signal);
    let killed =
        seen.iter().filter(|event| event.process_exit.as_ref().is_some_and(|exit| !exit.signal.is_empty()));
    ensure!(killed.count() == 1, "others were killed too");
    expect_count(&daemon, "signal", 1)
}

/// Fails the open with the policy's error; the reader lives to say so.
pub(crate) fn deny(guest: &Guest) -> Outcome {
    let policy = policies::shadow("{action: Override, argError: -13}");
    let mut daemon = Settings::default().policy(&policy).start(guest)?;
    let mut events = daemon.events()?;
    let reader = run(&["cat", "/etc/shadow"])?;
    ensure!(reader.status.code() == Some(1), "cat /etc/shadow ended with {}", reader.status);
    ensure!(reader.stdout.is_empty(), "cat /etc/shadow printed {}", reader.text());
    ensure!(reader.stderr.contains("Permission denied"), "cat /etc/shadow said {:?}", reader.stderr);
    must(&["cat", "/etc/passwd"])?;
    let seen = daemon.settle(&mut events)?;
    expect_shadow(only_event(&seen, &reader)?, "KPROBE_ACTION_OVERRIDE", guest)?;
    expect_count(&daemon, "override", 1)
}

/// Only reports.
pub(crate) fn post(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().policy(&policies::shadow("action: Post")).start(guest)?;
    let mut events = daemon.events()?;
    let reader = must(&["cat", "/etc/shadow"])?;
    ensure!(reader.stdout.starts_with(b"root:"), "cat /etc/shadow printed {}", reader.text());
    let seen = daemon.settle(&mut events)?;
    expect_shadow(only_event(&seen, &reader)?, "KPROBE_ACTION_POST", guest)?;
    expect_count(&daemon, "post", 1)
}

/// A policy that kills, first in monitor mode, then enforced, then in monitor mode again.
pub(crate) fn monitor(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().start(guest)?;
    let mut events = daemon.events()?;
    let options = "spec:\n  options:\n  - {name: policy-mode, value: monitor}\n";
    let policy = policies::shadow("action: Sigkill").replace("spec:\n", options);
    daemon.add(POLICY, &policy)?;
    let reader = must(&["cat", "/etc/shadow"])?;
    only_event(&daemon.settle(&mut events)?, &reader)?;
    for (mode, killed) in [("enforce", true), ("monitor", false)] {
        daemon.tetra_must(&["tracingpolicy", "set-mode", POLICY, mode])?;
        let reader = run(&["cat", "/etc/shadow"])?;
        ensure!(reader.killed() == killed, "mode {mode}: cat /etc/shadow ended with {}", reader.status);
        ensure!(reader.stdout.is_empty() == killed, "mode {mode}: cat /etc/shadow printed {}", reader.text());
        let seen = daemon.settle(&mut events)?;
        only_event(&seen, &reader)?;
    }
    expect_count(&daemon, "monitor_signal", 2)?;
    expect_count(&daemon, "signal", 1)?;
    modes(&daemon, &policy, guest)
}

/// A mode that is given with the policy goes before the policy's own, and where nothing enforces there is no choice.
fn modes(daemon: &Daemon, policy: &str, guest: &Guest) -> Outcome {
    daemon.delete(POLICY)?;
    let file = guest.folder.join("with-mode.yaml");
    std::fs::write(&file, policy)?;
    let file = file.display().to_string();
    daemon.tetra_must(&["tracingpolicy", "add", "--mode", "enforce", &file])?;
    let reader = run(&["cat", "/etc/shadow"])?;
    ensure!(reader.killed(), "added with mode enforce: cat /etc/shadow ended with {}", reader.status);
    daemon.delete(POLICY)?;
    daemon.add(POLICY, &policies::shadow("action: Post"))?;
    let list = daemon.tetra_must(&["tracingpolicy", "list"])?.text();
    ensure!(list.contains("monitor_only"), "a policy that enforces nothing:\n{list}");
    let refused = daemon.tetra(&["tracingpolicy", "set-mode", POLICY, "enforce"])?;
    ensure!(!refused.success(), "a policy that enforces nothing was set to enforce");
    Ok(())
}

/// The stream in compact form has the lines that users know.
pub(crate) fn compact(guest: &Guest) -> Outcome {
    let daemon = Settings::default().policy(&policies::shadow("action: Sigkill")).start(guest)?;
    let export = guest.folder.join("events.json");
    let mut daemon = daemon;
    let mut events = daemon.events()?;
    let reader = run(&["cat", "/etc/shadow"])?;
    ensure!(reader.killed(), "cat /etc/shadow ended with {}", reader.status);
    daemon.settle(&mut events)?;
    // What the daemon wrote as JSON, printed as people read it.
    let script = format!("tetra getevents -o compact --color never < {}", export.display());
    let printed = must(&["sh", "-c", &script])?.text();
    for wanted in ["🚀 process enforcer-vm", "💥 exit    enforcer-vm", "security_file_open", "SIGKILL"] {
        ensure!(printed.contains(wanted), "no {wanted:?} in:\n{printed}");
    }
    let version = tetra(&["version"])?;
    ensure!(version.success() && version.text().contains("CLI version"), "tetra version: {}", version.text());
    Ok(())
}

fn only_event<'seen>(seen: &'seen [Event], reader: &Ended) -> Outcome<&'seen Hook> {
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event| event.of_policy(POLICY)).collect();
    match hooks.as_slice() {
        [hook] => {
            ensure!(
                hook.process.pid == reader.pid,
                "the event is of pid {}, the reader was {} ({:?})",
                hook.process.pid,
                reader.pid,
                reader.status.signal()
            );
            Ok(hook)
        }
        others => Err(Failure(format!("{} events of the policy, not one: {others:?}", others.len()))),
    }
}

fn expect_shadow(hook: &Hook, action: &str, guest: &Guest) -> Outcome {
    ensure!(hook.action == action, "action {}", hook.action);
    ensure!(hook.function_name == "security_file_open", "function {}", hook.function_name);
    ensure!(hook.path() == Some("/etc/shadow"), "path {:?}", hook.path());
    ensure!(hook.process.binary.ends_with("/cat"), "binary {}", hook.process.binary);
    ensure!(hook.process.arguments == "/etc/shadow", "arguments {}", hook.process.arguments);
    // The scenario's process runs it, and is older than the daemon.
    let name = guest.folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ensure!(hook.parent.arguments.contains(name), "parent {} {}", hook.parent.binary, hook.parent.arguments);
    ensure!(hook.parent.pid == std::process::id(), "parent pid {}", hook.parent.pid);
    ensure!(hook.process.parent_exec_id == hook.parent.exec_id, "parent's exec_id differs");
    Ok(())
}

fn expect_count(daemon: &Daemon, action: &str, count: u64) -> Outcome {
    let counted = daemon.acted(POLICY, action)?;
    ensure!(counted == count, "the policy counts {counted} of {action}, not {count}");
    Ok(())
}

//! Storms of processes: each arrives, in order, with what belongs to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use e2e::ensure;
use e2e::event::{Event, Process};
use e2e::expect::{Context, Outcome};
use e2e::load::write_tiny_program;
use e2e::scenario::{Daemon, Guest, Settings, must};

const ALL: u32 = 20_000;
const FEWER: u32 = 5_000;
const PARALLEL: u32 = 8;
/// Ring and queue that hold all that a storm writes, however slow the daemon is.
pub(crate) const ROOM: [&str; 4] = ["--rb-size-total", "64M", "--event-queue-size", "200000"];

/// One process runs 20 000 programs, one after the other, on the newest kernel; on the others fewer, for the time that it takes.
pub(crate) fn in_order(guest: &Guest) -> Outcome {
    let all = if guest.variant.name == "7.2" { ALL } else { FEWER };
    let mut daemon = Settings::default().flags(&ROOM).start(guest)?;
    let mut events = daemon.events()?;
    daemon.settle(&mut events)?;
    let tiny = tiny(guest)?;
    let storm = must(&["/usr/bin/e2e-guest", "load", "spawn", &tiny, &all.to_string(), "row"])?;
    let seen = daemon.settle(&mut events)?;
    expect_nothing_lost(&daemon)?;

    let spawner = seen.iter().filter_map(|event| event.process_exec.as_ref());
    let spawners: Vec<&Process> = spawner.map(|exec| &exec.process).filter(|p| p.pid == storm.pid).collect();
    ensure!(spawners.len() == 1, "{} exec events of the process that runs them", spawners.len());
    let spawner = spawners[0];
    let mut next_exec = 0;
    let mut next_exit = 0;
    let mut running = BTreeMap::new();
    for event in seen.iter().filter(|event| event.process().is_some_and(|process| process.binary == tiny)) {
        if let Some(exec) = &event.process_exec {
            let process = &exec.process;
            ensure!(process.arguments == format!("row-{next_exec} second"), "after {next_exec}: {process:?}");
            ensure!(process.parent_exec_id == spawner.exec_id, "parent of {process:?}");
            ensure!(exec.parent.exec_id == spawner.exec_id, "parent of {process:?}: {:?}", exec.parent);
            ensure!(process.flags.contains("execve"), "flags of {process:?}");
            running.insert(process.exec_id.clone(), next_exec);
            next_exec += 1;
        } else if let Some(exit) = &event.process_exit {
            let number = running.remove(&exit.process.exec_id);
            ensure!(number == Some(next_exit), "exit {next_exit} is of exec {number:?}: {:?}", exit.process);
            ensure!(exit.process.arguments == format!("row-{next_exit} second"), "exit: {:?}", exit.process);
            ensure!(exit.status == 0 && exit.signal.is_empty(), "exit of {:?}", exit.process);
            next_exit += 1;
        }
    }
    ensure!(next_exec == all && next_exit == all, "{next_exec} exec and {next_exit} exit events of {all}");
    Ok(())
}

/// Eight processes run 20 000 programs between them, at once, on the kernels that switch tasks most; on the others fewer, for the time that
/// it takes.
pub(crate) fn in_parallel(guest: &Guest) -> Outcome {
    let all = if matches!(guest.variant.name, "7.2" | "6.12+preempt=full") { ALL } else { FEWER };
    let mut daemon = Settings::default().flags(&ROOM).start(guest)?;
    let mut events = daemon.events()?;
    daemon.settle(&mut events)?;
    let tiny = tiny(guest)?;
    let each = (all / PARALLEL).to_string();
    let mut storms = Vec::new();
    for number in 0..PARALLEL {
        let mut command = Command::new("/usr/bin/e2e-guest");
        command.args(["load", "spawn", &tiny, &each, &format!("storm-{number}")]);
        storms.push(command.stdin(Stdio::null()).spawn().context("load")?);
    }
    for mut storm in storms {
        let status = storm.wait()?;
        ensure!(status.success(), "a process that runs them ended with {status}");
    }
    let seen = daemon.settle(&mut events)?;
    expect_nothing_lost(&daemon)?;
    let of_tiny = |process: &Process| process.binary == tiny;
    let execs: Vec<&Process> =
        processes(&seen, |event| event.process_exec.as_ref().map(|exec| &exec.process));
    let exits: Vec<&Process> =
        processes(&seen, |event| event.process_exit.as_ref().map(|exit| &exit.process));
    for (what, found) in [("exec", execs), ("exit", exits)] {
        let found: Vec<&Process> = found.into_iter().filter(|process| of_tiny(process)).collect();
        let distinct: BTreeSet<&str> = found.iter().map(|process| process.arguments.as_str()).collect();
        ensure!(found.len() == all as usize, "{} {what} events of {all}", found.len());
        ensure!(distinct.len() == all as usize, "{} distinct {what} events of {all}", distinct.len());
    }
    Ok(())
}

/// Fails when the kernel could not write a record or skipped a program, or a queue was full.
pub(crate) fn expect_nothing_lost(daemon: &Daemon) -> Outcome {
    let lost = daemon.metric("tetragon_bpf_missed_events_total", "")?;
    ensure!(lost == 0, "{lost} records did not fit into the ring");
    for name in ["tetragon_notify_overflowed_events_total", "enforcer_sink_dropped_events_total"] {
        let dropped = daemon.metric(name, "")?;
        ensure!(dropped == 0, "{name} is {dropped}");
    }
    let missed = daemon.metric("tetragon_missed_prog_probes_total", "")?;
    ensure!(missed == 0, "the kernel skipped programs {missed} times");
    Ok(())
}

/// A program that does nothing, in the scenario's folder.
pub(crate) fn tiny(guest: &Guest) -> Outcome<String> {
    let path: PathBuf = guest.folder.join("tiny");
    write_tiny_program(Path::new(&path), 0)?;
    Ok(path.display().to_string())
}

fn processes(seen: &[Event], of: impl Fn(&Event) -> Option<&Process>) -> Vec<&Process> {
    seen.iter().filter_map(of).collect()
}

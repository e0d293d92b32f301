//! Start and end of the daemon.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use e2e::bpf::{self, Object};
use e2e::ensure;
use e2e::event::Event;
use e2e::expect::{Events, Outcome, PATIENCE, eventually};
use e2e::scenario::{Guest, Settings, must, run, run_command};

use crate::policies::{Action, file_open, shadow};
use crate::processes::tiny;

const IN_FLIGHT: u32 = 300;

/// A second daemon ends at once and says why; the first goes on.
pub(crate) fn second_daemon(guest: &Guest) -> Outcome {
    let mut first = Settings::default().policy(&shadow("action: Sigkill")).start(guest)?;
    let mut events = first.events()?;
    let folder = guest.folder.join("second");
    fs::create_dir_all(&folder)?;
    let second = run_command(&mut Settings::default().command(&folder)?)?;
    ensure!(second.status.code() == Some(1), "the second daemon ended with {}", second.status);
    ensure!(second.stderr.contains("another instance"), "the second daemon said {:?}", second.stderr);
    first.settle(&mut events)?;
    first.tetra_must(&["status"])?;
    let reader = run(&["cat", "/etc/shadow"])?;
    ensure!(reader.killed(), "afterwards cat /etc/shadow ended with {}", reader.status);
    Ok(())
}

/// After SIGTERM every event of before is in the file, and no program, map, link, pin or socket is left.
pub(crate) fn leaves_nothing(guest: &Guest) -> Outcome {
    let before = objects()?;
    let daemon = Settings::default()
        .policy(&shadow("action: Sigkill"))
        .policy(&file_open("reported", "Equal", &["/etc/hosts"], Action::Post))
        .flags(&["--rb-size-total", "16M"])
        .start(guest)?;
    ensure!(objects()? != before, "the daemon made no objects of BPF");
    ensure!(run(&["cat", "/etc/shadow"])?.killed(), "the policy does not act");
    let tiny = tiny(guest)?;
    must(&["/usr/bin/e2e-guest", "load", "spawn", &tiny, &IN_FLIGHT.to_string(), "last"])?;
    let ended = daemon.stop()?;
    ensure!(ended.status.code() == Some(0), "the daemon ended with {}; {}", ended.status, ended.stderr);

    let mut file = Events::open(&guest.folder.join("events.json"))?;
    let mut execs = 0;
    let mut exits = 0;
    while let Some(event) = file.next_now()? {
        let is_tiny = |event: &Event| event.process().is_some_and(|process| process.binary == tiny);
        execs += u32::from(event.process_exec.is_some() && is_tiny(&event));
        exits += u32::from(event.process_exit.is_some() && is_tiny(&event));
    }
    ensure!(execs == IN_FLIGHT && exits == IN_FLIGHT, "{execs} exec and {exits} exit events of {IN_FLIGHT}");

    // The kernel frees what nobody holds after a grace period of its own, so that an earlier daemon's objects may have been there before.
    let is_new = |(now, before): (&BTreeSet<u32>, &BTreeSet<u32>)| !now.is_subset(before);
    eventually("end of all objects of BPF", PATIENCE, || {
        Ok((!objects()?.iter().zip(&before).any(is_new)).then_some(()))
    })?;
    let pins: Vec<_> = fs::read_dir("/sys/fs/bpf")?.flatten().map(|entry| entry.path()).collect();
    ensure!(pins.is_empty(), "pins are left: {pins:?}");
    for list in ["kprobe_events", "uprobe_events"] {
        let text = fs::read_to_string(Path::new("/sys/kernel/tracing").join(list)).unwrap_or_default();
        ensure!(text.is_empty(), "{list} has {text}");
    }
    ensure!(!Path::new("/var/run/tetragon/tetragon.sock").exists(), "the socket is left");
    must(&["cat", "/etc/shadow"])?;
    Ok(())
}

fn objects() -> Outcome<Vec<BTreeSet<u32>>> {
    let kinds = [Object::Program, Object::Map, Object::Link];
    Ok(kinds.into_iter().map(bpf::ids).collect::<std::io::Result<_>>()?)
}

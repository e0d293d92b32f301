//! What cannot be reported is counted: records that find no room in a ring, calls that the kernel does not hand to a program.

use std::time::Duration;

use e2e::ensure;
use e2e::event::Event;
use e2e::expect::{Events, Failure, Outcome};
use e2e::scenario::{Daemon, Guest, Settings, must};
use nix::sys::signal::Signal;

use crate::policies::named;
use crate::processes::tiny;

/// Hooks what programs call.
const POLICY: &str = "output";
const COUNT: u32 = 3000;
const MARKERS: u32 = 20;
/// How long nothing must arrive until the next marker is run.
const PAUSE: Duration = Duration::from_secs(5);

/// While the daemon stands still, a ring of 64 KiB takes a part of 3 000 programs; the rest is counted.
pub(crate) fn exact_count(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().flags(&["--rb-size-total", "64K"]).start(guest)?;
    let mut events = daemon.events()?;
    daemon.settle(&mut events)?;
    let tiny = tiny(guest)?;
    let before = [lost(&daemon, "5")?, lost(&daemon, "7")?];
    daemon.signal(Signal::SIGSTOP)?;
    let storm = must(&["/usr/bin/e2e-guest", "load", "spawn", &tiny, &COUNT.to_string(), "flood"]);
    daemon.signal(Signal::SIGCONT)?;
    storm?;
    let (seen, markers) = drain(&mut events, &tiny)?;
    let arrived = |of: fn(&Event) -> bool| seen.iter().filter(|event| of(event)).count() as u64;
    let execs = arrived(|event| event.process_exec.is_some());
    let exits = arrived(|event| event.process_exit.is_some());
    let lost = [lost(&daemon, "5")? - before[0], lost(&daemon, "7")? - before[1]];
    // The programs, the process that ran them, and the markers.
    let all = u64::from(COUNT) + 1 + u64::from(markers);
    ensure!(lost[0] > 0 && lost[1] > 0, "nothing was lost: the ring is not of the size that was asked for");
    ensure!(execs > 0, "no exec event arrived");
    ensure!(execs + lost[0] == all, "{execs} exec events and {} lost are not {all}", lost[0]);
    ensure!(exits + lost[1] == all, "{exits} exit events and {} lost are not {all}", lost[1]);
    Ok(())
}

/// Runs markers until one arrives, for the first may still find the ring full; all events, and how many markers.
fn drain(events: &mut Events, tiny: &str) -> Outcome<(Vec<Event>, u32)> {
    let mut seen = Vec::new();
    for marker in 1..=MARKERS {
        let name = format!("drained-{marker}");
        must(&[tiny, &name])?;
        let last =
            |event: &Event| event.process_exit.as_ref().is_some_and(|exit| exit.process.arguments == name);
        if events.gather(&mut seen, PAUSE, last)? {
            return Ok((seen, marker));
        }
    }
    Err(Failure(format!("none of {MARKERS} markers arrived; {} events", seen.len())))
}

/// Records of one kind that did not fit: 5 is exec, 7 is exit.
fn lost(daemon: &Daemon, operation: &str) -> Outcome<u64> {
    daemon.metric("tetragon_bpf_missed_events_total", &format!("msg_op=\"{operation}\""))
}

/// A function that programs themselves call is hooked: calls of it within a program are not handed to a kprobe, and counted by policy. Nothing else is lost.
pub(crate) fn skipped_calls(guest: &Guest) -> Outcome {
    let policy = named(
        POLICY,
        "  kprobes:
  - call: bpf_ringbuf_output
    syscall: false
    selectors:
    - matchActions: [{action: Post}]
",
    );
    let mut daemon = Settings::default().flags(&["--rb-size-total", "4M"]).policy(&policy).start(guest)?;
    let mut events = daemon.events()?;
    daemon.settle(&mut events)?;
    must(&[&tiny(guest)?, "seen"])?;
    daemon.settle(&mut events)?;
    let skipped = daemon.metric("tetragon_missed_link_probes_total", &format!("policy=\"{POLICY}\""))?;
    ensure!(skipped > 0, "no call within a program is counted");
    let lost = daemon.metric("enforcer_lost_records_total", "")?;
    ensure!(lost == 0, "{lost} records are lost");
    let status = daemon.tetra_must(&["status"])?.text();
    ensure!(status.contains(&format!("(policy {POLICY}) missed ")), "{status}");
    Ok(())
}

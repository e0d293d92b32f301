//! A storm of processes in one cgroup: what is not reported is counted and enforced.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::ensure;
use e2e::event::{Event, Process};
use e2e::expect::{Context, Outcome, PATIENCE, eventually};
use e2e::scenario::{Daemon, Ended, Guest, Settings, must, run};

use crate::policies::shadow;
use crate::processes::tiny;

const CGROUP: &str = "/sys/fs/cgroup/storm";
const COUNT: u32 = 500;

/// What the shell is told to run a command in the cgroup.
fn entering(command: &str) -> String {
    format!("echo $$ > {CGROUP}/cgroup.procs && exec {command}")
}

fn inside(command: &str) -> Outcome<Ended> {
    run(&["sh", "-c", &entering(command)])
}

/// 500 programs where 15 events in two seconds are let through: each is reported from its exec to its exit, or counted twice. The cgroup is said to be throttled, and
/// let go; a kill in it takes place meanwhile.
pub(crate) fn storm(guest: &Guest) -> Outcome {
    fs::create_dir(CGROUP).context(CGROUP)?;
    let settings = Settings::default().policy(&shadow("action: Sigkill"));
    let mut daemon = settings.flags(&["--cgroup-rate", "15,2s", "--rb-size-total", "16M"]).start(guest)?;
    let mut events = daemon.events()?;
    daemon.settle(&mut events)?;
    let tiny = tiny(guest)?;
    let spawner = entering(&format!("/usr/bin/e2e-guest load spawn {tiny} {COUNT} storm"));
    let mut spawner = Command::new("sh").args(["-c", &spawner]).spawn()?;
    let is = |event: &Event, kind| said(event) == Some((kind, "storm"));
    let mut seen = events.until("the begin of throttling", PATIENCE, |event| is(event, "THROTTLE_START"))?;
    let reader = inside("cat /etc/shadow")?;
    ensure!(reader.killed(), "cat /etc/shadow ended with {}", reader.status);
    let spawned = spawner.wait()?;
    ensure!(spawned.success(), "the storm ended with {spawned}");
    seen.extend(events.until("the end of throttling", PATIENCE, |event| is(event, "THROTTLE_STOP"))?);
    let throttling: Vec<_> = seen.iter().filter_map(said).collect();
    let expected = [("THROTTLE_START", "storm"), ("THROTTLE_STOP", "storm")];
    ensure!(throttling == expected, "events of throttling: {throttling:?}");
    ensure!(
        seen.iter().any(|event| event.of_policy("detect-shadow-read").is_some()),
        "the kill was not reported"
    );
    accounts(&daemon, &tiny, &seen)?;

    // it is reported again
    let again = inside(&format!("{tiny} again"))?;
    ensure!(again.success(), "{}", again.stderr);
    seen = daemon.settle(&mut events)?;
    let of_it = |event: &Event| event.process().is_some_and(|process| process.arguments == "again");
    ensure!(seen.iter().filter(|event| of_it(event)).count() == 2, "events after the end: {seen:?}");
    printed(&guest.folder.join("events.json"))?;
    drop(daemon);
    eventually("end of the cgroup", PATIENCE, || Ok(fs::remove_dir(CGROUP).ok()))
}

fn said(event: &Event) -> Option<(&str, &str)> {
    event.process_throttle.as_ref().map(|throttle| (throttle.kind.as_str(), throttle.cgroup.as_str()))
}

/// Each program of the storm is in the events, from its exec to its exit, or withheld; and so is who was killed.
fn accounts(daemon: &Daemon, tiny: &str, seen: &[Event]) -> Outcome {
    let ids = |process: fn(&Event) -> Option<&Process>| -> BTreeSet<&str> {
        let is_counted = |process: &&Process| process.binary == *tiny || process.arguments == "/etc/shadow";
        let processes = seen.iter().filter_map(process).filter(is_counted);
        processes.map(|process| process.exec_id.as_str()).collect()
    };
    let begun = ids(|event| event.process_exec.as_ref().map(|exec| &exec.process));
    let ended = ids(|event| event.process_exit.as_ref().map(|exit| &exit.process));
    ensure!(begun == ended, "{} programs began and {} ended", begun.len(), ended.len());
    let reported = begun.len() as u64;
    ensure!(reported > 0 && reported < u64::from(COUNT) / 2, "{reported} of {COUNT} programs were reported");
    for kind in ["exec", "exit"] {
        let withheld = daemon.metric("enforcer_throttled_events_total", &format!("kind=\"{kind}\""))?;
        let all = u64::from(COUNT) + 1;
        ensure!(reported + withheld == all, "{reported} of {kind} and {withheld} withheld are not {all}");
    }
    let lost = daemon.metric("enforcer_lost_records_total", "")?;
    ensure!(lost == 0, "{lost} records were lost");
    for (kind, count) in [("throttle_start", 1), ("throttle_stop", 1)] {
        let counted = daemon.metric("tetragon_cgroup_rate_total", &format!("type=\"{kind}\""))?;
        ensure!(counted == count, "{counted} times {kind}");
    }
    Ok(())
}

/// As people read it, of that type only.
fn printed(file: &Path) -> Outcome {
    let tetra = "tetra getevents -o compact --color never -e PROCESS_THROTTLE";
    let text = must(&["sh", "-c", &format!("{tetra} < {}", file.display())])?.text();
    ensure!(text == "🧬 throttle START storm\n🧬 throttle STOP  storm\n", "printed: {text:?}");
    Ok(())
}

//! What a node does to its daemon: a full disk, a folder that is gone, a reader that stands still, a clock that is set back.
//! The daemon runs on, counts what it loses, and policies act all the time.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use e2e::ensure;
use e2e::event::Event;
use e2e::expect::{Context, Events, Failure, Outcome, PATIENCE, eventually};
use e2e::load::{Limit, opens};
use e2e::scenario::{Daemon, Guest, Settings, must, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::policies::{Action, file_open, shadow};
use crate::processes::tiny;

/// Opens that are reported, between two looks.
const OPENS: u64 = 1000;
const SECONDS_OF_A_DAY: u64 = 86_400;

/// A daemon that guards /etc/shadow and reports opens of another file.
fn settings(guest: &Guest) -> Outcome<Settings> {
    let opened = guest.folder.join("opened");
    fs::write(&opened, "x")?;
    let opened = opened.display().to_string();
    Ok(Settings::default()
        .policy(&shadow("action: Sigkill"))
        .policy(&file_open("opened", "Equal", &[&opened], Action::Post))
        .flags(&["--rb-size-total", "4M"]))
}

fn open_often(guest: &Guest) -> Outcome {
    let limit = Limit { time: PATIENCE, calls: OPENS };
    let opened = opens(&guest.folder.join("opened"), 1, limit, &Arc::new(AtomicBool::new(false)))?;
    ensure!(opened.opened == OPENS, "{opened:?}");
    Ok(())
}

fn is_guarded(daemon: &Daemon) -> Outcome {
    let reader = run(&["cat", "/etc/shadow"])?;
    if reader.killed() && reader.stdout.is_empty() {
        return Ok(());
    }
    Err(daemon.failure(&format!("cat /etc/shadow ended with {}", reader.status)))
}

/// The events of a file, each line of which is whole.
fn whole_lines(path: &Path) -> Outcome<Vec<Event>> {
    let mut events = Events::open(path)?;
    let mut seen = Vec::new();
    while let Some(event) = events.next_now()? {
        seen.push(event);
    }
    ensure!(fs::read(path)?.last().is_none_or(|byte| *byte == b'\n'), "the last line is half");
    Ok(seen)
}

fn has_exec(path: &Path, arguments: &str) -> Outcome<bool> {
    if !path.exists() {
        return Ok(false);
    }
    let is_it =
        |event: &Event| event.process_exec.as_ref().is_some_and(|it| it.process.arguments == arguments);
    let mut events = Events::open(path)?;
    while let Some(event) = events.next_now()? {
        if is_it(&event) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn stop(daemon: Daemon) -> Outcome {
    let ended = daemon.stop()?;
    ensure!(ended.status.code() == Some(0), "the daemon ended with {}; {}", ended.status, ended.stderr);
    Ok(())
}

/// A disk of 64 KiB under the export file: whole lines stay, what has no room is counted, and the rest follows when there is room.
pub(crate) fn full_disk(guest: &Guest) -> Outcome {
    let disk = guest.folder.join("disk");
    fs::create_dir_all(&disk)?;
    let disk = disk.display().to_string();
    must(&["mount", "-t", "tmpfs", "-o", "size=64k", "events", &disk])?;
    let outcome = on_small_disk(guest, &disk);
    must(&["umount", &disk])?;
    outcome
}

fn on_small_disk(guest: &Guest, disk: &str) -> Outcome {
    let export = Path::new(disk).join("events.json");
    let daemon =
        settings(guest)?.flags(&["--export-filename", &export.display().to_string()]).start(guest)?;
    eventually("a dropped event", PATIENCE, || {
        open_often(guest)?;
        Ok((daemon.metric("enforcer_sink_dropped_events_total", "file ")? > 0).then_some(()))
    })?;
    ensure!(daemon.log().contains("cannot write events to file "), "{}", daemon.log());
    is_guarded(&daemon)?;
    let before = whole_lines(&export)?.len();
    ensure!(before > 10, "{before} lines");
    must(&["mount", "-o", "remount,size=64m", disk])?;
    eventually("an end of the want", PATIENCE, || {
        Ok(daemon.log().contains("takes events again").then_some(()))
    })?;
    must(&[&tiny(guest)?, "behind"])?;
    eventually("the event behind", PATIENCE, || Ok(has_exec(&export, "behind")?.then_some(())))?;
    eventually("as many lines as were counted", PATIENCE, || {
        let written = daemon.metric("tetragon_events_exported_total", "")?;
        Ok((whole_lines(&export)?.len() as u64 == written).then_some(()))
    })?;
    stop(daemon)
}

/// The folder of the export file is removed: it is made again, and what happens from then on is in a new file.
pub(crate) fn removed_folder(guest: &Guest) -> Outcome {
    let logs = guest.folder.join("logs");
    let export = logs.join("of/today/events.json");
    let daemon =
        settings(guest)?.flags(&["--export-filename", &export.display().to_string()]).start(guest)?;
    let tiny = tiny(guest)?;
    for word in ["first", "second", "third"] {
        must(&[&tiny, word])?;
        eventually("its event", PATIENCE, || Ok(has_exec(&export, word)?.then_some(())))?;
        fs::remove_dir_all(&logs)?;
        is_guarded(&daemon)?;
    }
    stop(daemon)
}

/// A client of the stream that stands still until it may go on.
struct Reader {
    child: Child,
}

impl Reader {
    fn start(into: &Path) -> Outcome<Self> {
        let mut command = Command::new("/usr/bin/tetra");
        command.args([
            "--server-address",
            "unix:///var/run/tetragon/tetragon.sock",
            "getevents",
            "-o",
            "json",
        ]);
        let child = command.stdin(Stdio::null()).stdout(fs::File::create(into)?).spawn().context("tetra")?;
        Ok(Self { child })
    }

    fn signal(&self, signal: Signal) -> Outcome {
        let pid = i32::try_from(self.child.id()).map(Pid::from_raw).context("pid")?;
        kill(pid, signal).context("signal to tetra")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // it may have ended with its stream
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How many events the lines of a stream say were lost.
fn told(path: &Path) -> Outcome<u64> {
    let text = fs::read_to_string(path)?;
    let mut sum = 0;
    for line in text.lines() {
        // the last one may be half as long as it is written
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        let number = event.pointer("/rate_limit_info/number_of_dropped_process_events");
        sum += number.and_then(Value::as_str).and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// A reader that stands still loses its own events, all others get theirs, and it is told how many when it goes on. It keeps nobody from ending.
pub(crate) fn stopped_reader(guest: &Guest) -> Outcome {
    let mut daemon = settings(guest)?.start(guest)?;
    let mut events = daemon.events()?;
    let stream = guest.folder.join("stream.json");
    let reader = Reader::start(&stream)?;
    let tiny = tiny(guest)?;
    eventually("an event in the stream", PATIENCE, || {
        must(&[&tiny, "streamed"])?;
        Ok(has_exec(&stream, "streamed")?.then_some(()))
    })?;
    daemon.settle(&mut events)?;
    reader.signal(Signal::SIGSTOP)?;
    let lost = |daemon: &Daemon| daemon.metric("enforcer_listener_lost_events_total", "listener=\"grpc-");
    let (mut calls, mut reported) = (0, 0);
    while lost(&daemon)? == 0 {
        ensure!(calls < 1000 * OPENS, "it loses nothing of {calls} events");
        open_often(guest)?;
        calls += OPENS;
        let seen = daemon.settle(&mut events)?;
        reported += seen.iter().filter(|event| event.of_policy("opened").is_some()).count() as u64;
    }
    let in_kernel = daemon.metric("enforcer_lost_records_total", "")?;
    ensure!(
        reported + in_kernel >= calls,
        "{reported} of {calls} opens in the file, {in_kernel} lost in the kernel"
    );
    ensure!(daemon.metric("enforcer_listener_lost_events_total", "\"export\"")? == 0, "the file lost events");
    is_guarded(&daemon)?;
    reader.signal(Signal::SIGCONT)?;
    let lost_in_all = lost(&daemon)?;
    eventually("it is told how many", PATIENCE, || Ok((told(&stream)? >= lost_in_all).then_some(())))?;
    ensure!(told(&stream)? == lost(&daemon)?, "{} told of {}", told(&stream)?, lost(&daemon)?);
    reader.signal(Signal::SIGSTOP)?;
    open_often(guest)?;
    stop(daemon)
}

/// `date`, seconds since 1970 and as events have it.
fn now() -> Outcome<(u64, String)> {
    let text = must(&["date", "-u", "+%s %Y-%m-%dT%H:%M:%S"])?.text();
    let (seconds, time) = text.trim().split_once(' ').ok_or_else(|| Failure(text.clone()))?;
    Ok((seconds.parse().context("date")?, time.to_owned()))
}

/// The clock is set back by a day and forth again: events have the time that holds when they happen, and nothing waits for yesterday.
pub(crate) fn clock_set_back(guest: &Guest) -> Outcome {
    let flags = ["--export-rate-limit", "1000000", "--process-cache-gc-interval", "1s"];
    let mut daemon = settings(guest)?.flags(&flags).start(guest)?;
    let mut events = daemon.events()?;
    daemon.settle(&mut events)?;
    let tiny = tiny(guest)?;
    let set = |seconds: u64| must(&["date", "-s", &format!("@{seconds}")]).map(drop);
    let mut outcome = Ok(());
    for (set_to, word) in [(now()?.0 - SECONDS_OF_A_DAY, "yesterday"), (now()?.0, "today")] {
        set(set_to)?;
        // what is read before the clock is set may still be under way
        daemon.settle(&mut events)?;
        outcome = outcome.and_then(|()| is_timed(&mut daemon, &mut events, &[&tiny, word]));
    }
    outcome?;
    let policy = file_open("later", "Equal", &["/etc/hosts"], Action::Post);
    daemon.add("later", &policy)?;
    let start = std::time::Instant::now();
    stop(daemon)?;
    ensure!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
    Ok(())
}

/// A program that runs now has events of now, and policies act.
fn is_timed(daemon: &mut Daemon, events: &mut Events, words: &[&str]) -> Outcome {
    let before = now()?.1;
    must(words)?;
    let seen = daemon.settle(events)?;
    let after = now()?.1;
    let is_it =
        |event: &&Event| event.process().is_some_and(|it| words.last() == Some(&it.arguments.as_str()));
    let times: Vec<_> =
        seen.iter().filter(is_it).filter_map(|event| event.time.get(..before.len())).collect();
    ensure!(times.len() == 2, "{} events of {words:?}", times.len());
    // the clocks are compared to the millisecond; whole seconds may differ by one
    let is_now = |time: &&str| *time >= previous(&before).as_str() && *time <= after.as_str();
    ensure!(times.iter().all(is_now), "{times:?} between {before} and {after}");
    is_guarded(daemon)
}

/// The same minute's beginning: a bound that is a little earlier.
fn previous(time: &str) -> String {
    time.get(..17).map(|minute| format!("{minute}00")).unwrap_or_default()
}

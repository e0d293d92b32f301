//! What things cost: lines `measure NAME VALUE` for the host, which compares them with the table.
//!
//! `instructions` is for a machine that counts them (one nanosecond each) with `kernel.bpf_stats_enabled` set;
//! `footprint` for one with an ordinary clock.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::bpf::{map_memory, programs};
use e2e::ensure;
use e2e::expect::{Context, Failure, Outcome};
use e2e::kernels;
use e2e::load::spawn;
use e2e::scenario::{Daemon, Guest, Settings};

use crate::policies::{Action, file_open, seek};
use crate::processes::tiny;
use crate::say;

/// Operations over which a mean is taken.
const OPENS: u64 = 1000;
const EXECS: u32 = 300;
const FURTHER: u64 = 10;
const PREFIXES: usize = 10_000;
const KEYS: u64 = 100_000;
const MANY_ON_A_HOOK: u64 = 100;
/// How long it takes the daemon to drop what it no longer uses.
const UNTIL_IDLE: Duration = Duration::from_secs(13);
const MANY_POLICIES: u32 = 100;

/// Measures one group.
pub(crate) fn run(variant: &str, what: &str) -> Outcome<ExitCode> {
    let variant =
        kernels::variant(variant).ok_or_else(|| Failure(format!("no variant is called {variant}")))?;
    let guest = Guest { variant, folder: format!("/run/e2e/measure-{what}").into() };
    fs::create_dir_all(&guest.folder)?;
    match what {
        "instructions" => instructions(&guest)?,
        "footprint" => footprint(&guest)?,
        _ => return Err(Failure(format!("measure: unknown: {what}"))),
    }
    Ok(ExitCode::SUCCESS)
}

fn instructions(guest: &Guest) -> Outcome {
    let daemon = Settings::default().flags(&["--rb-size-total", "16M"]).start(guest)?;
    let tiny = tiny(guest)?;
    let base = spent(u64::from(EXECS), || Ok(spawn(Path::new(&tiny), EXECS, "cost")?))?;
    result("exec_fork_exit", base.values().sum::<u64>() / u64::from(EXECS));
    for (name, time) in base {
        result(&format!("base_{name}"), time / u64::from(EXECS));
    }

    for (name, operator, value) in [
        ("open_prefix_miss", "Prefix", "/etc/shadow"),
        ("open_equal_miss", "Equal", "/etc/shadow"),
        ("open_postfix_miss", "Postfix", "/shadow"),
    ] {
        daemon.add("cost", &file_open("cost", operator, &[value], Action::Post))?;
        result(name, mean(OPENS, || open("/etc/passwd"))?);
        daemon.delete("cost")?;
    }
    daemon.add("cost", &file_open("cost", "Prefix", &["/etc/shadow"], Action::Post))?;
    result("open_match_post", mean(OPENS, || open("/etc/shadow"))?);

    let one = mean(OPENS, || open("/etc/passwd"))?;
    for number in 0..FURTHER {
        let name = format!("further-{number}");
        daemon.add(&name, &file_open(&name, "Prefix", &[&format!("/etc/other-{number}")], Action::Post))?;
    }
    let eleven = mean(OPENS, || open("/etc/passwd"))?;
    result("each_further_policy", eleven.saturating_sub(one) / FURTHER);
    // ten in all, then a hundred
    daemon.delete("further-0")?;
    result("open_ten_policies_miss", mean(OPENS, || open("/etc/passwd"))?);
    for number in FURTHER..MANY_ON_A_HOOK {
        let name = format!("further-{number}");
        daemon.add(&name, &file_open(&name, "Prefix", &[&format!("/etc/other-{number}")], Action::Post))?;
    }
    result("open_hundred_policies_miss", mean(OPENS, || open("/etc/passwd"))?);
    for number in 1..MANY_ON_A_HOOK {
        daemon.delete(&format!("further-{number}"))?;
    }
    daemon.delete("cost")?;

    let prefixes: Vec<String> = (0..PREFIXES).map(|number| format!("/srv/prefix-{number:05}/")).collect();
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    daemon.add("cost", &file_open("cost", "Prefix", &prefixes, Action::Post))?;
    result("open_ten_thousand_prefixes_miss", mean(OPENS, || open("/etc/passwd"))?);
    daemon.delete("cost")?;

    // no two of them touch, so that none of them become one range
    let keys: Vec<String> = (0..KEYS).map(|number| (3 * number).to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    daemon.add("cost", &seek("cost", "InMap", &keys))?;
    let file = File::open("/etc/passwd")?;
    let seeks = || -> Outcome {
        for _ in 0..OPENS {
            (&file).seek(SeekFrom::Start(3 * KEYS + 1))?;
        }
        Ok(())
    };
    result("seek_hundred_thousand_keys_miss", mean(OPENS, seeks)?);
    Ok(())
}

fn footprint(guest: &Guest) -> Outcome {
    idle(guest)?;
    let daemon = Settings::default().start(guest)?;
    result("ready_ms", fit(daemon.ready().as_millis())?);
    let base = map_memory(daemon.pid())?;
    result("maps_base_kib", base / 1024);

    // The first opens the hook, so the second says what a policy costs.
    let added = |number| added(&daemon, number);
    result("load_policy_ms", added(0)?);
    let with_one = map_memory(daemon.pid())?;
    added(1)?;
    result("maps_first_policy_kib", with_one.saturating_sub(base) / 1024);
    result("maps_second_policy_kib", map_memory(daemon.pid())?.saturating_sub(with_one) / 1024);
    for number in 2..MANY_POLICIES {
        added(number)?;
    }
    result("load_hundredth_policy_ms", added(MANY_POLICIES)?);
    for number in 0..=MANY_POLICIES {
        daemon.delete(&policy(number).0)?;
    }
    execs(&daemon, guest)
}

/// A daemon that nobody has asked for anything for a while, and the first policy after that.
fn idle(guest: &Guest) -> Outcome {
    let daemon = Settings::default().start(guest)?;
    thread::sleep(UNTIL_IDLE);
    result("resident_idle_kib", daemon.resident_memory()? / 1024);
    result("load_policy_after_pause_ms", added(&daemon, 0)?);
    daemon.stop()?;
    Ok(())
}

/// A policy of its own for each number.
fn policy(number: u32) -> (String, String) {
    let name = format!("policy-{number}");
    let text = file_open(&name, "Prefix", &[&format!("/srv/{number}/")], Action::Post);
    (name, text)
}

/// Milliseconds that it takes to add it.
fn added(daemon: &Daemon, number: u32) -> Outcome<u64> {
    let (name, text) = policy(number);
    let begin = Instant::now();
    daemon.add(&name, &text)?;
    fit(begin.elapsed().as_millis())
}

/// Memory and time of the daemon over ten thousand programs, with the export file and one compact stream.
fn execs(daemon: &Daemon, guest: &Guest) -> Outcome {
    let tiny = tiny(guest)?;
    let address = "unix:///var/run/tetragon/tetragon.sock";
    let mut stream = Command::new("/usr/bin/tetra")
        .args(["--server-address", address, "getevents", "-o", "compact"])
        .stdin(File::open("/dev/null")?)
        .stdout(Stdio::null())
        .spawn()
        .context("tetra")?;
    let before = daemon.cpu_time()?;
    let count = 10_000;
    spawn(Path::new(&tiny), count, "footprint")?;
    let spent = daemon.cpu_time()?.saturating_sub(before);
    result("cpu_per_exec_us", fit(spent.as_micros() / u128::from(count))?);
    result("resident_after_execs_kib", daemon.resident_memory()? / 1024);
    drop(stream.kill());
    drop(stream.wait());
    Ok(())
}

/// Mean time in programs, all of them together, over `count` operations.
fn mean(count: u64, operations: impl FnOnce() -> Outcome) -> Outcome<u64> {
    Ok(spent(count, operations)?.values().sum::<u64>() / count)
}

/// Time in programs by their names, over at least `count` operations.
fn spent(count: u64, operations: impl FnOnce() -> Outcome) -> Outcome<BTreeMap<String, u64>> {
    let before: BTreeMap<u32, (u64, u64)> =
        programs()?.into_iter().map(|program| (program.id, (program.run_time, program.run_count))).collect();
    operations()?;
    let mut times = BTreeMap::new();
    let mut runs = 0;
    for program in programs()? {
        let (time_before, count_before) = before.get(&program.id).copied().unwrap_or_default();
        if program.run_count > count_before {
            *times.entry(program.name).or_default() += program.run_time - time_before;
            runs += program.run_count - count_before;
        }
    }
    ensure!(
        runs >= count,
        "{runs} runs of programs for {count} operations; is kernel.bpf_stats_enabled set?"
    );
    Ok(times)
}

fn open(path: &str) -> Outcome {
    for _ in 0..OPENS {
        drop(File::open(path)?);
    }
    Ok(())
}

fn fit(number: u128) -> Outcome<u64> {
    u64::try_from(number).context("a number that does not fit")
}

fn result(name: &str, value: u64) {
    say(&format!("measure {name} {value}"));
}

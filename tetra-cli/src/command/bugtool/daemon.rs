//! What the daemon and its process say of themselves.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::wire;
use bpf_probes::load::{RunStatistics, objects_of_process, pinned_objects, running_programs};
use serde_json::json;

use super::bounded::{head, output, tail};
use super::item::{Collected, Item, ItemError};
use super::threads::threads;
use crate::args::{Bugtool, Connection};
use crate::client::{Client, DESCRIPTION_FILE, Description, RUN_FOLDER, metrics_page};
use crate::command::debug::{MapReport, program_kind};
use crate::command::look::Look;
use crate::command::{dump, eventlog, info, loglevel, status};

/// Longest time that a call may take.
const CALL: Duration = Duration::from_secs(10);
/// Pins of the daemon.
const PINS: &str = "/sys/fs/bpf/tetragon";
/// How long programs are watched.
const WATCH: Duration = Duration::from_secs(1);
/// Most bytes of a file of /proc.
const PROC: u64 = 1 << 20;
/// Most bytes of the end of a log.
const LOG: u64 = 8 << 20;

/// Answers of the daemon.
pub(super) fn answers(connection: &Connection) -> Vec<Item> {
    let connection =
        Connection { timeout: Some(connection.timeout().min(CALL)), retries: 0, ..connection.clone() };
    let ask = |name: &str, ask: fn(&Client) -> Collected| {
        let connection = connection.clone();
        Item::settings(name, move || ask(&Client::new(&connection).map_err(ItemError::answer)?))
    };
    vec![
        ask("version.txt", version),
        ask("status.txt", |client| text(status::text(client))),
        ask("info.json", |client| text(info::text(client))),
        ask("tracing-policies.json", policies),
        ask("loglevel.txt", |client| text(loglevel::text(client))),
        ask("eventlog.txt", |client| text(eventlog::text(client))),
        ask("processcache.json", |client| text(dump::processes(client))),
    ]
}

fn text(answer: Result<String, impl std::fmt::Display>) -> Collected {
    answer.map(String::into_bytes).map_err(ItemError::answer)
}

fn version(client: &Client) -> Collected {
    let answer = client.call(async |mut service| service.get_version(wire::GetVersionRequest {}).await);
    let server = answer.map_err(ItemError::answer)?.version;
    Ok(format!("CLI version: v{}\nServer version: {server}\n", env!("CARGO_PKG_VERSION")).into_bytes())
}

fn policies(client: &Client) -> Collected {
    let request = wire::ListTracingPoliciesRequest { domain: String::new() };
    let list = client
        .call(async |mut service| service.list_tracing_policies(request.clone()).await)
        .map_err(ItemError::answer)?;
    text(api::json::write_message(&list))
}

/// What is in the run directory, and where that leads.
pub(super) fn described(options: &Bugtool) -> Vec<Item> {
    let said = Description::read(Path::new(RUN_FOLDER)).unwrap_or_default();
    let metrics = said.metrics_address.clone();
    let export = said.export_fname.clone();
    let mut items = vec![
        Item::settings(DESCRIPTION_FILE, || head(&Path::new(RUN_FOLDER).join(DESCRIPTION_FILE), PROC)),
        Item::figures("metrics", move || text(metrics_page(&metrics))),
        Item::settings("journal.txt", || output(Path::new("journalctl"), &JOURNAL)),
    ];
    if !options.no_events {
        items.push(Item::settings("tetragon.log", move || match export.as_str() {
            "" => Err(ItemError::Absent("the daemon writes no file of events")),
            path => tail(Path::new(path), LOG),
        }));
    }
    if said.pid == 0 {
        let absent = "the run directory names no daemon; is one running here?";
        items.push(Item::figures("daemon", move || Err(ItemError::Absent(absent))));
    } else {
        items.extend(process(said.pid));
    }
    items
}

/// The last lines that systemd keeps of the daemon.
const JOURNAL: [&str; 9] = [
    "--no-pager",
    "--quiet",
    "--lines=5000",
    "--output=short-iso-precise",
    "--unit=enforcer.service",
    "--unit=tetragon.service",
    "--since=-7d",
    "--all",
    "--utc",
];

/// Facts of the daemon's process.
fn process(pid: u32) -> Vec<Item> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let proc = |name: &str, file: &'static str| {
        let path = folder.join(file);
        Item::settings(name, move || head(&path, PROC))
    };
    let (line, environment, open, cgroup) = (folder.clone(), folder.clone(), folder.clone(), folder.clone());
    let cgroup_file = move |file: &'static str| {
        let proc = cgroup.clone();
        move || head(&own_cgroup(&proc)?.join(file), PROC)
    };
    vec![
        proc("daemon/status", "status"),
        proc("daemon/stat", "stat"),
        proc("daemon/limits", "limits"),
        proc("daemon/cgroup", "cgroup"),
        proc("daemon/io", "io"),
        proc("daemon/sched", "sched"),
        Item::figures("daemon/threads", move || threads(pid)),
        proc("pmap.out", "smaps_rollup"),
        Item::settings("daemon/cmdline", move || words(&line.join("cmdline"), |_word| true)),
        Item::settings("daemon/environment", move || {
            words(&environment.join("environ"), |word| {
                word.starts_with("TETRAGON_") || word.starts_with("NODE_NAME=")
            })
        }),
        Item::figures("daemon/objects.json", move || {
            let objects = objects_of_process(&open).map_err(|source| ItemError::file(&open, source))?;
            let objects: Vec<_> = objects
                .iter()
                .map(|object| json!({ "kind": format!("{:?}", object.kind), "id": object.id }))
                .collect();
            Ok(json!({ "objects": objects }).to_string().into_bytes())
        }),
        Item::figures("memory.current", cgroup_file("memory.current")),
        Item::figures("memory.stat", cgroup_file("memory.stat")),
    ]
}

/// The folder of the cgroup (version 2) that a process is in.
fn own_cgroup(proc: &Path) -> Result<PathBuf, ItemError> {
    let text = head(&proc.join("cgroup"), PROC)?;
    let text = String::from_utf8_lossy(&text);
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"));
    path.map(|path| Path::new("/sys/fs/cgroup").join(path))
        .ok_or(ItemError::Absent("it is in no cgroup of version 2"))
}

/// The words of a file in which they end with NUL, each on a line, of those that are wanted.
fn words(path: &Path, wanted: fn(&str) -> bool) -> Collected {
    let bytes = head(path, PROC)?;
    let mut lines = String::new();
    for word in bytes.split(|&byte| byte == 0).map(String::from_utf8_lossy) {
        if wanted(&word) && !word.is_empty() {
            writeln!(lines, "{}", word.replace('\n', "\\n")).expect("a String takes all text");
        }
    }
    Ok(lines.into_bytes())
}

/// Programs, maps and names of them in the BPF file system.
pub(super) fn objects() -> Vec<Item> {
    vec![
        Item::figures("debugmaps.json", || {
            let report =
                MapReport::of_machine(Path::new(PINS), Path::new(RUN_FOLDER)).map_err(ItemError::answer)?;
            text(report.json())
        }),
        Item::figures("pins.json", || {
            let pinned =
                pinned_objects(Path::new(PINS)).map_err(|source| ItemError::file(Path::new(PINS), source))?;
            let lines: Vec<_> = pinned
                .iter()
                .map(|object| {
                    let kind = format!("{:?}", object.kind);
                    json!({ "pin": object.pin, "kind": kind, "id": object.id, "program": object.program })
                })
                .collect();
            Ok(json!({ "pins": lines }).to_string().into_bytes())
        }),
        Item::figures("programs.json", programs),
    ]
}

/// All programs, with what they took within a second.
fn programs() -> Collected {
    let failed = |error: &dyn std::fmt::Display| ItemError::Answer(format!("{error}; run tetra as root"));
    let _counting = RunStatistics::enable().map_err(|error| failed(&error))?;
    let before = Look::new(&running_programs().map_err(|error| failed(&error))?);
    std::thread::sleep(WATCH);
    let now = running_programs().map_err(|error| failed(&error))?;
    let programs: Vec<_> = now
        .iter()
        .map(|program| {
            let (time, runs) = before.since(program).unzip();
            json!({
                "id": program.id, "name": program.name, "type": program_kind(program.kind), "runs_in_a_second": runs,
                "ns_in_a_second": time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)), "runs": program.run_count,
                "recursion_misses": program.recursion_misses, "verified_insns": program.verified_insns,
                "memlock_bytes": program.memory,
            })
        })
        .collect();
    Ok(json!({ "programs": programs }).to_string().into_bytes())
}

/// What bpftool says, where it is given.
pub(super) fn bpftool(program: Option<&PathBuf>) -> Vec<Item> {
    let Some(program) = program else { return Vec::new() };
    [("bpftool-maps.json", "map"), ("bpftool-progs.json", "prog"), ("bpftool-cgroups.json", "cgroup")]
        .into_iter()
        .map(|(name, what)| {
            let program = program.clone();
            let list = if what == "cgroup" { "tree" } else { "show" };
            Item::figures(name, move || output(&program, &["-j", what, list]))
        })
        .collect()
}

/// Files that the daemon wants to be taken: a map of names in the archive to paths, which it left in its run directory.
pub(super) fn extra() -> Vec<Item> {
    let path = Path::new(RUN_FOLDER).join("tetragon-bugtool-extra-files.json");
    let Ok(text) = head(&path, PROC) else { return Vec::new() };
    let files: std::collections::BTreeMap<String, PathBuf> =
        serde_json::from_slice(&text).unwrap_or_default();
    let item = |(name, path): (String, PathBuf)| Item::settings(&name, move || head(&path, LOG));
    files.into_iter().take(64).map(item).collect()
}

/// The daemon's own log, where it writes one: its options say so.
pub(super) fn log_file(conf: &serde_json::Value) -> Option<Item> {
    let path = PathBuf::from(conf.get("Conf")?.get("log-file")?.as_str().filter(|path| !path.is_empty())?);
    Some(Item::settings("daemon.log", move || tail(&path, LOG)))
}

/// Directories of options, policies and what was installed.
pub(super) fn configuration() -> Vec<Item> {
    let mut items = Vec::new();
    for (place, folder) in [
        ("config/usr-lib", "/usr/lib/tetragon/tetragon.conf.d"),
        ("config/usr-local-lib", "/usr/local/lib/tetragon/tetragon.conf.d"),
        ("config/etc", "/etc/tetragon/tetragon.conf.d"),
        ("config", "/etc/tetragon"),
        ("policies", "/etc/tetragon/tetragon.tp.d"),
    ] {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths.into_iter().filter(|path| path.is_file()).take(256) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let option = name.clone();
            items.push(Item::figures(&format!("{place}/{name}"), move || {
                let bytes = head(&path, PROC)?;
                Ok(super::redact::option(&option, &String::from_utf8_lossy(&bytes)).into_bytes())
            }));
        }
    }
    items
}

//! The command `tetra` with a daemon, from end to end.

use std::fs;
use std::path::{Path, PathBuf};

use e2e::ensure;
use e2e::expect::{Context, Outcome};
use e2e::scenario::{Daemon, Guest, Settings, must, tetra};
use serde_json::Value;

use crate::policies::{seek, shadow};

fn json(text: &str) -> Outcome<Value> {
    serde_json::from_str(text).context(text)
}

/// The archive has the daemon's answers, its process, its programs and maps, and the kernel; secrets of the configuration are not in it.
pub(crate) fn archive(guest: &Guest) -> Outcome {
    let config = "/etc/tetragon/tetragon.conf.d";
    fs::create_dir_all(config)?;
    fs::write(Path::new(config).join("export-api-token"), "hunter2")?;
    let daemon = Settings::default().policy(&shadow("{action: Post}")).start(guest)?;
    let out = guest.folder.join("bug.tar.gz").display().to_string();
    let made = daemon.tetra_must(&["bugtool", "--out", &out])?;
    ensure!(made.stderr.contains("info.json: "), "{}", made.stderr);
    fs::remove_dir_all(config)?;
    must(&["tar", "-xzf", &out, "-C", &guest.folder.display().to_string()])?;
    let top = unpacked(&guest.folder)?;
    let read = |name: &str| -> Outcome<String> {
        let bytes = fs::read(top.join(name)).context(name)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    ensure!(read("tracing-policies.json")?.contains("detect-shadow-read"), "no policy in the list");
    ensure!(read("metrics")?.contains("tetragon_tracingpolicy_loaded"), "no metrics");
    ensure!(read("config/etc/export-api-token")? == "[redacted]\n", "a secret is in the archive");
    ensure!(read("tetragon.log")?.contains("process_exec"), "no events");
    ensure!(read("daemon/status")?.contains("Name:\tenforcer"), "the process is another");
    ensure!(read("kernel/features")?.contains("signal: true"), "no features");
    ensure!(fs::metadata(top.join("btf"))?.len() > 1_000_000, "no types");
    let maps = json(&read("debugmaps.json")?)?;
    ensure!(maps["maps_stats"]["pinned_progs_maps"].as_u64() > Some(3), "{maps}");
    let programs = json(&read("programs.json")?)?;
    ensure!(programs["programs"].as_array().is_some_and(|programs| programs.len() > 3), "{programs}");
    ensure!(!read("tetragon-bugtool.log")?.contains("hunter2"), "a secret is in the log");
    Ok(())
}

/// The folder that the archive was unpacked to.
fn unpacked(folder: &Path) -> Outcome<PathBuf> {
    let named = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tetragon-bugtool-"))
    };
    let found = fs::read_dir(folder)?.flatten().map(|entry| entry.path()).find(named);
    found.ok_or_else(|| e2e::expect::Failure("the archive has no folder".to_owned()))
}

/// What the daemon's programs and maps cost is shown while it runs, and when only its pins are left.
pub(crate) fn costs(guest: &Guest) -> Outcome {
    let daemon = Settings::default().policy(&seek("seeks", "Equal", &["4242"])).start(guest)?;
    let table = daemon.tetra_must(&["debug", "progs", "--once", "--timeout", "200ms"])?.text();
    ensure!(table.lines().nth(2).is_some_and(|head| head.starts_with("Ovh(%)")), "{table}");
    let round =
        json(&daemon.tetra_must(&["debug", "progs", "--once", "--timeout", "200ms", "-o", "json"])?.text())?;
    let all = round["programs"].as_array().cloned().unwrap_or_default();
    // The command itself was executed between the two looks, or read its files: something ran.
    ensure!(all.len() >= 3, "{round}");
    let maps = daemon.tetra_must(&["debug", "maps", "-n", "3"])?.text();
    ensure!(maps.starts_with("AllMaps ") && maps.contains("\nName "), "{maps}");
    let report = json(&daemon.tetra_must(&["debug", "maps", "-o", "json"])?.text())?;
    let (all, ours) =
        (&report["total_memlock_bytes"]["all_maps"], &report["total_memlock_bytes"]["pinned_progs_maps"]);
    ensure!(ours.as_u64() > Some(100_000) && all.as_u64() >= ours.as_u64(), "{report}");
    drop(daemon);
    let none = tetra(&["debug", "maps"])?;
    ensure!(!none.success() && none.stderr.contains("no daemon is found"), "{}", none.stderr);
    Ok(())
}

fn state(daemon: &Daemon, name: &str) -> Outcome<(String, String)> {
    let policy = daemon.policy(name)?;
    let text = |key: &str| policy[key].as_str().unwrap_or_default().to_owned();
    Ok((text("state"), text("mode")))
}

/// Every subcommand on policies does to a daemon what it says.
pub(crate) fn policies(guest: &Guest) -> Outcome {
    let daemon = Settings::default().start(guest)?;
    let path = guest.folder.join("p.yaml").display().to_string();
    fs::write(&path, shadow("{action: Sigkill}"))?;
    let name = "detect-shadow-read";
    let said = |words: &[&str], expected: &str| -> Outcome {
        let text = daemon.tetra_must(words)?.text();
        ensure!(text == format!("{expected}\n"), "tetra {}: {text}", words.join(" "));
        Ok(())
    };
    said(&["tp", "add", &path, "-m", "monitor"], &format!("tracing policy \"{path}\" added"))?;
    ensure!(
        state(&daemon, name)? == ("TP_STATE_ENABLED".to_owned(), "TP_MODE_MONITOR".to_owned()),
        "not monitored"
    );
    // It only monitors: who reads lives.
    must(&["cat", "/etc/shadow"])?;
    said(
        &["tp", "set-mode", name, "enforce"],
        &format!("tracing policy \"{name}\" set to mode \"enforce\""),
    )?;
    ensure!(e2e::scenario::run(&["cat", "/etc/shadow"])?.killed(), "enforcing, and nobody was killed");
    said(&["tp", "disable", name], &format!("tracing policy \"{name}\" disabled"))?;
    ensure!(state(&daemon, name)?.0 == "TP_STATE_DISABLED", "not disabled");
    must(&["cat", "/etc/shadow"])?;
    said(&["tp", "enable", name], &format!("tracing policy \"{name}\" enabled"))?;
    ensure!(e2e::scenario::run(&["cat", "/etc/shadow"])?.killed(), "enabled, and nobody was killed");
    let table = daemon.tetra_must(&["tp", "list"])?.text();
    ensure!(table.lines().count() == 2 && table.contains(" enforce "), "{table}");
    said(&["tp", "domains"], "[grpc static]")?;
    said(&["tp", "delete", name], &format!("tracing policy \"{name}\" deleted"))?;
    must(&["cat", "/etc/shadow"])?;
    let modified = daemon.tetra_must(&["tp", "modify", &path, "-m", "monitor"])?.text();
    ensure!(modified.contains("policy-mode"), "{modified}");
    Ok(())
}

/// What a daemon is and does is told, and changed where it can be.
pub(crate) fn questions(guest: &Guest) -> Outcome {
    let daemon = Settings::default().start(guest)?;
    let status = daemon.tetra_must(&["status"])?.text();
    ensure!(status.starts_with("Health Status: running\n"), "{status}");
    let version = daemon.tetra_must(&["version", "-s", "-b"])?.text();
    for begin in
        ["CLI version: v", "Server version: v", "GoVersion: ", "Date: ", "GitCommit: ", "GitTreeState: "]
    {
        ensure!(version.lines().any(|line| line.starts_with(begin)), "{version}");
    }
    let info = json(&daemon.tetra_must(&["info"])?.text())?;
    ensure!(info["Name"] == "enforcer" && info["Probes"]["send_signal"] == true, "{info}");
    ensure!(info["Conf"]["bpf-dir"] == "tetragon", "{info}");
    daemon.tetra_must(&["loglevel", "set", "debug"])?;
    let level = daemon.tetra_must(&["loglevel", "get"])?.text();
    ensure!(level == "Current log level: LOG_LEVEL_DEBUG\n", "{level}");
    daemon.tetra_must(&["eventlog", "set", "--max-backups", "3", "--rotation-interval", "1h"])?;
    let settings = daemon.tetra_must(&["eventlog", "get"])?.text();
    ensure!(settings.contains("rotation_interval:\"1h0m0s\" max_backups:3"), "{settings}");
    Ok(())
}

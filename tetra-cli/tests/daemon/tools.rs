//! `tetra bugtool` and `tetra debug`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::service::{Daemon, printed, refused, serde_json_line, tetra, text};

/// The files of an archive, by their names without its folder.
fn unpacked(archive: &Path) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let tar = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(tar.success());
    let top = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
    assert!(top.file_name().to_str().unwrap().starts_with("tetragon-bugtool-20"));
    let mut files = BTreeMap::new();
    let mut folders = vec![top.path()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(top.path()).unwrap().to_str().unwrap().to_owned();
                files.insert(name, String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
            }
        }
    }
    files
}

// proves: CLI-16
#[test]
fn an_archive_has_what_there_is_and_says_what_is_missing() {
    let daemon = Daemon::start();
    let out = daemon.file("a.tar.gz", "");
    let bpftool = daemon.file("bpftool", "#!/bin/sh\necho \"[\\\"$2\\\"]\"; test $2 != cgroup\n");
    fs::set_permissions(&bpftool, fs::Permissions::from_mode(0o755)).unwrap();
    // What is there already is left alone, and so is what a link leads to.
    let words = ["bugtool", "--out", &out, "--bpftool", &bpftool, "--gops", "localhost:1", "--no-events"];
    assert!(refused(&daemon.tetra(&words)).contains("or name another with --out"));
    fs::remove_file(&out).unwrap();
    std::os::unix::fs::symlink(format!("{out}.target"), &out).unwrap();
    assert!(refused(&daemon.tetra(&words)).contains("or name another with --out"));
    assert!(!Path::new(&format!("{out}.target")).exists());
    fs::remove_file(&out).unwrap();

    let output = daemon.tetra(&words);
    let line = printed(&output);
    assert!(line.starts_with(&format!("{out}: ")) && line.contains(" items, "), "{line}");
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    let progress = text(&output.stderr);
    assert!(
        progress.contains("status.txt: 51 B\n") && progress.contains("look through it before"),
        "{progress}"
    );

    let files = unpacked(Path::new(&out));
    assert_eq!(files["status.txt"], "Health Status: running\nlost hook: 3\nmissed exec: 0\n");
    assert!(files["version.txt"].ends_with("Server version: v9\n"));
    assert!(files["tracing-policies.json"].contains("TP_STATE_ENABLED"));
    assert_eq!(files["processcache.json"].lines().count(), 2);
    assert_eq!(files["bpftool-maps.json"], "[\"map\"]\n");
    assert!(files["bpftool-cgroups.json.err"].contains("exit status: 1"));
    for name in [
        "eventlog.txt",
        "loglevel.txt",
        "info.json",
        "kernel/version",
        "kernel/settings",
        "proc/meminfo",
        "uname",
    ] {
        assert!(!files[name].is_empty(), "{name}");
    }
    assert!(!files.keys().any(|name| name.starts_with("tetragon.log")));
    let log = &files["tetragon-bugtool.log"];
    for name in files.keys().filter_map(|name| name.strip_suffix(".err")) {
        assert!(log.contains(&format!("{name}: missing: ")), "{name}");
    }
}

#[test]
fn an_archive_without_a_daemon_has_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.tar.gz");
    let output = tetra(&folder.path().join("none"), &["bugtool", "-o", out.to_str().unwrap(), "--no-events"]);
    assert!(printed(&output).contains(" items, "));
    let files = unpacked(&out);
    assert!(files["status.txt.err"].contains("no daemon at unix://"));
    assert!(files["kernel/version"].starts_with("Linux version"));
}

#[test]
fn an_archive_that_cannot_be_written_is_not_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(&tetra(&folder.path().join("none"), &["bugtool", "-o", "/nonexistent/a"]));
    assert!(error.contains("cannot make \"/nonexistent/a\""), "{error}");
}

#[test]
fn root_programs_of_everybody_are_shown_once_as_a_table_and_as_json() {
    let nowhere = Path::new("/nonexistent.sock");
    let table = printed(&tetra(nowhere, &["debug", "top", "--all", "--once", "--timeout", "50ms"]));
    assert!(table.lines().nth(2).unwrap().starts_with("Ovh(%)"), "{table}");
    let json =
        printed(&tetra(nowhere, &["debug", "progs", "--all", "--once", "--timeout", "50ms", "-o", "json"]));
    let round = serde_json_line(&json);
    assert!(round["programs"].is_array() && round["time"].as_str().unwrap().ends_with('Z'), "{round}");
}

#[test]
fn maps_of_no_daemon_are_not_there() {
    let error = refused(&tetra(Path::new("/nonexistent.sock"), &["debug", "maps", "--path", "/nonexistent"]));
    assert!(error.contains("no daemon is found: /nonexistent has no pinned programs"), "{error}");
}

//! The command against a daemon.
#![expect(clippy::unwrap_used, reason = "tests")]

mod admin;
mod encrypted;
mod getevents;
mod policies;
mod policytest;
mod service;
mod tools;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use service::{Daemon, command, printed, refused, tetra, text};

// proves: CLI-15 (status)
#[test]
fn status_prints_health_and_what_was_lost() {
    let output = Daemon::start().tetra(&["status"]);
    assert_eq!(printed(&output), "Health Status: running\nlost hook: 3\nmissed exec: 0\n");
}

// proves: CLI-15 (version)
#[test]
fn version_asks_the_daemon_only_when_told() {
    let daemon = Daemon::start();
    let version = format!("CLI version: v{}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(printed(&daemon.tetra(&["version"])), version);
    assert_eq!(printed(&daemon.tetra(&["version", "-s"])), format!("{version}Server version: v9\n"));
}

// proves: CLI-01 (retries)
#[test]
fn a_daemon_that_is_late_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("x.sock");
    let mut command = command(&socket, &["--debug", "--retries", "2", "version", "-s"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut notice = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut notice).unwrap();
    assert!(notice.contains("no such socket") && notice.contains("trying again in 1"), "{notice}");
    let _daemon = Daemon::start_in(folder);
    let output = child.wait_with_output().unwrap();
    assert!(text(&output.stdout).ends_with("Server version: v9\n"));
}

#[test]
fn errors_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let error = refused(&tetra(&path, &["status"]));
    assert!(error.contains("there is no such socket; start the daemon"), "{error}");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let error = refused(&tetra(&path, &["status"]));
    assert!(error.contains("nothing listens at unix://"), "{error}");
    let error = refused(&tetra(&path, &["--tls-skip-verify", "status"]));
    assert!(error.contains("flags for TLS are for HOST:PORT"), "{error}");
    let error = refused(&tetra(&path, &["--server-address", "http://x", "status"]));
    assert!(error.contains("is no server address; give unix:///"), "{error}");
    let error = refused(&tetra(&path, &["getevents", "-e", "EXEC"]));
    assert!(error.contains("PROCESS_EXEC"), "{error}");
}

#[test]
fn a_peer_that_never_answers_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let error = refused(&tetra(&path, &["--timeout", "300ms", "status"]));
    assert!(error.contains("no answer from unix://") && error.contains("in 0.3 s"), "{error}");
}

#[test]
fn help_goes_to_standard_output_and_a_mistake_to_standard_error() {
    let nowhere = Path::new("/nonexistent.sock");
    for words in [&[][..], &["--help"], &["getevents", "--help"]] {
        assert!(printed(&tetra(nowhere, words)).contains("Usage: tetra"), "{words:?}");
    }
    let error = refused(&tetra(nowhere, &["bogus"]));
    assert!(error.starts_with("Error: unrecognized subcommand 'bogus'"), "{error}");
}

// proves: CLI-21
#[test]
fn completion_and_the_manual_name_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    for words in [&["completion", "bash"][..], &["man"][..]] {
        let text = printed(&tetra(&folder.path().join("none"), words));
        assert!(text.contains("getevents") && text.contains("tracingpolicy"), "{words:?}");
    }
}

//! `tetra policytest`: tests of policies on a node.

use std::fs;

use e2e::ensure;
use e2e::expect::{Context, Outcome};
use e2e::scenario::{Daemon, Guest, Settings};
use serde_json::Value;

/// Tests that are built in, with every combination of their parameters.
const TESTS: usize = 12;

/// A test of which one scenario goes as it says and one does not.
const WRONG: &str = "name: wrong
policy:
  kprobes:
  - call: sys_lseek
    syscall: true
    args: [{index: 1, type: uint64}]
    selectors:
    - matchArgs: [{index: 1, operator: Equal, values: ['4444']}]
      matchActions: [{action: Sigkill}]
scenarios:
- name: who seeks there lives
  acts: [{seek: 4444}]
- name: who seeks elsewhere lives
  acts: [{seek: 4445}]
";

/// Runs tests; the exit code, and what came of each test.
fn run(daemon: &Daemon, guest: &Guest, arguments: &[&str]) -> Outcome<(bool, Vec<Value>)> {
    let path = guest.folder.join("results").display().to_string();
    let words = [&["policytest", "run", "--output", "json", "--output-file", &path], arguments].concat();
    let ended = daemon.tetra(&words)?;
    let text = fs::read_to_string(&path).context(&ended.stderr)?;
    let results = text.lines().map(|line| serde_json::from_str(line).context(line));
    Ok((ended.success(), results.collect::<Outcome<_>>()?))
}

/// Every kernel of the table can do what the tests that are built in ask for, so none may be skipped.
fn all_succeed(daemon: &Daemon, guest: &Guest, arguments: &[&str]) -> Outcome {
    let (success, results) = run(daemon, guest, &[&["--all-tests", "--all-params"], arguments].concat())?;
    ensure!(results.len() == TESTS, "{} tests were run", results.len());
    for test in &results {
        let result = &test["result"];
        ensure!(result["skipped"].is_null() && result["error"].is_null(), "{test}");
        let scenarios = result["scenarios"].as_array().map(Vec::as_slice).unwrap_or_default();
        let wrong =
            |scenario: &&Value| !scenario["trigger_error"].is_null() || !scenario["checker_error"].is_null();
        ensure!(!scenarios.is_empty() && !scenarios.iter().any(|scenario| wrong(&scenario)), "{test}");
    }
    ensure!(success, "all went well, and the command failed");
    let left = daemon.policies()?;
    ensure!(left.is_empty(), "policies stayed: {left:?}");
    Ok(())
}

/// The tests that are built in succeed, enforcing and monitoring, and one that does not hold is told from them.
pub(crate) fn built_in(guest: &Guest) -> Outcome {
    let daemon = Settings::default().start(guest)?;
    all_succeed(&daemon, guest, &[])?;
    all_succeed(&daemon, guest, &["--monitor-mode"])?;
    let path = guest.folder.join("wrong.yaml").display().to_string();
    fs::write(&path, WRONG)?;
    let (success, results) = run(&daemon, guest, &[&path])?;
    let scenarios = &results[0]["result"]["scenarios"];
    ensure!(!success && scenarios[0]["trigger_error"] == "the acts ended with killed, not ok", "{scenarios}");
    ensure!(
        scenarios[1]["trigger_error"].is_null() && scenarios[1]["checker_error"].is_null(),
        "{scenarios}"
    );
    Ok(())
}

//! Unit tests and native tests: the same binaries, told apart by the names of the tests.
//!
//! A test whose name starts with `root_` needs root and touches the running kernel; those run one at a time.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result, bail};

use super::Tally;
use crate::{build, terminal};

/// Tests that run as machines run programs, optimised: in a tenth of the time, so that there is time for much more.
struct Optimised {
    package: &'static str,
    target: &'static str,
    /// The variable that says how much they try, and how much that is.
    amount: (&'static str, &'static str),
    /// How the lines begin that are to be seen when they pass.
    said: &'static str,
}

/// The short processes of an hour.
pub(crate) const CHURN: &str = "2000000";

/// A million random policies, and an hour's processes.
const OPTIMISED: [Optimised; 2] = [
    Optimised {
        package: "tracing-policy",
        target: "emulated",
        amount: ("AGREEMENT_CASES", "1000000"),
        said: "AGREEMENT_SEED=",
    },
    Optimised { package: "enforcer", target: "churn", amount: ("ENFORCER_CHURN", CHURN), said: "churn: " },
];

/// A binary of tests and the folder of its package.
#[derive(Clone, Debug)]
struct Suite {
    name: String,
    binary: PathBuf,
    folder: PathBuf,
}

/// What a binary of tests said at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// All tests whose names do not start with `root_`, and the examples in the documentation.
pub(crate) fn unit(tally: &mut Tally) -> Result<()> {
    for tests in &OPTIMISED {
        optimised(tests, tally)?;
    }
    let ran = |suite: &Suite| {
        OPTIMISED.iter().any(|tests| suite.name == format!("{}/{}", tests.package, tests.target))
    };
    for suite in suites()?.into_iter().filter(|suite| !ran(suite)) {
        let (_, root) = tests(&suite)?;
        let mut arguments = vec!["--exact".to_owned()];
        for name in root {
            arguments.extend(["--skip".to_owned(), name]);
        }
        execute(&suite, &arguments, tally)?;
    }
    examples(tally)
}

fn optimised(tests: &Optimised, tally: &mut Tally) -> Result<()> {
    for suite in build_optimised(tests.package, tests.target)? {
        let mut command = command(&suite);
        command.arg("--show-output").env(tests.amount.0, tests.amount.1);
        let text = run(&suite.name, &mut command, tally)?;
        for line in text.lines().filter(|line| line.starts_with(tests.said)) {
            terminal::progress(line);
        }
    }
    Ok(())
}

/// Builds one binary of tests as what runs in machines is built, and says where it is.
pub(super) fn optimised_suite(package: &str, target: &str) -> Result<PathBuf> {
    let built = build_optimised(package, target)?;
    let suite = built.into_iter().next().with_context(|| format!("cargo did not say where {target} is"))?;
    Ok(suite.binary)
}

fn build_optimised(package: &str, target: &str) -> Result<Vec<Suite>> {
    terminal::progress(&format!("building {package}/{target} (profile {})", build::VM_PROFILE));
    build_tests(&["--profile", build::VM_PROFILE, "-p", package, "--test", target])
}

/// All tests whose names start with `root_`.
pub(crate) fn native(tally: &mut Tally) -> Result<()> {
    let root = nix::unistd::geteuid().is_root();
    for suite in suites()? {
        let (_, names) = tests(&suite)?;
        if names.is_empty() {
            continue;
        }
        if !root {
            tally.skip(&suite.name, &format!("{} tests need root", names.len()));
            continue;
        }
        let mut arguments = vec!["--exact".to_owned(), "--test-threads=1".to_owned()];
        arguments.extend(names);
        execute(&suite, &arguments, tally)?;
    }
    Ok(())
}

/// Builds all tests of the workspace, once for both layers.
fn suites() -> Result<Vec<Suite>> {
    static BUILT: OnceLock<Mutex<Option<Vec<Suite>>>> = OnceLock::new();
    let mut built =
        BUILT.get_or_init(Mutex::default).lock().map_err(|_panic| anyhow::anyhow!("building panicked"))?;
    if let Some(suites) = built.as_ref() {
        return Ok(suites.clone());
    }
    terminal::progress("building all tests (profile dev)");
    let suites = build_tests(&["--workspace"])?;
    *built = Some(suites.clone());
    Ok(suites)
}

/// Builds tests and says where they are.
fn build_tests(which: &[&str]) -> Result<Vec<Suite>> {
    let mut command = build::cargo();
    command.args(["test", "--all-features", "--no-run", "--message-format=json-render-diagnostics"]);
    command.args(which);
    let mut child = command.stdout(Stdio::piped()).spawn().context("cargo test")?;
    let output = child.stdout.take().context("cargo test: no output")?;
    let mut suites = Vec::new();
    for line in BufReader::new(output).lines() {
        suites.extend(suite(&line.context("cargo test")?));
    }
    if !child.wait()?.success() {
        bail!("the tests could not be built");
    }
    Ok(suites)
}

/// The suite that a line of cargo's messages announces.
fn suite(line: &str) -> Option<Suite> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let binary = PathBuf::from(message.get("executable")?.as_str()?);
    if !message.pointer("/profile/test")?.as_bool()? {
        return None;
    }
    let folder = Path::new(message.get("manifest_path")?.as_str()?).parent()?.to_path_buf();
    let package = folder.file_name()?.to_str()?.to_owned();
    let target = message.pointer("/target/name")?.as_str()?;
    Some(Suite { name: format!("{package}/{target}"), binary, folder })
}

/// Names of the other tests, and of those that start with `root_`.
fn tests(suite: &Suite) -> Result<(Vec<String>, Vec<String>)> {
    let output = command(suite).args(["--list", "--format", "terse"]).output().context(suite.name.clone())?;
    if !output.status.success() {
        bail!("{}: --list: {}", suite.name, output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned);
    Ok(names.partition(|name| !is_root(name)))
}

fn is_root(name: &str) -> bool {
    name.rsplit("::").next().is_some_and(|last| last.starts_with("root_"))
}

fn execute(suite: &Suite, arguments: &[String], tally: &mut Tally) -> Result<()> {
    run(&suite.name, command(suite).args(arguments), tally).map(|_text| ())
}

/// Runs a binary of tests and returns what it said.
fn run(name: &str, command: &mut Command, tally: &mut Tally) -> Result<String> {
    let log = tempfile::NamedTempFile::new()?;
    let status = command
        .stdin(Stdio::null())
        .stdout(log.reopen()?)
        .stderr(log.reopen()?)
        .status()
        .context(name.to_owned())?;
    let text = String::from_utf8_lossy(&fs::read(log.path())?).into_owned();
    record(name, &text, status.success(), tally);
    Ok(text)
}

/// Adds what a binary of tests said.
fn record(name: &str, text: &str, success: bool, tally: &mut Tally) {
    let counts = counts(text);
    tally.pass_many(counts.passed);
    let failures: Vec<&str> =
        text.lines().filter(|line| line.starts_with("test ") && line.ends_with("FAILED")).collect();
    for line in &failures {
        let test = line.trim_start_matches("test ").trim_end_matches(" ... FAILED");
        tally.fail(&format!("{name} {test}"), output_of(text, test));
    }
    if !success && failures.is_empty() {
        let start = text.len().saturating_sub(4000);
        tally.fail(name, text.get(start..).unwrap_or(text));
    }
    if counts.ignored > 0 {
        tally.skip(name, &format!("{} tests are marked as ignored", counts.ignored));
    }
    if counts != Counts::default() {
        terminal::progress(&format!("{name}: {} passed, {} failed", counts.passed, counts.failed));
    }
}

/// What a failed test printed.
fn output_of<'text>(text: &'text str, test: &str) -> &'text str {
    let start = format!("---- {test} stdout ----\n");
    let printed = text.split_once(&start).map_or("", |(_, rest)| rest);
    printed.split("\n---- ").next().unwrap_or(printed).split("\nfailures:\n").next().unwrap_or(printed)
}

fn counts(text: &str) -> Counts {
    let mut sum = Counts::default();
    for line in text.lines().filter(|line| line.starts_with("test result: ")) {
        let number = |word: &str| {
            let at = line.split([';', '.']).find_map(|part| part.trim().strip_suffix(word));
            at.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        sum.passed += number("passed");
        sum.failed += number("failed");
        sum.ignored += number("ignored");
    }
    sum
}

fn examples(tally: &mut Tally) -> Result<()> {
    terminal::progress("examples in the documentation");
    let log = tempfile::NamedTempFile::new()?;
    let errors: File = log.reopen()?;
    let status = build::cargo()
        .args(["test", "--workspace", "--all-features", "--doc", "--quiet"])
        .stdin(Stdio::null())
        .stdout(log.reopen()?)
        .stderr(errors)
        .status()
        .context("cargo test --doc")?;
    let text = String::from_utf8_lossy(&fs::read(log.path())?).into_owned();
    record("examples", &text, status.success(), tally);
    Ok(())
}

/// The binary, in the folder and with the variables that cargo gives it.
fn command(suite: &Suite) -> Command {
    let mut command = Command::new(&suite.binary);
    command.current_dir(&suite.folder).env("CARGO_MANIFEST_DIR", &suite.folder);
    command
}

#[cfg(test)]
mod tests {
    use super::{Counts, counts, is_root, output_of};

    #[test]
    fn only_the_last_part_of_a_name_says_that_it_needs_root() {
        assert!(is_root("load::tests::root_a_map_is_made"));
        assert!(is_root("root_whole"));
        assert!(!is_root("root_cause::tests::plain"));
        assert!(!is_root("tests::chroot_is_left"));
    }

    #[test]
    fn counts_are_summed_over_all_results() {
        let text = "test a ... ok\ntest result: ok. 12 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out\n\
                    test result: FAILED. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";
        assert_eq!(counts(text), Counts { passed: 15, failed: 1, ignored: 2 });
    }

    #[test]
    fn the_output_of_a_failed_test_ends_where_the_next_begins() {
        let text = "failures:\n\n---- a stdout ----\nleft: 1\n\n---- b stdout ----\nother\n\nfailures:\n    a\n    b\n";
        assert_eq!(output_of(text, "a"), "left: 1\n");
        assert_eq!(output_of(text, "b"), "other\n");
    }
}

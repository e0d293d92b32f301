//! `cargo xtask fuzz`: the fuzz targets, each on a core of its own, with libFuzzer following what an input reaches.
//!
//! The compiler's coverage passes need no nightly toolchain: `-Cpasses=sancov-module` puts them into a stable build. What an input taught stays in
//! `target/fuzz/corpus`; an input that broke something is left in `target/fuzz/artifacts`, where the target tries it again: `target/fuzz/…/parse FILE`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::test::Tally;
use crate::{build, terminal};

/// What there is to fuzz.
const TARGETS: [&str; 2] = ["parse", "compile_and_run"];
/// Where the compiler puts counters, and what libFuzzer reads of them.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares";
/// With a target of its own, build scripts and macros stay without counters.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// Policies that the search begins with.
const SEEDS: [&str; 2] = ["tracing-policy/tests/valid", "tracing-policy/tests/invalid"];
/// Words that inputs are made of.
const DICTIONARY: &str = "fuzz/policy.dict";
/// Bytes of an input.
const LONGEST: u32 = 4096;
/// Seconds for each target in `cargo xtask test`.
const SECONDS: u32 = 60;

/// Arguments of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long, for each target.
    #[arg(long, default_value_t = SECONDS)]
    seconds: u32,
    /// Only this one.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    target: Option<String>,
}

/// What came of one target.
struct Found {
    target: &'static str,
    /// Inputs tried, how many were valid and how much they reached, in libFuzzer's words.
    summary: String,
    /// What it said, when something broke.
    broken: Option<String>,
}

/// Fuzzes and says what was tried.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let wanted = |target: &&&str| arguments.target.as_deref().is_none_or(|name| name == **target);
    let targets: Vec<&'static str> = TARGETS.iter().filter(wanted).copied().collect();
    let mut code = ExitCode::SUCCESS;
    for found in fuzz(&targets, arguments.seconds)? {
        terminal::line(&format!("{}: {}", found.target, found.summary));
        if let Some(text) = found.broken {
            terminal::line(&text);
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// All targets; each is a test.
// proves: REL-14
pub(crate) fn gate(tally: &mut Tally) -> Result<()> {
    for found in fuzz(&TARGETS, SECONDS)? {
        terminal::progress(&format!("fuzz {}: {}", found.target, found.summary));
        match found.broken {
            None => tally.pass(),
            Some(text) => tally.fail(&format!("fuzz {}", found.target), &text),
        }
    }
    Ok(())
}

fn fuzz(targets: &[&'static str], seconds: u32) -> Result<Vec<Found>> {
    let binaries = binaries()?;
    terminal::progress(&format!("fuzzing {} for {seconds} s", targets.join(" and ")));
    thread::scope(|scope| {
        let running: Vec<_> =
            targets.iter().map(|target| scope.spawn(|| one(target, &binaries, seconds))).collect();
        let all = running.into_iter().map(|run| match run.join() {
            Ok(found) => found,
            Err(_panic) => bail!("a thread panicked"),
        });
        all.collect()
    })
}

/// Builds the targets and returns the folder that they are in.
fn binaries() -> Result<PathBuf> {
    terminal::progress("building the fuzz targets");
    let folder = folder();
    let status = build::cargo()
        .args([
            "build",
            "--quiet",
            "-p",
            "fuzz",
            "--bins",
            "--profile",
            build::VM_PROFILE,
            "--target",
            TRIPLE,
        ])
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", FLAGS)
        .status()
        .context("cargo build")?;
    if !status.success() {
        bail!("the fuzz targets could not be built");
    }
    Ok(folder.join(TRIPLE).join(build::VM_PROFILE))
}

fn folder() -> PathBuf {
    build::workspace().join("target/fuzz")
}

fn one(target: &'static str, binaries: &Path, seconds: u32) -> Result<Found> {
    let (corpus, artifacts) = (folder().join("corpus").join(target), folder().join("artifacts"));
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let log = tempfile::NamedTempFile::new()?;
    let status = Command::new(binaries.join(target))
        .current_dir(build::workspace())
        .arg(&corpus)
        .args(SEEDS)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LONGEST}"))
        .arg(format!("-dict={DICTIONARY}"))
        .arg(format!("-artifact_prefix={}/{target}-", artifacts.display()))
        .args(["-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .stdin(Stdio::null())
        .stdout(log.reopen()?)
        .stderr(log.reopen()?)
        .status()
        .with_context(|| target.to_owned())?;
    let text = String::from_utf8_lossy(&fs::read(log.path())?).into_owned();
    let summary = summary(&text);
    // a target that reaches nothing shows nothing
    let reached = summary.contains("valid: ") && !summary.contains("valid: 0 of");
    let broken = (!status.success() || !reached).then(|| {
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(60)..).unwrap_or_default().join("\n")
    });
    Ok(Found { target, summary, broken })
}

/// The last of what was said of each kind.
fn summary(text: &str) -> String {
    let last = |begin: &str| text.lines().rev().find(|line| line.starts_with(begin));
    let coverage = text.lines().rev().find_map(|line| line.split_once("cov: ")?.1.split(' ').next());
    let tried = last("stat::number_of_executed_units:").and_then(|line| line.split_whitespace().nth(1));
    let seed = last("INFO: Seed:").and_then(|line| line.split_whitespace().nth(2));
    let words = [
        tried.map(|number| format!("{number} inputs")),
        last("valid: ").map(str::to_owned),
        coverage.map(|number| format!("{number} places reached")),
        seed.map(|number| format!("seed {number}")),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn a_summary_is_the_last_of_each_kind() {
        let text = "INFO: Seed: 7\nvalid: 1 of 1024\n#2 INITED cov: 10 ft: 11 corp: 1/1b\nvalid: 9 of 2048\n\
                    #2050 DONE cov: 20 ft: 30 corp: 3/9b\nstat::number_of_executed_units: 2050\n";
        assert_eq!(summary(text), "2050 inputs, valid: 9 of 2048, 20 places reached, seed 7");
        assert_eq!(summary(""), "");
    }
}

//! What the event path carries on this machine: events a second of one core, and whether memory stays flat whatever the churn.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::parse;
use crate::test::CHURN;
use crate::{build, terminal};

/// The figures of the machine that they were last written on, in nanoseconds an event.
const TABLE: &str = "tests/throughput.json";

/// Nanoseconds of CPU an event: name, what it is in words, events a second of one core that are to be held.
const COSTS: [(&str, &str, u64); 2] = [
    ("json_file_ns", "process_kprobe events to a JSON file, a second of one core", 500_000),
    ("stream_ns", "process_kprobe events to one gRPC stream, a second of one core", 300_000),
];

/// Measures both and prints them. `write`: into the committed table, too.
pub(super) fn run(write: bool) -> Result<()> {
    let costs = costs()?;
    terminal::line(&format!("{:64} {:>9} {:>9} {:>9}", "event path", "Enforcer", "hold", "CPU, ns"));
    for (name, title, hold) in COSTS {
        let cost = costs.get(name).copied().filter(|cost| *cost > 0);
        let cost = cost.with_context(|| format!("{name} was not measured"))?;
        let rate = 1_000_000_000 / cost;
        let mark = if rate < hold { "  below what is to be held" } else { "" };
        terminal::line(&format!("{title:64} {rate:>9} {hold:>9} {cost:>9}{mark}"));
    }
    if write {
        let path = build::workspace().join(TABLE);
        let mut text = serde_json::to_string_pretty(&costs)?;
        text.push('\n');
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    let verdict = if churn()? { "flat" } else { "GROWS" };
    terminal::line(&format!("{:64} {verdict:>9}", format!("memory over {CHURN} short processes")));
    Ok(())
}

fn costs() -> Result<BTreeMap<String, u64>> {
    let mut bench = build::cargo();
    bench.args(["bench", "--quiet", "--package", "enforcer", "--bench", "throughput"]);
    let output = bench.stderr(Stdio::inherit()).output().context("cargo bench")?;
    if !output.status.success() {
        bail!("the event path could not be measured ({})", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(parse).collect())
}

fn churn() -> Result<bool> {
    let mut test = build::cargo();
    test.args([
        "test",
        "--quiet",
        "--profile",
        build::VM_PROFILE,
        "--package",
        "enforcer",
        "--test",
        "churn",
    ]);
    let status = test.env("ENFORCER_CHURN", CHURN).status().context("cargo test")?;
    Ok(status.success())
}

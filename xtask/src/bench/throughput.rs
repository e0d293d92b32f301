//! What the event path carries on this machine: events a second of one core, and whether memory stays flat whatever the churn.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::parse;
use crate::{build, terminal};

/// A figure that must not be below what is to be held.
const RATES: [(&str, &str, u64); 2] = [
    ("json_file_events_a_second", "process_kprobe events to a JSON file, a second of one core", 500_000),
    ("stream_events_a_second", "process_kprobe events to one stream, a second of one core", 300_000),
];
/// An hour's worth of short processes.
const CHURN: &str = "2000000";

/// Measures both and prints them.
pub(super) fn run() -> Result<()> {
    terminal::line(&format!("{:62} {:>9} {:>9}", "event path", "Enforcer", "hold"));
    let rates = rates()?;
    for (name, title, hold) in RATES {
        let rate = rates.get(name).copied().unwrap_or_default();
        let mark = if rate < hold { "  below what is to be held" } else { "" };
        terminal::line(&format!("{title:62} {rate:>9} {hold:>9}{mark}"));
    }
    let verdict = if churn()? { "flat" } else { "GROWS" };
    terminal::line(&format!("{:62} {verdict:>9}", format!("memory over {CHURN} short processes")));
    Ok(())
}

fn rates() -> Result<BTreeMap<String, u64>> {
    let mut bench = build::cargo();
    bench.args(["bench", "--quiet", "--package", "enforcer", "--bench", "throughput"]);
    let output = bench.stderr(Stdio::inherit()).output().context("cargo bench")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(parse).collect())
}

fn churn() -> Result<bool> {
    let mut test = build::cargo();
    test.args(["test", "--quiet", "--release", "--package", "enforcer", "--test", "churn"]);
    let status = test.env("ENFORCER_CHURN", CHURN).status().context("cargo test")?;
    Ok(status.success())
}

//! `cargo xtask bench`: what things cost, beside Tetragon's figures, and the gate on the counts of instructions.

mod throughput;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::vm::{Emulation, End, JOB_PATH, Job, Message, Options, Timing, boot_and_run};

use crate::test::Tally;
use crate::{build, machine, terminal};

/// The committed counts.
const TABLE: &str = "tests/cost.json";
/// The kernel that the committed counts are of.
const KERNEL: &str = "6.12";
/// By how many hundredths a count may grow.
const TOLERANCE: u64 = 5;

/// A figure: its name, what it is in words, Tetragon's, the one to hold. `None` where there is none.
struct Figure {
    name: &'static str,
    title: &'static str,
    tetragon: Option<u64>,
    hold: Option<u64>,
}

const fn figure(name: &'static str, title: &'static str, tetragon: Option<u64>, hold: Option<u64>) -> Figure {
    Figure { name, title, tetragon, hold }
}

/// Instructions a run, of an emulated CPU that counts them.
const INSTRUCTIONS: [Figure; 10] = [
    figure("open_prefix_miss", "open, Prefix policy, no match", Some(7383), Some(1500)),
    figure("open_equal_miss", "open, Equal policy, no match", Some(7383), Some(500)),
    figure("open_postfix_miss", "open, Postfix policy, no match", Some(7383), Some(500)),
    figure("open_match_post", "open, match, Post", Some(8493), Some(2500)),
    figure("exec_fork_exit", "exec + fork + exit, base programs", Some(21_690), Some(6000)),
    figure("each_further_policy", "each further policy on a hook, no match", Some(7400), Some(150)),
    figure("open_ten_policies_miss", "open, ten policies on the hook, no match", Some(73_830), Some(2850)),
    figure(
        "open_hundred_policies_miss",
        "open, a hundred policies on the hook, no match",
        None,
        Some(16_350),
    ),
    figure("seek_hundred_thousand_keys_miss", "lseek, InMap with 100 000 values, no match", None, Some(500)),
    figure("open_ten_thousand_prefixes_miss", "open, 10 000 prefixes, no match", Some(7383), Some(1700)),
];

/// Time and memory, with an ordinary clock.
const FOOTPRINT: [Figure; 10] = [
    figure("ready_ms", "daemon ready, ms", Some(10_000), Some(1500)),
    figure("load_policy_ms", "load one policy, ms", Some(8000), Some(400)),
    figure("load_policy_after_pause_ms", "load one policy after a pause, ms", Some(8000), None),
    figure("load_hundredth_policy_ms", "load one more on a hook with a hundred, ms", None, None),
    figure("resident_idle_kib", "resident memory, idle, KiB", Some(95_000), Some(20_000)),
    figure(
        "resident_after_execs_kib",
        "resident memory after 10 000 execs, KiB",
        Some(105_000),
        Some(25_000),
    ),
    figure("maps_base_kib", "memory of maps, base, KiB", Some(33_300), Some(4000)),
    figure("maps_first_policy_kib", "memory of maps, first policy, KiB", Some(330), None),
    figure("maps_second_policy_kib", "memory of maps, each further policy, KiB", Some(330), Some(50)),
    figure("cpu_per_exec_us", "daemon's CPU per exec, us", Some(6000), Some(1000)),
];

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which kernel; the committed table is of 6.12.
    #[arg(long, default_value = KERNEL)]
    kernel: String,
    /// Write what was measured into the committed tables.
    #[arg(long)]
    write: bool,
    /// Measure only what the event path carries, for which no machine is needed.
    #[arg(long)]
    event_path: bool,
    /// Take the binaries from this folder instead of building them.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// Measures everything and prints the table.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    throughput::run(arguments.write)?;
    if arguments.event_path {
        return Ok(ExitCode::SUCCESS);
    }
    let binaries = binaries(arguments.binaries.as_deref())?;
    let counts = measure(&arguments.kernel, "instructions", &binaries)?;
    let footprint = measure(&arguments.kernel, "footprint", &binaries)?;
    terminal::line(&format!("{:46} {:>9} {:>9} {:>9}", "", "Enforcer", "hold", "Tetragon"));
    terminal::line("instructions per run");
    print(&INSTRUCTIONS, &counts);
    terminal::line("plain emulation");
    print(&FOOTPRINT, &footprint);
    if arguments.write {
        let path = build::workspace().join(TABLE);
        let mut text = serde_json::to_string_pretty(&counts)?;
        text.push('\n');
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Compares the counts with the committed table; each figure is a test.
// proves: REL-13
pub(crate) fn gate(folder: Option<&Path>, tally: &mut Tally) -> Result<()> {
    let path = build::workspace().join(TABLE);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{} (cargo xtask bench --write)", path.display()))?;
    let committed: BTreeMap<String, u64> =
        serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let counts = measure(KERNEL, "instructions", &binaries(folder)?)?;
    print(&INSTRUCTIONS, &counts);
    for figure in &INSTRUCTIONS {
        let verdict = judge(figure, committed.get(figure.name).copied(), counts.get(figure.name).copied());
        match verdict {
            Ok(()) => tally.pass(),
            Err(reason) => tally.fail(&format!("cost of: {}", figure.title), &reason),
        }
    }
    Ok(())
}

/// Instructions that a figure may differ by however small it is.
const FEW: u64 = 5;

/// Whether a count is within what was committed and what is to be held.
fn judge(figure: &Figure, committed: Option<u64>, now: Option<u64>) -> Result<(), String> {
    let now = now.ok_or("it was not measured")?;
    let committed = committed.ok_or_else(|| format!("{now} instructions, and {TABLE} has no such figure"))?;
    // differences of two runs are equal to within a few instructions only, which is more than 5 % of a small one
    if now > committed + (committed * TOLERANCE / 100).max(FEW) {
        return Err(format!("{now} instructions, more than {TOLERANCE} % above the {committed} of {TABLE}"));
    }
    match figure.hold {
        // a figure that was committed above its hold is a debt that the table shows; it must not grow
        Some(hold) if now > hold && committed <= hold => {
            Err(format!("{now} instructions, more than the {hold} to hold"))
        }
        Some(_) | None => Ok(()),
    }
}

fn binaries(folder: Option<&Path>) -> Result<BTreeMap<String, PathBuf>> {
    let wanted = [build::INIT, build::GUEST, build::DAEMON, build::TETRA];
    folder.map_or_else(
        || build::binaries(&wanted, build::VM_PROFILE),
        |folder| build::in_folder(&wanted, folder),
    )
}

/// Runs `e2e-guest measure` in a machine.
fn measure(
    kernel_name: &str,
    what: &str,
    binaries: &BTreeMap<String, PathBuf>,
) -> Result<BTreeMap<String, u64>> {
    let (kernel, append) = machine::kernel(kernel_name)?;
    let mut image = machine::image(&kernel, binaries)?;
    let command = ["/usr/bin/e2e-guest", "measure", kernel_name, what].map(str::to_owned).to_vec();
    let counting = what == "instructions";
    let sysctls =
        if counting { vec![("kernel/bpf_stats_enabled".to_owned(), "1".to_owned())] } else { Vec::new() };
    let job = Job { command, sysctls, ..Job::default() };
    image.file(JOB_PATH, 0o644, &serde_json::to_vec(&job)?);
    let options = Options {
        memory: 2048,
        append: append.to_owned(),
        timing: if counting { Timing::Instructions } else { Timing::Plain },
        emulation: Emulation::Parallel,
        timeout: Duration::from_mins(20),
        ..Options::default()
    };
    terminal::progress(&format!("measuring {what} on {}", kernel.release));
    let mut found = BTreeMap::new();
    let mut said = Vec::new();
    let mut take = |message: &Message| match message {
        Message::Output(text) | Message::Error(text) => match parse(text) {
            Some((name, value)) => {
                terminal::progress(text);
                found.insert(name, value);
            }
            None => said.push(text.clone()),
        },
        Message::File { .. } | Message::Begin | Message::End(_) => {}
    };
    match boot_and_run(&kernel, &image, &options, &mut take, &mut machine::again)? {
        End::Success => Ok(found),
        End::Failure(code) => bail!("measuring {what} ended with {code}: {}", said.join("\n")),
        End::Broken(reason) => bail!("measuring {what}: {reason}"),
    }
}

/// A line `measure NAME VALUE`.
fn parse(line: &str) -> Option<(String, u64)> {
    let (name, value) = line.strip_prefix("measure ")?.split_once(' ')?;
    Some((name.to_owned(), value.parse().ok()?))
}

fn print(figures: &[Figure], values: &BTreeMap<String, u64>) {
    let cell = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    for figure in figures {
        let value = values.get(figure.name).copied();
        let mark = match (value, figure.hold) {
            (Some(value), Some(hold)) if value > hold => "  above what is to be held",
            _ => "",
        };
        terminal::line(&format!(
            "{:46} {:>9} {:>9} {:>9}{mark}",
            figure.title,
            cell(value),
            cell(figure.hold),
            cell(figure.tetragon)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::{figure, judge, parse};

    #[test]
    fn a_count_may_grow_by_five_hundredths_and_not_above_what_is_to_be_held() {
        let free = figure("x", "x", None, None);
        assert!(judge(&free, Some(1000), Some(1050)).is_ok());
        assert!(judge(&free, Some(1000), Some(1051)).is_err());
        assert!(judge(&free, Some(1000), None).is_err());
        assert!(judge(&free, None, Some(1)).is_err());
        let held = figure("x", "x", None, Some(1000));
        assert!(judge(&held, Some(1000), Some(1000)).is_ok());
        assert!(judge(&held, Some(1000), Some(1001)).is_err());
        assert!(judge(&held, Some(2000), Some(2100)).is_ok());
        assert!(judge(&held, Some(2000), Some(2101)).is_err());
    }

    #[test]
    fn only_lines_of_measures_are_read() {
        assert_eq!(parse("measure ready_ms 900"), Some(("ready_ms".to_owned(), 900)));
        assert_eq!(parse("measure ready_ms many"), None);
        assert_eq!(parse("ready_ms 900"), None);
    }
}

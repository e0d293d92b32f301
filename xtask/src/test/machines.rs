//! Scenarios on stock kernels: up to three machines a kernel, as many at once as this host has CPUs and memory.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::kernels::{Origin, VARIANTS, Variant};
use e2e::report::{Kernels, Listed, Machines, Report, Verdict};
use e2e::vm::{Emulation, End, JOB_PATH, Job, Message, Options, boot_and_run};

use super::{Arguments, Tally, samples, units};
use crate::{build, machine, terminal};

/// MiB of one machine.
const MEMORY: u32 = 2048;
/// Seconds that a machine may take, for itself and for each scenario; each scenario has a limit of its own inside.
const LIMIT: (u64, u64) = (300, 400);

/// The kernel that upstream's samples are from, and where they lie in the machine.
const SAMPLED: &str = "6.12";
const SAMPLES: &str = "/usr/share/samples";

/// The scenario that runs tests which load programs themselves, and where the machine has them.
const VERIFIED: &str = "no_program_is_expensive_to_verify";
const LIVE: (&str, &str, &str) = ("tracing-policy", "live", "/usr/bin/e2e-live");

/// One machine: a kernel and the scenarios to run on it.
#[derive(Clone, Debug)]
struct Round {
    variant: &'static Variant,
    emulation: Emulation,
    names: Vec<String>,
}

impl Round {
    /// Whether the tests of [`LIVE`] run in it.
    fn verifies(&self) -> bool {
        self.names.iter().any(|name| name == VERIFIED)
    }
}

/// What machines are made of.
#[derive(Clone, Debug)]
struct Machinery {
    binaries: BTreeMap<String, PathBuf>,
    /// The tests of [`LIVE`].
    live: Option<PathBuf>,
}

/// What came of one scenario on one kernel.
#[derive(Clone, Debug)]
struct Cell {
    variant: &'static str,
    report: Report,
}

/// The variants of the kernel that is built here.
fn built() -> impl Iterator<Item = &'static Variant> {
    VARIANTS.iter().filter(|variant| variant.kernel.origin == Origin::Built)
}

/// Whether machines with the kernel that is built here are asked for.
pub(super) fn wants_built(arguments: &Arguments) -> bool {
    let asked = |variant: &Variant| arguments.kernels.iter().any(|name| name == variant.name);
    arguments.kernels.is_empty() || built().any(asked)
}

/// Builds that kernel unless it is there, with what other layers leave of the CPUs. The machine that boots it waits, and says so if it failed.
pub(super) fn build_ahead() {
    for variant in built() {
        if let Err(error) = machine::kernel(variant.name) {
            terminal::progress(&format!("kernel {}: {error:#}", variant.name));
        }
    }
}

/// Runs the matrix.
pub(crate) fn run(arguments: &Arguments, tally: &mut Tally) -> Result<()> {
    let wanted = [build::INIT, build::GUEST, build::DAEMON, build::TETRA];
    let binaries = match &arguments.binaries {
        Some(folder) => build::in_folder(&wanted, folder)?,
        None => build::binaries(&wanted, build::VM_PROFILE)?,
    };
    let mut listed = listed(&binaries)?;
    if !samples().is_dir() {
        listed.retain(|listed| listed.kernels != Kernels::Sampled);
    }
    let Rounds { alone, together } = rounds(arguments, &listed)?;
    let live = if together.iter().any(Round::verifies) {
        Some(units::optimised_suite(LIVE.0, LIVE.1)?)
    } else {
        None
    };
    let machinery = Machinery { binaries, live };
    let cells = Mutex::new(Vec::new());
    // Machines of which the CPUs take turns need one CPU of the host; those for speed seldom need both of theirs; in contention nobody else may have any.
    at_once(together, places(1)?, &machinery, &cells);
    at_once(alone, places(2)?, &machinery, &cells);
    let cells = cells.into_inner().unwrap_or_else(PoisonError::into_inner);
    table(&cells);
    for Cell { variant, report } in cells {
        match report.verdict {
            Verdict::Passed => tally.pass(),
            Verdict::Failed(reason) => {
                tally.fail(&format!("{} on {variant}", report.name), &reason.replace(" | ", "\n"));
            }
            // The table of kernels says so, and a scenario checks the table: nothing was skipped.
            Verdict::Lacks(_) => {}
        }
    }
    Ok(())
}

/// The scenarios that the guest binary has.
fn listed(binaries: &BTreeMap<String, PathBuf>) -> Result<Vec<Listed>> {
    let guest = binaries.get("e2e-guest").context("e2e-guest was not built")?;
    let output = Command::new(guest).arg("list").output().context("e2e-guest list")?;
    let text = String::from_utf8(output.stdout).context("e2e-guest list")?;
    text.lines().map(|line| Listed::parse(line).with_context(|| format!("e2e-guest list: {line}"))).collect()
}

/// Which machines to boot.
#[derive(Debug, Default)]
struct Rounds {
    /// Those that want the host's CPUs for themselves.
    alone: Vec<Round>,
    /// Those that share them.
    together: Vec<Round>,
}

fn rounds(arguments: &Arguments, listed: &[Listed]) -> Result<Rounds> {
    for name in &arguments.scenarios {
        if !listed.iter().any(|listed| listed.name == *name) {
            bail!("no scenario is called {name}; e2e-guest list names them");
        }
    }
    for name in &arguments.kernels {
        if !VARIANTS.iter().any(|variant| variant.name == name) {
            let known: Vec<&str> = VARIANTS.iter().map(|variant| variant.name).collect();
            bail!("no kernel is called {name}; there are {}", known.join(", "));
        }
    }
    let mut rounds = Rounds::default();
    for machines in [Machines::Plain, Machines::Parallel, Machines::Contended] {
        for variant in &VARIANTS {
            let names = names(arguments, listed, variant, machines);
            if names.is_empty() {
                continue;
            }
            let (emulation, kind) = match machines {
                Machines::Plain => (Emulation::InTurn, &mut rounds.together),
                Machines::Parallel => (Emulation::Parallel, &mut rounds.together),
                Machines::Contended => (Emulation::Parallel, &mut rounds.alone),
            };
            kind.push(Round { variant, emulation, names });
        }
    }
    // it may still be building
    rounds.together.sort_by_key(|round| round.variant.kernel.origin == Origin::Built);
    Ok(rounds)
}

/// The scenarios of one kind that are asked for on one kernel.
fn names(arguments: &Arguments, listed: &[Listed], variant: &Variant, machines: Machines) -> Vec<String> {
    // A kernel booted in another way has the same front ends; only what contends is worth repeating.
    let wanted = machines == Machines::Contended || variant.append.is_empty();
    if !wanted || !(arguments.kernels.is_empty() || arguments.kernels.iter().any(|name| name == variant.name))
    {
        return Vec::new();
    }
    let asked = |name: &String| arguments.scenarios.is_empty() || arguments.scenarios.contains(name);
    let here = |kernels: Kernels| match kernels {
        Kernels::All => true,
        Kernels::Stock => variant.kernel.origin == Origin::Packaged,
        Kernels::Sampled => variant.name == SAMPLED,
    };
    let found = listed.iter().filter(|listed| listed.machines == machines && here(listed.kernels));
    found.filter(|listed| asked(&listed.name)).map(|listed| listed.name.clone()).collect()
}

/// How many machines that need `cpus` of the host fit at once.
fn places(cpus: usize) -> Result<usize> {
    let available = thread::available_parallelism().map_or(1, usize::from);
    let text = fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|number| number.parse::<usize>().ok());
    // Half as much again for QEMU itself and the image.
    let by_memory = kib.map_or(1, |kib| kib / 1024 / (MEMORY as usize * 3 / 2));
    Ok((available / cpus).min(by_memory).max(1))
}

/// Runs rounds, `places` of them at a time.
fn at_once(rounds: Vec<Round>, places: usize, machinery: &Machinery, cells: &Mutex<Vec<Cell>>) {
    let queue = Mutex::new(VecDeque::from(rounds));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    thread::scope(|scope| {
        for _ in 0..places {
            scope.spawn(|| {
                while let Some(round) = next() {
                    let reports = complete(&round, boot(&round, machinery));
                    let mut cells = cells.lock().unwrap_or_else(PoisonError::into_inner);
                    cells.extend(
                        reports.into_iter().map(|report| Cell { variant: round.variant.name, report }),
                    );
                }
            });
        }
    });
}

/// Boots one machine; the reports until something broke, and what that was.
fn boot(round: &Round, machinery: &Machinery) -> (Vec<Report>, Option<String>) {
    let mut reports = Vec::new();
    let broken = try_boot(round, machinery, &mut reports).err().map(|error| format!("{error:#}"));
    (reports, broken)
}

fn try_boot(round: &Round, machinery: &Machinery, reports: &mut Vec<Report>) -> Result<()> {
    let name = round.variant.name;
    let (kernel, append) = machine::kernel(name)?;
    let mut image = machine::image(&kernel, &machinery.binaries)?;
    if let Some(live) = machinery.live.as_deref().filter(|_| round.verifies()) {
        machine::add(&mut image, live, LIVE.2)?;
    }
    if name == SAMPLED && samples().is_dir() {
        machine::add(&mut image, &samples(), SAMPLES).context("samples of upstream's events")?;
    }
    let mut command = vec!["/usr/bin/e2e-guest".to_owned(), "run".to_owned(), name.to_owned()];
    command.extend(round.names.iter().cloned());
    let job = Job { command, ..Job::default() };
    image.file(JOB_PATH, 0o644, &serde_json::to_vec(&job)?);
    let seconds = LIMIT.0 + LIMIT.1 * round.names.len() as u64;
    let options = Options {
        memory: MEMORY,
        append: append.to_owned(),
        emulation: round.emulation,
        timeout: Duration::from_secs(seconds),
        ..Options::default()
    };
    terminal::progress(&format!("{name}: booting {} for {} scenarios", kernel.release, round.names.len()));
    let reports = Mutex::new(reports);
    let mut take = |message: &Message| {
        if let Message::Output(text) | Message::Error(text) = message {
            let Some(report) = Report::parse(text) else {
                terminal::progress(&format!("{name}: {text}"));
                return;
            };
            terminal::progress(&format!("{name}: {report}"));
            reports.lock().unwrap_or_else(PoisonError::into_inner).push(report);
        }
    };
    let mut again = |error: &_| {
        machine::again(error);
        reports.lock().unwrap_or_else(PoisonError::into_inner).clear();
    };
    match boot_and_run(&kernel, &image, &options, &mut take, &mut again)? {
        // A failure is one of the reports.
        End::Success | End::Failure(_) => Ok(()),
        End::Broken(reason) => bail!("{reason}"),
    }
}

/// Adds a failure for each scenario without a report: the machine broke in the first of them.
fn complete(round: &Round, (mut reports, broken): (Vec<Report>, Option<String>)) -> Vec<Report> {
    let missing = round.names.iter().filter(|name| !reports.iter().any(|report| report.name == **name));
    let mut reason = broken.unwrap_or_else(|| "the machine ended without a report".to_owned());
    let mut added = Vec::new();
    for name in missing {
        let verdict = Verdict::Failed(std::mem::replace(&mut reason, "not reached".to_owned()));
        added.push(Report { name: name.clone(), verdict, duration: Duration::ZERO });
    }
    reports.extend(added);
    reports
}

/// Prints scenarios by kernels.
fn table(cells: &[Cell]) {
    let mut names: Vec<&str> = Vec::new();
    for cell in cells {
        if !names.contains(&cell.report.name.as_str()) {
            names.push(&cell.report.name);
        }
    }
    let variants = VARIANTS.iter().filter(|variant| cells.iter().any(|cell| cell.variant == variant.name));
    let variants: Vec<&str> = variants.map(|variant| variant.name).collect();
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    let head: Vec<String> = variants.iter().map(|variant| format!("{variant:>8}")).collect();
    terminal::line(&format!("{:width$}  {}", "", head.join("  ")));
    for name in names {
        let mut row = Vec::new();
        for variant in &variants {
            let cell = cells.iter().find(|cell| cell.variant == *variant && cell.report.name == name);
            let text = cell.map_or_else(String::new, |cell| match &cell.report.verdict {
                Verdict::Passed => format!("{:.1} s", cell.report.duration.as_secs_f32()),
                Verdict::Failed(_) => "FAILED".to_owned(),
                Verdict::Lacks(_) => "lacks".to_owned(),
            });
            row.push(format!("{text:>0$}", variant.len().max(8)));
        }
        terminal::line(&format!("{name:width$}  {}", row.join("  ")));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use e2e::kernels::VARIANTS;
    use e2e::report::{Kernels, Listed, Machines, Report, Verdict};
    use e2e::vm::Emulation;

    use super::{Arguments, Round, Rounds, complete, rounds};

    fn arguments(kernels: &[&str], scenarios: &[&str]) -> Arguments {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Arguments { layers: Vec::new(), kernels: owned(kernels), scenarios: owned(scenarios), binaries: None }
    }

    fn listed() -> Vec<Listed> {
        let kinds = [Machines::Plain, Machines::Parallel, Machines::Contended];
        let stock = kinds.map(|machines| (format!("{machines:?}"), machines, Kernels::Stock));
        let all = kinds.map(|machines| (format!("{machines:?} everywhere"), machines, Kernels::All));
        let both = stock.into_iter().chain(all);
        both.map(|(name, machines, kernels)| Listed { name, machines, kernels }).collect()
    }

    #[test]
    fn kernels_booted_in_another_way_run_only_what_contends() {
        let all = arguments(&["6.12", "6.12+preempt=full"], &[]);
        let Rounds { alone, together } = rounds(&all, &listed()).unwrap();
        let names = |rounds: &[Round]| -> Vec<(&str, Vec<String>)> {
            rounds.iter().map(|round| (round.variant.name, round.names.clone())).collect()
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let shared = [["Plain", "Plain everywhere"], ["Parallel", "Parallel everywhere"]];
        assert_eq!(names(&together), shared.map(|kind| ("6.12", words(&kind))));
        let contended = words(&["Contended", "Contended everywhere"]);
        assert_eq!(names(&alone), [("6.12", contended.clone()), ("6.12+preempt=full", contended)]);
    }

    #[test]
    fn the_kernel_that_is_built_runs_only_what_asks_for_it() {
        let Rounds { alone, together } = rounds(&arguments(&["custom"], &[]), &listed()).unwrap();
        assert_eq!(together[0].names, ["Plain everywhere"]);
        assert_eq!(together[1].names, ["Parallel everywhere"]);
        assert_eq!(alone[0].names, ["Contended everywhere"]);
    }

    #[test]
    fn an_unknown_kernel_or_scenario_is_an_error() {
        assert!(rounds(&arguments(&["6.13"], &[]), &listed()).is_err());
        assert!(rounds(&arguments(&[], &["Plane"]), &listed()).is_err());
        let Rounds { alone, together } = rounds(&arguments(&["5.10"], &["Plain"]), &listed()).unwrap();
        assert_eq!((alone.len(), together.len()), (0, 1));
    }

    #[test]
    fn scenarios_that_a_broken_machine_did_not_reach_have_failed() {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let round = Round { variant: &VARIANTS[0], emulation: Emulation::InTurn, names };
        let done = Report { name: "a".to_owned(), verdict: Verdict::Passed, duration: Duration::ZERO };
        let all = complete(&round, (vec![done.clone()], Some("panic".to_owned())));
        let failed = |name: &str, reason: &str| Report {
            name: name.to_owned(),
            verdict: Verdict::Failed(reason.to_owned()),
            duration: Duration::ZERO,
        };
        assert_eq!(all, vec![done, failed("b", "panic"), failed("c", "not reached")]);
    }
}

//! Runs scenarios, each in a process of its own with a limit of time, and cleans up after each.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use e2e::expect::{Context, Failure, Outcome, eventually};
use e2e::kernels::{self, Variant};
use e2e::report::{Report, Verdict};
use e2e::scenario::Guest;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::registry::{SCENARIOS, Scenario};
use crate::say;

const FOLDER: &str = "/run/e2e";

/// Runs the named scenarios and reports on each.
pub(crate) fn all(variant: &str, names: &[&str]) -> Outcome<ExitCode> {
    let variant = find_variant(variant)?;
    let mut failed = false;
    let chosen: Vec<&Scenario> = names.iter().map(|name| find_scenario(name)).collect::<Outcome<_>>()?;
    for scenario in chosen {
        let begin = Instant::now();
        let lacking = scenario.needs.iter().find(|feature| !variant.has(**feature));
        let verdict = match lacking {
            Some(feature) => Verdict::Lacks(format!("{feature:?}")),
            None => guarded(scenario, variant)
                .map_or_else(|failure| Verdict::Failed(failure.0), |()| Verdict::Passed),
        };
        failed |= matches!(verdict, Verdict::Failed(_));
        say(&Report { name: scenario.name.to_owned(), verdict, duration: begin.elapsed() }.to_string());
        end_leftovers()?;
        // Each leaves up to hundreds of megabytes of events in memory.
        drop(fs::remove_dir_all(FOLDER));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs one scenario in this process; a failure is the error.
pub(crate) fn one(variant: &str, name: &str) -> Outcome<ExitCode> {
    let variant = find_variant(variant)?;
    let guest = Guest { variant, folder: PathBuf::from(FOLDER).join(name) };
    fs::create_dir_all(&guest.folder)?;
    (find_scenario(name)?.run)(&guest)?;
    Ok(ExitCode::SUCCESS)
}

fn find_variant(name: &str) -> Outcome<&'static Variant> {
    kernels::variant(name).ok_or_else(|| Failure(format!("no variant of a kernel is called {name}")))
}

fn find_scenario(name: &str) -> Outcome<&'static Scenario> {
    let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
    found.ok_or_else(|| Failure(format!("no scenario is called {name}")))
}

/// Runs a scenario in a child; its standard error is the failure.
fn guarded(scenario: &Scenario, variant: &Variant) -> Outcome {
    let path = PathBuf::from(format!("{FOLDER}.error"));
    let errors = fs::File::create(&path)?;
    let mut child = Command::new("/proc/self/exe")
        .arg0("e2e-guest")
        .args(["one", variant.name, scenario.name])
        .stdin(Stdio::null())
        .stderr(errors)
        .spawn()
        .context("e2e-guest")?;
    let status = match eventually(scenario.name, scenario.limit, || Ok(child.try_wait()?)) {
        Ok(status) => status,
        Err(failure) => {
            end(&mut child);
            return Err(failure);
        }
    };
    if status.success() {
        return Ok(());
    }
    let said = fs::read(&path).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Err(Failure(if said.is_empty() { status.to_string() } else { said }))
}

fn end(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}

/// Ends every process but the first, this one and the kernel's own; the machine is this program's alone.
fn end_leftovers() -> Outcome {
    let own = std::process::id();
    eventually("end of what a scenario left running", e2e::expect::PATIENCE, || {
        let mut left = false;
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // A kernel thread has no program, and a process that ended no longer has one.
            let is_program = fs::read_link(entry.path().join("exe")).is_ok();
            if pid > 1 && pid != own && is_program {
                left = true;
                let pid = i32::try_from(pid).context("pid")?;
                // It may have ended since.
                kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap_or_default();
            }
        }
        Ok((!left).then_some(()))
    })
}

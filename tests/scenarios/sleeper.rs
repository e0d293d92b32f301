//! A call that sleeps in a program of one daemon while the next takes over.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::ensure;
use e2e::expect::{Context as _, Outcome};
use e2e::scenario::{Guest, Settings, must, run};
use nix::sys::signal::Signal;

use crate::policies::named;
use crate::restart::{KEEP, taken_over};

const SLOW: &str = "/run/slow-program";
const BRIEF: &str = "/run/brief-program";
/// Bytes of the program by which the speed of the hash is measured.
const BRIEF_SIZE: u64 = 8 << 20;
/// Bytes of the other: what a sleeping call may take is bounded (docs/limitations.md), and so is this.
const LARGEST: u64 = 2 << 30;
/// How often the hash may be over too early.
const ATTEMPTS: u32 = 3;

/// Below `spec:`.
const DENY: &str = "  kprobes:
  - call: security_bprm_check
    syscall: false
    args: [{index: 0, type: linux_binprm}]
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: [/run/slow-program]}]
      matchActions: [{action: Override, argError: -1}]
";

/// Of several programs of one function the latest runs first, and this one sleeps: the longer, the larger the file.
const HASH: &str = "  lsmhooks:
  - hook: bprm_check_security
    args: [{index: 0, type: linux_binprm}]
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: [/run/slow-program, /run/brief-program]}]
      matchActions: [{action: Post, imaHash: true}]
";

/// A program of so many bytes, most of them none of its own.
fn write_program(path: &str, size: u64) -> Outcome {
    let _earlier = fs::remove_file(path);
    fs::copy("/usr/bin/true", path)?;
    File::options().write(true).open(path)?.set_len(size).context(path)
}

/// How a call that was begun under the first daemon ended under the second; `None`: it was over before that.
fn through_a_restart(guest: &Guest, settings: &Settings, factor: u32) -> Outcome<Option<bool>> {
    let first = settings.start(guest)?;
    first.add("hashed", &named("hashed", HASH))?;
    write_program(BRIEF, BRIEF_SIZE)?;
    let begun = Instant::now();
    must(&[BRIEF])?;
    let (brief, second_takes) = (begun.elapsed(), first.ready());
    let enough = (second_takes + Duration::from_secs(2)) * factor;
    let size = u128::from(BRIEF_SIZE) * enough.as_millis() / brief.as_millis().max(1);
    write_program(SLOW, u64::try_from(size).map_or(LARGEST, |size| size.min(LARGEST)))?;
    let mut call = exec(SLOW)?;
    thread::sleep(Duration::from_millis(500));
    first.signal(Signal::SIGKILL)?;
    drop(first);
    let second = settings.start(guest)?;
    let sleeps = call.try_wait()?.is_none();
    let status = call.wait()?;
    taken_over(&second)?;
    ensure!(!run(&[SLOW]).is_ok_and(|ended| ended.success()), "the program ran under the second daemon");
    second.stop()?;
    Ok(sleeps.then_some(status.success()))
}

/// Runs a program by way of a shell: the call to run it is not part of this process's own work.
fn exec(path: &str) -> Outcome<Child> {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {path}")]).stdin(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("sh")
}

/// A call that sleeps in another program while the daemon that would deny it is followed by the next is denied all the same: the programs of the first stay
/// until it is through. Without that the kernel takes the first one's denial out of its way, and it never meets the second's (7.2, `bpf_trampoline_skip_prog`).
pub(crate) fn through_restarts(guest: &Guest) -> Outcome {
    let settings = Settings::default().policy(&named("denied", DENY)).flags(&[KEEP]);
    let mut result = None;
    for attempt in 1..=ATTEMPTS {
        result = through_a_restart(guest, &settings, 1 << attempt)?;
        if result.is_some() {
            break;
        }
    }
    // for the scenarios that follow
    settings.flags(&["--keep-sensors-on-exit=false"]).start(guest)?.stop()?;
    ensure!(result.is_some(), "the hash was done before the second daemon had started");
    ensure!(result == Some(false), "the program ran although both daemons deny it");
    Ok(())
}

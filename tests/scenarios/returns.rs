//! What calls returned: one event for each call, with its own value.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::thread;

use e2e::ensure;
use e2e::event::Hook;
use e2e::expect::{Failure, Outcome};
use e2e::scenario::{Guest, Settings, must, run};

use crate::policies::named;
use crate::processes::{ROOM, expect_nothing_lost};

const THREADS: i32 = 8;
const CALLS: i32 = 500;

/// Eight threads make calls that return what they were called with: a system call and a function of the kernel.
pub(crate) fn contended(guest: &Guest) -> Outcome {
    let path = guest.folder.join("sought");
    std::fs::write(&path, "x")?;
    let files = (0..THREADS).map(|_| File::open(&path)).collect::<std::io::Result<Vec<_>>>()?;
    let zeros = (0..THREADS).map(|_| File::open("/dev/zero")).collect::<std::io::Result<Vec<_>>>()?;
    let numbers: Vec<String> = files.iter().map(|file| file.as_raw_fd().to_string()).collect();
    let mut daemon =
        Settings::default().policy(&sought(&numbers)).policy(&read()).flags(&ROOM).start(guest)?;
    let mut events = daemon.events()?;
    thread::scope(|scope| {
        let one = |thread: i32, mut file: &File, mut zero: &File| -> std::io::Result<()> {
            let mut bytes = vec![0; 10_000];
            for call in 0..CALLS {
                let value = number(thread, call);
                file.seek(SeekFrom::Start(value.unsigned_abs().into()))?;
                zero.read_exact(&mut bytes[..value.unsigned_abs() as usize])?;
            }
            Ok(())
        };
        let files = files.iter().zip(&zeros).zip(0..);
        let running: Vec<_> =
            files.map(|((file, zero), thread)| scope.spawn(move || one(thread, file, zero))).collect();
        for thread in running {
            thread.join().map_err(|_panic| Failure("a thread panicked".to_owned()))??;
        }
        Ok::<(), Failure>(())
    })?;
    let seen = daemon.settle(&mut events)?;
    expect_nothing_lost(&daemon)?;
    let mut expected: Vec<i64> =
        (0..THREADS).flat_map(|thread| (0..CALLS).map(move |call| number(thread, call).into())).collect();
    expected.sort_unstable();
    for policy in ["sought", "read"] {
        let hooks: Vec<&Hook> = seen.iter().filter_map(|event| event.of_policy(policy)).collect();
        let mut values = Vec::with_capacity(hooks.len());
        for hook in &hooks {
            let called = hook.args.last().and_then(|argument| argument.int_arg);
            let returned = hook.returned.as_ref().and_then(|argument| argument.int_arg);
            ensure!(called.is_some() && called == returned, "{policy}: {called:?} returned {returned:?}");
            ensure!(hook.return_action == "KPROBE_ACTION_POST", "{policy}: {}", hook.return_action);
            values.extend(returned);
        }
        values.sort_unstable();
        ensure!(values == expected, "{policy}: {} events of {} calls", values.len(), expected.len());
        let counted = daemon.acted(policy, "post")?;
        ensure!(counted == expected.len() as u64, "{policy} counts {counted} events");
    }
    Ok(())
}

/// A number that no other call has.
fn number(thread: i32, call: i32) -> i32 {
    1 + thread + THREADS * call
}

fn sought(descriptors: &[String]) -> String {
    named(
        "sought",
        &format!(
            "  kprobes:
  - call: sys_lseek
    return: true
    returnArg: {{index: 0, type: int}}
    args:
    - {{index: 0, type: int}}
    - {{index: 1, type: int}}
    selectors:
    - matchPIDs: [{{operator: In, values: [{}]}}]
      matchArgs: [{{index: 0, operator: Equal, values: {descriptors:?}}}]
      matchReturnArgs: [{{index: 0, operator: GT, values: ['0']}}]
",
            std::process::id()
        ),
    )
}

fn read() -> String {
    named(
        "read",
        &format!(
            "  kprobes:
  - call: vfs_read
    syscall: false
    return: true
    returnArg: {{index: 0, type: int}}
    args:
    - {{index: 0, type: file}}
    - {{index: 2, type: int}}
    selectors:
    - matchPIDs: [{{operator: In, values: [{}]}}]
      matchArgs: [{{index: 0, operator: Equal, values: [/dev/zero]}}]
",
            std::process::id()
        ),
    )
}

/// A fentry reports what a function was called with and returned, exactly or by a kprobe.
pub(crate) fn by_trampoline(guest: &Guest) -> Outcome {
    let text = read().replace("kprobes:", "fentries:");
    let mut daemon = Settings::default().policy(&text).start(guest)?;
    let mut events = daemon.events()?;
    let mut bytes = [0; 100];
    for length in [7, 77] {
        File::open("/dev/zero")?.read_exact(&mut bytes[..length])?;
    }
    let seen = daemon.settle(&mut events)?;
    let returned = seen.iter().filter_map(|event| event.of_policy("read")?.returned.as_ref()?.int_arg);
    let returned: Vec<i64> = returned.collect();
    ensure!(returned == [7, 77], "returned {returned:?}");
    Ok(())
}

/// Who fails to open a file is killed, and the open is reported; who succeeds is neither.
pub(crate) fn acted_on(guest: &Guest) -> Outcome {
    let there = guest.folder.join("there");
    std::fs::write(&there, "text")?;
    let text = failing(&guest.folder);
    let mut daemon = Settings::default().policy(&text).start(guest)?;
    let mut events = daemon.events()?;
    must(&["cat", &there.display().to_string()])?;
    let absent = guest.folder.join("absent").display().to_string();
    let killed = run(&["cat", &absent])?;
    ensure!(killed.killed(), "cat {absent} ended with {}", killed.status);
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event| event.of_policy("failing")).collect();
    ensure!(hooks.len() == 1, "{} events: {hooks:?}", hooks.len());
    let hook = hooks[0];
    ensure!(hook.process.pid == killed.pid, "pid {}", hook.process.pid);
    ensure!(hook.action == "KPROBE_ACTION_POST", "action {}", hook.action);
    ensure!(hook.return_action == "KPROBE_ACTION_SIGKILL", "return action {}", hook.return_action);
    let returned = hook.returned.as_ref().and_then(|argument| argument.int_arg);
    ensure!(returned == Some(-2), "returned {returned:?}");
    let counted = daemon.acted("failing", "signal")?;
    ensure!(counted == 1, "{counted} signals are counted");
    Ok(())
}

fn failing(folder: &Path) -> String {
    named(
        "failing",
        &format!(
            "  kprobes:
  - call: sys_openat
    return: true
    returnArg: {{index: 0, type: int}}
    args:
    - {{index: 1, type: string}}
    selectors:
    - matchArgs: [{{index: 1, operator: Prefix, values: ['{}/']}}]
      matchReturnArgs: [{{index: 0, operator: LT, values: ['0']}}]
      matchReturnActions: [{{action: Sigkill}}]
",
            folder.display()
        ),
    )
}

//! `tetra tracingpolicy generate`: policies made from what a machine has.

use std::collections::BTreeSet;
use std::fs;

use e2e::ensure;
use e2e::event::Event;
use e2e::expect::{Events, Failure, Outcome};
use e2e::kernels::Feature;
use e2e::scenario::{Daemon, Guest, Settings, must};

/// The program whose calls are reported.
const PROGRAM: &str = "/usr/bin/tac";
/// Long lists take their time in an emulated machine.
const PATIENCE: &str = "300s";

/// Generates a policy, and adds it.
fn add(daemon: &Daemon, guest: &Guest, what: &[&str]) -> Outcome {
    let text = daemon.tetra_must(&[&["tracingpolicy", "generate"], what].concat())?.text();
    let path = guest.folder.join("generated.yaml").display().to_string();
    fs::write(&path, text)?;
    daemon.tetra_must(&["--timeout", PATIENCE, "tracingpolicy", "add", &path]).map(drop)
}

/// Generates a policy that is called `name` and is on functions of the kernel, has the program run under it, and removes it; the functions that
/// the program was reported to call.
fn called(
    daemon: &mut Daemon,
    events: &mut Events,
    guest: &Guest,
    name: &str,
    what: &[&str],
) -> Outcome<BTreeSet<String>> {
    add(daemon, guest, &[what, &["--match-binary", PROGRAM]].concat())?;
    must(&["cat", "/etc/passwd"])?;
    must(&[PROGRAM, "/etc/passwd"])?;
    let seen = daemon.settle(events)?;
    let hooks = seen.iter().filter_map(|event: &Event| event.of_policy(name));
    let mut functions = BTreeSet::new();
    for hook in hooks {
        ensure!(hook.process.binary == PROGRAM, "{} of {}", hook.function_name, hook.process.binary);
        functions.insert(hook.function_name.clone());
    }
    daemon.tetra_must(&["--timeout", PATIENCE, "tracingpolicy", "delete", name])?;
    Ok(functions)
}

/// What is generated for the functions of the kernel loads as it is, and reports the calls of the program that it is limited to.
pub(crate) fn of_the_kernel(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().start(guest)?;
    let mut events = daemon.events()?;
    add(&daemon, guest, &["empty"])?;
    let calls = ["__x64_sys_read", "__x64_sys_write", "__x64_sys_exit_group"];
    for what in ["all-syscalls-list", "all-syscalls"] {
        let found = called(&mut daemon, &mut events, guest, "syscalls", &[what])?;
        ensure!(calls.iter().all(|call| found.contains(*call)), "{what}: {found:?}");
    }
    let some = ["ftrace-list", "--regex", "^security_file_"];
    let found = called(&mut daemon, &mut events, guest, "ftrace", &some)?;
    ensure!(found.contains("security_file_open") && found.contains("security_file_permission"), "{found:?}");
    Ok(())
}

/// What is generated for the static probes of a program loads as it is, and reports them with their arguments.
pub(crate) fn of_a_program(guest: &Guest) -> Outcome {
    let own = std::env::current_exe()?.display().to_string();
    let mut daemon = Settings::default().start(guest)?;
    let mut events = daemon.events()?;
    add(&daemon, guest, &["usdts", "--binary", &own])?;
    crate::usdts::hit();
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<_> = seen.iter().filter_map(|event| event.process_usdt.as_ref()).collect();
    ensure!(hooks.len() == 1 && hooks[0].name == "hit", "{hooks:?}");
    let number = hooks[0].args.first().and_then(|argument| argument.int_arg);
    ensure!(number == Some(5), "the probe's first argument is {number:?}");
    Ok(())
}

/// What is generated for all functions of a program loads as it is where they share a link, and reports each by its name; elsewhere it is said how
/// many can be hooked.
pub(crate) fn of_functions(guest: &Guest) -> Outcome {
    let program = guest.folder.join("bash").display().to_string();
    fs::copy("/usr/bin/bash", &program)?;
    let mut daemon = Settings::default().start(guest)?;
    let mut events = daemon.events()?;
    let added = add(&daemon, guest, &["uprobes", "--binary", &program]);
    if !guest.variant.has(Feature::ProbeMulti) {
        let Err(refused) = added else { return Err(Failure("it was not refused".to_owned())) };
        ensure!(refused.to_string().contains("1024"), "{refused}");
        return Ok(());
    }
    added?;
    must(&[&program, "-c", "find=1; : $find"])?;
    let seen = daemon.settle(&mut events)?;
    let hooks = seen.iter().filter_map(|event| event.process_uprobe.as_ref());
    let functions: BTreeSet<&str> = hooks.map(|hook| hook.symbol.as_str()).collect();
    let expected = ["find_variable", "execute_command", "parse_command"];
    ensure!(expected.iter().all(|name| functions.contains(name)), "{functions:?}");
    Ok(())
}

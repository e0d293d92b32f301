//! Lists: many functions in one program, patterns, system calls of 32-bit programs, functions that may be missing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use e2e::ensure;
use e2e::event::Event;
use e2e::expect::Outcome;
use e2e::scenario::{Guest, Settings, must};

use crate::policies::named;

const POLICY: &str = "lists";
/// What a long list may take to load in an emulated machine.
const SOON: Duration = Duration::from_secs(30);

fn policy(lists: &str, hook: &str) -> String {
    named(POLICY, &format!("  lists: [{lists}]\n  kprobes: [{hook}]\n"))
}

fn functions(seen: &[Event]) -> BTreeSet<String> {
    seen.iter().filter_map(|event| event.of_policy(POLICY)).map(|hook| hook.function_name.clone()).collect()
}

/// All system calls of one program are reported under their names, and the list loads soon.
pub(crate) fn all_system_calls(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().start(guest)?;
    let mut events = daemon.events()?;
    let began = Instant::now();
    let of_tac = "selectors: [{matchBinaries: [{operator: Postfix, values: [/tac]}]}]";
    daemon.add(
        POLICY,
        &policy("{name: all, type: generated_syscalls}", &format!("{{call: 'list:all', {of_tac}}}")),
    )?;
    let took = began.elapsed();
    ensure!(took < SOON, "all system calls took {took:?} to load");
    must(&["tac", "/etc/passwd"])?;
    must(&["cat", "/etc/passwd"])?;
    let seen = daemon.settle(&mut events)?;
    let found = functions(&seen);
    for name in ["__x64_sys_read", "__x64_sys_write", "__x64_sys_exit_group"] {
        ensure!(found.contains(name), "no {name} among {found:?}");
    }
    let other = |event: &&Event| {
        let binary = event.of_policy(POLICY).map(|hook| hook.process.binary.clone());
        binary.is_some_and(|binary| !binary.ends_with("/tac"))
    };
    ensure!(!seen.iter().any(|event| other(&event)), "calls of others are reported");
    daemon.delete(POLICY)
}

/// A pattern stands for the functions that match it.
pub(crate) fn pattern(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().start(guest)?;
    let mut events = daemon.events()?;
    let began = Instant::now();
    let of_tac = "selectors: [{matchBinaries: [{operator: Postfix, values: [/tac]}]}]";
    daemon.add(
        POLICY,
        &policy(
            "{name: some, type: generated_ftrace, pattern: '^security_(file|inode)_[gop]'}",
            &format!("{{call: 'list:some', {of_tac}}}"),
        ),
    )?;
    let took = began.elapsed();
    ensure!(took < SOON, "the pattern took {took:?} to load");
    must(&["tac", "/etc/passwd"])?;
    let found = functions(&daemon.settle(&mut events)?);
    for name in ["security_file_open", "security_file_permission", "security_inode_permission"] {
        ensure!(found.contains(name), "no {name} among {found:?}");
    }
    Ok(())
}

/// Calls a system call as a 32-bit program does, with a number and a first argument.
#[expect(unsafe_code, reason = "the instruction has no safe form")]
fn int_0x80(number: u32, first: u32) -> i32 {
    let result: u32;
    // SAFETY: `dup` of a descriptor that is not open touches no memory; rbx is put back.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {first}", "int 0x80", "xchg rbx, {first}",
            first = inout(reg) u64::from(first) => _,
            inout("eax") number => result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result.cast_signed()
}

/// A call by int 0x80 is told from the one of 64-bit programs, by function and by number.
pub(crate) fn int_0x80_told_apart(guest: &Guest) -> Outcome {
    const DUP: u32 = 41;
    const EBADF: i32 = 9;
    let mut daemon = Settings::default().start(guest)?;
    let mut events = daemon.events()?;
    let filter = "args: [{index: 0, type: int}], selectors: [{matchArgs: [{index: 0, operator: Equal, values: ['9999']}]}]";
    let lists = "{name: dups, type: syscalls, values: [sys_dup, i386/sys_dup]}";
    daemon.add(POLICY, &policy(lists, &format!("{{call: 'list:dups', {filter}}}")))?;
    let result = int_0x80(DUP, 9999);
    ensure!(result == -EBADF, "int 0x80 returned {result}");
    let found = functions(&daemon.settle(&mut events)?);
    ensure!(found == BTreeSet::from(["__ia32_sys_dup".to_owned()]), "{found:?}");
    daemon.delete(POLICY)?;
    let by_number = named(
        POLICY,
        "  lists: [{name: dups, type: syscalls, values: [i386/sys_dup]}]
  tracepoints:
  - subsystem: raw_syscalls
    event: sys_enter
    args: [{index: 4, type: syscall64}]
    selectors: [{matchArgs: [{index: 4, operator: InMap, values: ['list:dups']}]}]
",
    );
    daemon.add(POLICY, &by_number)?;
    int_0x80(DUP, 9999);
    let seen = daemon.settle(&mut events)?;
    let own = std::process::id();
    let hooks = seen.iter().filter_map(|event| event.process_tracepoint.as_ref());
    let hooks: Vec<_> = hooks.filter(|hook| hook.process.pid == own).collect();
    ensure!(hooks.len() == 1, "{} events of the tracepoint", hooks.len());
    let call = hooks[0].args.first().and_then(|argument| argument.other.get("syscall_id"));
    let expected = serde_json::json!({ "id": DUP, "abi": "i386" });
    ensure!(call == Some(&expected), "the call is shown as {call:?}");
    Ok(())
}

/// A policy that goes without a function, or without a file that is another, says so for each of its entries.
pub(crate) fn enabled_in_part(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().start(guest)?;
    let mut events = daemon.events()?;
    let missing = "syscall: false, ignore: {callNotFound: true}";
    let spec = format!(
        "  lists: [{{name: some, values: [security_file_open, no_such_member]}}]
  kprobes:
  - {{call: security_inode_unlink, syscall: false}}
  - {{call: no_such_function, {missing}}}
  - {{call: 'list:some', {missing}}}
  uprobes:
  - path: /usr/bin/tetra
    symbols: [main]
    binaryDigests: ['sha256:{:064}']
    ignore: {{digestVerificationFailure: true}}
",
        0
    );
    daemon.add(POLICY, &named(POLICY, &spec))?;
    let list = daemon.tetra_must(&["tracingpolicy", "list"])?.text();
    ensure!(list.contains("partially_enabled"), "the policy is not partially enabled: {list}");
    for (section, entry, word, state) in [
        ("kprobes", "0", "security_inode_unlink", " loaded"),
        ("kprobes", "1", "no_such_function", " call_not_found"),
        ("kprobes", "2", "no_such_member", "partial_call_not_found"),
        ("uprobes", "0", "/usr/bin/tetra:main", "digest_rejected"),
    ] {
        let of_entry = |line: &&str| line.split_whitespace().take(2).eq([section, entry]);
        let line = list.lines().find(of_entry).unwrap_or_default();
        ensure!(
            line.contains(word) && line.trim_end().ends_with(state),
            "{section} {entry}: {line:?} in {list}"
        );
    }
    must(&["cat", "/etc/passwd"])?;
    let found = functions(&daemon.settle(&mut events)?);
    ensure!(found.contains("security_file_open"), "what is there is not hooked: {found:?}");
    Ok(())
}

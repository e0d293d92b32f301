//! Buffers, and values that are reached through the kernel's types.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::os::unix::fs::FileExt;

use e2e::ensure;
use e2e::event::{Event, Hook};
use e2e::expect::{Context, Outcome};
use e2e::scenario::{Guest, Settings, must};

const TEXT: &str = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: reached
spec:
  kprobes:
  - call: security_bprm_check
    syscall: false
    args:
    - {index: 0, type: string, resolve: file.f_path.dentry.d_name.name}
    - {index: 0, resolve: file}
    - {index: 0, type: int, resolve: cred.uid.val}
    data:
    - {index: 0, type: string, source: current_task, resolve: group_leader.comm}
    - {index: 1, type: linux_binprm, source: pt_regs, resolve: rdi}
    selectors:
    - matchArgs:
      - {args: [1], operator: Prefix, values: [/]}
      - {args: [2], operator: Equal, values: ['0']}
      matchData:
      - {index: 1, operator: Prefix, values: [/]}
  - call: sys_write
    args:
    - {index: 1, type: char_buf, sizeArgIndex: 3, maxData: true}
    - {index: 2, type: size_t}
    selectors:
    - matchArgs:
      - {index: 1, operator: Prefix, values: [to-be-seen]}
  - call: sys_writev
    args:
    - {index: 1, type: char_iovec, sizeArgIndex: 3}
    selectors:
    - matchArgs:
      - {index: 1, operator: Equal, values: [in-several-pieces]}
  - call: pipe_write
    syscall: false
    ignore: {callNotFound: true}
    args:
    - {index: 0, type: nop}
    - {index: 1, type: iov_iter}
    selectors:
    - matchArgs:
      - {index: 1, operator: Prefix, values: [to-be-seen]}
  - call: anon_pipe_write
    syscall: false
    ignore: {callNotFound: true}
    args:
    - {index: 0, type: nop}
    - {index: 1, type: iov_iter}
    selectors:
    - matchArgs:
      - {index: 1, operator: Prefix, values: [to-be-seen]}
  tracepoints:
  - subsystem: sched
    event: sched_process_exec
    args:
    - {index: 4, type: data_loc}
    selectors:
    - matchArgs:
      - {index: 4, operator: Postfix, values: [/true]}
";

/// A path through types, the current task, a register, buffers of system calls, an iterator and text in a tracepoint's record, each filtered and shown.
pub(crate) fn reached(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().policy(TEXT).start(guest)?;
    let mut events = daemon.events()?;
    must(&["true"])?;
    must(&["sh", "-c", "echo to-be-seen | cat >/dev/null; echo not-to-be-seen | cat >/dev/null"])?;
    must(&["sh", "-c", "(printf to-be-seen; head -c 19990 /dev/zero) >/tmp/long"])?;
    must(&["dd", "if=/tmp/long", "of=/dev/null", "bs=20000"])?;
    let mut nowhere = File::options().write(true).open("/dev/null")?;
    let pieces = ["in-", "several", "", "-pieces"].map(|piece| IoSlice::new(piece.as_bytes()));
    let written = nowhere.write_vectored(&pieces)?;
    ensure!(written == 17, "wrote {written} bytes");
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<Hook> = seen.iter().filter_map(|event: &Event| event.process_kprobe.clone()).collect();
    let of = |function: &str| -> Vec<&Hook> {
        hooks.iter().filter(|hook| hook.function_name == function).collect()
    };
    let checks = of("security_bprm_check");
    ensure!(!checks.is_empty(), "no programs: {hooks:?}");
    for check in &checks {
        let name = check.args[0].string_arg.as_deref().unwrap_or_default();
        let path = check.path().unwrap_or_default();
        ensure!(!name.is_empty() && path.ends_with(&format!("/{name}")), "{name} of {path}");
        ensure!(check.args[2].uint_arg == Some(0), "uid {:?}", check.args[2]);
    }
    let writes = of("__x64_sys_write");
    // the shell's, and if it copies so, cat's
    ensure!(!writes.is_empty(), "no writes: {hooks:?}");
    let pipes: Vec<&Hook> = hooks.iter().filter(|hook| hook.function_name.ends_with("pipe_write")).collect();
    ensure!(pipes.len() == 1, "{} writes to pipes: {hooks:?}", pipes.len());
    let bytes = |hook: &&Hook| hook.args[0].bytes_arg.clone().unwrap_or_default();
    // `to-be-seen` and a line feed
    let short = |hook: &&Hook| bytes(hook) == "dG8tYmUtc2Vlbgo=";
    ensure!(pipes.iter().all(short), "bytes {pipes:?}");
    ensure!(writes.iter().any(short), "bytes {writes:?}");
    // 20 000 bytes in base64: more than a record holds
    let long = |hook: &&Hook| bytes(hook).len() == 26_668 && bytes(hook).starts_with("dG8tYmUtc2Vlb");
    ensure!(writes.iter().any(long), "no long write among {}", writes.len());
    let vectors = of("__x64_sys_writev");
    // base64 of the pieces put together
    ensure!(vectors.len() == 1 && bytes(&vectors[0]) == "aW4tc2V2ZXJhbC1waWVjZXM=", "vectors {vectors:?}");
    let records: Vec<&Hook> = seen.iter().filter_map(|event| event.process_tracepoint.as_ref()).collect();
    let path = |hook: &Hook| hook.args.first().and_then(|path| path.string_arg.clone()).unwrap_or_default();
    ensure!(records.len() == 1 && path(records[0]).ends_with("/true"), "records of exec: {records:?}");
    Ok(())
}

/// What calls fill is read when they return: by a system call, a vector of it, and a function of the kernel, each for one reader of one file.
const FILLED: &str = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: filled}
spec:
  kprobes:
  - call: sys_pread64
    args:
    - {index: 0, type: fd}
    - {index: 1, type: char_buf, returnCopy: true, sizeArgIndex: 3, label: filled}
    - {index: 2, type: int}
    return: true
    returnArg: {index: 0, type: int}
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: [/run/filled]}]
  - call: sys_preadv
    args:
    - {index: 0, type: fd}
    - {index: 1, type: char_iovec, returnCopy: true, sizeArgIndex: 3, label: filled}
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: [/run/filled]}]
  - call: vfs_read
    syscall: false
    args:
    - {index: 0, type: file}
    - {index: 1, type: char_buf, returnCopy: true, sizeArgIndex: 3, label: filled}
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: [/run/filled]}]
";

/// Each read is one event with what it returned in it, at its place among the arguments.
pub(crate) fn filled(guest: &Guest) -> Outcome {
    let text = "what the file holds";
    std::fs::write("/run/filled", text)?;
    let mut daemon = Settings::default().policy(FILLED).start(guest)?;
    let mut events = daemon.events()?;
    let mut file = File::open("/run/filled")?;
    let mut bytes = [b'-'; 100];
    let length = file.read_at(&mut bytes, 5)?;
    let vectored = preadv_of(&file)?;
    let read = file.read(&mut bytes)?;
    ensure!((length, vectored, read) == (14, 19, 19), "read {length}, {vectored}, {read} bytes");
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event: &Event| event.of_policy("filled")).collect();
    let of = |function: &str| -> Vec<&Hook> {
        hooks.iter().filter(|hook| hook.function_name == function).copied().collect()
    };
    let reads = of("__x64_sys_pread64");
    ensure!(reads.len() == 1 && reads[0].args.len() == 3, "sys_pread64: {reads:?}");
    // base64 of `the file holds`
    let shown = reads[0].args[1].bytes_arg.as_deref();
    ensure!(shown == Some("dGhlIGZpbGUgaG9sZHM="), "sys_pread64 filled {shown:?}");
    let returned = reads[0].returned.as_ref().and_then(|value| value.int_arg);
    ensure!(returned == Some(14) && reads[0].args[2].int_arg == Some(100), "sys_pread64: {:?}", reads[0]);
    for function in ["__x64_sys_preadv", "vfs_read"] {
        let reads = of(function);
        let whole = |hook: &&Hook| hook.args.get(1).and_then(|value| value.bytes_arg.clone());
        let shown: Vec<Option<String>> = reads.iter().map(whole).collect();
        // base64 of the whole text
        ensure!(
            shown.contains(&Some("d2hhdCB0aGUgZmlsZSBob2xkcw==".to_owned())),
            "{function} filled {shown:?}"
        );
        ensure!(
            reads.iter().all(|hook| hook.returned.is_none()),
            "{function} was not asked what it returned"
        );
    }
    Ok(())
}

/// Reads a file from its beginning into two pieces, of which the first is short.
fn preadv_of(file: &File) -> Outcome<usize> {
    let (mut first, mut second) = ([0; 4], [0; 100]);
    let mut pieces = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    nix::sys::uio::preadv(file, &mut pieces, 0).context("preadv")
}

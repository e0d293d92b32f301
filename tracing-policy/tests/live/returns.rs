//! What calls return, and with which calls it is joined.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::thread;

use bpf_probes::abi::{Counter, RecordKind};
use bpf_probes::load::probe::{ProbeOptions, kernel_view};
use zerocopy::FromBytes;

use crate::running::{Running, resolve};

const THREADS: i64 = 8;
const CALLS: i64 = 200;

fn policy(call: &str, ty: &str, selector: &str) -> String {
    let syscall = call.starts_with("sys_");
    format!(
        "{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {{name: p}}, spec: {{kprobes: [{{call: {call}, syscall: {syscall}, return: true, returnArg: {{index: 0, type: {ty}}}, args: [{{index: 1, type: int64}}], selectors: [{selector}]}}]}}}}"
    )
}

// proves: HOOK-02 (system calls), SEL-04
#[test]
fn root_each_system_call_is_told_with_what_it_returned() {
    let kernel = kernel_view(&ProbeOptions::default()).unwrap();
    let files: Vec<File> = (0..THREADS).map(|_| tempfile::tempfile().unwrap()).collect();
    let selector = format!(
        "{{matchPIDs: [{{operator: In, values: [{}]}}], matchReturnArgs: [{{index: 0, operator: GT, values: ['-1']}}]}}",
        std::process::id()
    );
    let text = policy("sys_lseek", "int64", &selector);
    let mut running = Running::start(&[resolve(&text, &kernel)], &kernel);
    thread::scope(|scope| {
        for (mut file, thread) in files.iter().zip(0..) {
            scope.spawn(move || {
                for call in 0..CALLS {
                    let at = THREADS * call + thread;
                    file.seek(SeekFrom::Start(at.unsigned_abs())).unwrap();
                    // before the beginning: refused
                    assert!(file.seek(SeekFrom::Current(-1 - at)).is_err());
                }
                assert!(file.as_raw_fd() > 0);
            });
        }
    });
    let reports = running.reports();
    let of = |kind| reports.iter().filter(move |report| report.kind() == kind);
    let value = |bytes: &[u8]| i64::read_from_bytes(bytes).unwrap();
    // `process.ktime` is where a return's record has the time of its entry
    let returned: HashMap<(u64, u32), Option<i64>> = of(RecordKind::Return)
        .map(|report| {
            let key = (report.record.process.ktime, report.record.tid);
            (key, report.values.first().map(|(_, bytes)| value(bytes)))
        })
        .collect();
    let mut told = 0;
    for entry in of(RecordKind::Hook) {
        let called = value(&entry.values[0].1);
        let answer = returned.get(&(entry.record.header.ktime, entry.record.tid));
        assert_eq!(answer, Some(&(called >= 0).then_some(called)), "{entry:?}");
        told += u64::from(called >= 0);
    }
    assert_eq!(told, (THREADS * CALLS).unsigned_abs());
    assert_eq!(of(RecordKind::Hook).count(), of(RecordKind::Return).count());
    assert_eq!(running.count(0, 0, Counter::Post), told);
}

// proves: SEL-04 (verifier), ACT-12 (verifier)
#[test]
fn root_programs_for_returns_are_verified() {
    let kernel = kernel_view(&ProbeOptions::default()).unwrap();
    let selectors = [
        "{matchReturnArgs: [{index: 0, operator: NotInMap, values: ['0:100', '7000']}], matchReturnActions: [{action: Signal, argSig: 10}]}",
        "{matchActions: [{action: NoPost}], matchReturnActions: [{action: Sigkill}]}",
        "{matchReturnArgs: [{index: 0, operator: Mask, values: ['8']}], matchReturnActions: [{action: NoPost}]}",
        "{matchReturnArgs: [{operator: CelExpr, values: ['arg0 > int32(2) || arg0 == int32(-9)']}], matchReturnActions: [{action: Post, rateLimit: 1m, kernelStackTrace: true, userStackTrace: true}]}",
    ];
    let of = |call: &str, ty: &str, selector: &str| resolve(&policy(call, ty, selector), &kernel);
    let unused = "matchPIDs: [{operator: In, values: [1]}], ";
    let guarded = |selector: &str| selector.replacen('{', &format!("{{{unused}"), 1);
    for call in ["sys_dup2", "vfs_read", "security_file_open"] {
        if !call.starts_with("sys_") && crate::running::traceable_kernel().is_none() {
            continue;
        }
        let all: Vec<_> = selectors.iter().map(|selector| of(call, "int", &guarded(selector))).collect();
        drop(Running::start(&all, &kernel));
        for one in &all {
            drop(Running::start(std::slice::from_ref(one), &kernel));
        }
    }
    if crate::running::traceable_kernel().is_some() {
        let file = "{matchPIDs: [{operator: In, values: [1]}], matchReturnArgs: [{index: 0, operator: Prefix, values: [/etc/]}]}";
        drop(Running::start(&[of("dentry_open", "file", file)], &kernel));
        let tracked = policy(
            "sk_alloc",
            "sock",
            "{matchPIDs: [{operator: In, values: [1]}], matchReturnActions: [{action: UntrackSock}]}",
        );
        let tracked = tracked.replace("return: true", "return: true, returnArgAction: TrackSock");
        drop(Running::start(&[resolve(&tracked, &kernel)], &kernel));
    }
}

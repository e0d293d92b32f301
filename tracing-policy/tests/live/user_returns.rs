//! Functions of this very program, seen to return.

use std::collections::HashMap;
use std::hint::black_box;
use std::thread;

use bpf_probes::abi::{Counter, RecordKind, hook_flag};
use bpf_probes::kernel::{Feature, KernelView};
use zerocopy::FromBytes;

use crate::running::{Report, Running};
use crate::uprobes::{SINGLE, kernel_with, offset_of_address, resolve};

const THREADS: i64 = 4;
const CALLS: i64 = 50;
const DEPTH: i64 = 10;

/// What is hooked: each call but the innermost calls itself. Each test has a function of its own, since tests run beside each other.
macro_rules! descends {
    ($name:ident) => {
        #[inline(never)]
        extern "C" fn $name(call: i64, depth: i64) -> i64 {
            black_box(concat!(stringify!($name), "\0"));
            if depth > 0 {
                black_box(black_box($name as extern "C" fn(i64, i64) -> i64)(call, depth - 1));
            }
            black_box(call * 1_000 + depth)
        }
    };
}

fn value(bytes: &[u8]) -> i64 {
    i64::read_from_bytes(bytes).unwrap()
}

/// What each call was told to have returned, by the time of its entry and its thread; nothing where it is dismissed.
fn returned(reports: &[Report]) -> HashMap<(u64, u32), Option<i64>> {
    let of = reports.iter().filter(|report| report.kind() == RecordKind::Return);
    let returned = of.map(|report| {
        // `process.ktime` is where a return's record has the time of its entry
        let dismissed = report.record.flags & hook_flag::DISMISSED != 0;
        assert_eq!(report.values.is_empty(), dismissed, "{report:?}");
        let key = (report.record.process.ktime, report.record.tid);
        (key, report.values.first().map(|(_, bytes)| value(bytes)))
    });
    returned.collect()
}

fn each_call_is_told_with_what_it_returned(
    kernel: &KernelView,
    options: &str,
    function: extern "C" fn(i64, i64) -> i64,
    mechanism: &str,
) {
    let offset = offset_of_address(function as usize as u64);
    let arguments = "args: [{index: 0, type: int64}, {index: 1, type: int64}], return: true, returnArg: {index: 0, type: int64}";
    let filter = "selectors: [{matchReturnArgs: [{index: 0, operator: GT, values: ['999']}]}]";
    let policy = resolve(kernel, options, &format!("offsets: [{offset}], {arguments}, {filter}"));
    let mut running = Running::start(std::slice::from_ref(&policy), kernel);
    let target = policy.hooks[0].attachments[0].target.to_string();
    assert!(target.starts_with(mechanism), "{target}");
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for call in 0..CALLS {
                    assert_eq!(function(CALLS * thread + call, DEPTH) % 1_000, DEPTH);
                }
            });
        }
    });
    let reports = running.reports();
    let answers = returned(&reports);
    let mut told = 0;
    for entry in reports.iter().filter(|report| report.kind() == RecordKind::Hook) {
        let (call, depth) = (value(&entry.values[0].1), value(&entry.values[1].1));
        let expected = Some(call * 1_000 + depth).filter(|value| *value > 999);
        let answer = answers.get(&(entry.record.header.ktime, entry.record.tid));
        assert_eq!(answer, Some(&expected), "{entry:?}");
        told += u64::from(expected.is_some());
    }
    assert_eq!(told, ((THREADS * CALLS - 1) * (DEPTH + 1)).unsigned_abs());
    assert_eq!(running.count(0, 0, Counter::Post), told);
    drop(running);
    assert_eq!(function(1, 1), 1_001, "nobody is there any more");
}

descends!(returned_beside_others);
descends!(returned_alone);
descends!(returned_from_far_within);

// proves: HOOK-11 (uprobe.multi, natively), HOOK-12 (returns, natively)
#[test]
fn root_each_call_of_a_program_is_told_with_what_it_returned() {
    let Some(kernel) = kernel_with(Feature::UprobeMulti) else { return };
    each_call_is_told_with_what_it_returned(&kernel, "", returned_beside_others, "uretprobe.multi ");
}

// proves: HOOK-11 (perf, natively)
#[test]
fn root_a_perf_uretprobe_tells_the_same() {
    let Some(kernel) = kernel_with(Feature::Uprobe) else { return };
    each_call_is_told_with_what_it_returned(&kernel, SINGLE, returned_alone, "uretprobe ");
}

/// The kernel follows 64 calls of a thread within each other (`kernel/events/uprobes.c: MAX_URETPROBE_DEPTH`): what is further in is not told, and never as another's.
// proves: HOOK-11 (bound, natively)
#[test]
fn root_calls_too_far_within_each_other_are_not_told_as_others() {
    let Some(kernel) = kernel_with(Feature::Uprobe) else { return };
    let offset = offset_of_address(returned_from_far_within as *const () as usize as u64);
    let arguments = "args: [{index: 1, type: int64}], return: true, returnArg: {index: 0, type: int64}";
    let policy = resolve(&kernel, "", &format!("offsets: [{offset}], {arguments}"));
    let mut running = Running::start(&[policy], &kernel);
    returned_from_far_within(1, 100);
    let reports = running.reports();
    let answers = returned(&reports);
    let entries: Vec<_> = reports.iter().filter(|report| report.kind() == RecordKind::Hook).collect();
    assert_eq!((entries.len(), answers.len()), (101, 64));
    for entry in entries {
        let depth = value(&entry.values[0].1);
        let answer = answers.get(&(entry.record.header.ktime, entry.record.tid));
        let expected = (depth > 100 - 64).then_some(Some(1_000 + depth));
        assert_eq!(answer, expected.as_ref(), "{depth}");
    }
}

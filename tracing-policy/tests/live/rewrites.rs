//! Functions of this very program that do something else than is written there, where the kernel writes registers. The row of such policies is proved where
//! that is sure: emulated, and by a scenario.

use std::hint::black_box;

use bpf_probes::abi::{Action, Counter};
use bpf_probes::kernel::{Feature, KernelView};

use crate::running::Running;
use crate::uprobes::{SINGLE, kernel_with, offset_of_address, resolve};

/// What is hooked. Each test has a function of its own, since tests run beside each other.
macro_rules! adds {
    ($name:ident) => {
        #[inline(never)]
        extern "C" fn $name(number: i64, other: *const i64) -> i64 {
            black_box(concat!(stringify!($name), "\0"));
            black_box(number).wrapping_add(i64::from(black_box(other).is_null()))
        }
    };
}

fn offset(function: extern "C" fn(i64, *const i64) -> i64) -> u64 {
    offset_of_address(function as *const () as usize as u64)
}

fn call(function: extern "C" fn(i64, *const i64) -> i64, number: i64) -> i64 {
    black_box(black_box(function)(number, &raw const TO_BE_READ))
}

static TO_BE_READ: i64 = 0x7766_5544_3322_1100;

fn running(kernel: &KernelView, options: &str, offset: u64, action: &str) -> Running {
    let hook = format!(
        "offsets: [{offset}], args: [{{index: 0, type: int64}}], selectors: [{{matchArgs: [{{index: 0, operator: Equal, values: ['7']}}], matchActions: [{{action: Override, {action}}}]}}]"
    );
    Running::start(&[resolve(kernel, options, &hook)], kernel)
}

adds!(returns_at_once);
adds!(returns_at_once_by_perf);

#[test]
fn root_a_function_returns_at_once_with_the_value_of_a_policy() {
    let Some(kernel) = kernel_with(Feature::UprobeRegisterWrite) else { return };
    for (function, options) in
        [(returns_at_once as extern "C" fn(i64, *const i64) -> i64, ""), (returns_at_once_by_perf, SINGLE)]
    {
        let mut running = running(&kernel, options, offset(function), "argError: -13");
        assert_eq!((call(function, 7), call(function, 8)), (-13, 8));
        let reports = running.reports();
        assert_eq!((reports.len(), reports[0].record.action), (1, Action::Override as u8), "{reports:?}");
        assert_eq!(running.count(0, 0, Counter::Override), 1);
        running.monitor(0, true);
        assert_eq!(call(function, 7), 7);
        running.monitor(0, false);
        for _ in 0..1_000 {
            assert_eq!((call(function, 7), call(function, 8)), (-13, 8));
        }
        drop(running);
        assert_eq!(call(function, 7), 7);
    }
}

adds!(reported_and_overridden);

#[test]
fn root_a_policy_overrides_beside_one_that_was_there_first_and_reports() {
    let Some(kernel) = kernel_with(Feature::UprobeRegisterWrite) else { return };
    let offset = offset(reported_and_overridden);
    let report = resolve(&kernel, "", &format!("offsets: [{offset}], args: [{{index: 0, type: int64}}]"));
    let deny = "selectors: [{matchArgs: [{index: 0, operator: Equal, values: ['7']}], matchActions: [{action: Override, argError: -13}]}]";
    let deny =
        resolve(&kernel, "", &format!("offsets: [{offset}], args: [{{index: 0, type: int64}}], {deny}"));
    let mut running = Running::start(&[report, deny], &kernel);
    assert_eq!((call(reported_and_overridden, 8), call(reported_and_overridden, 7)), (8, -13));
    let mut layouts: Vec<u32> = running.reports().iter().map(|report| report.record.layout).collect();
    layouts.sort_unstable();
    assert_eq!(layouts, [100, 100, 101]);
}

adds!(called_with_another);
adds!(called_with_what_lies_in_memory);
adds!(called_with_a_part);

#[test]
fn root_a_function_is_called_with_other_registers() {
    let Some(kernel) = kernel_with(Feature::UprobeRegisterWrite) else { return };
    for (function, registers, expected) in [
        (called_with_another as extern "C" fn(i64, *const i64) -> i64, "'rdi=5%rdi', 'rsi=0'", 13),
        (called_with_what_lies_in_memory, "'rdi=(%rsi)'", TO_BE_READ),
        (called_with_a_part, "'dil=1', 'edi=1%dil'", 2),
    ] {
        let running = running(&kernel, "", offset(function), &format!("argRegs: [{registers}]"));
        assert_eq!((call(function, 7), call(function, 8)), (expected, 8), "{registers}");
        drop(running);
        assert_eq!(call(function, 7), 7);
    }
}

adds!(goes_elsewhere);

#[inline(never)]
extern "C" fn goes_here(number: i64, _other: *const i64) -> i64 {
    black_box(number) * 100
}

#[test]
fn root_another_function_of_the_file_runs_instead() {
    let Some(kernel) = kernel_with(Feature::UprobeRegisterWrite) else { return };
    let action = format!("argNewOffset: {}", offset(goes_here));
    let running = running(&kernel, "", offset(goes_elsewhere), &action);
    assert_eq!((call(goes_elsewhere, 7), call(goes_elsewhere, 8)), (700, 8));
    drop(running);
    assert_eq!(call(goes_elsewhere, 7), 7);
}

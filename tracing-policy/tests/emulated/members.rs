//! One program for many functions, and system calls of 32-bit programs.

use bpf_probes::emulate::Context;
use bpf_probes::kernel::{KernelView, Symbols};
use tracing_policy::policy::ResolvedHook;

use crate::kernel::{from_32_bit, on_stack, on_stack_of_32_bit, recorded};
use crate::run::{Emulated, resolved};

/// A kernel that serves `dup` and `openat` to 32-bit programs as well.
fn kernel(folder: &str) -> KernelView {
    let mut view = recorded(folder);
    view.add_symbols(&Symbols::from_names([
        "__ia32_sys_dup",
        "__ia32_compat_sys_openat",
        "__ia32_sys_openat",
        "vfs_a",
        "vfs_b",
        "vfs_c",
        "vfs_d",
        "vfs_e",
    ]));
    view
}

fn policy(lists: &str, hook: &str) -> String {
    format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: p}}
spec:
  lists: [{lists}]
  kprobes: [{hook}]
"
    )
}

/// The name that a record's layout has.
fn name(hook: &ResolvedHook, layout: u32) -> String {
    hook.layouts().nth((layout - 100) as usize).unwrap().function_name
}

// proves: HOOK-03 (cookies), HOOK-05 (lists in one program)
#[test]
fn the_cookie_tells_which_of_many_functions_was_called() {
    let text = policy(
        "{name: many, values: [vfs_a, vfs_b, vfs_c, vfs_d, vfs_e, vfs_b]}",
        "{call: 'list:many', syscall: false, args: [{index: 0, type: int}], selectors: [{matchArgs: [{index: 0, operator: LT, values: ['7']}], matchActions: [{action: Signal, argSig: 12}]}]}",
    );
    for folder in ["6.12", "7.2"] {
        let view = kernel(folder);
        let policies = [resolved(&text, &view), resolved(&text, &view)];
        assert_eq!(policies[0].hooks.len(), 1);
        assert_eq!(
            policies[0].hooks[0].key, policies[1].hooks[0].key,
            "policies with the same list share it"
        );
        // the layouts of one policy's members come one after the other, so there is one policy here
        let mut it = Emulated::new(&policies[..1], &view);
        assert_eq!(it.compiled.bodies[0].target.to_string(), "kprobe.multi of 5 functions");
        for (cookie, expected) in [(0, "vfs_a"), (4, "vfs_e"), (1, "vfs_b")] {
            let outcome = it.run(Context::kprobe([3, 0, 0, 0, 0, 0]).with_cookie(cookie));
            assert_eq!(outcome.signals.len(), 1);
            let report = it.reports().remove(0);
            assert_eq!(name(&policies[0].hooks[0], report.record.layout), expected);
            assert_eq!(report.values[0].1, 3_u64.to_le_bytes());
        }
        it.run(Context::kprobe([9, 0, 0, 0, 0, 0]).with_cookie(2));
        assert!(it.reports().is_empty());
        let single =
            text.replace("lists:", "options: [{name: disable-kprobe-multi, value: 'true'}]\n  lists:");
        assert_eq!(resolved(&single, &view).hooks.len(), 5);
    }
    assert_eq!(resolved(&text, &kernel("6.1")).hooks.len(), 5, "without kprobe.multi each is by itself");
}

// proves: HOOK-05 (generated_syscalls in one program)
#[test]
fn the_number_tells_which_of_many_system_calls_was_made_where_one_tracepoint_sees_all() {
    let text =
        policy("{name: all, type: generated_syscalls}", "{call: 'list:all', args: [{index: 1, type: int}]}");
    for folder in ["5.10", "6.1", "6.18"] {
        let view = kernel(folder);
        let policy = resolved(&text, &view);
        assert_eq!(policy.hooks.len(), 1, "{folder}");
        let mut it = Emulated::new(std::slice::from_ref(&policy), &view);
        assert_eq!(it.compiled.bodies[0].target.to_string(), "raw tracepoint sys_enter");
        for (number, expected) in [(0, "__x64_sys_read"), (257, "__x64_sys_openat"), (4, "__x64_sys_newstat")]
        {
            let registers = on_stack(&mut it.machine, &view, number, [1, 42, 0, 0, 0, 0]);
            it.run(Context::arguments(&[registers, number]));
            let report = it.reports().remove(0);
            assert_eq!(name(&policy.hooks[0], report.record.layout), expected, "{folder}");
            assert_eq!(report.values[0].1, 42_u64.to_le_bytes());
        }
        for number in [214, 511, 4096, 1 << 40, u64::MAX] {
            let registers = on_stack(&mut it.machine, &view, number, [0; 6]);
            it.run(Context::arguments(&[registers, number]));
            assert!(it.reports().is_empty(), "{number}");
        }
        let registers = on_stack_of_32_bit(&mut it.machine, &view, 3, [0; 6]);
        it.run(Context::arguments(&[registers, 3]));
        assert!(it.reports().is_empty(), "number 3 of a 32-bit program is another call");
    }
}

const DUP: &str = "selectors: [{matchArgs: [{index: 0, operator: Equal, values: ['-1']}]}]";

// proves: HOOK-21 (functions of 32-bit programs), POL-06 (i386, symbols)
#[test]
fn a_system_call_of_32_bit_programs_is_hooked_by_any_of_its_names_and_read_from_its_registers() {
    for folder in ["5.10", "6.1", "6.12", "6.18", "7.2"] {
        let view = kernel(folder);
        for value in ["__ia32_sys_dup", "i386/sys_dup"] {
            let list = format!("{{name: dups, type: syscalls, values: ['{value}']}}");
            let hook = format!(
                "{{call: 'list:dups', args: [{{index: 0, type: int}}, {{index: 1, type: uint64}}], {DUP}}}"
            );
            let policy = resolved(&policy(&list, &hook), &view);
            assert_eq!(policy.hooks[0].layout.function_name, "__ia32_sys_dup");
            let mut it = Emulated::new(std::slice::from_ref(&policy), &view);
            let sees_all = folder == "6.18";
            let call = |it: &mut Emulated<'_>, number: u64, first: u64| {
                let garbage = 0xdead_0000_0000_0000;
                let registers = on_stack_of_32_bit(
                    &mut it.machine,
                    &view,
                    number,
                    [garbage | first, garbage | 7, 0, 0, 0, 0],
                );
                let context = if sees_all {
                    Context::arguments(&[registers, number])
                } else {
                    Context::kprobe([registers, 0, 0, 0, 0, 0])
                };
                it.run(context);
                it.reports()
            };
            let reports = call(&mut it, 41, 0xffff_ffff);
            assert_eq!(reports.len(), 1, "{folder}");
            assert_eq!(reports[0].values[0].1, (-1_i64).to_le_bytes());
            assert_eq!(reports[0].values[1].1, 7_u64.to_le_bytes());
            assert!(call(&mut it, 41, 1).is_empty());
            if sees_all {
                assert!(call(&mut it, 32, 0xffff_ffff).is_empty(), "dup of 64-bit programs");
                let registers = on_stack(&mut it.machine, &view, 41, [0xffff_ffff, 0, 0, 0, 0, 0]);
                from_32_bit(&mut it.machine, &view, false);
                it.run(Context::arguments(&[registers, 41]));
                assert!(it.reports().is_empty(), "number 41 of 64-bit programs is another call");
            }
        }
        let openat = policy("", "{call: __ia32_sys_openat}");
        assert_eq!(resolved(&openat, &view).hooks[0].layout.function_name, "__ia32_compat_sys_openat");
    }
}

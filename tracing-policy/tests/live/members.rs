//! Many system calls in one program, and those of 32-bit programs, which every machine has.

use std::process::Command;
use std::time::Instant;

use bpf_probes::kernel::KernelView;
use bpf_probes::load::probe::{ProbeOptions, all_functions, kernel_view};
use tracing_policy::policy::Resolved;

use crate::running::{Report, Running, resolve};

fn policy(lists: &str, hook: &str) -> (KernelView, Resolved) {
    let text = format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: t}}\nspec:\n  lists: [{lists}]\n  kprobes: [{hook}]\n"
    );
    let mut view = kernel_view(&ProbeOptions::default()).unwrap();
    view.add_symbols(&all_functions());
    let resolved = resolve(&text, &view);
    (view, resolved)
}

fn names(policy: &Resolved, reports: &[Report]) -> Vec<String> {
    let layouts: Vec<String> = policy.hooks[0].layouts().map(|layout| layout.function_name).collect();
    reports.iter().map(|report| layouts[(report.record.layout - 100) as usize].clone()).collect()
}

// proves: HOOK-05 (generated_syscalls, natively)
#[test]
fn root_all_system_calls_load_as_one_program_and_each_is_told_by_its_name() {
    let began = Instant::now();
    let pid = std::process::id();
    let (kernel, policy) = policy(
        "{name: all, type: generated_syscalls}",
        &format!("{{call: 'list:all', selectors: [{{matchPIDs: [{{operator: In, values: [{pid}]}}]}}]}}"),
    );
    let members = policy.hooks[0].members.len();
    assert!(members > 300, "{members} calls");
    let mut running = Running::start(std::slice::from_ref(&policy), &kernel);
    eprintln!("{members} calls in {:?}, verified: {:?}", began.elapsed(), running.verified);
    std::env::current_dir().unwrap();
    let seen = names(&policy, &running.reports());
    assert!(seen.contains(&"__x64_sys_getcwd".to_owned()), "{seen:?}");
}

/// Has a shell call `dup2` by way of its redirections; what is made by the program `sh` of this test's own only.
// proves: HOOK-05 (lists, natively)
#[test]
fn root_a_list_of_system_calls_reports_those_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let shell = std::fs::canonicalize(dir.path()).unwrap().join("sh");
    std::fs::copy("/bin/sh", &shell).unwrap();
    let (kernel, policy) = policy(
        "{name: dups, type: syscalls, values: [sys_dup, sys_dup2, sys_dup3, sys_fcntl]}",
        &format!(
            "{{call: 'list:dups', selectors: [{{matchBinaries: [{{operator: In, values: ['{}']}}]}}]}}",
            shell.display()
        ),
    );
    let mut running = Running::start(std::slice::from_ref(&policy), &kernel);
    assert!(Command::new(&shell).args(["-c", "true > /dev/null"]).status().unwrap().success());
    let seen = names(&policy, &running.reports());
    assert!(seen.contains(&"__x64_sys_dup2".to_owned()), "{seen:?}");
    assert!(seen.iter().all(|name| name.contains("dup") || name.contains("fcntl")), "{seen:?}");
}

/// Calls a system call as a 32-bit program does, with a number and a first argument.
#[expect(unsafe_code, reason = "the instruction has no safe form")]
fn int_0x80(number: u32, first: u32) -> i32 {
    let result: u32;
    // SAFETY: `dup` of a descriptor that is not open and calls like it touch no memory; rbx is put back.
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

// proves: HOOK-21 (int 0x80, natively), POL-06 (i386, natively)
#[test]
fn root_a_call_by_int_0x80_is_seen_by_the_policy_that_means_it_and_by_no_other() {
    const DUP: u32 = 41;
    const EBADF: i32 = 9;
    if int_0x80(DUP, 9999) != -EBADF {
        eprintln!("this kernel serves no 32-bit programs: not run here");
        return;
    }
    let filter = "selectors: [{matchArgs: [{index: 0, operator: Equal, values: ['9999']}]}]";
    for (list, expected) in [("'i386/sys_dup'", "__ia32_sys_dup"), ("sys_dup", "__x64_sys_dup")] {
        let (kernel, policy) = policy(
            &format!("{{name: dups, type: syscalls, values: [{list}]}}"),
            &format!("{{call: 'list:dups', args: [{{index: 0, type: int}}], {filter}}}"),
        );
        assert_eq!(policy.hooks[0].layout.function_name, expected);
        let mut running = Running::start(std::slice::from_ref(&policy), &kernel);
        assert_eq!(int_0x80(DUP, 9999), -EBADF);
        assert_eq!(running.reports().len(), usize::from(expected.contains("ia32")), "{expected}");
    }
}

//! Tracepoints, which every machine has.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use bpf_probes::kernel::KernelView;
use bpf_probes::load::probe::{ProbeOptions, kernel_view, tracepoint_format};
use tracing_policy::policy::Resolved;
use tracing_policy::source::SourceText;

use crate::running::Running;

/// A kernel with the formats that a policy needs, and what the policy becomes there.
fn resolve(tracepoint: &str) -> (KernelView, Resolved) {
    let text = format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: t}}\nspec:\n  tracepoints:\n  - {tracepoint}\n"
    );
    let mut view = kernel_view(&ProbeOptions::default()).unwrap();
    let (policy, _) = tracing_policy::read(&SourceText::new("test", text)).unwrap();
    for one in policy.tracepoints() {
        let format = tracepoint_format(&one.subsystem, &one.event).unwrap();
        view.add_tracepoint(&one.subsystem, &one.event, format);
    }
    match tracing_policy::resolve(policy, &view) {
        Ok(resolved) => (view, resolved),
        Err(errors) => panic!("{errors:?}"),
    }
}

/// A program of the test's own: nobody else runs it.
fn program() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(dir.path()).unwrap().join("true");
    std::fs::copy("/bin/true", &path).unwrap();
    (dir, path.to_str().unwrap().to_owned())
}

// proves: HOOK-07 (natively), ACT-02 (tracepoint)
#[test]
fn root_a_tracepoint_reports_its_fields_and_kills_who_it_is_meant_for() {
    let (_dir, path) = program();
    let (kernel, policy) = resolve(&format!(
        "{{subsystem: sched, event: sched_process_exec, args: [{{index: 4}}, {{index: 5}}], selectors: [{{matchArgs: \
         [{{index: 4, operator: Equal, values: ['{path}']}}], matchActions: [{{action: Sigkill}}]}}]}}"
    ));
    let mut running = Running::start(&[policy], &kernel);
    assert!(Command::new("/bin/true").status().unwrap().success());
    let mut child = Command::new(&path).spawn().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].enforced);
    assert_eq!(reports[0].values[0].1, path.as_bytes());
    assert_eq!(reports[0].values[1].1, u64::from(child.id()).to_le_bytes());
    eprintln!("verified: {:?}", running.verified);
}

#[test]
fn root_text_that_fills_its_field_is_read() {
    let (kernel, policy) = resolve(
        "{subsystem: sched, event: sched_process_fork, args: [{index: 4}], selectors: [{matchArgs: [{index: 4, operator: NotEqual, values: ['no name']}]}]}",
    );
    let mut running = Running::start(&[policy], &kernel);
    assert!(Command::new("/bin/true").status().unwrap().success());
    let reports = running.reports();
    assert!(!reports.is_empty());
    assert!(reports.iter().all(|report| report.values[0].0.flags == 0), "{reports:?}");
}

// proves: HOOK-09 (natively), HOOK-21 (x64)
#[test]
fn root_a_raw_tracepoint_sees_the_number_of_a_call() {
    // getcwd, by this process
    let (kernel, policy) = resolve(&format!(
        "{{subsystem: raw_syscalls, event: sys_enter, raw: true, args: [{{index: 1, type: syscall64}}], selectors: [{{matchPIDs: \
         [{{operator: In, values: [{}]}}], matchArgs: [{{index: 1, operator: Equal, values: ['79']}}]}}]}}",
        std::process::id()
    ));
    let mut running = Running::start(&[policy], &kernel);
    std::env::current_dir().unwrap();
    let reports = running.reports();
    assert!(!reports.is_empty());
    assert!(reports.iter().all(|report| report.values[0].1 == 79_u64.to_le_bytes()), "{reports:?}");
    eprintln!("verified: {:?}", running.verified);
}

// proves: HOOK-09 (resolve, natively)
#[test]
fn root_a_path_leads_from_an_argument_of_a_raw_tracepoint_by_the_kernels_own_types() {
    let (_dir, path) = program();
    let (kernel, policy) = resolve(&format!(
        "{{subsystem: sched, event: sched_process_exec, raw: true, args: [{{index: 0, resolve: tgid}}, {{index: 2, resolve: file}}, {{index: 2, resolve: argc}}], selectors: [{{matchArgs: \
         [{{args: [1], operator: Equal, values: ['{path}']}}]}}]}}"
    ));
    let mut running = Running::start(&[policy], &kernel);
    assert!(Command::new("/bin/true").status().unwrap().success());
    let mut child = Command::new(&path).args(["one", "two"]).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let values: Vec<&[u8]> = reports[0].values.iter().map(|(_, bytes)| &**bytes).collect();
    let numbers = [u64::from(child.id()), 3].map(u64::to_le_bytes);
    assert_eq!(values, [&numbers[0][..], path.as_bytes(), &numbers[1]]);
    let none = tracing_policy::resolve(
        tracing_policy::read(&SourceText::new(
            "test",
            "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: t}\nspec: {tracepoints: [{subsystem: sched, event: sched_process_exec, raw: true, args: [{index: 0, resolve: no_such_field}]}]}",
        ))
        .unwrap()
        .0,
        &kernel,
    );
    assert!(none.is_err(), "a task has no such field");
}

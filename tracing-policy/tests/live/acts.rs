//! Each action does what it says, to whom it is meant.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};

use bpf_probes::abi::{Action, Counter, hook_flag};

use crate::running::{Running, resolve, traceable_kernel};

/// A policy on `security_file_open`.
pub(crate) fn file_open(name: &str, operator: &str, values: &[&str], actions: &str) -> String {
    format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: {name}
spec:
  kprobes:
  - call: security_file_open
    syscall: false
    args:
    - {{index: 0, type: file}}
    selectors:
    - matchArgs:
      - {{index: 0, operator: {operator}, values: {values:?}}}
      matchActions: {actions}
"
    )
}

pub(crate) fn cat(file: &Path) -> Output {
    Command::new("/bin/cat").arg(file).output().unwrap()
}

/// A directory whose path has no symbolic link, and a file in it.
pub(crate) fn secret(name: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::canonicalize(dir.path()).unwrap().join(name);
    std::fs::write(&file, "secret\n").unwrap();
    (dir, file)
}

// proves: HOOK-01, ACT-02
#[test]
fn root_sigkill_ends_the_reader_before_it_has_a_byte_and_nobody_else() {
    let Some(kernel) = traceable_kernel() else { return };
    let (_dir, file) = secret("shadow");
    let other = file.with_file_name("other");
    std::fs::write(&other, "public\n").unwrap();
    let text = file_open("kill", "Prefix", &[file.to_str().unwrap()], "[{action: Sigkill}]");
    let mut running = Running::start(&[resolve(&text, &kernel)], &kernel);
    let killed = cat(&file);
    assert_eq!((killed.status.signal(), killed.stdout.as_slice()), (Some(9), b"".as_slice()));
    assert_eq!(cat(&other).stdout, b"public\n");
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let report = &reports[0];
    assert!(report.enforced);
    assert_eq!(report.record.action, Action::Sigkill as u8);
    assert_eq!((report.record.layout, report.record.selector, report.record.flags), (100, 0, 0));
    assert_ne!(report.record.process.ktime, 0);
    assert_eq!(report.values[0].1, file.to_str().unwrap().as_bytes());
    assert_eq!(report.values[0].0.status & 0o170_000, 0o100_000);
    assert_eq!(running.count(0, 0, Counter::Signal), 1);
    eprintln!("verified: {:?}", running.verified);
}

// proves: ACT-04, ACT-17
#[test]
fn root_override_fails_the_open_with_its_error() {
    let Some(kernel) = traceable_kernel() else { return };
    let (_dir, file) = secret("shadow");
    let text = file_open("deny", "Equal", &[file.to_str().unwrap()], "[{action: Override, argError: -13}]");
    let mut running = Running::start(&[resolve(&text, &kernel)], &kernel);
    let denied = cat(&file);
    assert_eq!(denied.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&denied.stderr).contains("Permission denied"), "{denied:?}");
    assert_eq!(std::fs::read(&file).unwrap_err().raw_os_error(), Some(13));
    let reports = running.reports();
    assert_eq!(reports.len(), 2, "{reports:?}");
    assert!(reports.iter().all(|report| report.enforced && report.record.action == Action::Override as u8));
    running.monitor(0, true);
    assert_eq!(std::fs::read(&file).unwrap(), b"secret\n");
    let reports = running.reports();
    assert_eq!(reports.len(), 1);
    assert!(!reports[0].enforced);
    assert_eq!(reports[0].record.flags & hook_flag::MONITOR, hook_flag::MONITOR);
    assert_eq!(running.count(0, 0, Counter::Override), 2);
    assert_eq!(running.count(0, 0, Counter::MonitorOverride), 1);
    eprintln!("verified: {:?}", running.verified);
}

// proves: HOOK-01, ACT-01
#[test]
fn root_post_only_reports() {
    let Some(kernel) = traceable_kernel() else { return };
    let (_dir, file) = secret("shadow");
    let text = file_open("post", "Postfix", &["/shadow"], "[{action: Post}]");
    let mut running = Running::start(&[resolve(&text, &kernel)], &kernel);
    assert_eq!(cat(&file).stdout, b"secret\n");
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(!reports[0].enforced);
    assert_eq!(reports[0].record.action, Action::Post as u8);
    assert_eq!(running.count(0, 0, Counter::Post), 1);
    eprintln!("verified: {:?}", running.verified);
}

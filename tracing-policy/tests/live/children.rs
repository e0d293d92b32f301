//! A policy that is meant for the children of one process only, on any kernel that traces system calls, by whatever mechanism.

use std::os::unix::process::ExitStatusExt;

use bpf_probes::load::probe::{ProbeOptions, kernel_view};

use crate::acts::{cat, secret};
use crate::running::{Running, resolve};

#[test]
fn root_only_children_of_the_process_are_killed_for_a_system_call() {
    let kernel = kernel_view(&ProbeOptions::default()).unwrap();
    let (_dir, file) = secret("shadow");
    let text = format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: children
spec:
  kprobes:
  - call: sys_openat
    syscall: true
    args:
    - {{index: 0, type: int}}
    - {{index: 1, type: string}}
    selectors:
    - matchPIDs:
      - {{operator: In, followForks: true, values: [{}]}}
      matchArgs:
      - {{index: 1, operator: Equal, values: [{:?}]}}
      matchActions:
      - action: Sigkill
",
        std::process::id(),
        file
    );
    let policy = resolve(&text, &kernel);
    let mut running = Running::start(std::slice::from_ref(&policy), &kernel);
    eprintln!("{}: {:?}", policy.hooks[0].attachments[0].target, running.verified);
    assert_eq!(cat(&file).stdout, b"secret\n", "not yet in the class");
    running.put_in_class(0);
    let killed = cat(&file);
    assert_eq!((killed.status.signal(), killed.stdout.as_slice()), (Some(9), b"".as_slice()));
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(reports[0].values[0].1, (-100_i64).to_le_bytes());
    assert_eq!(reports[0].values[1].1, file.to_str().unwrap().as_bytes());
}

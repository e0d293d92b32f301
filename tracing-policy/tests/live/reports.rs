//! How matches are reported: how often, and with which stacks. On system calls, which every machine lets us see.

use bpf_probes::abi::{Counter, hook_flag, value_flag};
use bpf_probes::load::probe::{ProbeOptions, kernel_view};

use crate::running::{Running, resolve};

/// A policy on `getcwd` by this process.
fn getcwd(post: &str) -> String {
    let pid = std::process::id();
    format!(
        "{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {{name: p}}, spec: {{kprobes: [{{call: sys_getcwd, \
         args: [{{index: 1, type: size_t}}, {{index: 0, type: string}}], selectors: [{{matchPIDs: [{{operator: In, values: [{pid}]}}], \
         matchActions: [{{action: Post, {post}}}]}}]}}]}}}}"
    )
}

/// A policy on looks by this process at a file that is not there.
fn statx(post: &str) -> String {
    let pid = std::process::id();
    format!(
        "{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {{name: p}}, spec: {{kprobes: [{{call: sys_statx, \
         args: [{{index: 1, type: string}}], selectors: [{{matchPIDs: [{{operator: In, values: [{pid}]}}], \
         matchArgs: [{{index: 1, operator: Prefix, values: [{FILE}]}}], matchActions: [{{action: Post, {post}}}]}}]}}]}}}}"
    )
}

const FILE: &str = "/there/is/no/such/file";

// proves: ACT-13 (natively)
#[test]
fn root_what_is_alike_is_reported_once_in_a_time() {
    let kernel = kernel_view(&ProbeOptions::default()).unwrap();
    let one = resolve(&statx("rateLimit: 1h, rateLimitScope: global"), &kernel);
    let other = resolve(&statx("rateLimit: 1h"), &kernel);
    for policies in [vec![one.clone()], vec![one.clone(), other]] {
        let mut running = Running::start(&policies, &kernel);
        for _ in 0..20 {
            std::fs::metadata(FILE).unwrap_err();
        }
        std::fs::metadata(format!("{FILE}s")).unwrap_err();
        let layouts: Vec<u32> = running.reports().iter().map(|report| report.record.layout).collect();
        let expected: Vec<u32> =
            (0..2).flat_map(|_| 100..100 + u32::try_from(policies.len()).unwrap()).collect();
        assert_eq!(layouts, expected);
        assert_eq!((running.count(0, 0, Counter::Post), running.count(0, 0, Counter::Limited)), (2, 19));
        eprintln!("verified: {:?}", running.verified);
    }
}

// proves: ACT-14 (natively)
#[test]
fn root_reports_carry_the_stacks_of_kernel_and_program() {
    let kernel = kernel_view(&ProbeOptions::default()).unwrap();
    let both = resolve(&getcwd("kernelStackTrace: true, userStackTrace: true"), &kernel);
    let limited = resolve(&getcwd("kernelStackTrace: true, rateLimit: 1h"), &kernel);
    for policies in [vec![both.clone()], vec![both.clone(), limited]] {
        let mut running = Running::start(&policies, &kernel);
        std::env::current_dir().unwrap();
        let reports = running.reports();
        let report = reports.iter().find(|report| report.record.layout == 100).unwrap();
        assert_eq!(report.record.flags & !1, hook_flag::KERNEL_STACK | hook_flag::USER_STACK);
        let frames: Vec<Vec<u64>> = report
            .stacks
            .iter()
            .map(|(_, bytes)| bytes.as_chunks().0.iter().map(|frame| u64::from_ne_bytes(*frame)).collect())
            .collect();
        assert!(report.stacks.iter().all(|(header, _)| header.flags & value_flag::ERROR == 0), "{reports:?}");
        assert!(frames[0].len() > 1 && frames[0].iter().all(|address| *address >> 47 != 0), "{frames:x?}");
        assert!(!frames[1].is_empty() && frames[1].iter().all(|address| *address >> 47 == 0), "{frames:x?}");
        eprintln!("verified: {:?}", running.verified);
    }
}

//! Process numbers in pid namespaces on the running kernel.

use std::process::{Command, Stdio};

use bpf_probes::load::probe::{ProbeOptions, kernel_view};

use crate::acts::secret;
use crate::running::{Running, resolve};

// proves: SEL-05 (followForks with isNamespacePID, natively)
#[test]
fn root_descendants_of_the_first_process_of_a_namespace_are_told_from_others_in_it() {
    let kernel = kernel_view(&ProbeOptions::default()).unwrap();
    let (_dir, path) = secret("numbered");
    let shown = path.to_str().unwrap();
    let text = |operator: &str| {
        format!(
            "{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {{name: p}}, spec: {{kprobes: [{{call: sys_openat, args: [{{index: 1, type: string}}], selectors: [{{matchPIDs: [{{operator: {operator}, values: [1], followForks: true, isNamespacePID: true}}], matchArgs: [{{index: 1, operator: Equal, values: ['{shown}']}}]}}]}}]}}}}"
        )
    };
    let policies = ["In", "NotIn"].map(|operator| resolve(&text(operator), &kernel));
    let mut running = Running::start(&policies, &kernel);
    for (script, expected) in [
        // the namespace of the tests: nobody tells of what ran before them
        (format!("unshare -fp cat {shown}"), &[0][..]),
        (format!("unshare -fp sh -c 'cat {shown}; sh -c \"cat {shown}; true\"; true'"), &[0, 0]),
        // the first process of the namespace sleeps, the second one is no child of it
        (format!("unshare -p sh -c 'sleep 60 & cat {shown}; kill -9 $!'"), &[1]),
        (format!("unshare -p sh -c 'sleep 60 & sh -c \"cat {shown}; true\"; kill -9 $!'"), &[1]),
    ] {
        let status = Command::new("sh").args(["-c", &script]).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "{script}");
        let reporters: Vec<u32> = running.reports().iter().map(|report| report.record.layout - 100).collect();
        assert_eq!(reporters, expected, "{script}");
    }
}

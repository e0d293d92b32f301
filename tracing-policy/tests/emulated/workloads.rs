//! Whom a policy or selector is for, told by the caller's cgroup.

use std::collections::BTreeSet;
use std::mem::offset_of;

use bpf_probes::abi::{ClassSet, Control, map_name};
use bpf_probes::emulate::Context;
use bpf_probes::kernel::KernelView;
use bpf_probes::spec::AttachSpec;
use tracing_policy::policy::Role;
use zerocopy::IntoBytes;

use crate::kernel::{cgroups, recorded};
use crate::run::{Emulated, attached, policy, resolved};

fn kernels() -> [KernelView; 4] {
    ["5.10", "6.1", "6.12", "7.2"].map(recorded)
}

fn scoped(scope: &str, selectors: &str) -> String {
    let text = policy("security_file_open", "{index: 0, type: file}", selectors);
    text.replace("spec:\n", &format!("spec:\n{scope}"))
}

fn classes(numbers: &[u32]) -> ClassSet {
    let mut set = ClassSet::default();
    for number in numbers {
        set.insert(*number);
    }
    set
}

/// Says which classes the host has, and containers by the id of their cgroup, each with its level.
fn tell(it: &mut Emulated<'_>, host: &[u32], containers: &[(u64, u32, &[u32])]) {
    let map = it.machine.map_mut(map_name::CONTROL).unwrap();
    let mut control = map.lookup(&[0; 4]).unwrap().to_vec();
    let levels: BTreeSet<u32> = containers.iter().map(|(_, level, _)| *level).collect();
    let levels = levels.iter().fold(0_u64, |levels, level| levels << 8 | u64::from(*level));
    control[offset_of!(Control, host)..][..64].copy_from_slice(classes(host).as_bytes());
    control[offset_of!(Control, levels)..][..8].copy_from_slice(&levels.to_ne_bytes());
    map.update(&[0; 4], &control).unwrap();
    let map = it.machine.map_mut(map_name::WORKLOADS).unwrap();
    for (cgroup, _, numbers) in containers {
        map.update(&cgroup.to_ne_bytes(), classes(numbers).as_bytes()).unwrap();
    }
}

// proves: SEL-13 (in the kernel), POL-01 (TracingPolicyNamespaced), K8S-02 (in the kernel)
#[test]
fn a_policy_is_for_the_workload_whose_cgroup_the_caller_is_in_or_below() {
    let texts = [
        scoped("  hostSelector: {}\n", ""),
        scoped(
            "  podSelector: {matchLabels: {app: web}}\n",
            "{matchBinaries: [{operator: NotIn, values: [/x]}]}",
        ),
        scoped("", ""),
        scoped(
            "",
            "{matchWorkloads: {podSelector: {matchLabels: {app: db}}}}, {matchWorkloads: {hostSelector: {}}}",
        ),
        scoped("  podSelector: {}\n  containerSelector: {}\n  hostSelector: {}\n", ""),
        scoped("", "")
            .replace("TracingPolicy\n", "TracingPolicyNamespaced\n")
            .replace("name: p", "name: p, namespace: shop"),
    ];
    for view in &kernels() {
        let policies: Vec<_> = texts.iter().map(|text| resolved(text, view)).collect();
        assert!(policies[2].hooks[0].classes.is_empty() && policies[4].hooks[0].classes.is_empty());
        let mut it = Emulated::new(&policies, view);
        it.process(1, &[]);
        // class n of policy p is number 8 p + n; of policy 3 both are in word 0
        let host = [0, 25];
        cgroups(&mut it.machine, view, &[1, 50, 70]);
        tell(&mut it, &host, &[]);
        assert_eq!(it.open("/a"), [0, 2, 3, 4], "nobody is known to be in a pod");
        tell(&mut it, &host, &[(70, 2, &[8]), (71, 4, &[24, 40])]);
        for (ancestors, expected) in [
            (&[1, 50, 70][..], &[1, 2, 4][..]),
            (&[1, 50, 70, 90, 91, 92], &[1, 2, 4]),
            (&[1, 50, 72], &[0, 2, 3, 4]),
            (&[1], &[0, 2, 3, 4]),
            // the inner one of two containers
            (&[1, 50, 70, 90, 71], &[2, 3, 4, 5]),
            (&[1, 50, 70, 90, 71, 93], &[2, 3, 4, 5]),
            // a cgroup with a container's number on another level is not looked up
            (&[1, 70, 50], &[0, 2, 3, 4]),
        ] {
            cgroups(&mut it.machine, view, ancestors);
            assert_eq!(it.open("/a"), expected, "{} {ancestors:?}", view.release());
        }
    }
}

#[test]
fn a_denial_for_pods_does_not_reach_the_host() {
    let selectors = "{matchArgs: [{index: 0, operator: Prefix, values: [/etc]}], matchActions: [{action: Override, argError: -13}]}";
    for view in &kernels() {
        let text = scoped("  podSelector: {matchLabels: {app: web}}\n", selectors);
        let target = AttachSpec::Lsm { hook: "file_open".to_owned() };
        let mut it = Emulated::new(&[attached(resolved(&text, view), &target, Role::Deny)], view);
        let file = it.objects.file(&mut it.machine, view, "/etc/shadow", 0);
        tell(&mut it, &[], &[(70, 2, &[0])]);
        for (ancestors, expected) in [(&[1, 50, 70, 71][..], -13), (&[1, 50, 72], 0), (&[1], 0)] {
            cgroups(&mut it.machine, view, ancestors);
            assert_eq!(it.run(Context::arguments(&[file, 0])).result(), expected, "{ancestors:?}");
        }
    }
}

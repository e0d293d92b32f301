//! Namespaces and capabilities of the calling thread.

use bpf_probes::kernel::{KernelView, Namespace};

use crate::kernel::{Thread, recorded, thread};
use crate::run::{Emulated, policy, resolved};

fn kernels() -> Vec<KernelView> {
    ["5.10", "6.1", "6.12", "6.18", "7.2"].map(recorded).into()
}

/// A policy on a function of the kernel that no kernel lacks.
fn file_open(selectors: &str) -> String {
    policy("security_file_open", "{index: 0, type: file}", selectors)
}

/// What system calls of every kernel can be hooked by, 6.18 included.
fn close(selectors: &str) -> String {
    policy("sys_close", "{index: 0, type: int}", selectors)
}

fn calls(it: &mut Emulated<'_>, current: &Thread) -> usize {
    thread(&mut it.machine, it.view, current);
    let registers = it.machine.world_mut().syscall_registers(3, [7, 0, 0, 0, 0, 0]);
    if it.view.release().starts_with("6.18") {
        it.run(bpf_probes::emulate::Context::arguments(&[registers, 3]));
    } else {
        it.call([registers, 0, 0, 0, 0, 0]);
    }
    it.reports().len()
}

/// Whether a thread passes a selector, alone on its hook and beside others.
fn passes(view: &KernelView, selector: &str, current: &Thread) -> bool {
    let mut alone = Emulated::new(&[resolved(&close(&format!("{{{selector}}}")), view)], view);
    let alone = calls(&mut alone, current);
    let never = "{matchPIDs: [{operator: In, values: [4294967295]}]}";
    let beside = close(&format!("{never}, {{{selector}}}"));
    let policies = [resolved(&beside, view), resolved(&close(never), view)];
    let beside = calls(&mut Emulated::new(&policies, view), current);
    assert_eq!(alone, beside, "{selector} {current:?}");
    alone == 1
}

const HOST: u32 = 4_026_531_800;

/// A thread in the host's namespaces, as [`recorded`] numbers them.
fn on_host() -> Thread {
    Thread { namespaces: [0, 1, 2, 3, 3, 5, 6, 6, 8, 9].map(|index| HOST + index), capabilities: [0; 3] }
}

fn word(kind: Namespace) -> &'static str {
    match kind {
        Namespace::Uts => "Uts",
        Namespace::Ipc => "Ipc",
        Namespace::Mnt => "Mnt",
        Namespace::Pid => "Pid",
        Namespace::PidForChildren => "PidForChildren",
        Namespace::Net => "Net",
        Namespace::Time => "Time",
        Namespace::TimeForChildren => "TimeForChildren",
        Namespace::Cgroup => "Cgroup",
        Namespace::User => "User",
    }
}

// proves: SEL-09
#[test]
fn every_kind_of_namespace_is_compared_with_the_hosts_on_every_kernel() {
    for view in &kernels() {
        // the recorded types leave `struct net` out; in a virtual machine it is tried
        for kind in Namespace::ALL.into_iter().filter(|kind| *kind != Namespace::Net) {
            let mut elsewhere = on_host();
            elsewhere.namespaces[kind as usize] = 77;
            let filter = |operator, values: &str| {
                format!(
                    "matchNamespaces: [{{namespace: {}, operator: {operator}, values: {values}}}]",
                    word(kind)
                )
            };
            for (operator, values, host, other) in [
                ("In", "[host_ns]", true, false),
                ("NotIn", "[host_ns]", false, true),
                ("In", "['77', '78']", false, true),
                ("NotIn", "['76', host_ns, '78']", false, true),
                ("In", "['1', '2', '3', '4', '5', '77', host_ns]", true, true),
                ("NotIn", "['77', host_ns]", false, false),
            ] {
                let selector = filter(operator, values);
                assert_eq!(passes(view, &selector, &on_host()), host, "{selector} {}", view.release());
                assert_eq!(passes(view, &selector, &elsewhere), other, "{selector} {}", view.release());
            }
        }
    }
}

#[test]
fn a_long_list_of_namespaces_is_looked_up() {
    let values: Vec<String> = (0..40).map(|number| (2 * number + 1).to_string()).collect();
    let selector = format!("matchNamespaces: [{{namespace: Ipc, operator: In, values: {values:?}}}]");
    for view in &kernels() {
        for (number, expected) in [(1, true), (79, true), (2, false), (81, false)] {
            let mut current = on_host();
            current.namespaces[Namespace::Ipc as usize] = number;
            assert_eq!(passes(view, &selector, &current), expected, "{number}");
        }
    }
}

#[test]
fn all_entries_of_namespaces_must_hold() {
    let selector = "matchNamespaces: [{namespace: Pid, operator: NotIn, values: [host_ns]},
        {namespace: Mnt, operator: In, values: [host_ns]}, {namespace: Ipc, operator: In, values: ['5']}]";
    for view in &kernels() {
        let mut current = on_host();
        assert!(!passes(view, selector, &current));
        current.namespaces[Namespace::Pid as usize] = 4;
        assert!(!passes(view, selector, &current));
        current.namespaces[Namespace::Ipc as usize] = 5;
        assert!(passes(view, selector, &current));
        current.namespaces[Namespace::Mnt as usize] = 5;
        assert!(!passes(view, selector, &current));
    }
}

#[test]
fn namespaces_are_tested_before_a_path_and_beside_one() {
    for folder in ["5.10", "6.12"] {
        let view = recorded(folder);
        let selector = "{matchNamespaces: [{namespace: Uts, operator: NotIn, values: [host_ns]}],
            matchArgs: [{index: 0, operator: Prefix, values: [/etc/]}]}";
        let mut it = Emulated::new(&[resolved(&file_open(selector), &view)], &view);
        thread(&mut it.machine, &view, &on_host());
        assert!(it.open("/etc/passwd").is_empty());
        let early = it.steps;
        let mut elsewhere = on_host();
        elsewhere.namespaces[0] = 1;
        thread(&mut it.machine, &view, &elsewhere);
        assert_eq!(it.open("/etc/passwd"), [0]);
        assert!(it.open("/usr/passwd").is_empty());
        assert!(early < it.steps, "the path was walked for nothing");
    }
}

// proves: SEL-11
#[test]
fn capabilities_of_each_set_are_tested_and_all_entries_count() {
    let (chown, admin, restore) = (1_u64, 1 << 21, 1 << 40);
    for view in &kernels() {
        for (index, set) in ["Effective", "Inheritable", "Permitted"].into_iter().enumerate() {
            let with = |bits: u64| {
                let mut current = on_host();
                current.capabilities = [!bits; 3];
                current.capabilities[index] = bits;
                current
            };
            let filter = |operator: &str, values: &str| {
                format!("matchCapabilities: [{{type: {set}, operator: {operator}, values: {values}}}]")
            };
            for (operator, values, bits, expected) in [
                ("In", "[CAP_SYS_ADMIN]", admin, true),
                ("In", "[CAP_SYS_ADMIN]", !admin, false),
                ("In", "[CAP_CHOWN, CAP_CHECKPOINT_RESTORE]", restore, true),
                ("In", "[CAP_CHOWN, CAP_CHECKPOINT_RESTORE]", admin, false),
                ("NotIn", "[CAP_SYS_ADMIN]", admin | chown, false),
                ("NotIn", "[CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE]", chown, true),
                ("NotIn", "[CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE]", restore, false),
            ] {
                let selector = filter(operator, values);
                assert_eq!(passes(view, &selector, &with(bits)), expected, "{selector} {bits:#x}");
            }
        }
        let both = "matchCapabilities: [{operator: In, values: [CAP_CHOWN]}, {type: Permitted, operator: NotIn, values: [CAP_SYS_ADMIN]}]";
        let mut current = on_host();
        current.capabilities = [chown, 0, admin];
        assert!(!passes(view, both, &current), "the second entry counts too");
        current.capabilities = [chown, 0, chown];
        assert!(passes(view, both, &current));
    }
}

// proves: SEL-11 (isNamespaceCapability)
#[test]
fn a_capability_below_the_host_counts_in_other_user_namespaces_only() {
    for view in &kernels() {
        for (operator, capabilities) in [("In", u64::MAX), ("NotIn", 0)] {
            let selector = format!(
                "matchCapabilities: [{{operator: {operator}, isNamespaceCapability: true, values: [CAP_SYS_ADMIN]}}]"
            );
            let mut current = Thread { capabilities: [capabilities; 3], ..on_host() };
            assert!(!passes(view, &selector, &current));
            current.namespaces[Namespace::User as usize] = 5;
            assert!(passes(view, &selector, &current));
            current.capabilities = [!capabilities; 3];
            assert!(!passes(view, &selector, &current));
        }
    }
}

// proves: SEL-01, SEL-05 (many entries and values)
#[test]
fn many_selectors_entries_and_values_are_all_looked_at() {
    for view in &kernels() {
        let selectors: Vec<String> = (0..12)
            .map(|number| format!("{{matchPIDs: [{{operator: In, values: [{}, {}, {}, {}, {}, {}]}}, {{operator: NotIn, values: [7]}}, {{operator: NotIn, values: [{}]}}]}}",
                10 * number, 10 * number + 1, 10 * number + 2, 10 * number + 3, 10 * number + 4, 10 * number + 5, 10 * number + 1))
            .collect();
        let mut it = Emulated::new(&[resolved(&close(&selectors.join(", ")), view)], view);
        for (tgid, selector) in [(0, Some(0)), (115, Some(11)), (111, None), (75, Some(7)), (6, None)] {
            it.machine.world_mut().task.tgid = tgid;
            thread(&mut it.machine, view, &on_host());
            let registers = it.machine.world_mut().syscall_registers(3, [7, 0, 0, 0, 0, 0]);
            if view.release().starts_with("6.18") {
                it.run(bpf_probes::emulate::Context::arguments(&[registers, 3]));
            } else {
                it.call([registers, 0, 0, 0, 0, 0]);
            }
            let matched = it.reports().first().map(|report| report.record.selector);
            assert_eq!(matched, selector, "{tgid}");
        }
    }
}

// proves: SEL-08
#[test]
fn a_parent_is_judged_by_its_classes_and_passes_when_it_is_not_known() {
    for view in &kernels() {
        let sh = "matchParentBinaries: [{operator: In, values: [/bin/sh]}]";
        let not_sh = "matchParentBinaries: [{operator: NotIn, values: [/bin/sh]}]";
        let both = "matchParentBinaries: [{operator: In, values: [/bin/sh]}], matchBinaries: [{operator: In, values: [/bin/sh]}]";
        // own classes, the parent's, whether it is still the parent; expected for each selector
        for (own, parent, real, expected) in [
            (&[][..], Some(&[0][..]), 50, [true, false, false]),
            (&[0], Some(&[0]), 50, [true, false, true]),
            (&[0], Some(&[]), 50, [false, true, false]),
            (&[0], Some(&[1, 64]), 50, [false, true, false]),
            (&[0], None, 50, [true, true, true]),
            (&[], None, 50, [true, true, false]),
            (&[0], Some(&[]), 1, [true, true, true]),
            (&[0], Some(&[0]), 1, [true, true, true]),
        ] {
            for (selector, expected) in [sh, not_sh, both].into_iter().zip(expected) {
                for texts in [
                    vec![close(&format!("{{{selector}}}"))],
                    vec![close(&format!("{{matchPIDs: [{{operator: In, values: [9]}}]}}, {{{selector}}}"))],
                ] {
                    let policies: Vec<_> = texts.iter().map(|text| resolved(text, view)).collect();
                    let mut it = Emulated::new(&policies, view);
                    it.family(own, 50, parent, real);
                    let found = calls(&mut it, &on_host()) == 1;
                    assert_eq!(found, expected, "{selector} {own:?} {parent:?} {real}");
                }
            }
        }
        // a process that is not known has no known parent
        assert!(passes(view, sh, &on_host()));
        assert!(passes(view, not_sh, &on_host()));
    }
}

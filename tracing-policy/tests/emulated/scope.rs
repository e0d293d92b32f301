//! Processes, several selectors, several policies, actions.

use bpf_probes::abi::{Action, Counter, hook_flag};
use bpf_probes::kernel::KernelView;
use tracing_policy::policy::{ClassTest, PidNamespace};

use crate::kernel::{own_pid, recorded};
use crate::run::{Emulated, policy, resolved};

fn kernels() -> [KernelView; 2] {
    [recorded("6.12"), recorded("5.10")]
}

fn file_open(selectors: &str) -> String {
    policy("security_file_open", "{index: 0, type: file}", selectors)
}

fn emulated<'k>(texts: &[String], view: &'k KernelView) -> Emulated<'k> {
    let policies: Vec<_> = texts.iter().map(|text| resolved(text, view)).collect();
    Emulated::new(&policies, view)
}

// proves: SEL-05 (In, NotIn)
#[test]
fn a_process_is_chosen_by_its_number() {
    for view in &kernels() {
        let text = file_open("{matchPIDs: [{operator: In, values: [5, 1000]}]}");
        let mut it =
            emulated(&[text, file_open("{matchPIDs: [{operator: NotIn, values: [5, 1000]}]}")], view);
        assert_eq!(it.open("/a"), [0]);
        it.machine.world_mut().task.tgid = 6;
        assert_eq!(it.open("/a"), [1]);
    }
}

// proves: SEL-05 (isNamespacePID)
#[test]
fn a_process_is_chosen_by_its_number_in_its_own_namespace() {
    for view in &kernels() {
        let text = |operator| {
            file_open(&format!(
                "{{matchPIDs: [{{operator: {operator}, isNamespacePID: true, values: [1]}}]}}"
            ))
        };
        let mut it = emulated(&[text("In"), text("NotIn")], view);
        assert_eq!(it.open("/a"), [1], "a process of the host's namespace has no number there");
        own_pid(&mut it.machine, view, 1);
        assert_eq!(it.open("/a"), [0]);
        own_pid(&mut it.machine, view, 2);
        assert_eq!(it.open("/a"), [1]);
    }
}

// proves: SEL-05 (followForks), SEL-06 (In, NotIn)
#[test]
fn a_process_is_chosen_by_its_class() {
    for view in &kernels() {
        let text = |operator| {
            file_open(&format!("{{matchBinaries: [{{operator: {operator}, values: [/bin/sh]}}]}}"))
        };
        let forks = |operator| {
            file_open(&format!("{{matchPIDs: [{{operator: {operator}, followForks: true, values: [1]}}]}}"))
        };
        let mut it = emulated(&[text("In"), text("NotIn"), forks("In"), forks("NotIn")], view);
        assert_eq!(
            it.open("/a"),
            [3],
            "of an unknown process nothing is known, but that it descends from nobody known"
        );
        it.process(7, &[]);
        assert_eq!(it.open("/a"), [1, 3]);
        it.process(7, &[0, 8, 16, 24]);
        assert_eq!(it.open("/a"), [0, 2]);
    }
}

// proves: SEL-05 (followForks with isNamespacePID)
#[test]
fn who_has_no_number_of_its_own_passes_no_test_of_its_ancestors_numbers() {
    for view in &kernels() {
        let text = |operator| {
            file_open(&format!(
                "{{matchPIDs: [{{operator: {operator}, isNamespacePID: true, followForks: true, values: [0, 1]}}]}}"
            ))
        };
        let policies = [text("In"), text("NotIn")];
        let classes = resolved(&policies[1], view).hooks[0].classes.clone();
        let own = PidNamespace::Own;
        assert_eq!(
            classes,
            [ClassTest::InPidNamespace, ClassTest::Descendants { namespace: own, pids: vec![0, 1] }]
        );
        let mut it = emulated(&policies, view);
        assert!(it.open("/a").is_empty(), "of an unknown process nothing is known");
        // class n of policy p is number 8 p + n
        it.process(7, &[]);
        assert!(it.open("/a").is_empty(), "in the host's namespace");
        it.process(7, &[8]);
        assert_eq!(it.open("/a"), [1], "in another, and of none of them");
        it.process(7, &[0, 8, 9]);
        assert_eq!(it.open("/a"), [0]);
    }
}

// proves: SEL-01, ACT-01, ACT-02 (Signal), ACT-17 (counters)
#[test]
fn the_first_selector_that_matches_acts() {
    let selectors = "{matchArgs: [{index: 0, operator: Prefix, values: [/a/b]}], matchActions: [{action: NoPost}]},
        {matchArgs: [{index: 0, operator: Postfix, values: [x]}], matchActions: [{action: Signal, argSig: 12}]},
        {matchArgs: [{index: 0, operator: Equal, values: [/a/y]}]}";
    for view in &kernels() {
        let mut it = emulated(&[file_open(selectors)], view);
        assert!(it.open("/a/b/x").is_empty());
        assert_eq!(it.count(0, 0, Counter::NoPost), 1);
        it.open("/nothing");
        let file = it.objects.file(&mut it.machine, view, "/a/x", 0o100_600);
        let outcome = it.call([file, 0, 0, 0, 0, 0]);
        assert_eq!(outcome.signals.iter().map(|signal| signal.number).collect::<Vec<_>>(), [12]);
        let reports = it.reports();
        assert_eq!((reports.len(), reports[0].record.selector, reports[0].enforced), (1, 1, true));
        assert_eq!(reports[0].record.action, Action::Signal as u8);
        assert_eq!(reports[0].values[0].0.status, 0o100_600);
        it.open("/a/y");
        assert_eq!(it.count(0, 2, Counter::Post), 1);
        assert_eq!(it.count(0, 1, Counter::Signal), 1);
    }
}

// proves: ACT-16, ACT-17, ACT-18 (Override and Signal)
#[test]
fn actions_run_in_order_and_the_last_one_is_reported() {
    let selectors =
        "{matchActions: [{action: Sigkill}, {action: Signal, argSig: 2}, {action: Override, argError: -1}]}";
    for view in &kernels() {
        let policy = resolved(&file_open(selectors), view);
        let report = bpf_probes::spec::AttachSpec::Kprobe { symbol: "security_file_open".to_owned() };
        let policy = crate::run::attached(policy, &report, tracing_policy::policy::Role::Report);
        let mut it = Emulated::new(&[policy], view);
        let file = it.objects.file(&mut it.machine, view, "/a", 0);
        it.process(77, &[]);
        let outcome = it.call([file, 0, 0, 0, 0, 0]);
        assert_eq!(outcome.signals.iter().map(|signal| signal.number).collect::<Vec<_>>(), [9, 2]);
        let report = &it.reports()[0];
        assert_eq!(report.record.action, Action::Override as u8);
        assert_eq!((report.record.process.ktime, report.record.process.tgid), (77, 1000));
        assert_eq!(report.record.flags, 0);
        assert_eq!((it.count(0, 0, Counter::Signal), it.count(0, 0, Counter::Override)), (2, 1));
        it.monitor(0);
        let outcome = it.call([file, 0, 0, 0, 0, 0]);
        assert!(outcome.signals.is_empty());
        let report = &it.reports()[0];
        assert_eq!((report.enforced, report.record.flags), (false, hook_flag::MONITOR));
        assert_eq!(report.record.action, Action::Override as u8);
        assert_eq!(
            (it.count(0, 0, Counter::MonitorSignal), it.count(0, 0, Counter::MonitorOverride)),
            (2, 1)
        );
        assert_eq!(it.count(0, 0, Counter::Post), 2);
    }
}

#[test]
fn an_unknown_process_is_reported_as_such() {
    let view = recorded("6.12");
    let mut it = emulated(&[file_open("{}")], &view);
    let file = it.objects.file(&mut it.machine, &view, "/a", 0);
    it.call([file, 0, 0, 0, 0, 0]);
    let report = &it.reports()[0];
    assert_eq!(report.record.flags, hook_flag::PROCESS_NOT_FOUND);
    assert_eq!((report.record.process.ktime, report.record.process.tgid, report.record.tid), (0, 1000, 1000));
}

// proves: HOOK-04 (x86-64)
#[test]
fn all_arguments_are_reported_in_the_order_of_the_policy() {
    let arguments = "{index: 2, type: int}, {index: 1, type: string}, {index: 0, type: int}";
    let filter = "{matchArgs: [{index: 0, operator: Equal, values: ['-100']}]}";
    for view in &kernels() {
        let mut it = emulated(&[policy("sys_openat", arguments, filter)], view);
        let text = it.machine.world_mut().user.string("/etc/passwd");
        let minus_100 = (-100_i64).cast_unsigned();
        let registers = it.machine.world_mut().syscall_registers(257, [minus_100, text, 66, 0, 0, 0]);
        it.call([registers, 0, 0, 0, 0, 0]);
        let report = &it.reports()[0];
        let values: Vec<_> = report.values.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        assert_eq!(
            values,
            [66_i64.to_le_bytes().as_slice(), b"/etc/passwd", (-100_i64).to_le_bytes().as_slice()]
        );
    }
}

#[test]
fn a_hundred_policies_are_evaluated_each_for_itself() {
    for view in &kernels() {
        let texts: Vec<_> = (0..100)
            .map(|number| {
                let operator = ["Prefix", "Equal", "Postfix", "NotPrefix"][number % 4];
                file_open(&format!(
                    "{{matchArgs: [{{index: 0, operator: {operator}, values: ['/dir/{number}.x']}}]}}"
                ))
            })
            .collect();
        let mut it = emulated(&texts, view);
        for number in [0_u32, 1, 2, 50, 97] {
            let mut expected: Vec<u32> = (0..100).filter(|other| other % 4 == 3).collect();
            if number % 4 != 3 {
                expected.push(number);
            }
            expected.sort_unstable();
            assert_eq!(it.open(&format!("/dir/{number}.x")), expected);
        }
    }
}

#[test]
fn a_tracepoint_of_all_calls_is_filtered_by_number() {
    let view = recorded("6.18");
    let text = policy("sys_openat", "{index: 1, type: string}", "{}");
    let mut it = emulated(&[text], &view);
    let path = it.machine.world_mut().user.string("/x");
    let registers = it.machine.world_mut().syscall_registers(257, [0, path, 0, 0, 0, 0]);
    it.run(bpf_probes::emulate::Context::arguments(&[registers, 257]));
    assert_eq!(it.reports()[0].values[0].1, b"/x");
    it.run(bpf_probes::emulate::Context::arguments(&[registers, 2]));
    assert!(it.reports().is_empty());
}

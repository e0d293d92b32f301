//! LSM hooks: one program that reports and denies.

use bpf_probes::abi::{Action, Counter, FileHash, HookRecord, ValueHeader, hook_flag, map_name, value_flag};
use bpf_probes::builder::Facts;
use bpf_probes::emulate::Context;
use bpf_probes::kernel::KernelView;
use tracing_policy::policy::Role;
use zerocopy::FromBytes;

use crate::kernel::recorded;
use crate::run::{Emulated, resolved};

/// Kernels on which LSM programs run.
fn kernels() -> [KernelView; 3] {
    [recorded("6.1"), recorded("6.12"), recorded("7.2")]
}

fn file_open(selectors: &str) -> String {
    format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: p}}
spec:
  lsmhooks:
  - hook: file_open
    args: [{{index: 0, type: file}}]
    selectors: [{selectors}]
"
    )
}

fn emulated<'k>(texts: &[String], view: &'k KernelView) -> Emulated<'k> {
    let policies: Vec<_> = texts.iter().map(|text| resolved(text, view)).collect();
    Emulated::new(&policies, view)
}

/// Opens a path; what the hook returns and which signals were sent.
fn open(it: &mut Emulated<'_>, path: &str) -> (i32, Vec<u32>) {
    let file = it.objects.file(&mut it.machine, it.view, path, 0o100_640);
    let outcome = it.run(Context::arguments(&[file, 0]));
    (outcome.result(), outcome.signals.iter().map(|signal| signal.number).collect())
}

// proves: HOOK-16 (filters, Post), ACT-01 (LSM)
#[test]
fn an_lsm_hook_reports_what_matches_and_lets_it_pass() {
    for view in &kernels() {
        let filter = |operator| {
            file_open(&format!("{{matchArgs: [{{index: 0, operator: {operator}, values: [/etc/shadow]}}]}}"))
        };
        let mut it = emulated(&[filter("Equal"), filter("NotEqual")], view);
        assert_eq!(it.compiled.bodies.len(), 1);
        assert_eq!(open(&mut it, "/etc/shadow"), (0, vec![]));
        assert_eq!(it.reporters(), [0]);
        assert_eq!(open(&mut it, "/etc/passwd"), (0, vec![]));
        assert_eq!(it.reporters(), [1]);
        open(&mut it, "/etc/shadow");
        let report = &it.reports()[0];
        assert_eq!((report.record.action, report.enforced), (Action::Post as u8, false));
        assert_eq!(report.values[0].1, b"/etc/shadow");
        assert_eq!(report.values[0].0.status, 0o100_640);
    }
}

// proves: HOOK-16 (Override, Sigkill, Signal, NoPost), ACT-05 (LSM)
#[test]
fn an_lsm_hook_denies_signals_and_reports_in_one_program() {
    let selectors = "{matchArgs: [{index: 0, operator: Prefix, values: [/etc]}],
          matchActions: [{action: Signal, argSig: 12}, {action: Override, argError: -13}]},
        {matchArgs: [{index: 0, operator: Postfix, values: [.key]}],
          matchActions: [{action: Sigkill}, {action: NoPost}]}";
    for view in &kernels() {
        let mut it = emulated(&[file_open(selectors)], view);
        assert_eq!(open(&mut it, "/etc/shadow"), (-13, vec![12]));
        let reports = it.reports();
        assert_eq!((reports.len(), reports[0].enforced), (1, true));
        assert_eq!((reports[0].record.action, reports[0].record.selector), (Action::Override as u8, 0));
        assert_eq!(open(&mut it, "/home/a.key"), (0, vec![9]));
        assert!(it.reports().is_empty());
        assert_eq!(open(&mut it, "/home/a"), (0, vec![]));
        it.monitor(0);
        assert_eq!(open(&mut it, "/etc/shadow"), (0, vec![]));
        assert!(!it.reports()[0].enforced);
        assert_eq!((it.count(0, 0, Counter::Override), it.count(0, 0, Counter::MonitorOverride)), (1, 1));
    }
}

// proves: ACT-05
#[test]
fn an_lsm_hook_returns_nothing_but_zero_and_errors() {
    for view in &kernels() {
        for (asked, returned) in
            [(-13, -13), (-4095, -4095), (0, 0), (-4096, -1), (1, -1), (i32::MIN, -1), (i32::MAX, -1)]
        {
            let selector = format!("{{matchActions: [{{action: Override, argError: {asked}}}]}}");
            let mut it = emulated(&[file_open(&selector)], view);
            assert_eq!(open(&mut it, "/a").0, returned, "{asked}");
            assert_eq!(it.reports()[0].record.action, Action::Override as u8);
        }
    }
}

// proves: ACT-18
#[test]
fn a_denial_goes_with_signals_and_with_silence_in_any_order() {
    let deny = "{action: Override, argError: -1}";
    let rows = [
        (format!("{deny}, {{action: NoPost}}"), vec![], None),
        (format!("{{action: NoPost}}, {deny}"), vec![], None),
        (format!("{deny}, {{action: Signal, argSig: 12}}"), vec![12], Some(Action::Signal)),
        (format!("{{action: Signal, argSig: 12}}, {deny}"), vec![12], Some(Action::Override)),
        (format!("{{action: Sigkill}}, {deny}, {{action: NoPost}}"), vec![9], None),
        (format!("{deny}, {{action: Sigkill}}, {{action: Post}}"), vec![9], Some(Action::Post)),
    ];
    for view in &kernels() {
        for (actions, signals, reported) in &rows {
            let mut it = emulated(&[file_open(&format!("{{matchActions: [{actions}]}}"))], view);
            assert_eq!(open(&mut it, "/a"), (-1, signals.clone()), "{actions}");
            let reports = it.reports();
            let last = reported.map(|action| (action as u8, true));
            assert_eq!(reports.first().map(|it| (it.record.action, it.enforced)), last, "{actions}");
            assert_eq!(it.count(0, 0, Counter::Override), 1);
            it.monitor(0);
            assert_eq!(open(&mut it, "/a"), (0, vec![]), "{actions}");
            assert_eq!(it.reports().len(), reports.len());
        }
    }
}

#[test]
fn one_selector_alone_denies_too_and_only_in_enforce_mode() {
    let selector = "{matchArgs: [{index: 0, operator: Equal, values: [/a]}], matchActions: [{action: Override, argError: -1}]}";
    for view in &kernels() {
        let mut it = emulated(&[file_open(selector)], view);
        assert_eq!(open(&mut it, "/a").0, -1);
        assert_eq!(open(&mut it, "/b").0, 0);
        assert_eq!(it.reporters(), [0]);
        it.monitor(0);
        assert_eq!(open(&mut it, "/a").0, 0);
    }
}

#[test]
fn the_first_policy_on_the_hook_that_denies_says_with_which_error() {
    let deny = |path: &str, errno: i32| {
        file_open(&format!(
            "{{matchArgs: [{{index: 0, operator: Prefix, values: [{path}]}}], matchActions: [{{action: Override, argError: {errno}}}]}}"
        ))
    };
    for view in &kernels() {
        let post = file_open("{}");
        let mut it = emulated(&[post, deny("/a", -1), deny("/a/b", -2), deny("/c", -3)], view);
        assert_eq!(open(&mut it, "/a/b").0, -1);
        assert_eq!(it.reporters(), [0, 1, 2]);
        it.monitor(1);
        assert_eq!(open(&mut it, "/a/b").0, -2);
        assert_eq!(open(&mut it, "/c").0, -3);
        assert_eq!(open(&mut it, "/d").0, 0);
    }
}

/// Takes every entry of the hook's working memory away.
fn exhaust(it: &mut Emulated<'_>) {
    let map = it.machine.map_mut("memory").unwrap();
    for key in 0_u32.. {
        let Some(mut entry) = map.lookup(&key.to_ne_bytes()).map(<[u8]>::to_vec) else { break };
        entry[0] = 1;
        map.update(&key.to_ne_bytes(), &entry).unwrap();
    }
}

#[test]
fn what_cannot_be_judged_is_denied_only_where_something_denies() {
    let view = recorded("6.1");
    let mut it = emulated(&[file_open("{}")], &view);
    exhaust(&mut it);
    assert_eq!(open(&mut it, "/a").0, 0);
    let mut it = emulated(&[file_open("{matchActions: [{action: Override, argError: -1}]}")], &view);
    exhaust(&mut it);
    assert_eq!(open(&mut it, "/a").0, -11);
}

/// Opens a path as the kernel runs the programs: the one attached last first, each only if those before let the call pass.
fn open_by_all(it: &mut Emulated<'_>, path: &str, hash: Option<(u32, Vec<u8>)>) -> i32 {
    let file = it.objects.file(&mut it.machine, it.view, path, 0o100_640);
    if let Some(hash) = hash {
        // the file is not open yet: the kernel is asked about its inode
        let at = file + u64::from(Facts::of(it.view).offset_of("file", "f_inode").unwrap());
        let world = it.machine.world_mut();
        let inode = u64::read_from_bytes(world.kernel.read(at, 8).unwrap()).unwrap();
        world.hashes.insert(inode, hash);
    }
    for body in it.compiled.bodies.iter().rev() {
        it.machine.load(&body.collection).unwrap();
        let name = if body.role.is_attached() { bpf_probes::sensor::STUB } else { "body" };
        let outcome = it.machine.run(name, Context::arguments(&[file, 0])).unwrap();
        if outcome.result() != 0 {
            return outcome.result();
        }
    }
    0
}

/// The hash that the only report carries: algorithm and the beginning of the digest.
fn reported_hash(it: &mut Emulated<'_>) -> Option<(i32, Vec<u8>)> {
    let records = it.machine.ring_mut(map_name::EVENTS).unwrap().drain();
    let records: Vec<_> =
        records.into_iter().chain(it.machine.ring_mut(map_name::ENFORCEMENT).unwrap().drain()).collect();
    assert_eq!(records.len(), 1);
    let (hook, rest) = HookRecord::read_from_prefix(&records[0].bytes).unwrap();
    let (path, rest) = ValueHeader::read_from_prefix(rest).unwrap();
    let rest = &rest[(path.len as usize).next_multiple_of(8)..];
    if hook.flags & hook_flag::FILE_HASH == 0 {
        assert!(rest.is_empty());
        return None;
    }
    let (header, rest) = ValueHeader::read_from_prefix(rest).unwrap();
    assert_eq!(header.len as usize, rest.len());
    if header.flags & value_flag::ERROR != 0 {
        return Some((-i32::from(header.status), Vec::new()));
    }
    let hash = FileHash::read_from_bytes(rest).unwrap();
    Some((hash.algorithm, hash.digest.to_vec()))
}

// proves: ACT-15 (emulated)
#[test]
fn a_report_carries_the_hash_of_its_file_and_no_other_file_is_read() {
    let selectors = "{matchArgs: [{index: 0, operator: Prefix, values: [/etc/]}],
          matchActions: [{action: Override, argError: -1}, {action: Post, imaHash: true}]},
        {matchArgs: [{index: 0, operator: Prefix, values: [/usr/]}], matchActions: [{action: Post, imaHash: true}]},
        {matchArgs: [{index: 0, operator: Prefix, values: [/opt/]}]}";
    let sha256 = |byte: u8| (4, vec![byte; 32]);
    let shown = |byte: u8| Some((4, [[byte; 32], [0; 32]].concat()));
    for view in &kernels() {
        let other = file_open("{matchArgs: [{index: 0, operator: Equal, values: [/nowhere]}]}");
        for texts in [vec![file_open(selectors)], vec![other, file_open(selectors)]] {
            let mut it = emulated(&texts, view);
            let roles: Vec<_> = it.compiled.bodies.iter().map(|body| body.role).collect();
            assert_eq!(roles, [Role::ReportAndDeny, Role::TakeHash, Role::AskForHash], "{}", view.release());
            // who is denied is reported with it
            assert_eq!(open_by_all(&mut it, "/etc/shadow", Some(sha256(7))), -1);
            assert_eq!(reported_hash(&mut it), shown(7));
            assert_eq!(open_by_all(&mut it, "/usr/bin/ls", Some(sha256(9))), 0);
            assert_eq!(reported_hash(&mut it), shown(9));
            assert_eq!(open_by_all(&mut it, "/opt/x", Some(sha256(9))), 0);
            assert_eq!(reported_hash(&mut it), None);
            // the kernel has none of this one, and nothing is left of those before
            assert_eq!(open_by_all(&mut it, "/usr/bin/id", None), 0);
            assert_eq!(reported_hash(&mut it).map(|hash| hash.0), Some(-95));
            assert_eq!(it.machine.map(map_name::HASHES).unwrap().len(), 0);
            // what no report carries is not asked for
            open_by_all(&mut it, "/home/x", Some(sha256(1)));
            open_by_all(&mut it, "/opt/x", Some(sha256(1)));
            assert_eq!(it.machine.map(map_name::HASHES).unwrap().len(), 0);
        }
    }
}

// proves: ACT-15 (refusals)
#[test]
fn a_hash_is_refused_where_none_can_be_had() {
    let text = file_open("{matchActions: [{action: Post, imaHash: true}]}");
    let codes = |text: &str, view: &KernelView| -> Vec<String> {
        let source = tracing_policy::source::SourceText::new("test", text);
        let findings = match tracing_policy::read(&source) {
            Ok((policy, warnings)) => {
                tracing_policy::resolve(policy, view).map_or_else(|it| it, |_| warnings)
            }
            Err(findings) => findings,
        };
        findings.iter().map(|finding| finding.code.to_string()).collect()
    };
    assert!(codes(&text, &recorded("6.12")).is_empty());
    // no LSM programs run there
    assert_eq!(codes(&text, &recorded("5.10")), ["P0043"]);
    let without_file = text.replace("file_open", "task_kill").replace("type: file", "type: nop");
    assert_eq!(codes(&without_file, &recorded("6.12")), ["P0030"]);
}

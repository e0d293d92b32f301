//! Rate limits: what is alike is reported once in a time, and the first always.

use bpf_probes::abi::{Action, Counter, LimitKey, map_name};
use bpf_probes::kernel::KernelView;
use zerocopy::FromBytes;

use crate::kernel::recorded;
use crate::run::{Emulated, policy, resolved};

/// A second.
const SECOND: u64 = 1_000_000_000;

fn kernels() -> [KernelView; 4] {
    [recorded("5.10"), recorded("6.1"), recorded("6.12"), recorded("7.2")]
}

fn emulated<'k>(texts: &[String], view: &'k KernelView) -> Emulated<'k> {
    let policies: Vec<_> = texts.iter().map(|text| resolved(text, view)).collect();
    Emulated::new(&policies, view)
}

fn limited(post: &str) -> String {
    policy(
        "security_file_open",
        "{index: 0, type: file}",
        &format!("{{matchActions: [{{action: Post, {post}}}]}}"),
    )
}

fn wait(it: &mut Emulated<'_>, nanoseconds: u64) {
    it.machine.world_mut().clock.boot += nanoseconds;
}

// proves: ACT-13 (the same again)
#[test]
fn what_is_alike_is_reported_again_when_the_time_since_its_last_report_is_over() {
    for view in &kernels() {
        for (limit, length) in
            [("'2'", 2 * SECOND), ("3s", 3 * SECOND), ("1M", 60 * SECOND), ("1h", 3600 * SECOND)]
        {
            let mut it = emulated(&[limited(&format!("rateLimit: {limit}"))], view);
            assert_eq!(it.open("/a"), [0], "the first is always reported");
            assert_eq!(it.open("/b"), [0], "another file is another report");
            for _ in 0..3 {
                wait(&mut it, length / 4);
                assert!(it.open("/a").is_empty());
            }
            wait(&mut it, length / 4 - 1);
            assert!(it.open("/a").is_empty(), "what was left out does not prolong the time");
            wait(&mut it, 1);
            assert_eq!(it.open("/a"), [0]);
            assert!(it.open("/a").is_empty());
            assert_eq!((it.count(0, 0, Counter::Post), it.count(0, 0, Counter::Limited)), (3, 5));
        }
    }
}

// proves: ACT-13 (thread, process, global)
#[test]
fn reports_count_together_by_thread_process_or_all() {
    for view in &kernels() {
        for (scope, expected) in [
            ("", [true, true, true]),
            (", rateLimitScope: thread", [true, true, true]),
            (", rateLimitScope: process", [true, false, true]),
            (", rateLimitScope: global", [true, false, false]),
        ] {
            let mut it = emulated(&[limited(&format!("rateLimit: 1m{scope}"))], view);
            for ((tgid, tid), expected) in [(7, 7), (7, 8), (9, 9)].into_iter().zip(expected) {
                let task = &mut it.machine.world_mut().task;
                (task.tgid, task.tid) = (tgid, tid);
                assert_eq!(!it.open("/a").is_empty(), expected, "{scope} {tgid} {tid}");
                assert!(it.open("/a").is_empty());
            }
        }
    }
}

// proves: ACT-13 (key)
#[test]
fn forty_bytes_of_each_argument_and_its_length_tell_reports_apart() {
    let arguments = "{index: 1, type: string}, {index: 0, type: int}";
    let text = policy("sys_openat", arguments, "{matchActions: [{action: Post, rateLimit: 1m}]}");
    for view in &kernels() {
        let mut it = emulated(std::slice::from_ref(&text), view);
        let mut call = |path: &str, number: u64| {
            let path = it.machine.world_mut().user.string(path);
            let registers = it.machine.world_mut().syscall_registers(257, [number, path, 0, 0, 0, 0]);
            it.call([registers, 0, 0, 0, 0, 0]);
            !it.reports().is_empty()
        };
        let (short, long) = ("x".repeat(36), "x".repeat(37));
        assert!(call(&short, 1));
        assert!(!call(&short, 1));
        assert!(call(&short, 2), "another number");
        assert!(call(&long, 1), "another length");
        assert!(!call(&long, 1));
        assert!(!call(&format!("{short}y"), 1), "alike as far as it is looked at");
        assert!(call(&format!("{}yx", "x".repeat(35)), 1), "another in the last byte that is looked at");
        assert!(call("", 1) && !call("", 1));
        assert!(call(&"x".repeat(5000), 1), "the longest that is read");
    }
}

// proves: ACT-13 (other actions still run), ACT-13 (key)
#[test]
fn other_actions_run_for_what_is_left_out_and_are_told_apart() {
    let selectors = "{matchPIDs: [{operator: In, values: [5]}], matchActions: [{action: Post, rateLimit: 1m}, {action: Signal, argSig: 12}]},
        {matchActions: [{action: Post, rateLimit: 1h}]}";
    let text = policy("security_file_open", "{index: 0, type: file}", selectors);
    for view in &kernels() {
        // beside another policy, which is not limited
        let mut it = emulated(&[text.clone(), policy("security_file_open", "", "")], view);
        it.machine.world_mut().task.tgid = 5;
        let file = it.objects.file(&mut it.machine, view, "/a", 0);
        for round in 0..3 {
            let outcome = it.call([file, 0, 0, 0, 0, 0]);
            assert_eq!(outcome.signals.len(), 1);
            let reports = it.reports();
            let expected: &[u32] = if round == 0 { &[100, 101] } else { &[101] };
            assert_eq!(reports.iter().map(|it| it.record.layout).collect::<Vec<_>>(), expected);
            let is_signal = reports[0].record.action == Action::Signal as u8;
            assert_eq!((is_signal, reports[0].enforced), (round == 0, round == 0));
        }
        assert_eq!((it.count(0, 0, Counter::Signal), it.count(0, 0, Counter::Limited)), (3, 2));
        it.monitor(0);
        assert_eq!(it.open("/a"), [1], "the same action, though it is not carried out");
        it.machine.world_mut().task.tgid = 6;
        assert_eq!(it.open("/a"), [0, 1], "the action of another selector");
        assert_eq!(it.open("/a"), [1]);
    }
}

// proves: ACT-13 (lost reports)
#[test]
fn a_report_that_found_the_ring_full_does_not_silence_the_next() {
    let view = recorded("6.12");
    let mut it = emulated(&[limited("rateLimit: 1h")], &view);
    let rest = format!("{}/", "x".repeat(200)).repeat(19);
    let lost = (10_000..20_000).map(|number| format!("/{number}/{rest}y")).find(|path| {
        let file = it.objects.file(&mut it.machine, &view, path, 0);
        it.call([file, 0, 0, 0, 0, 0]);
        it.machine.ring_mut(map_name::EVENTS).unwrap().refused() > 0
    });
    let lost = lost.unwrap();
    it.reports();
    assert_eq!(it.open(&lost), [0]);
    assert!(it.open(&lost).is_empty());
}

#[test]
fn the_key_is_what_its_type_says() {
    let view = recorded("6.12");
    let mut it = emulated(&[limited("rateLimit: 1h")], &view);
    assert_eq!(it.open("/a"), [0]);
    let entries = it.machine.map(map_name::LIMITS).unwrap().entries();
    assert_eq!(entries.len(), 1);
    let key = LimitKey::read_from_bytes(&entries[0].0).unwrap();
    assert_eq!((key.layout, key.action, key.scope), (100, 1, 1000));
    assert_eq!(&key.values[..8], b"\x02\0\0\0/a\0\0");
}

#[test]
fn a_clock_of_another_cpu_that_is_ahead_does_not_let_a_report_pass() {
    let view = recorded("6.12");
    let mut it = emulated(&[limited("rateLimit: 1m")], &view);
    assert_eq!(it.open("/a"), [0]);
    it.machine.world_mut().clock.boot -= 100;
    assert!(it.open("/a").is_empty());
}

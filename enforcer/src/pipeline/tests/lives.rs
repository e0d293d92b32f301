//! Lives of processes: what events show of them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use api::event::{Event, EventKind, Kprobe, Process, TruncatedBytes, Value};
use api::name::exec_id;
use bpf_probes::abi::{Action, ExecRecord, HookRecord, hook_flag, process_flag};

use super::super::config::Config;
use super::super::counters::NoEvent;
use super::super::decode::DecodeErrorKind;
use super::super::read::record_bytes;
use super::records::{
    Bench, Exec, INIT, config, data, exec, exit, fork, header, hook, hook_of, key, long_hook,
};

const CLONE: u32 = process_flag::CLONE;

fn of(event: &Event) -> (u32, String, String, u32) {
    let process = event.process().unwrap();
    (process.pid.unwrap(), process.binary.to_string(), process.flags.to_string(), process.refcnt)
}

fn parent(event: &Event) -> (u32, String, u32) {
    let parent = event.parent().unwrap();
    (parent.pid.unwrap(), parent.flags.to_string(), parent.refcnt)
}

fn kprobe(event: &Event) -> &Kprobe {
    let EventKind::Kprobe(kprobe) = &event.kind else { panic!("no kprobe: {event:?}") };
    kprobe
}

/// As in the sample `base.json`: a shell forks, the fork runs a program, which becomes another, and ends.
// proves: EVT-02, EVT-14, EVT-15, EVT-17
#[test]
fn a_life_from_fork_to_exit_is_shown_as_upstream_shows_it() {
    let mut bench = Bench::new(&config());
    let (forked, first, second) = (key(230, 1_000), key(230, 2_000), key(230, 3_000));
    assert!(bench.take(&[fork(forked, INIT)]).is_empty(), "a fork is no event");

    let mut record = exec(first, INIT, CLONE, b"/bin/a");
    record.fixed.previous_ktime = forked.ktime;
    let event = bench.one(record.record());
    assert_eq!(of(&event), (230, "/bin/a".into(), "execve rootcwd clone".into(), 0));
    assert_eq!(parent(&event), (1, "execve rootcwd clone".into(), 0));
    let process = event.process().unwrap();
    assert_eq!(*process.exec_id, *exec_id("lab", 2_000, 230));
    assert_eq!(*process.parent_exec_id, *exec_id("lab", INIT.ktime, 1));
    assert_eq!(process.tid, Some(230));
    assert_eq!(process.start_time.unwrap().nanos(), 1_000_000_002_000);
    assert_eq!(event.time, process.start_time);
    assert_eq!(process.in_init_tree, Some(false));
    assert_eq!((process.cap, &process.ns, &process.credentials), (None, &None, &None));

    let mut record = exec(second, INIT, 0, b"/bin/b");
    record.fixed.previous_ktime = first.ktime;
    let event = bench.one(record.record());
    assert_eq!(of(&event), (230, "/bin/b".into(), "execve rootcwd".into(), 0));
    assert_eq!(parent(&event).0, 230, "its parent is what it was before");
    assert_eq!(*event.process().unwrap().parent_exec_id, *exec_id("lab", 2_000, 230));

    let event = bench.one(exit(second, 4_000, 9 | 0x80));
    let EventKind::Exit(exited) = &event.kind else { panic!("no exit") };
    assert_eq!((&*exited.signal, exited.status), ("SIGKILL", 0));
    assert_eq!((exited.time, event.time.unwrap().nanos()), (event.time, 1_000_000_004_000));
    assert_eq!(of(&event).1, "/bin/b");
}

// proves: EVT-02
#[test]
fn a_fork_that_runs_no_program_shows_its_parents_binary_and_one_reference() {
    let mut bench = Bench::new(&config());
    let child = key(50, 1_000);
    bench.take(&[fork(child, INIT)]);
    let event = bench.one(exit(child, 2_000, 3 << 8));
    assert_eq!(of(&event), (50, "/sbin/init".into(), "execve".into(), 1));
    assert_eq!(*event.process().unwrap().exec_id, *exec_id("lab", 1_000, 50));
    let EventKind::Exit(exited) = &event.kind else { panic!("no exit") };
    assert_eq!((&*exited.signal, exited.status), ("", 3));
}

// proves: EVT-03, EVT-15 (refcnt)
#[test]
fn a_hook_shows_the_references_of_its_process_its_thread_and_values() {
    let mut bench = Bench::new(&config());
    let (shell, child) = (key(10, 1_000), key(11, 2_000));
    bench.take(&[exec(shell, INIT, CLONE, b"/bin/sh").record(), fork(child, shell)]);
    let event = bench.one(hook(shell, 3_000, Action::Sigkill, b"/etc/shadow"));
    assert_eq!(of(&event).3, 2, "its own and its child's");
    assert_eq!(event.process().unwrap().tid, Some(11));
    assert_eq!(parent(&event).0, 1);
    let kprobe = kprobe(&event);
    assert_eq!((&*kprobe.function_name, kprobe.action), ("security_file_open", api::name::Action::Sigkill));
    assert_eq!(event.policy_name(), Some("p"));
    let Some(Value::File(file)) = &kprobe.args[0].value else { panic!("no file") };
    assert_eq!((&*file.path, &*file.permission, &*file.flags), ("/etc/shadow", "-rw-r-----", ""));

    bench.take(&[exit(child, 4_000, 0), exit(shell, 5_000, 0)]);
    let event = bench.one(hook(shell, 6_000, Action::Post, b"/late"));
    assert_eq!((of(&event).1, of(&event).3), ("/bin/sh".into(), 0), "a late event finds its process");
    let nameless = bpf_probes::abi::ProcessKey { ktime: 0, ..shell };
    let event = bench.one(hook(nameless, 7_000, Action::Post, b"/closed"));
    assert_eq!(of(&event).1, "/bin/sh", "so does one whose process the kernel side has forgotten");
}

// proves: EVT-01, EVT-16, ENR-13
#[test]
fn binaries_arguments_and_directories_are_formed_as_upstream_forms_them() {
    let mut bench = Bench::new(&config());
    let mut record = Exec {
        cwd: b"/home/me",
        path: b"/opt/tool",
        arguments: b"./tool\0-a\0two words\0\xff\0",
        ..exec(key(5, 1_000), INIT, CLONE, b"./tool")
    };
    record.fixed.flags &= !process_flag::ROOT_CWD;
    record.fixed.credentials.euid = 1000;
    let event = bench.one(record.record());
    let process = event.process().unwrap();
    assert_eq!(*process.binary, *"/home/me/tool");
    assert_eq!(*process.cwd, *"/home/me");
    assert_eq!(*process.arguments, *"-a \"two words\" \u{fffd}");
    assert_eq!((process.uid, process.auid), (Some(1000), Some(u32::MAX)));
    let EventKind::Exec(executed) = &event.kind else { panic!("no exec") };
    assert_eq!(executed.binary_properties, None, "the file has a name, and raises nothing");

    record.fixed.links = 0;
    record.fixed.process = key(6, 2_000);
    let event = bench.one(record.record());
    let EventKind::Exec(executed) = &event.kind else { panic!("no exec") };
    let file = executed.binary_properties.as_ref().unwrap().file.as_ref().unwrap();
    assert_eq!((&*file.path, file.inode.unwrap().number), ("/opt/tool", 77));
}

#[test]
fn a_file_name_that_could_not_be_read_is_what_the_kernel_resolved() {
    let mut bench = Bench::new(&config());
    let record =
        Exec { path: b"/bin/x", ..exec(key(5, 1_000), INIT, CLONE | process_flag::ERROR_FILENAME, b"") };
    let event = bench.one(record.record());
    assert_eq!(of(&event).1, "/bin/x");
    assert_eq!(of(&event).2, "execve errorFilename rootcwd clone");
}

// proves: ENR-14 (arguments)
#[test]
fn long_arguments_come_in_pieces_and_a_missing_piece_is_marked() {
    let mut bench = Bench::new(&config());
    let (whole, cut) = (key(5, 1_000), key(6, 2_000));
    let long = "x".repeat(40_000);
    let text = format!("prog\0{long}\0y\0");
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(32_736).collect();
    let mut record =
        Exec { arguments: b"", ..exec(whole, INIT, CLONE | process_flag::DATA_ARGUMENTS, b"/p") };
    record.fixed.data_len = u32::try_from(text.len()).unwrap();
    let events = bench.take(&[data(whole, 0, pieces[0]), data(whole, 1, pieces[1]), record.record()]);
    let process = events[0].process().unwrap();
    assert_eq!(*process.arguments, *format!("{long} y"));
    assert_eq!(process.flags.to_string(), "execve rootcwd clone dataArgs");

    record.fixed.process = cut;
    let events = bench.take(&[data(cut, 0, b"prog\0only\0"), record.record()]);
    let process = events[0].process().unwrap();
    assert_eq!(*process.arguments, *"only");
    assert_eq!(process.flags.to_string(), "execve truncArgs rootcwd clone dataArgs");
    assert_eq!(bench.stages.totals().data.incomplete, 1);
}

// proves: ENR-12 (what the kernel says)
#[test]
fn a_container_is_named_by_its_cgroup_and_inherited_by_forks() {
    let mut bench = Bench::new(&config());
    let name = format!("docker-{}.scope", "ab".repeat(32));
    let process = key(5, 1_000);
    let flags = CLONE | process_flag::IN_INIT_TREE;
    let record = Exec { cgroup: name.as_bytes(), ..exec(process, INIT, flags, b"/app") };
    let event = bench.one(record.record());
    assert_eq!(*event.process().unwrap().docker, *"abababababababababababababababa");
    assert_eq!(event.process().unwrap().in_init_tree, Some(true));
    bench.take(&[fork(key(6, 2_000), process)]);
    let event = bench.one(exit(key(6, 2_000), 3_000, 0));
    assert_eq!(*event.process().unwrap().docker, *"abababababababababababababababa");
    assert_eq!(event.process().unwrap().in_init_tree, Some(false), "the kernel says so");
}

// proves: EVT-20 (unknown process)
#[test]
fn a_process_that_nobody_knows_is_unknown_and_its_exit_is_shown_too() {
    let mut bench = Bench::new(&config());
    let event = bench.one(hook(key(99, 1_000), 2_000, Action::Post, b"/x"));
    assert_eq!(of(&event), (99, String::new(), "unknown".into(), 0));
    assert_eq!(*event.process().unwrap().exec_id, *exec_id("lab", 1_000, 99));
    assert!(event.parent().is_none());
    let event = bench.one(exit(key(98, 0), 3_000, 0));
    assert_eq!(of(&event).2, "unknown");
    assert_eq!((event.process().unwrap().start_time, &*event.process().unwrap().exec_id), (None, ""));
    assert_eq!(bench.stages.totals().unknown_process, 2);
}

#[test]
fn a_key_without_time_names_whichever_process_runs_under_the_pid() {
    let mut bench = Bench::new(&config());
    let event = bench.one(hook(key(1, 0), 2_000, Action::Post, b"/x"));
    assert_eq!(of(&event).1, "/sbin/init");
}

// proves: EVT-22 (process and parent, from /proc instead of a later event)
#[test]
fn a_process_whose_exec_was_lost_is_looked_up_once() {
    let config = Config { proc_root: "/proc".into(), ..config() };
    let mut bench = Bench::new(&config);
    let own = key(std::process::id(), u64::MAX >> 1);
    for _ in 0..3 {
        let event = bench.one(hook(own, 2_000, Action::Post, b"/x"));
        let process: &Process = event.process().unwrap();
        assert_eq!(*process.binary, *std::env::current_exe().unwrap().to_string_lossy());
        assert!(process.flags.to_string().starts_with("procFS"));
        assert!(event.parent().is_some());
    }
    let lookups = bench.stages.totals().lookups;
    assert!(lookups.made >= 1 && lookups.made <= 5, "the process and its ancestors once: {lookups:?}");
}

#[test]
fn what_gives_no_event_is_counted_by_reason() {
    let mut bench = Bench::new(&config());
    let mut no_layout = hook(INIT, 1_000, Action::Post, b"/x");
    let place = std::mem::offset_of!(HookRecord, layout);
    zerocopy::IntoBytes::as_mut_bytes(&mut *no_layout)[place] = 99;
    let fixed = HookRecord {
        header: header(bpf_probes::abi::RecordKind::Hook, 1),
        layout: 1,
        ..HookRecord::default()
    };
    let too_few = record_bytes(&fixed, &[]);
    let long = ExecRecord {
        header: header(bpf_probes::abi::RecordKind::Exec, 1),
        path_len: 9,
        ..ExecRecord::default()
    };
    let records = [
        no_layout,
        too_few,
        record_bytes(&long, &[]),
        vec![0; 1].into(),
        vec![u64::MAX; 4].into(),
        vec![0x10_0000_00c8, 0].into(),
    ];
    assert!(bench.take(&records).is_empty());
    let totals = bench.stages.totals();
    assert_eq!(totals.no_event(NoEvent::UnknownLayout), 1);
    assert_eq!(totals.no_event(NoEvent::Malformed(DecodeErrorKind::Values)), 1);
    assert_eq!(totals.no_event(NoEvent::Malformed(DecodeErrorKind::Parts)), 1);
    assert_eq!(totals.no_event(NoEvent::Malformed(DecodeErrorKind::Size)), 2);
    assert_eq!(totals.no_event(NoEvent::Malformed(DecodeErrorKind::Kind)), 1);
}

// proves: EVT-07
#[test]
fn a_match_on_an_lsm_hook_is_an_event_of_its_own() {
    let mut bench = Bench::new(&config());
    let shell = key(10, 1_000);
    bench.take(&[exec(shell, INIT, CLONE, b"/bin/sh").record()]);
    let event = bench.one(hook_of(2, shell, 3_000, Action::Override, b"/etc/shadow"));
    let EventKind::Lsm(lsm) = &event.kind else { panic!("no LSM event: {event:?}") };
    assert_eq!((&*lsm.function_name, lsm.action), ("file_open", api::name::Action::Override));
    assert_eq!(&*lsm.args[0].label, "l");
    let mut json = Vec::new();
    api::json::write_event(&event, &mut json);
    let json = String::from_utf8(json).unwrap();
    assert!(json.starts_with("{\"process_lsm\":{\"process\":"), "{json}");
    let rest = "\"function_name\":\"file_open\",\"policy_name\":\"p\",\"args\":[{\"file_arg\":{\"path\":\"/etc/shadow\"";
    assert!(json.contains(rest), "{json}");
}

// proves: ARG-03 (joined)
#[test]
fn the_pieces_of_a_buffer_are_put_together_and_a_lost_one_is_told() {
    let mut bench = Bench::new(&config());
    let shell = key(10, 1_000);
    bench.take(&[exec(shell, INIT, CLONE, b"/bin/sh").record()]);
    let value = |event: &Event| {
        let EventKind::Kprobe(kprobe) = &event.kind else { panic!("no kprobe: {event:?}") };
        kprobe.args[0].value.clone().unwrap()
    };
    // two threads at once
    let (one, other) = (key(11, 2_000), key(12, 2_000));
    bench.take(&[data(one, 0, b"ab"), data(other, 0, b"xy"), data(one, 1, b"cd")]);
    let whole = value(&bench.one(long_hook(shell, 11, 2_000, 4, 4)));
    assert_eq!(whole, Value::Bytes(b"abcd".as_slice().into()));
    let cut = |bytes: &[u8], original_size| {
        Value::TruncatedBytes(TruncatedBytes { bytes: bytes.into(), original_size })
    };
    // more than is sent at all
    assert_eq!(value(&bench.one(long_hook(shell, 12, 2_000, 500_000, 2))), cut(b"xy", 500_000));
    // the second piece is lost, and then all of them
    bench.take(&[data(one, 0, b"ab"), data(one, 2, b"ef")]);
    assert_eq!(value(&bench.one(long_hook(shell, 11, 2_000, 6, 6))), cut(b"ab", 6));
    assert_eq!(value(&bench.one(long_hook(shell, 11, 2_000, 6, 6))), cut(b"", 6));
}

// proves: EVT-08, HOOK-17 (event)
#[test]
fn mapped_code_is_an_event_with_its_path_and_no_build_id_where_the_file_cannot_be_read() {
    let mut bench = Bench::new(&config());
    let shell = key(10, 1_000);
    bench.take(&[exec(shell, INIT, CLONE, b"/bin/sh").record()]);
    let event = bench.one(hook_of(9, shell, 3_000, Action::Post, b"/lib/x.so"));
    let EventKind::Loader(loader) = &event.kind else { panic!("no loader event: {event:?}") };
    assert_eq!((&*loader.path, &*loader.build_id, loader.process.pid), ("/lib/x.so", &[][..], Some(10)));
    let mut json = Vec::new();
    api::json::write_event(&event, &mut json);
    let json = String::from_utf8(json).unwrap();
    assert!(json.starts_with("{\"process_loader\":{\"process\":"), "{json}");
    assert!(json.contains("\"path\":\"/lib/x.so\""), "{json}");
}

// proves: ARG-19 (as events show it)
#[test]
fn what_a_policy_reads_elsewhere_is_the_events_data() {
    let mut bench = Bench::new(&config());
    let shell = key(10, 1_000);
    bench.take(&[exec(shell, INIT, CLONE, b"/bin/sh").record()]);
    let event = bench.one(hook_of(4, shell, 3_000, Action::Post, b"/etc/shadow"));
    let EventKind::Kprobe(kprobe) = &event.kind else { panic!("no kprobe: {event:?}") };
    assert_eq!((kprobe.args.len(), kprobe.data.len(), &*kprobe.data[0].label), (0, 1, "l"));
    let mut json = Vec::new();
    api::json::write_event(&event, &mut json);
    let json = String::from_utf8(json).unwrap();
    assert!(json.contains("\"data\":[{\"file_arg\":{\"path\":\"/etc/shadow\""), "{json}");
}

// proves: EVT-04
#[test]
fn a_match_on_a_tracepoint_is_an_event_of_its_own() {
    let mut bench = Bench::new(&config());
    let shell = key(10, 1_000);
    bench.take(&[exec(shell, INIT, CLONE, b"/bin/sh").record()]);
    let event = bench.one(hook_of(3, shell, 3_000, Action::Post, b"/etc/shadow"));
    let EventKind::Tracepoint(tracepoint) = &event.kind else { panic!("no tracepoint: {event:?}") };
    assert_eq!((&*tracepoint.subsystem, &*tracepoint.event), ("sched", "sched_process_exec"));
    assert_eq!((tracepoint.action, event.policy_name()), (api::name::Action::Post, Some("p")));
    let mut json = Vec::new();
    api::json::write_event(&event, &mut json);
    let json = String::from_utf8(json).unwrap();
    assert!(
        json.contains("\"subsys\":\"sched\",\"event\":\"sched_process_exec\",\"args\":[{\"file_arg\""),
        "{json}"
    );
}

// proves: EVT-06, EVT-20 (action failed)
#[test]
fn a_match_on_a_static_probe_is_an_event_of_its_own_and_says_whether_its_action_failed() {
    let mut bench = Bench::new(&config());
    let shell = key(10, 1_000);
    bench.take(&[exec(shell, INIT, CLONE, b"/bin/sh").record()]);
    for (flags, shown) in [(0, ""), (hook_flag::MONITOR, ""), (hook_flag::ACTION_FAILED, "ACTION_FAILED")] {
        let mut record = hook_of(11, shell, 3_000, Action::Set, b"/etc/shadow");
        let place = std::mem::offset_of!(HookRecord, flags);
        zerocopy::IntoBytes::as_mut_bytes(&mut *record)[place] = flags;
        let event = bench.one(record);
        let EventKind::Usdt(usdt) = &event.kind else { panic!("no static probe: {event:?}") };
        assert_eq!((&*usdt.path, &*usdt.provider, &*usdt.name), ("/bin/app", "app", "run"));
        assert_eq!((usdt.action, &*usdt.flags), (api::name::Action::Set, shown));
        let mut json = Vec::new();
        api::json::write_event(&event, &mut json);
        let json = String::from_utf8(json).unwrap();
        let names = "\"path\":\"/bin/app\",\"provider\":\"app\",\"name\":\"run\",\"policy_name\":\"p\"";
        assert!(json.contains(names) && json.contains("\"action\":\"KPROBE_ACTION_SET\""), "{json}");
        assert_eq!(json.contains("\"flags\":\"ACTION_FAILED\""), !shown.is_empty(), "{json}");
    }
}

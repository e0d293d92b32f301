//! What events show of a process on request.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::sync::Arc;

use api::event::{Event, EventKind, Process};
use api::filter::{Redaction, read_redaction_filters};
use bpf_probes::abi::{
    Action, Credentials, Namespaces, ProcessKey, data_value, gained, hook_flag, process_flag,
};

use super::super::config::Config;
use super::super::{AncestorKind, ShownVariables};
use super::records::{Bench, Exec, INIT, config, data, data_of, exec, exit, fork, hook_of, key};

const CLONE: u32 = process_flag::CLONE;

fn process(event: &Event) -> &Process {
    event.process().unwrap()
}

fn json(event: &Event) -> String {
    let mut json = Vec::new();
    api::json::write_event(event, &mut json);
    String::from_utf8(json).unwrap()
}

// proves: ENR-03, ENR-04
#[test]
fn credentials_and_namespaces_are_shown_on_request() {
    let config = Config { process_credentials: true, process_namespaces: true, ..config() };
    let mut bench = Bench::new(&config);
    let mut record = exec(key(5, 1_000), INIT, CLONE, b"/bin/su");
    record.fixed.credentials = Credentials {
        uid: 1000,
        gid: 1001,
        euid: 0,
        egid: 1002,
        suid: 1003,
        sgid: 1004,
        fsuid: 1005,
        fsgid: 1006,
        securebits: 0b1_0001,
        permitted: 1 << 5 | 1 << 1,
        effective: 1 << 21,
        inheritable: 1 << 40,
        ..Credentials::default()
    };
    record.fixed.namespaces = Namespaces { pid: 9, ..Namespaces::default() };
    record.fixed.gained = gained::SETUID;
    let event = bench.one(record.record());
    for shown in [
        r#""cap":{"permitted":["DAC_OVERRIDE","CAP_KILL"],"effective":["CAP_SYS_ADMIN"],"inheritable":["CAP_CHECKPOINT_RESTORE"]}"#,
        r#""process_credentials":{"uid":1000,"gid":1001,"euid":0,"egid":1002,"suid":1003,"sgid":1004,"fsuid":1005,"fsgid":1006,"securebits":["SecBitNoRoot","SecBitKeepCaps"]}"#,
        r#""ns":{"pid":{"inum":9}}"#,
    ] {
        assert!(json(&event).contains(shown), "{}", json(&event));
    }
    let EventKind::Exec(executed) = &event.kind else { panic!("no exec") };
    assert_eq!(executed.binary_properties.as_ref().unwrap().setuid, Some(0));
}

/// A shell with a child, which has a child: the ancestors of the last are the shell and init.
fn family(kinds: &[AncestorKind]) -> (Bench, [ProcessKey; 3]) {
    let config = Config { ancestors: kinds.iter().copied().collect(), ..config() };
    let mut bench = Bench::new(&config);
    let keys = [key(10, 1_000), key(11, 2_000), key(12, 3_000)];
    bench.take(&[
        exec(keys[0], INIT, CLONE, b"/bin/sh").record(),
        exec(keys[1], keys[0], CLONE, b"/bin/sudo").record(),
        fork(keys[2], keys[1]),
    ]);
    (bench, keys)
}

fn ancestors(event: &Event) -> Vec<&str> {
    event.ancestors().iter().map(|process| &*process.binary).collect()
}

// proves: EVT-23
#[test]
fn ancestors_are_shown_beyond_the_parent_in_events_of_the_kinds_that_were_asked_for() {
    let expected = ["/bin/sh", "/sbin/init"];
    for (layout, kind) in [
        (1, AncestorKind::Kprobe),
        (2, AncestorKind::Lsm),
        (3, AncestorKind::Tracepoint),
        (9, AncestorKind::Loader),
        (11, AncestorKind::Usdt),
    ] {
        let (mut bench, [shell, _, last]) = family(&[AncestorKind::Base, kind]);
        let event = bench.one(hook_of(layout, last, 4_000, Action::Post, b"/x"));
        assert_eq!(ancestors(&event), expected, "{kind:?}");
        assert!(json(&event).contains("\"ancestors\":[{\"exec_id\""), "{}", json(&event));
        let event = bench.one(hook_of(layout, shell, 5_000, Action::Post, b"/x"));
        assert_eq!(ancestors(&event), [""; 0], "{kind:?}: init is its parent");
        let (mut bench, [.., last]) = family(&[AncestorKind::Base]);
        let event = bench.one(hook_of(layout, last, 4_000, Action::Post, b"/x"));
        assert_eq!(ancestors(&event), [""; 0], "{kind:?} was not asked for");
    }
    let (mut bench, [.., last]) = family(&[AncestorKind::Base, AncestorKind::Uprobe]);
    assert!(bench.take(&[hook_of(13, last, 4_000, Action::Post, b"/x")]).is_empty());
    let event = bench.one(super::records::returned_of(13, last, 4_000, (Action::Post, 0), 1));
    assert_eq!(ancestors(&event), expected);
    let mut again = exec(key(12, 5_000), key(11, 2_000), 0, b"/bin/id");
    again.fixed.previous_ktime = last.ktime;
    let event = bench.one(again.record());
    assert_eq!(ancestors(&event), ["/bin/sudo", "/bin/sh", "/sbin/init"], "its parent is what it was");
    let event = bench.one(exit(key(12, 5_000), 6_000, 0));
    assert_eq!(ancestors(&event).len(), 3);
}

#[test]
fn ancestors_that_ended_long_ago_are_shown_as_long_as_a_descendant_runs() {
    let (mut bench, [shell, child, last]) = family(&[AncestorKind::Base, AncestorKind::Kprobe]);
    bench.take(&[exit(shell, 3_500, 0), exit(child, 3_600, 0)]);
    (0..3).for_each(|_| bench.stages.step());
    let event = bench.one(hook_of(1, last, 4_000, Action::Post, b"/x"));
    assert_eq!(
        (ancestors(&event), &*event.parent().unwrap().binary),
        (vec!["/bin/sh", "/sbin/init"], "/bin/sudo")
    );
    bench.take(&[exit(last, 5_000, 0)]);
    (0..2).for_each(|_| bench.stages.step());
    bench.stages.count_published();
    assert_eq!(bench.stages.totals().table.entries, 2, "the kernel and init");
}

fn redaction(filters: &str) -> Arc<Redaction> {
    Arc::new(Redaction::compile(&read_redaction_filters(filters).unwrap()).unwrap())
}

/// An exec of `/bin/app` whose environment came in these pieces.
fn with_environment(bench: &mut Bench, process: ProcessKey, pieces: &[&[u8]], whole: usize) -> Event {
    let mut record = Exec {
        arguments: b"",
        ..exec(
            process,
            INIT,
            CLONE | process_flag::DATA_ARGUMENTS | process_flag::DATA_ENVIRONMENT,
            b"/bin/app",
        )
    };
    record.fixed.data_len = 9;
    record.fixed.environment_len = u32::try_from(whole).unwrap();
    let mut records = vec![data(process, 0, b"app\0--go\0")];
    for (sequence, piece) in (0..).zip(pieces) {
        records.push(data_of(data_value::ENVIRONMENT, process, sequence, piece));
    }
    records.push(record.record());
    bench.take(&records).remove(0)
}

// proves: ENR-06, ENR-14, FLT-14
#[test]
fn variables_are_shown_by_name_redacted_and_inherited_by_forks() {
    let config = Config {
        environment: ShownVariables::Named(["TOKEN".to_owned(), "HOME".to_owned()].into()),
        redaction: redaction(r#"{"redact":["TOKEN=(\\S+)","(--go)"],"binary_regex":["app$"]}"#),
        ..config()
    };
    let mut bench = Bench::new(&config);
    let (app, child) = (key(5, 1_000), key(6, 2_000));
    let pieces: [&[u8]; 2] = [b"PATH=/bin\0TOK", b"EN=secret\0HOME=/\0"];
    let event = with_environment(&mut bench, app, &pieces, 30);
    let shown = r#""environment_variables":[{"Key":"TOKEN","Value":"*****"},{"Key":"HOME","Value":"/"}]"#;
    assert!(json(&event).contains(shown), "{}", json(&event));
    assert_eq!(*process(&event).arguments, *"*****");
    assert_eq!(process(&event).flags.to_string(), "execve rootcwd clone dataArgs");
    bench.take(&[fork(child, app)]);
    let event = bench.one(exit(child, 3_000, 0));
    assert!(json(&event).contains(shown), "{}", json(&event));
}

// proves: SEC-03
#[test]
fn what_is_redacted_is_not_in_the_table_of_processes_either() {
    let config = Config {
        environment: ShownVariables::All,
        redaction: redaction(r#"{"redact":["TOKEN=(\\S+)","--token (\\S+)"]}"#),
        ..config()
    };
    let mut bench = Bench::new(&config);
    with_environment(&mut bench, key(5, 1_000), &[b"TOKEN=secret\0"], 13);
    let named =
        Exec { arguments: b"app\0--token\0secret\0", ..exec(key(6, 2_000), INIT, CLONE, b"/bin/app") };
    bench.take(&[named.record()]);
    let known: Vec<String> =
        bench.stages.known().iter().map(|known| format!("{:?}", known.process)).collect();
    assert_eq!(known.iter().filter(|process| process.contains("*****")).count(), 2, "{known:?}");
    assert!(known.iter().all(|process| !process.contains("secret")), "{known:?}");
}

#[test]
fn an_environment_of_which_a_piece_is_missing_is_marked() {
    let config = Config { environment: ShownVariables::All, ..config() };
    let mut bench = Bench::new(&config);
    let event = with_environment(&mut bench, key(5, 1_000), &[b"A=1\0B=2\0"], 100);
    let names: Vec<&str> = process(&event).environment.iter().map(|variable| &*variable.key).collect();
    assert_eq!(names, ["A", "B"]);
    assert_eq!(process(&event).flags.to_string(), "execve errorEnvs rootcwd clone dataArgs");
}

// proves: ENR-05
#[test]
fn users_are_named_where_a_process_sees_them_as_the_host_does() {
    let proc_root = tempfile::tempdir().unwrap();
    fs::create_dir_all(proc_root.path().join("1/root/etc")).unwrap();
    fs::write(proc_root.path().join("1/root/etc/passwd"), "alice:x:1000:\nroot:x:0:\n").unwrap();
    for (user_names, users, expected) in [
        (true, 0, Some("alice")),
        (true, 7, None), // of a user namespace of its own
        (false, 0, None),
    ] {
        let config = Config { user_names, proc_root: proc_root.path().to_owned(), ..config() };
        let mut bench = Bench::new(&config);
        let mut record = exec(key(5, 1_000), INIT, CLONE, b"/bin/id");
        record.fixed.credentials.euid = 1000;
        record.fixed.namespaces.user = users;
        let event = bench.one(record.record());
        assert_eq!(process(&event).user.as_deref(), expected);
        assert_eq!(json(&event).contains(r#""user":{"name":"alice"}"#), expected.is_some());
    }
}

// proves: EVT-20
#[test]
fn flags_say_that_a_process_is_unknown_and_that_an_action_failed() {
    let mut bench = Bench::new(&config());
    let unknown = hook_of(11, key(99, 1_000), 2_000, Action::Post, b"/x");
    let event = bench.one(unknown);
    assert_eq!(process(&event).flags.to_string(), "unknown");
    assert!(json(&event).contains(r#""flags":"unknown""#), "{}", json(&event));
    let mut failed = hook_of(11, INIT, 3_000, Action::Set, b"/x");
    // the byte of the flags, behind header and process
    let at = std::mem::offset_of!(bpf_probes::abi::HookRecord, flags);
    zerocopy::IntoBytes::as_mut_bytes(&mut *failed)[at] |= hook_flag::ACTION_FAILED;
    let event = bench.one(failed);
    assert!(json(&event).contains(r#""flags":"ACTION_FAILED""#), "{}", json(&event));
}

//! The two halves of an event: what came at the entry of a call, and what at its return.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use api::event::{Event, EventKind, Kprobe, TruncatedBytes, Value};
use bpf_probes::abi::{Action, hook_flag, process_flag};

use super::super::counters::NoEvent;
use super::records::{
    Bench, INIT, config, exec, exit, hook_of, key, returned, returned_of, returned_with_buffer,
};

fn kprobe(event: &Event) -> &Kprobe {
    let EventKind::Kprobe(kprobe) = &event.kind else { panic!("no kprobe: {event:?}") };
    kprobe
}

fn bench() -> Bench {
    let mut bench = Bench::new(&config());
    bench.take(&[exec(key(10, 1_000), INIT, process_flag::CLONE, b"/bin/sh").record()]);
    bench
}

// proves: EVT-18, HOOK-02 (events)
#[test]
fn two_halves_become_one_event_at_the_time_of_the_entry() {
    let (mut bench, shell) = (bench(), key(10, 1_000));
    assert!(bench.take(&[hook_of(5, shell, 3_000, Action::Post, b"/etc/shadow")]).is_empty());
    assert_eq!(bench.stages.totals().returns.waiting, 1);
    let event = bench.one(returned(shell, 3_000, Action::Sigkill, 0, -13));
    let kprobe = kprobe(&event);
    assert_eq!(kprobe.return_value.as_ref().and_then(|it| it.value.clone()), Some(Value::Int(-13)));
    assert_eq!((kprobe.action, kprobe.return_action), (api::name::Action::Post, api::name::Action::Sigkill));
    let then = bench.one(hook_of(1, shell, 3_000, Action::Post, b"/x")).time;
    assert_eq!((event.time, event.process().unwrap().tid), (then, Some(11)));
    let mut json = Vec::new();
    api::json::write_event(&event, &mut json);
    let json = String::from_utf8(json).unwrap();
    let shown = "\"label\":\"l\"}],\"return\":{\"int_arg\":-13,\"label\":\"r\"},\"action\":\"KPROBE_ACTION_POST\",\"policy_name\":\"p\",\"return_action\":\"KPROBE_ACTION_SIGKILL\"";
    assert!(json.contains(shown), "{json}");
    assert!(bench.take(&[returned(shell, 3_000, Action::Post, 0, 1)]).is_empty(), "once");
    let totals = bench.stages.totals();
    assert_eq!((totals.returns.waiting, totals.returns.joined), (0, 1));
    let joined: Vec<&str> = bench.stages.joined().iter().map(|function| &**function).collect();
    assert_eq!(joined, ["security_file_open"], "for the metrics of merges");
    let totals = bench.stages.totals();
    assert_eq!((totals.no_event(NoEvent::Waits), totals.no_event(NoEvent::NotEntered)), (1, 1));
}

// proves: HOOK-11 (events)
#[test]
fn what_a_function_of_a_program_returned_is_the_last_of_its_arguments() {
    let (mut bench, shell) = (bench(), key(10, 1_000));
    for (action, expected) in
        [(Action::Post, api::name::Action::Post), (Action::Sigkill, api::name::Action::Sigkill)]
    {
        assert!(bench.take(&[hook_of(13, shell, 3_000, Action::Post, b"/x")]).is_empty());
        let event = bench.one(returned_of(13, shell, 3_000, (action, 0), -13));
        let EventKind::Uprobe(uprobe) = &event.kind else { panic!("{event:?}") };
        let last = uprobe.args.last().unwrap();
        assert_eq!((uprobe.args.len(), &last.value, &*last.label), (2, &Some(Value::Int(-13)), "r"));
        assert_eq!(uprobe.action, expected);
    }
}

// proves: ARG-04 (events), ACT-12 (stacks, events)
#[test]
fn a_buffer_that_a_call_fills_stands_where_the_argument_does() {
    let (mut bench, shell) = (bench(), key(10, 1_000));
    for (whole, bytes, shown) in [
        (3, b"abc".as_slice(), Value::Bytes(b"abc".as_slice().into())),
        (0, b"", Value::Bytes(b"".as_slice().into())),
        (
            5_000,
            b"abc",
            Value::TruncatedBytes(TruncatedBytes { bytes: b"abc".as_slice().into(), original_size: 5_000 }),
        ),
    ] {
        assert!(bench.take(&[hook_of(12, shell, 3_000, Action::Post, b"/x")]).is_empty());
        let event = bench.one(returned_with_buffer(12, shell, 3_000, whole, bytes));
        let kprobe = kprobe(&event);
        let labels: Vec<&str> = kprobe.args.iter().map(|argument| &*argument.label).collect();
        assert_eq!((labels, kprobe.args[0].value.clone()), (vec!["b", "l"], Some(shown)));
        let returned = kprobe.return_value.as_ref().and_then(|it| it.value.clone());
        assert_eq!(returned, Some(Value::Int(i32::try_from(whole).unwrap())));
        assert_eq!((kprobe.kernel_stack.len(), kprobe.user_stack.len()), (1, 0));
    }
    // one of the data stands among those
    bench.take(&[hook_of(14, shell, 3_000, Action::Post, b"/x")]);
    let event = bench.one(returned_with_buffer(14, shell, 3_000, 3, b"abc"));
    let (args, data) = (&kprobe(&event).args, &kprobe(&event).data);
    assert_eq!((args.len(), &*args[0].label, data.len(), &*data[0].label), (1, "l", 1, "b"));
    // a record with another number of values is none of this layout
    bench.take(&[hook_of(12, shell, 3_000, Action::Post, b"/x")]);
    assert!(bench.take(&[returned_of(12, shell, 3_000, (Action::Post, 0), 1)]).is_empty());
}

#[test]
fn calls_of_a_thread_are_told_apart_by_the_time_of_their_entry() {
    let (mut bench, shell) = (bench(), key(10, 1_000));
    let outer = hook_of(5, shell, 3_000, Action::Post, b"/outer");
    let inner = hook_of(5, shell, 4_000, Action::Post, b"/inner");
    bench.take(&[outer, inner]);
    let events =
        bench.take(&[returned(shell, 4_000, Action::Post, 0, 1), returned(shell, 3_000, Action::Post, 0, 2)]);
    let shown: Vec<_> = events
        .iter()
        .map(|event| {
            let kprobe = kprobe(event);
            let Some(Value::File(file)) = &kprobe.args[0].value else { panic!("no file") };
            (file.path.clone(), kprobe.return_value.as_ref().unwrap().value.clone())
        })
        .collect();
    assert_eq!(
        shown,
        [("/inner".to_owned(), Some(Value::Int(1))), ("/outer".to_owned(), Some(Value::Int(2)))]
    );
}

#[test]
fn a_call_that_is_dismissed_gives_no_event_and_none_is_waited_for_after_its_process() {
    let (mut bench, shell) = (bench(), key(10, 1_000));
    let call = || hook_of(5, shell, 3_000, Action::Post, b"/x");
    assert!(bench.take(&[call(), returned(shell, 3_000, Action::Post, hook_flag::DISMISSED, 0)]).is_empty());
    assert_eq!(bench.stages.totals().no_event(NoEvent::Dismissed), 1);
    bench.take(&[call(), exit(shell, 5_000, 0)]);
    assert_eq!((bench.stages.totals().returns.waiting, bench.stages.totals().returns.ended), (0, 1));
}

#[test]
fn a_return_with_another_number_of_values_is_no_record() {
    let (mut bench, shell) = (bench(), key(10, 1_000));
    for values in [0_u8, 2] {
        let mut record = returned(shell, 3_000, Action::Post, 0, 1);
        let at = std::mem::offset_of!(bpf_probes::abi::ReturnRecord, values);
        zerocopy::IntoBytes::as_mut_bytes(&mut *record)[at] = values;
        bench.take(&[hook_of(5, shell, 3_000, Action::Post, b"/x"), record]);
    }
    let values = super::super::decode::DecodeErrorKind::Values;
    assert_eq!(bench.stages.totals().no_event(NoEvent::Malformed(values)), 2);
}

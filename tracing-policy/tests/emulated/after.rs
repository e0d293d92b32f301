//! What is done when a call returns, beside signals: sockets are tracked, reports limited and given stacks, values put into expressions.

use bpf_probes::abi::{Action, Counter, RecordKind, SocketOwner, hook_flag, map_name};
use bpf_probes::kernel::KernelView;
use zerocopy::FromBytes;

use crate::kernel::recorded;
use crate::network::{TCP, sock};
use crate::returns::{
    Half, STACK, WITH_FUNCTIONS, emulated, enter, every_way, halves, leave, leave_at, outcomes, policy,
    selector,
};
use crate::run::Emulated;

/// A function that returns a socket, with something in the hook and its selectors.
fn of_socket(hook: &str, selectors: &str) -> String {
    policy("sk_alloc", "sock", selectors).replace("    args:", &format!("    {hook}\n    args:"))
}

/// A recorded kernel that has those functions, of which its trimmed types say nothing.
fn with_functions(folder: &str) -> KernelView {
    let mut view = recorded(folder);
    view.add_functions(&["sk_alloc".to_owned(), "tcp_create_openreq_child".to_owned()]);
    view
}

fn owner(it: &Emulated<'_>, sock: u64) -> Option<SocketOwner> {
    let map = it.machine.map(map_name::SOCKETS).unwrap();
    map.lookup(&sock.to_ne_bytes()).map(|owner| SocketOwner::read_from_bytes(owner).unwrap())
}

fn returned(it: &mut Emulated<'_>) -> Half {
    halves(it).into_iter().rfind(|half| half.kind == RecordKind::Return).unwrap()
}

// proves: ACT-10 (returnArgAction, emulated)
#[test]
fn the_socket_that_a_call_returns_is_tracked_whatever_filters_say_of_it() {
    let other = "{matchReturnArgs: [{index: 0, operator: Family, values: [AF_INET6]}]}";
    let unseen = selector(7, ", matchActions: [{action: NoPost}]");
    for folder in WITH_FUNCTIONS {
        let view = with_functions(folder);
        for (selectors, halves_of_one) in [("", 2), (other, 2), (unseen.as_str(), 0)] {
            let mut it = emulated(&[of_socket("returnArgAction: TrackSock", selectors)], &view);
            it.process(50, &[]);
            let sock = sock(&mut it.machine, &view, TCP);
            enter(&mut it, 7);
            assert_eq!(owner(&it, sock), None, "{folder}: not before it returns");
            leave(&mut it, sock.cast_signed());
            let task = &it.machine.world().task;
            let expected = SocketOwner { ktime: 50, tgid: task.tgid, tid: task.tid };
            assert_eq!(owner(&it, sock), Some(expected), "{folder}: {selectors}");
            let all = halves(&mut it);
            assert_eq!(all.len(), halves_of_one, "{folder}: {selectors}");
            if let Some(half) = all.last() {
                assert_eq!(half.flags & hook_flag::DISMISSED != 0, selectors == other, "{folder}");
            }
        }
    }
}

// proves: ACT-10 (returnArgAction, emulated)
#[test]
fn a_socket_that_does_not_match_at_the_entry_or_is_none_is_left_alone() {
    for folder in WITH_FUNCTIONS {
        let view = with_functions(folder);
        for (word, is_forgotten) in [("tracksock", false), ("UntrackSock", true)] {
            let text = of_socket(&format!("returnArgAction: {word}"), &selector(7, ""));
            let mut it = emulated(&[text], &view);
            let sock = sock(&mut it.machine, &view, TCP);
            let known = SocketOwner { ktime: 1, tgid: 2, tid: 3 };
            let map = it.machine.map_mut(map_name::SOCKETS).unwrap();
            map.update(&sock.to_ne_bytes(), zerocopy::IntoBytes::as_bytes(&known)).unwrap();
            enter(&mut it, 8);
            leave(&mut it, sock.cast_signed());
            assert_eq!(owner(&it, sock), Some(known));
            enter(&mut it, 7);
            leave(&mut it, 0);
            assert_eq!(it.machine.map(map_name::SOCKETS).unwrap().len(), 1, "no socket was returned");
            enter(&mut it, 7);
            leave(&mut it, sock.cast_signed());
            assert_eq!(owner(&it, sock).is_none(), is_forgotten, "{folder} {word}");
            let half = returned(&mut it);
            assert_eq!(half.action, Action::Post as u8, "as upstream shows it");
        }
    }
}

// proves: ACT-12 (TrackSock, UntrackSock)
#[test]
fn an_action_of_the_return_tracks_a_socket_where_it_matches() {
    let filter = "matchReturnArgs: [{index: 0, operator: SPort, values: ['40000']}]";
    let selectors = format!("{{{filter}, matchReturnActions: [{{action: TrackSock}}]}}");
    for folder in WITH_FUNCTIONS {
        let view = with_functions(folder);
        let mut it = emulated(&[of_socket("message: tracked", &selectors)], &view);
        it.process(50, &[]);
        let matching = sock(&mut it.machine, &view, TCP);
        let other = sock(&mut it.machine, &view, crate::network::TCP6);
        for (sock, action) in [(matching, Some(Action::TrackSock as u8)), (other, None)] {
            enter(&mut it, 7);
            leave(&mut it, sock.cast_signed());
            assert_eq!(owner(&it, sock).is_some(), action.is_some(), "{folder}");
            let half = returned(&mut it);
            let is_dismissed = half.flags & hook_flag::DISMISSED != 0;
            assert_eq!((!is_dismissed).then_some(half.action), action, "{folder}");
        }
    }
}

// proves: ACT-10 (joined to its entry)
#[test]
fn a_call_on_a_socket_of_another_is_one_event_of_its_owner() {
    let text = policy("tcp_create_openreq_child", "sock", "").replace("type: int}]", "type: sock}]");
    for folder in WITH_FUNCTIONS {
        let view = with_functions(folder);
        let mut it = emulated(std::slice::from_ref(&text), &view);
        let listening = sock(&mut it.machine, &view, TCP);
        let known = SocketOwner { ktime: 10, tgid: 77, tid: 78 };
        let map = it.machine.map_mut(map_name::SOCKETS).unwrap();
        map.update(&listening.to_ne_bytes(), zerocopy::IntoBytes::as_bytes(&known)).unwrap();
        enter(&mut it, listening);
        leave(&mut it, listening.cast_signed());
        let both = halves(&mut it);
        assert_eq!(both.iter().map(|half| half.tid).collect::<Vec<_>>(), [78, 78], "{folder}");
        assert_eq!(both[0].entered, both[1].entered);
    }
}

/// Calls that return these values, each some time after the one before; which were reported.
fn reported(it: &mut Emulated<'_>, calls: &[(u64, i64)]) -> Vec<Option<i64>> {
    let mut all = Vec::new();
    for (seconds, value) in calls {
        it.machine.world_mut().clock.boot += seconds * 1_000_000_000;
        enter(it, 7);
        leave(it, *value);
        all.extend(outcomes(it));
    }
    all
}

// proves: ACT-12 (rateLimit)
#[test]
fn what_returns_alike_is_reported_once_in_a_time() {
    let limit = ", matchReturnActions: [{action: Post, rateLimit: 1m}]";
    for (view, call) in every_way() {
        let mut it = emulated(&[policy(call, "int", &selector(7, limit))], &view);
        it.process(1, &[]);
        let seen = reported(&mut it, &[(1, 5), (1, 5), (1, 6), (57, 5), (1, 5), (59, 5)]);
        let expected = [Some(5), None, Some(6), None, Some(5), None];
        assert_eq!(seen, expected, "{} {call}", view.release());
        assert_eq!((it.count(0, 0, Counter::Post), it.count(0, 0, Counter::Limited)), (3, 3));
        // a call that is not reported itself does not silence the next
        let quiet = format!("{}{limit}", ", matchActions: [{action: NoPost}]");
        let mut it = emulated(&[policy(call, "int", &selector(7, &quiet))], &view);
        assert_eq!(reported(&mut it, &[(1, 5), (1, 5)]), []);
        assert_eq!(it.count(0, 0, Counter::Limited), 0);
    }
}

// proves: ACT-12 (rateLimit)
#[test]
fn limits_of_the_entry_and_of_the_return_count_apart() {
    let both = ", matchActions: [{action: Post, rateLimit: 1m}], matchReturnActions: [{action: Post, rateLimit: 1m}]";
    for (view, call) in every_way() {
        let mut it = emulated(&[policy(call, "int", &selector(7, both))], &view);
        // the same number at both ends
        assert_eq!(reported(&mut it, &[(1, 7)]), [Some(7)], "{} {call}", view.release());
        assert_eq!(reported(&mut it, &[(1, 7)]), []);
    }
}

// proves: ACT-12 (stacks)
#[test]
fn a_return_carries_the_stacks_that_its_selector_asks_for() {
    let frames = |numbers: &[u64]| numbers.iter().flat_map(|number| number.to_ne_bytes()).collect::<Vec<_>>();
    let filter = ", matchReturnArgs: [{index: 0, operator: GT, values: ['0']}], matchReturnActions: ";
    for (view, call) in every_way() {
        let cases: [(&str, Vec<Vec<u8>>); 3] = [
            ("[{action: Post, kernelStackTrace: true}]", vec![frames(&[11, 12])]),
            (
                "[{action: Post, userStackTrace: true, kernelStackTrace: true}]",
                vec![frames(&[11, 12]), frames(&[21])],
            ),
            ("[{action: Post}]", Vec::new()),
        ];
        for (actions, expected) in cases {
            let mut it = emulated(&[policy(call, "int", &selector(7, &format!("{filter}{actions}")))], &view);
            it.machine.world_mut().kernel_stack = vec![11, 12];
            it.machine.world_mut().user_stack = vec![21];
            for (value, stacks) in [(1, expected.clone()), (0, Vec::new())] {
                enter(&mut it, 7);
                leave(&mut it, value);
                assert_eq!(returned(&mut it).stacks, stacks, "{} {call} {actions}", view.release());
            }
        }
    }
}

// proves: SEL-28 (of what is returned)
#[test]
fn an_expression_tests_what_was_returned() {
    let filter = ", matchReturnArgs: [{operator: CelExpr, values: ['arg0 < int32(0) && arg0 != int32(-2) || arg0 == int32(9)']}]";
    for (view, call) in every_way() {
        let mut it = emulated(&[policy(call, "int", &selector(7, filter))], &view);
        for (value, matches) in [(-1, true), (-2, false), (0, false), (9, true), (1 << 32, false)] {
            enter(&mut it, 7);
            leave(&mut it, value);
            let shown: Vec<_> = outcomes(&mut it).iter().map(Option::is_some).collect();
            assert_eq!(shown, [matches], "{} {call}: {value}", view.release());
        }
    }
}

#[test]
fn a_return_at_another_frame_tracks_nothing() {
    let view = with_functions("7.2");
    let mut it = emulated(&[of_socket("returnArgAction: TrackSock", "")], &view);
    let sock = sock(&mut it.machine, &view, TCP);
    enter(&mut it, 7);
    leave_at(&mut it, STACK - 64, sock.cast_signed());
    assert_eq!(owner(&it, sock), None);
}

//! Sockets that are tracked: reports about them are their owner's.

use bpf_probes::abi::{Action, ProcessState, SocketOwner, map_name};
use bpf_probes::kernel::KernelView;
use zerocopy::{FromBytes, IntoBytes};

use crate::kernel::recorded;
use crate::network::{TCP, sock, socket};
use crate::run::{Emulated, policy, resolved};

fn kernels() -> [KernelView; 4] {
    [recorded("5.10"), recorded("6.1"), recorded("6.12"), recorded("7.2")]
}

/// A call by a thread with that number and the time of its image.
fn call(it: &mut Emulated<'_>, tgid: u32, ktime: u64, arguments: [u64; 6]) {
    let task = &mut it.machine.world_mut().task;
    (task.tgid, task.tid) = (tgid, tgid + 1);
    let state = ProcessState { ktime, ..ProcessState::default() };
    let map = it.machine.map_mut(map_name::PROCESSES).unwrap();
    map.update(&tgid.to_ne_bytes(), state.as_bytes()).unwrap();
    it.call(arguments);
}

/// Whose the reports are, by policy: thread group, its time, thread.
fn whose(it: &mut Emulated<'_>) -> Vec<(u32, u64, u32)> {
    let reports = it.reports();
    reports.iter().map(|it| (it.record.process.tgid, it.record.process.ktime, it.record.tid)).collect()
}

// proves: ACT-10 (TrackSock, UntrackSock)
#[test]
fn reports_about_a_tracked_socket_are_those_of_its_owner() {
    let by = |pid: u32, action: &str| {
        format!(
            "{{matchPIDs: [{{operator: In, values: [{pid}]}}], matchActions: [{{action: {action}, argSock: 1}}]}}"
        )
    };
    let selectors = format!("{}, {}, {{}}", by(5, "TrackSock"), by(6, "UntrackSock"));
    let arguments = "{index: 1, type: int}, {index: 0, type: sock}";
    for view in &kernels() {
        // beside policies that do not report the socket, or report it without tracking
        let others = [policy("tcp_close", "", ""), policy("tcp_close", "{index: 0, type: sock}", "")];
        let texts = [policy("tcp_close", arguments, &selectors), others[0].clone(), others[1].clone()];
        let policies: Vec<_> = texts.iter().map(|text| resolved(text, view)).collect();
        let mut it = Emulated::new(&policies, view);
        let one = sock(&mut it.machine, view, TCP);
        let other = sock(&mut it.machine, view, TCP);
        call(&mut it, 7, 70, [one, 0, 0, 0, 0, 0]);
        assert_eq!(whose(&mut it), [(7, 70, 8); 3], "nobody's: who runs");
        call(&mut it, 5, 50, [one, 0, 0, 0, 0, 0]);
        assert_eq!(whose(&mut it), [(5, 50, 6); 3]);
        call(&mut it, 7, 70, [one, 0, 0, 0, 0, 0]);
        assert_eq!(whose(&mut it), [(5, 50, 6), (7, 70, 8), (5, 50, 6)]);
        call(&mut it, 7, 70, [other, 0, 0, 0, 0, 0]);
        assert_eq!(whose(&mut it), [(7, 70, 8); 3], "another socket");
        call(&mut it, 6, 60, [one, 0, 0, 0, 0, 0]);
        let reports = it.reports();
        assert_eq!(reports[0].record.action, Action::UntrackSock as u8);
        assert_eq!(reports[0].record.process.tgid, 5, "the owner loses it");
        call(&mut it, 7, 70, [one, 0, 0, 0, 0, 0]);
        assert_eq!(whose(&mut it), [(7, 70, 8); 3]);
        call(&mut it, 6, 60, [one, 0, 0, 0, 0, 0]);
        let done: Vec<u8> = it.reports().iter().map(|report| report.record.action).collect();
        assert_eq!(done, [Action::Post as u8; 3], "it was nobody's");
        call(&mut it, 5, 50, [0; 6]);
        assert_eq!(it.machine.map(map_name::SOCKETS).unwrap().len(), 0, "what cannot be read is not tracked");
    }
}

// proves: ACT-10 (without a report)
#[test]
fn a_socket_is_tracked_without_a_report_by_its_file_too() {
    let selector = "{matchActions: [{action: TrackSock}, {action: NoPost}]}";
    for view in &kernels() {
        for of_file in [false, true] {
            let (call_of, ty) =
                if of_file { ("security_socket_connect", "socket") } else { ("tcp_close", "sock") };
            let text = policy(call_of, &format!("{{index: 0, type: {ty}}}"), selector);
            let mut it = Emulated::new(&[resolved(&text, view)], view);
            let sock = sock(&mut it.machine, view, TCP);
            let argument = if of_file { socket(&mut it.machine, view, sock) } else { sock };
            call(&mut it, 5, 50, [argument, 0, 0, 0, 0, 0]);
            assert!(it.reports().is_empty());
            let owner = it.machine.map(map_name::SOCKETS).unwrap().lookup(&sock.to_ne_bytes()).unwrap();
            let expected = SocketOwner { ktime: 50, tgid: 5, tid: 6 };
            assert_eq!(SocketOwner::read_from_bytes(owner).unwrap(), expected);
        }
    }
}

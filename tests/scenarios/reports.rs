//! How matches are reported: how often, and with which stacks.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use e2e::ensure;
use e2e::event::{Event, Hook};
use e2e::expect::{Events, Outcome};
use e2e::scenario::{Daemon, Guest, Settings, must};

const POLICY: &str = "reports";

/// One report of each file that `cat` opens in an hour, with stacks.
const TEXT: &str = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: reports}
spec:
  kprobes:
  - call: security_file_open
    syscall: false
    args: [{index: 0, type: file}]
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: [/etc/shadow, /etc/passwd, /run/alike-0, /run/alike-1, /run/alike-2, /run/alike-3, /run/alike-4]}]
      matchActions:
      - {action: Post, rateLimit: 1h, rateLimitScope: global, kernelStackTrace: true, userStackTrace: true}
";

/// What is alike is reported once, with the functions of the kernel that led there and the program's file.
pub(crate) fn limited_with_stacks(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().policy(TEXT).start(guest)?;
    let mut events = daemon.events()?;
    daemon.settle(&mut events)?;
    for _ in 0..5 {
        must(&["cat", "/etc/shadow"])?;
        must(&["cat", "/etc/passwd"])?;
    }
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event: &Event| event.of_policy(POLICY)).collect();
    let paths: Vec<_> = hooks.iter().filter_map(|hook| hook.path()).collect();
    // who starts the daemon or the program may have looked at /etc/passwd before
    ensure!(
        paths.iter().filter(|path| **path == "/etc/shadow").count() == 1
            && paths.iter().filter(|path| **path == "/etc/passwd").count() <= 1,
        "reported: {paths:?}"
    );
    let limited =
        daemon.metric("tetragon_tracingpolicy_selector_actions_total", "action=\"rate_limited\"")?;
    ensure!(limited >= 8, "{limited} reports were left out");
    let Some(hook) = hooks.iter().find(|hook| hook.path() == Some("/etc/shadow")) else { return Ok(()) };
    let kernel: Vec<&str> = hook.kernel_stack_trace.iter().map(|frame| frame.symbol.as_str()).collect();
    ensure!(
        kernel.first() == Some(&"security_file_open") && kernel.iter().any(|name| name.contains("openat")),
        "functions of the kernel: {kernel:?}"
    );
    ensure!(
        hook.kernel_stack_trace.iter().chain(&hook.user_stack_trace).all(|frame| frame.address.is_empty()),
        "addresses are shown: {hook:?}"
    );
    let told = with_files(&mut daemon, &mut events)?;
    ensure!(told, "no stack of a program that still runs tells its files and functions");
    drop(daemon);

    // a folder of its own, for the first daemon's events are in the other
    let guest = &Guest { variant: guest.variant, folder: guest.folder.join("exposed") };
    let mut daemon = Settings::default().policy(TEXT).flags(&["--expose-stack-addresses"]).start(guest)?;
    let mut events = daemon.events()?;
    must(&["cat", "/etc/shadow"])?;
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event: &Event| event.of_policy(POLICY)).collect();
    let Some(hook) = hooks.iter().find(|hook| hook.path() == Some("/etc/shadow")) else {
        return Err(e2e::expect::Failure(format!("not reported: {hooks:?}")));
    };
    let is_high = |text: &str| text.parse::<u64>().is_ok_and(|address| address >> 47 != 0);
    ensure!(
        hook.kernel_stack_trace.iter().all(|frame| is_high(&frame.address)),
        "addresses: {:?}",
        hook.kernel_stack_trace
    );
    Ok(())
}

/// Whether the stack of a shell that lives on after its open names a file and the function that opens. The daemon waits but a moment for what the system says of a process, so there
/// are five.
fn with_files(daemon: &mut Daemon, events: &mut Events) -> Outcome<bool> {
    for number in 0..5 {
        let path = format!("/run/alike-{number}");
        std::fs::write(&path, "")?;
        must(&["dash", "-c", &format!(": < {path}; sleep 2; true")])?;
        let seen = daemon.settle(events)?;
        let hook = seen
            .iter()
            .filter_map(|event: &Event| event.of_policy(POLICY))
            .find(|it| it.path() == Some(&path));
        let frame = hook.and_then(|hook| hook.user_stack_trace.first());
        if frame.is_some_and(|frame| {
            frame.module.starts_with('/') && !frame.offset.is_empty() && frame.symbol.contains("open")
        }) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Connections to one port are tracked; what is sent over them and over those to another is reported.
const SOCKETS: &str = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: reports}
spec:
  kprobes:
  - call: tcp_connect
    syscall: false
    args: [{index: 0, type: sock}]
    selectors:
    - matchArgs: [{index: 0, operator: DPort, values: ['8081']}]
      matchActions: [{action: TrackSock, argSock: 0}]
  - call: tcp_sendmsg
    syscall: false
    args: [{index: 0, type: sock}]
    selectors:
    - matchArgs: [{index: 0, operator: DPort, values: ['8081', '8082']}]
";

/// What another process sends over a tracked socket is reported as its owner's.
pub(crate) fn tracked_sockets(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().policy(SOCKETS).start(guest)?;
    let mut events = daemon.events()?;
    let listeners = [TcpListener::bind("127.0.0.1:8081")?, TcpListener::bind("127.0.0.1:8082")?];
    daemon.settle(&mut events)?;
    let mut children = Vec::new();
    let mut streams = Vec::new();
    for listener in &listeners {
        let stream = TcpStream::connect(listener.local_addr()?)?;
        let mut command = Command::new("sh");
        command.args(["-c", "echo x >&0"]).stdin(Stdio::from(OwnedFd::from(stream.try_clone()?)));
        let mut child = command.spawn()?;
        children.push(child.id());
        ensure!(child.wait()?.success(), "the other process could not send");
        streams.push(stream);
    }
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event: &Event| event.of_policy(POLICY)).collect();
    let shown: Vec<(&str, &str, u32)> =
        hooks.iter().map(|it| (it.function_name.as_str(), it.action.as_str(), it.process.pid)).collect();
    let own = std::process::id();
    let expected = [
        ("tcp_connect", "KPROBE_ACTION_TRACKSOCK", own),
        ("tcp_sendmsg", "KPROBE_ACTION_POST", own),
        ("tcp_sendmsg", "KPROBE_ACTION_POST", children[1]),
    ];
    ensure!(shown == expected, "reported: {shown:?}, expected: {expected:?}");
    Ok(())
}

/// Sockets of the internet are tracked from the moment they are made, and what is sent over them is reported.
const MADE: &str = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: reports}
spec:
  kprobes:
  - call: sk_alloc
    syscall: false
    args: [{index: 1, type: int}]
    return: true
    returnArg: {index: 0, type: sock}
    returnArgAction: TrackSock
    selectors:
    - matchPIDs: [{operator: In, values: [OWN]}]
      matchArgs: [{index: 1, operator: Equal, values: ['2']}]
      matchActions: [{action: NoPost}]
  - call: tcp_connect
    syscall: false
    args: [{index: 0, type: sock}]
    return: true
    returnArg: {index: 0, type: int}
    selectors:
    - matchArgs: [{index: 0, operator: DPort, values: ['8083']}]
  - call: tcp_sendmsg
    syscall: false
    args: [{index: 0, type: sock}]
    selectors:
    - matchArgs: [{index: 0, operator: DPort, values: ['8083']}]
";

/// A socket is its maker's from the moment it is made, also in events that wait for a return; one that another process made is not.
pub(crate) fn sockets_of_their_makers(guest: &Guest) -> Outcome {
    let own = std::process::id();
    let text = MADE.replace("OWN", &own.to_string());
    let mut daemon = Settings::default().policy(&text).start(guest)?;
    let mut events = daemon.events()?;
    let listener = TcpListener::bind("127.0.0.1:8083")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let mut command = Command::new("sh");
    command.args(["-c", "echo x >&0"]).stdin(Stdio::from(OwnedFd::from(stream.try_clone()?)));
    let mut child = command.spawn()?;
    ensure!(child.wait()?.success(), "the other process could not send");
    let mut other = Command::new("nc");
    let mut other = other.args(["-w", "1", "127.0.0.1", "8083"]).stdin(Stdio::null()).spawn()?;
    // the second of the two connections ends, and with it who made it
    drop((listener.accept()?, listener.accept()?));
    other.wait()?;
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event: &Event| event.of_policy(POLICY)).collect();
    let shown: Vec<(&str, u32, Option<i64>)> = hooks
        .iter()
        .map(|it| {
            let returned = it.returned.as_ref().and_then(|value| value.int_arg);
            (it.function_name.as_str(), it.process.pid, returned)
        })
        .collect();
    let expected =
        [("tcp_connect", own, Some(0)), ("tcp_sendmsg", own, None), ("tcp_connect", other.id(), Some(0))];
    ensure!(shown == expected, "reported: {shown:?}, expected: {expected:?}");
    drop(stream);
    Ok(())
}

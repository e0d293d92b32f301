//! Connections over the loopback interface, and the filters that tell them apart.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use e2e::ensure;
use e2e::event::{Connection, Event, Hook};
use e2e::expect::{Events, Outcome};
use e2e::scenario::{Daemon, Guest, Settings};

const POLICY: &str = "connections";

/// Hooks with each type, each with a filter that one of two connections passes.
const HOOKS: &str = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: connections}
spec:
  kprobes:
  - call: tcp_connect
    syscall: false
    args: [{index: 0, type: sock}]
    selectors:
    - matchArgs:
      - {index: 0, operator: DAddr, values: [127.0.0.0/30, '::1']}
      - {index: 0, operator: DPort, values: ['8081', '8090:8099']}
      - {index: 0, operator: State, values: [TCP_SYN_SENT]}
  - call: security_socket_connect
    syscall: false
    args: [{index: 0, type: socket}, {index: 1, type: sockaddr}]
    selectors:
    - matchArgs:
      - {index: 0, operator: Protocol, values: [IPPROTO_TCP]}
      - {index: 1, operator: NotSAddr, values: [127.0.0.1, '::1']}
  - call: ip_output
    syscall: false
    args: [{index: 2, type: skb}]
    selectors:
    - matchArgs:
      - {index: 2, operator: Protocol, values: [IPPROTO_UDP]}
      - {index: 2, operator: DPort, values: ['8081']}
  - call: security_socket_bind
    syscall: false
    args: [{index: 1, type: sockaddr_un}]
    selectors:
    - matchArgs: [{index: 1, operator: Prefix, values: ['@enforcer', /run/enforcer.]}]
";

/// What was asked for is reported as it was, and nothing else.
pub(crate) fn connections(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().policy(HOOKS).start(guest)?;
    let mut events = daemon.events()?;
    let four: [TcpListener; 3] = [
        TcpListener::bind("127.0.0.1:8081")?,
        TcpListener::bind("127.0.0.1:8082")?,
        TcpListener::bind("127.0.0.5:8081")?,
    ];
    let six = [TcpListener::bind("[::1]:8095")?, TcpListener::bind("[::1]:8080")?];
    daemon.settle(&mut events)?;

    let mut sources = Vec::new();
    for listener in four.iter().chain(&six) {
        let stream = TcpStream::connect(listener.local_addr()?)?;
        sources.push(stream.local_addr()?.port());
    }
    let seen = daemon.settle(&mut events)?;
    let found: Vec<&Connection> =
        hooks(&seen, "tcp_connect").filter_map(|hook| hook.args.first()?.sock_arg.as_ref()).collect();
    let shown: Vec<_> = found.iter().map(|it| (it.daddr.as_str(), it.dport, it.sport)).collect();
    ensure!(
        shown == [("127.0.0.1", 8081, sources[0]), ("::1", 8095, sources[3])],
        "tcp_connect: {found:?}, ports {sources:?}"
    );
    for (connection, family, source) in [(found[0], "AF_INET", "127.0.0.1"), (found[1], "AF_INET6", "::1")] {
        ensure!(
            connection.family == family
                && connection.saddr == source
                && connection.protocol == "IPPROTO_TCP"
                && connection.kind == "SOCK_STREAM"
                && connection.state == "TCP_SYN_SENT"
                && connection.cookie.parse::<u64>().is_ok_and(|cookie| cookie >= 1 << 63),
            "{connection:?}"
        );
    }
    let outside: Vec<_> = hooks(&seen, "security_socket_connect").collect();
    let address = outside.first().and_then(|hook| hook.args.get(1)?.sockaddr_arg.as_ref());
    ensure!(
        outside.len() == 1
            && address.is_some_and(
                |it| (it.family.as_str(), it.addr.as_str(), it.port) == ("AF_INET", "127.0.0.5", 8081)
            ),
        "security_socket_connect: {outside:?}"
    );

    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for to in ["127.0.0.1:8082", "127.0.0.1:8081"] {
        socket.send_to(b"x", to)?;
    }
    let seen = daemon.settle(&mut events)?;
    let packets: Vec<&Connection> =
        hooks(&seen, "ip_output").filter_map(|hook| hook.args.first()?.skb_arg.as_ref()).collect();
    let port = socket.local_addr()?.port();
    ensure!(
        packets.len() == 1
            && (packets[0].saddr.as_str(), packets[0].sport) == ("127.0.0.1", port)
            && (packets[0].daddr.as_str(), packets[0].dport) == ("127.0.0.1", 8081)
            && packets[0].protocol == "IPPROTO_UDP"
            && packets[0].len == 29,
        "ip_output: {packets:?}, from port {port}"
    );
    unix(&mut daemon, &mut events)
}

/// Names of Unix sockets.
fn unix(daemon: &mut Daemon, events: &mut Events) -> Outcome {
    let named = UnixListener::bind("/run/enforcer.test")?;
    let hidden = UnixListener::bind_addr(&SocketAddr::from_abstract_name(b"enforcer test")?)?;
    drop(UnixListener::bind("/run/other.test")?);
    drop(UnixStream::connect("/run/enforcer.test")?);
    let seen = daemon.settle(events)?;
    let paths: Vec<&str> = hooks(&seen, "security_socket_bind")
        .filter_map(|hook| Some(hook.args.first()?.sockaddrun_arg.as_ref()?.path.as_str()))
        .collect();
    ensure!(paths == ["/run/enforcer.test", "@enforcer test"], "security_socket_bind: {paths:?}");
    drop((named, hidden));
    Ok(())
}

/// Hooks whose filters are all negated: who has an address, a port or a path passes them.
const NEGATED: &str = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: connections}
spec:
  kprobes:
  - call: security_socket_connect
    syscall: false
    args: [{index: 0, type: socket}, {index: 1, type: sockaddr}]
    selectors:
    - matchArgs: [{index: 0, operator: NotDAddr, values: [192.0.2.1]}]
    - matchArgs: [{index: 0, operator: NotSPort, values: ['1']}]
    - matchArgs: [{index: 0, operator: NotDPortPriv}]
    - matchArgs: [{index: 1, operator: NotSAddr, values: [192.0.2.1]}]
    - matchArgs: [{index: 1, operator: NotSPort, values: ['1']}]
  - call: security_file_permission
    syscall: false
    args: [{index: 0, type: file}, {index: 1, type: int}]
    selectors:
    - matchPIDs: [{operator: In, values: [SELF]}]
      matchArgs: [{index: 0, operator: NotEqual, values: [/none]}, {index: 1, operator: Equal, values: ['2']}]
    - matchPIDs: [{operator: In, values: [SELF]}]
      matchArgs: [{index: 0, operator: NotPrefix, values: [/none]}, {index: 1, operator: Equal, values: ['2']}]
    - matchPIDs: [{operator: In, values: [SELF]}]
      matchArgs: [{index: 0, operator: NotPostfix, values: [none]}, {index: 1, operator: Equal, values: ['2']}]
";

/// A Unix socket has no address and no port, a pipe and a socket no path: no filter of one lets them pass, negated or not.
pub(crate) fn without(guest: &Guest) -> Outcome {
    let text = NEGATED.replace("SELF", &std::process::id().to_string());
    let mut daemon = Settings::default().policy(&text).start(guest)?;
    let mut events = daemon.events()?;
    let path = guest.folder.join("socket");
    let (unix, tcp) = (UnixListener::bind(&path)?, TcpListener::bind("127.0.0.1:0")?);
    let (mut reader, mut writer) = std::io::pipe()?;
    let mut file = File::create(guest.folder.join("file"))?;
    daemon.settle(&mut events)?;

    let mut stream = UnixStream::connect(&path)?;
    stream.write_all(b"x")?;
    writer.write_all(b"x")?;
    let seen = daemon.settle(&mut events)?;
    let count = seen.iter().filter(|event| event.of_policy(POLICY).is_some()).count();
    ensure!(count == 0, "{count} events of what has no address or path: {seen:?}");

    drop(TcpStream::connect(tcp.local_addr()?)?);
    file.write_all(b"x")?;
    let seen = daemon.settle(&mut events)?;
    let counts = ["security_socket_connect", "security_file_permission"]
        .map(|function| hooks(&seen, function).count());
    ensure!(counts == [1, 1], "{counts:?} events of what has them");
    reader.read_exact(&mut [0])?;
    drop(unix);
    Ok(())
}

fn hooks<'a>(seen: &'a [Event], function: &'a str) -> impl Iterator<Item = &'a Hook> {
    let hooks = seen.iter().filter_map(|event| event.of_policy(POLICY));
    hooks.filter(move |hook| hook.function_name == function)
}

//! Sockets, packets and socket addresses: what is read of them, and each operator both ways.

use std::net::IpAddr;

use bpf_probes::abi::{AddressValue, PacketValue, SocketValue, value_flag};
use bpf_probes::builder::Facts;
use bpf_probes::emulate::{Machine, World};
use bpf_probes::kernel::KernelView;
use bpf_probes::spec::AttachSpec;
use tracing_policy::policy::{NetworkSubject, Resolved, Role};
use zerocopy::FromBytes;

use crate::kernel::recorded;
use crate::run::{Emulated, attached, policy, resolved};

/// Those whose functions can be hooked.
const VERSIONS: [&str; 4] = ["5.10", "6.1", "6.12", "7.2"];

/// A socket as a test describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Socket {
    pub(crate) family: u16,
    pub(crate) source: &'static str,
    pub(crate) destination: &'static str,
    pub(crate) ports: (u16, u16),
    pub(crate) protocol: u16,
    pub(crate) state: u8,
}

pub(crate) const TCP: Socket = Socket {
    family: 2,
    source: "192.168.1.5",
    destination: "10.1.2.3",
    ports: (40000, 443),
    protocol: 6,
    state: 2,
};
pub(crate) const TCP6: Socket = Socket {
    family: 10,
    source: "2001:db8::5",
    destination: "2001:db8:1:2:3:4:5:6",
    ports: (1023, 8443),
    protocol: 6,
    state: 1,
};
pub(crate) const UNIX: Socket =
    Socket { family: 1, source: "0.0.0.0", destination: "0.0.0.0", ports: (0, 0), protocol: 0, state: 7 };

fn octets(address: &str) -> Vec<u8> {
    match address.parse::<IpAddr>().unwrap() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// The address as a value holds it.
fn padded(address: &str) -> [u8; 16] {
    let mut bytes = octets(address);
    bytes.resize(16, 0);
    bytes.try_into().unwrap()
}

/// Writes fields by name.
struct Fields<'a> {
    facts: Facts<'a>,
    world: &'a mut World,
}

impl Fields<'_> {
    fn object(&mut self, container: &str) -> u64 {
        let id = self.facts.btf.struct_named(container).unwrap();
        let size = self.facts.btf.size_of(id).unwrap();
        self.world.kernel.object(container, size as usize)
    }

    fn set(&mut self, base: u64, container: &str, field: &str, bytes: &[u8]) {
        let at = base + u64::from(self.facts.offset_of(container, field).unwrap());
        self.world.kernel.write(at, bytes).unwrap();
    }
}

fn fields<'a>(machine: &'a mut Machine, view: &'a KernelView) -> Fields<'a> {
    Fields { facts: Facts::of(view), world: machine.world_mut() }
}

pub(crate) fn sock(machine: &mut Machine, view: &KernelView, socket: Socket) -> u64 {
    let mut it = fields(machine, view);
    let sock = it.object("sock");
    let common = |field: &str| format!("__sk_common.{field}");
    it.set(sock, "sock", &common("skc_family"), &socket.family.to_le_bytes());
    it.set(sock, "sock", &common("skc_state"), &[socket.state]);
    it.set(sock, "sock", &common("skc_num"), &socket.ports.0.to_le_bytes());
    it.set(sock, "sock", &common("skc_dport"), &socket.ports.1.to_be_bytes());
    if socket.family == 10 {
        it.set(sock, "sock", &common("skc_v6_rcv_saddr"), &octets(socket.source));
        it.set(sock, "sock", &common("skc_v6_daddr"), &octets(socket.destination));
    } else {
        it.set(sock, "sock", &common("skc_rcv_saddr"), &octets(socket.source));
        it.set(sock, "sock", &common("skc_daddr"), &octets(socket.destination));
    }
    it.set(sock, "sock", "sk_type", &1_u16.to_le_bytes());
    it.set(sock, "sock", "sk_protocol", &socket.protocol.to_le_bytes()[..]);
    it.set(sock, "sock", "sk_mark", &0x1234_u32.to_le_bytes());
    it.set(sock, "sock", "sk_priority", &7_u32.to_le_bytes());
    sock
}

/// A `struct socket` of a `struct sock`.
pub(crate) fn socket(machine: &mut Machine, view: &KernelView, sock: u64) -> u64 {
    let mut it = fields(machine, view);
    let socket = it.object("socket");
    it.set(socket, "socket", "sk", &sock.to_le_bytes());
    socket
}

/// A packet whose bytes from the network header on are these.
pub(crate) fn skb(machine: &mut Machine, view: &KernelView, packet: &[u8]) -> u64 {
    let mut it = fields(machine, view);
    let mut bytes = vec![0xee; 16];
    bytes.extend_from_slice(packet);
    bytes.resize(512, 0xee);
    let head = it.world.kernel.bytes("packet", &bytes);
    let skb = it.object("sk_buff");
    it.set(skb, "sk_buff", "head", &head.to_le_bytes());
    it.set(skb, "sk_buff", "network_header", &16_u16.to_le_bytes());
    for (field, value) in [("len", 60_u32), ("hash", 5), ("mark", 3), ("priority", 2)] {
        it.set(skb, "sk_buff", field, &value.to_le_bytes());
    }
    skb
}

/// A packet of IPv4 with so many words of options.
fn packet4(protocol: u8, options: u8, fragment: u16, ports: (u16, u16)) -> Vec<u8> {
    packet4_between(protocol, options, fragment, ports, (TCP.source, TCP.destination))
}

/// The same between these addresses.
pub(crate) fn packet4_between(
    protocol: u8,
    options: u8,
    fragment: u16,
    ports: (u16, u16),
    (source, destination): (&str, &str),
) -> Vec<u8> {
    let mut bytes = vec![0x45 + options, 0, 0, 60, 0, 0];
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, protocol, 0, 0]);
    bytes.extend(octets(source));
    bytes.extend(octets(destination));
    bytes.resize(bytes.len() + 4 * usize::from(options), 1);
    bytes.extend(ports.0.to_be_bytes());
    bytes.extend(ports.1.to_be_bytes());
    bytes
}

/// A packet of IPv6 with these bytes behind its header.
fn packet6(next: u8, rest: &[u8]) -> Vec<u8> {
    packet6_between(next, rest, (TCP6.source, TCP6.destination))
}

/// The same between these addresses.
pub(crate) fn packet6_between(next: u8, rest: &[u8], (source, destination): (&str, &str)) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0, 0, 20, next, 64];
    bytes.extend(octets(source));
    bytes.extend(octets(destination));
    bytes.extend(rest);
    bytes
}

fn one<'k>(call: &str, arguments: &str, selector: &str, view: &'k KernelView) -> Emulated<'k> {
    Emulated::new(&[resolved(&policy(call, arguments, selector), view)], view)
}

pub(crate) fn subject(socket: Socket) -> NetworkSubject {
    let endpoints = bpf_probes::abi::Endpoints {
        source: padded(socket.source),
        destination: padded(socket.destination),
        family: socket.family,
        protocol: socket.protocol,
        source_port: socket.ports.0,
        destination_port: socket.ports.1,
    };
    NetworkSubject { endpoints, state: Some(socket.state.into()) }
}

// proves: ARG-08 (sock, socket)
#[test]
fn a_socket_is_reported_with_all_that_describes_it() {
    for version in VERSIONS {
        let view = recorded(version);
        for described in [TCP, TCP6, UNIX] {
            let mut it = one("tcp_connect", "{index: 0, type: sock}", "", &view);
            let address = sock(&mut it.machine, &view, described);
            it.call([address, 0, 0, 0, 0, 0]);
            let first = it.reports();
            let mut it = one("security_socket_connect", "{index: 0, type: socket}", "", &view);
            let address_there = sock(&mut it.machine, &view, described);
            let outer = socket(&mut it.machine, &view, address_there);
            it.call([outer, 0, 0, 0, 0, 0]);
            let second = it.reports();
            for (reports, cookie) in [(first, address), (second, address_there)] {
                let [(header, bytes)] = reports[0].values.as_slice() else { panic!("one value") };
                assert_eq!((header.len, header.flags, header.status), (64, 0, 0), "{version}");
                let mut endpoints = subject(described).endpoints;
                if described.family == 1 {
                    endpoints.source = [0; 16];
                }
                let expected = SocketValue {
                    endpoints,
                    cookie,
                    mark: 0x1234,
                    priority: 7,
                    kind: 1,
                    state: described.state.into(),
                    reserved: 0,
                };
                assert_eq!(SocketValue::read_from_bytes(bytes).unwrap(), expected, "{version}");
            }
        }
    }
}

// proves: ARG-21 (sockets)
#[test]
fn a_socket_that_cannot_be_read_is_reported_as_such_and_matches_nothing() {
    for version in VERSIONS {
        let view = recorded(version);
        for address in [0, 0xffff_8888_0000_1000] {
            let mut it = one("tcp_connect", "{index: 0, type: sock}", "", &view);
            it.call([address, 0, 0, 0, 0, 0]);
            let reports = it.reports();
            let (header, bytes) = &reports[0].values[0];
            assert_eq!((header.flags, header.status, bytes.len()), (value_flag::ERROR, 14, 0), "{version}");
            for filter in [
                "operator: NotDAddr, values: ['1.1.1.1']",
                "operator: NotSPort, values: ['80']",
                "operator: Family, values: ['0:65535']",
                "operator: State, values: ['0:65535']",
            ] {
                let selector = format!("{{matchArgs: [{{index: 0, {filter}}}]}}");
                let mut it = one("tcp_connect", "{index: 0, type: sock}", &selector, &view);
                it.call([address, 0, 0, 0, 0, 0]);
                assert!(it.reporters().is_empty(), "{version} {filter}");
            }
        }
    }
}

#[test]
fn many_networks_of_several_policies_are_told_apart() {
    let view = recorded("6.12");
    let list = |third: u8| -> Vec<String> {
        let nets = (0..30).map(|n| format!("10.{n}.{third}.0/24"));
        nets.chain([format!("172.16.{third}.0/24"), "10.0.0.0/16".to_owned()]).collect()
    };
    let policies: Vec<Resolved> = [1, 2]
        .into_iter()
        .map(|third| {
            let selector =
                format!("{{matchArgs: [{{index: 0, operator: DAddr, values: {:?}}}]}}", list(third));
            resolved(&policy("tcp_connect", "{index: 0, type: sock}", &selector), &view)
        })
        .collect();
    let mut it = Emulated::new(&policies, &view);
    for (destination, expected) in [
        ("10.7.1.9", vec![0]),
        ("10.7.2.9", vec![1]),
        ("10.0.2.9", vec![0, 1]),
        ("10.7.3.9", vec![]),
        ("172.16.2.1", vec![1]),
    ] {
        let address = sock(&mut it.machine, &view, Socket { destination, ..TCP });
        it.call([address, 0, 0, 0, 0, 0]);
        assert_eq!(it.reporters(), expected, "{destination}");
    }
}

// proves: ARG-08 (skb)
#[test]
fn a_packet_is_read_from_its_headers() {
    let ports = [0x9c, 0x40, 0x01, 0xbb];
    let hop = |next: u8| [[next, 1].as_slice(), &[0; 14]].concat();
    let fragment = |next: u8, offset: u16| [[next, 0].as_slice(), &offset.to_be_bytes(), &[0; 4]].concat();
    let authentication = |next: u8| [[next, 4].as_slice(), &[0; 22]].concat();
    let rows = [
        (packet4(6, 0, 0x4000, (40000, 443)), 2, 6, (40000, 443)),
        (packet4(17, 3, 0, (40000, 53)), 2, 17, (40000, 53)),
        (packet4(1, 0, 0, (40000, 53)), 2, 1, (0, 0)),
        (packet4(17, 0, 0x2001, (40000, 53)), 2, 17, (0, 0)),
        (packet6(6, &ports), 10, 6, (40000, 443)),
        (packet6(0, &[hop(17), ports.to_vec()].concat()), 10, 17, (40000, 443)),
        (
            packet6(0, &[hop(60), hop(51), authentication(132), ports.to_vec()].concat()),
            10,
            132,
            (40000, 443),
        ),
        (packet6(44, &[fragment(6, 1), ports.to_vec()].concat()), 10, 6, (40000, 443)),
        (packet6(44, &[fragment(6, 8), ports.to_vec()].concat()), 10, 6, (0, 0)),
        (packet6(58, &ports), 10, 58, (0, 0)),
        (vec![0x20; 60], 0, 0, (0, 0)),
    ];
    for version in VERSIONS {
        let view = recorded(version);
        for (bytes, family, protocol, ports) in &rows {
            let mut it = one("security_sock_rcv_skb", "{index: 1, type: skb}", "", &view);
            let address = skb(&mut it.machine, &view, bytes);
            it.call([0, address, 0, 0, 0, 0]);
            let reports = it.reports();
            let value = PacketValue::read_from_bytes(&reports[0].values[0].1).unwrap();
            let (source, destination) = match family {
                2 => (padded("192.168.1.5"), padded("10.1.2.3")),
                10 => (padded("2001:db8::5"), padded("2001:db8:1:2:3:4:5:6")),
                _ => ([0; 16], [0; 16]),
            };
            let ends = value.endpoints;
            assert_eq!((ends.family, ends.protocol), (*family, *protocol), "{version} {bytes:x?}");
            assert_eq!((ends.source, ends.destination), (source, destination), "{version} {bytes:x?}");
            assert_eq!((ends.source_port, ends.destination_port), *ports, "{version} {bytes:x?}");
            assert_eq!((value.len, value.hash, value.mark, value.priority), (60, 5, 3, 2));
        }
    }
}

// proves: SEL-24, SEL-25, SEL-26 (packets)
#[test]
fn packets_pass_and_fail_as_sockets_do() {
    let dns = "{matchArgs: [{index: 1, operator: Protocol, values: [IPPROTO_TCP, IPPROTO_UDP]}, \
               {index: 1, operator: DPort, values: ['53']}, {index: 1, operator: NotDAddr, values: ['127.0.0.53']}]}";
    let state = "{matchArgs: [{index: 1, operator: State, values: ['0:65535']}]}";
    for version in ["5.10", "6.12"] {
        let view = recorded(version);
        let matches = |selector: &str, bytes: &[u8]| {
            let mut it = one("security_sock_rcv_skb", "{index: 1, type: skb}", selector, &view);
            let address = skb(&mut it.machine, &view, bytes);
            it.call([0, address, 0, 0, 0, 0]);
            !it.reporters().is_empty()
        };
        assert!(matches(dns, &packet4(17, 0, 0, (40000, 53))));
        assert!(!matches(dns, &packet4(17, 0, 0, (53, 54))));
        assert!(!matches(dns, &packet4(33, 0, 0, (40000, 53))));
        assert!(!matches(dns, &[0x20; 60]));
        assert!(!matches(state, &packet4(6, 0, 0, (1, 2))));
    }
}

/// `struct sockaddr_in` or `sockaddr_in6`.
pub(crate) fn sockaddr(address: &str, port: u16) -> Vec<u8> {
    let octets = octets(address);
    if octets.len() == 4 {
        [2_u16.to_le_bytes().as_slice(), &port.to_be_bytes(), &octets].concat()
    } else {
        [10_u16.to_le_bytes().as_slice(), &port.to_be_bytes(), &[0; 4], &octets].concat()
    }
}

// proves: ARG-09 (sockaddr), SEL-24, SEL-25, SEL-26 (sockaddr)
#[test]
fn a_socket_address_is_read_from_the_kernel_or_from_user_memory() {
    let filter = |ty: &str, index: u8| {
        let selector = format!(
            "{{matchArgs: [{{index: {index}, operator: SAddr, values: ['127.0.0.0/8', '::1']}}, \
             {{index: {index}, operator: NotSPort, values: ['9']}}, {{index: {index}, operator: Family, values: [AF_INET, AF_INET6]}}]}}"
        );
        (format!("{{index: {index}, type: {ty}}}"), selector)
    };
    for version in VERSIONS {
        let view = recorded(version);
        for (bytes, shown) in [
            (sockaddr("127.0.0.1", 8081), Some((padded("127.0.0.1"), 8081, 2))),
            (sockaddr("::1", 443), Some((padded("::1"), 443, 10))),
            (sockaddr("::1", 9), None),
            (sockaddr("10.0.0.1", 8081), None),
            (vec![1, 0, b'/', b'a', 0], None),
            (vec![2, 0, 1], None),
        ] {
            let (arguments, selector) = filter("sockaddr", 1);
            let mut kernel = one("security_socket_connect", &arguments, &selector, &view);
            let place = kernel.machine.world_mut().kernel.bytes("sockaddr", &bytes);
            kernel.call([0, place, 16, 0, 0, 0]);
            let mut user = one("sys_connect", &arguments, &selector, &view);
            let place = user.machine.world_mut().user.bytes("sockaddr", &bytes);
            let registers = user.machine.world_mut().syscall_registers(42, [3, place, 16, 0, 0, 0]);
            user.call([registers, 0, 0, 0, 0, 0]);
            for reports in [kernel.reports(), user.reports()] {
                let found = reports.first().map(|report| {
                    let ends = AddressValue::read_from_bytes(&report.values[0].1).unwrap().endpoints;
                    (ends.source, ends.source_port, ends.family)
                });
                assert_eq!(found, shown, "{version} {bytes:?}");
            }
        }
    }
}

pub(crate) fn sockaddr_un(path: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 0];
    bytes.extend_from_slice(path);
    bytes.resize(110, 0);
    bytes
}

/// filter, what lies in memory, what is reported
type Named = (&'static str, Vec<u8>, Option<&'static [u8]>);

// proves: ARG-09 (sockaddr_un)
#[test]
fn the_path_of_a_unix_socket_is_read_and_an_abstract_name_marked() {
    #[rustfmt::skip]
    let rows: [Named; 15] = [
        ("", sockaddr_un(b"/run/docker.sock"), Some(b"/run/docker.sock")),
        ("", sockaddr_un(b"\0abstract"), Some(b"@abstract")),
        ("", sockaddr_un(b""), Some(b"")),
        ("", [sockaddr_un(&[b'x'; 108]), vec![b'y'; 8]].concat(), Some(&[b'x'; 108])),
        ("operator: Equal, values: ['@abstract', '/a']", sockaddr_un(b"\0abstract"), Some(b"@abstract")),
        ("operator: Equal, values: ['@abstract']", sockaddr_un(b"@abstracts"), None),
        ("operator: Prefix, values: ['/run/']", sockaddr_un(b"/run/docker.sock"), Some(b"/run/docker.sock")),
        ("operator: NotPrefix, values: ['/run/']", sockaddr_un(b"/run/docker.sock"), None),
        ("operator: NotEqual, values: ['/a']", sockaddr_un(b"/b"), Some(b"/b")),
        ("operator: NotEqual, values: ['/a']", [2, 0, 0, 80, 127, 0, 0, 1].to_vec(), None),
        ("operator: SubString, values: [docker]", sockaddr_un(b"/run/docker.sock"), Some(b"/run/docker.sock")),
        ("operator: SubString, values: [docker]", sockaddr_un(b"/run/dbus.sock"), None),
        ("operator: SubStringIgnCase, values: ['@ABS']", sockaddr_un(b"\0abstract"), Some(b"@abstract")),
        ("operator: Family, values: [AF_UNIX]", sockaddr_un(b"/b"), Some(b"/b")),
        ("operator: Family, values: [AF_UNIX]", [2, 0, 0, 80, 127, 0, 0, 1].to_vec(), None),
    ];
    for version in ["5.10", "6.12"] {
        let view = recorded(version);
        for (filter, bytes, shown) in &rows {
            let selector = if filter.is_empty() {
                String::new()
            } else {
                format!("{{matchArgs: [{{index: 1, {filter}}}]}}")
            };
            let mut kernel =
                one("security_socket_connect", "{index: 1, type: sockaddr_un}", &selector, &view);
            let mut user = one("sys_connect", "{index: 1, type: sockaddr_un}", &selector, &view);
            // something longer before it
            for earlier in [true, false] {
                let bytes = if earlier { sockaddr_un(&[b'z'; 90]) } else { bytes.clone() };
                let place = kernel.machine.world_mut().kernel.bytes("sockaddr", &bytes);
                kernel.call([0, place, 110, 0, 0, 0]);
                let place = user.machine.world_mut().user.bytes("sockaddr", &bytes);
                let registers = user.machine.world_mut().syscall_registers(42, [3, place, 16, 0, 0, 0]);
                user.call([registers, 0, 0, 0, 0, 0]);
                let all = [kernel.reports(), user.reports()];
                if earlier {
                    continue;
                }
                for reports in all {
                    let found = reports.first().map(|report| report.values[0].1.clone());
                    assert_eq!(found.as_deref(), *shown, "{version} {filter} {bytes:?}");
                    if let Some(report) = reports.first() {
                        assert_eq!(report.values[0].0.status, 1);
                    }
                }
            }
        }
    }
}

// 5.10 leaves on its stack what was there before, and the caller may give no NUL
#[test]
fn what_lies_behind_a_unix_address_is_not_part_of_it() {
    let rows: [(&[u8], u64, &[u8]); 5] = [
        (b"\0name", 7, b"@name"),
        (b"/path", 7, b"/path"),
        (b"/path\0", 8, b"/path"),
        (b"", 2, b""),
        (b"", 0, b""),
    ];
    for version in VERSIONS {
        let view = recorded(version);
        let mut it = one("security_socket_bind", "{index: 1, type: sockaddr_un}", "", &view);
        for (path, length, shown) in rows {
            let bytes = [[1, 0].as_slice(), path, b"left over", &[0xff; 108]].concat();
            let place = it.machine.world_mut().kernel.bytes("sockaddr", &bytes);
            it.call([0, place, length, 0, 0, 0]);
            assert_eq!(it.reports()[0].values[0].1, shown, "{version} {path:?} {length}");
        }
    }
}

#[test]
fn a_connection_is_denied_by_the_address_it_goes_to() {
    let selector = "{matchArgs: [{index: 0, operator: Protocol, values: [IPPROTO_TCP]}, {index: 1, operator: SPort, values: ['80']}], \
                    matchActions: [{action: Override, argError: -13}]}";
    for version in ["5.10", "6.12"] {
        let view = recorded(version);
        let text = policy(
            "security_socket_connect",
            "{index: 0, type: socket}, {index: 1, type: sockaddr}, {index: 2, type: int}",
            selector,
        );
        for target in [
            AttachSpec::Lsm { hook: "socket_connect".to_owned() },
            AttachSpec::FmodRet { function: "security_socket_connect".to_owned() },
        ] {
            let policy = attached(resolved(&text, &view), &target, Role::Deny);
            let mut it = Emulated::new(&[policy], &view);
            let inner = sock(&mut it.machine, &view, TCP);
            let outer = socket(&mut it.machine, &view, inner);
            let mut connect = |port: u16| {
                let place = it.machine.world_mut().kernel.bytes("sockaddr", &sockaddr("127.0.0.1", port));
                it.run(bpf_probes::emulate::Context::arguments(&[outer, place, 16, 0])).result()
            };
            assert_eq!((connect(80), connect(81)), (-13, 0), "{version}");
        }
    }
}

//! Sockets, packets and socket addresses in the words of the API.

use std::net::{Ipv4Addr, Ipv6Addr};

use api::event::{Skb, Sock, Sockaddr, SockaddrUn, Value};
use bpf_probes::abi::{Endpoints, PacketValue, SocketValue};
use bpf_probes::kernel::NetworkNames;

use crate::pipeline::spare::Spare;

/// `AF_INET`
const AF_INET: u16 = 2;
/// `AF_INET6`
const AF_INET6: u16 = 10;

pub(super) fn socket(socket: &SocketValue, spare: &mut Spare) -> Value {
    let ends = &socket.endpoints;
    let [saddr, daddr] = [ends.source, ends.destination].map(|bytes| ip(ends.family, bytes, spare));
    Value::Sock(spare.socket(Sock {
        family: NetworkNames::FAMILIES.name(ends.family),
        kind: NetworkNames::KINDS.name(socket.kind),
        protocol: NetworkNames::PROTOCOLS.name(ends.protocol),
        mark: socket.mark,
        priority: socket.priority,
        saddr,
        daddr,
        sport: ends.source_port.into(),
        dport: ends.destination_port.into(),
        cookie: socket.cookie,
        state: NetworkNames::STATES.name(socket.state),
    }))
}

pub(super) fn packet(packet: &PacketValue, spare: &mut Spare) -> Value {
    let ends = &packet.endpoints;
    let [saddr, daddr] = [ends.source, ends.destination].map(|bytes| ip(ends.family, bytes, spare));
    Value::Skb(spare.packet(Skb {
        hash: packet.hash,
        len: packet.len,
        priority: packet.priority,
        mark: packet.mark,
        saddr,
        daddr,
        sport: ends.source_port.into(),
        dport: ends.destination_port.into(),
        proto: ends.protocol.into(),
        sec_path_len: 0,
        sec_path_olen: 0,
        protocol: NetworkNames::PROTOCOLS.name(ends.protocol),
        family: NetworkNames::FAMILIES.name(ends.family),
    }))
}

pub(super) fn address(ends: &Endpoints, spare: &mut Spare) -> Value {
    Value::Sockaddr(Sockaddr {
        family: NetworkNames::FAMILIES.name(ends.family),
        addr: ip(ends.family, ends.source, spare),
        port: ends.source_port.into(),
    })
}

pub(super) fn unix_address(family: u16, path: &[u8], spare: &mut Spare) -> Value {
    Value::SockaddrUn(SockaddrUn { family: NetworkNames::FAMILIES.name(family), path: spare.text(path) })
}

/// An address as text.
fn ip(family: u16, bytes: [u8; 16], spare: &mut Spare) -> String {
    match family {
        AF_INET => {
            let [a, b, c, d, ..] = bytes;
            spare.display(Ipv4Addr::new(a, b, c, d))
        }
        AF_INET6 => spare.display(Ipv6Addr::from(bytes)),
        _ => spare.text(b"invalid IP"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use api::event::{Event, EventKind, Kprobe, Node};

    use super::*;

    fn v4(a: u8, b: u8, c: u8, d: u8) -> [u8; 16] {
        [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    fn v6(text: &str) -> [u8; 16] {
        text.parse::<Ipv6Addr>().unwrap().octets()
    }

    /// The value as JSON writes it in an event.
    fn json(value: Value) -> String {
        let kprobe = Kprobe { args: vec![value.into()], ..Kprobe::default() };
        let event = Event {
            kind: EventKind::Kprobe(kprobe),
            time: None,
            node: Arc::new(Node::default()),
            aggregated: None,
        };
        let mut line = Vec::new();
        api::json::write_event(&event, &mut line);
        let line = String::from_utf8(line).unwrap();
        let (_, rest) = line.split_once("\"args\":[").unwrap();
        rest.split_once(']').unwrap().0.to_owned()
    }

    // proves: ARG-08 (form), ARG-09 (form)
    #[test]
    fn what_is_read_is_shown_as_upstream_shows_it() {
        let endpoints = Endpoints {
            family: AF_INET,
            protocol: 6,
            source: v4(127, 0, 0, 1),
            destination: v4(127, 0, 0, 1),
            source_port: 40704,
            destination_port: 8081,
        };
        let tcp = SocketValue {
            endpoints,
            kind: 1,
            state: 2,
            cookie: 18_384_554_471_380_231_680,
            ..SocketValue::default()
        };
        assert_eq!(
            json(socket(&tcp, &mut Spare::default())),
            r#"{"sock_arg":{"family":"AF_INET","type":"SOCK_STREAM","protocol":"IPPROTO_TCP","saddr":"127.0.0.1","daddr":"127.0.0.1","sport":40704,"dport":8081,"cookie":"18384554471380231680","state":"TCP_SYN_SENT"}}"#
        );
        let six = Endpoints {
            family: AF_INET6,
            source: v6("::ffff:127.0.0.1"),
            destination: v6("::"),
            ..endpoints
        };
        let listening = SocketValue { endpoints: six, state: 10, ..tcp };
        assert!(
            json(socket(&listening, &mut Spare::default()))
                .contains(r#""saddr":"::ffff:127.0.0.1","daddr":"::","#)
        );
        let unix = SocketValue {
            endpoints: Endpoints { family: 1, ..Endpoints::default() },
            kind: 1,
            state: 7,
            cookie: 1,
            ..SocketValue::default()
        };
        assert_eq!(
            json(socket(&unix, &mut Spare::default())),
            r#"{"sock_arg":{"family":"AF_UNIX","type":"SOCK_STREAM","protocol":"IPPROTO_IP","saddr":"invalid IP","daddr":"invalid IP","cookie":"1","state":"TCP_CLOSE"}}"#
        );
        let new = SocketValue {
            endpoints: Endpoints { protocol: 0, ..endpoints },
            cookie: 1,
            ..SocketValue::default()
        };
        assert!(json(socket(&new, &mut Spare::default())).contains(r#""type":"0","protocol":"IPPROTO_IP""#));
        let datagram = PacketValue {
            endpoints: Endpoints { protocol: 17, ..endpoints },
            len: 60,
            hash: 5,
            mark: 3,
            priority: 2,
        };
        assert_eq!(
            json(packet(&datagram, &mut Spare::default())),
            r#"{"skb_arg":{"hash":5,"len":60,"priority":2,"mark":3,"saddr":"127.0.0.1","daddr":"127.0.0.1","sport":40704,"dport":8081,"proto":17,"protocol":"IPPROTO_UDP","family":"AF_INET"}}"#
        );
        let web = Endpoints {
            family: AF_INET,
            source: v4(127, 0, 0, 1),
            source_port: 8081,
            ..Endpoints::default()
        };
        assert_eq!(
            json(address(&web, &mut Spare::default())),
            r#"{"sockaddr_arg":{"family":"AF_INET","addr":"127.0.0.1","port":8081}}"#
        );
        assert_eq!(
            json(unix_address(1, b"@name", &mut Spare::default())),
            r#"{"sockaddrun_arg":{"family":"AF_UNIX","path":"@name"}}"#
        );
    }
}

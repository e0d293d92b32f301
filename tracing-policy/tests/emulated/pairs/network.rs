//! Rows of sockets, packets and socket addresses.

use std::net::IpAddr;

use super::kind::{Kind, Net};
use super::rows::{Row, Subject};
use crate::network::{TCP, TCP6, UNIX};

/// Values, and whether [`TCP`], [`TCP6`] and [`UNIX`] hit; `None` where neither the operator nor its negation passes.
pub(super) type Line = (&'static [&'static str], [Option<bool>; 3]);

const fn internet(tcp: bool, tcp6: bool) -> [Option<bool>; 3] {
    [Some(tcp), Some(tcp6), None]
}

const fn all(tcp: bool, tcp6: bool, unix: bool) -> [Option<bool>; 3] {
    [Some(tcp), Some(tcp6), Some(unix)]
}

pub(super) const SOURCES: &[Line] = &[
    (&["192.168.1.5"], internet(true, false)),
    (&["2001:db8::5"], internet(false, true)),
    (&["192.168.1.4", "192.168.1.6", "2001:db8::6"], internet(false, false)),
    (&["192.168.0.0/16", "2001:db8::/32"], internet(true, true)),
    (&["0.0.0.0/0"], internet(true, false)),
    (&["::/0"], internet(false, true)),
    (&["0.0.0.0/0", "::/0"], internet(true, true)),
];

pub(super) const DESTINATIONS: &[Line] = &[
    (&["10.1.2.3/31"], internet(true, false)),
    (&["10.1.2.4/31", "2001:db8:1:2:3:4:5:6"], internet(false, true)),
    (&["10.0.0.0/8", "2001:db8:1:2:3:4:5:7"], internet(true, false)),
    (&["2001:db8:1:2:3::/80", "2001:db8:1:3::/64"], internet(false, true)),
    (&["2001:db8:1:2:4::/80", "2001:db8:1:3::/64"], internet(false, false)),
];

pub(super) const SOURCE_PORTS: &[Line] = &[
    (&["40000", "1"], internet(true, false)),
    (&["1000:1023", "0"], internet(false, true)),
    (&["0:65535"], internet(true, true)),
    (&["39999", "40001"], internet(false, false)),
];

pub(super) const DESTINATION_PORTS: &[Line] = &[
    (&["443", "8000:9000"], internet(true, true)),
    (&["443", "0"], internet(true, false)),
    (&["0:65535"], internet(true, true)),
    (&["442", "444"], internet(false, false)),
];

pub(super) const SOURCE_PRIVILEGED: &[Line] = &[(&[], internet(false, true))];

pub(super) const DESTINATION_PRIVILEGED: &[Line] = &[(&[], internet(true, false))];

pub(super) const PROTOCOLS: &[Line] = &[
    (&["IPPROTO_TCP"], all(true, true, false)),
    (&["0", "17"], all(false, false, true)),
    (&["5:7"], all(true, true, false)),
];

pub(super) const FAMILIES: &[Line] = &[
    (&["AF_INET", "AF_INET6"], all(true, true, false)),
    (&["AF_UNIX"], all(false, false, true)),
    (&["10"], all(false, true, false)),
];

pub(super) const STATES: &[Line] =
    &[(&["TCP_SYN_SENT"], all(true, false, false)), (&["7", "TCP_ESTABLISHED"], all(false, true, true))];

/// The rows where the kind has what is asked of; `at_one_end` when a single address has it.
pub(super) fn of(kind: Kind, lines: &[Line], at_one_end: bool) -> Vec<Row> {
    let Kind::Network(net) = kind else { return Vec::new() };
    if net == Net::Address && !at_one_end {
        return Vec::new();
    }
    lines.iter().map(|line| row(net, line)).collect()
}

fn row(net: Net, (values, expected): &Line) -> Row {
    let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let is_address = |value: &str| value.parse::<IpAddr>().is_ok() || value.contains('/');
    let filler: Vec<String> = match values.first() {
        None => Vec::new(),
        Some(value) if is_address(value) => (0..40).map(|number| format!("77.{number}.0.0/16")).collect(),
        Some(_) => (0..40).map(|number| (60_000 + 2 * number).to_string()).collect(),
    };
    let mut row = Row { values: owned(values), filler, never: vec![Subject::Unreadable], ..Row::default() };
    for (socket, expected) in [TCP, TCP6, UNIX].into_iter().zip(expected) {
        let subject = Subject::Socket(socket);
        match expected {
            // a packet of no protocol of the internet has no family either
            Some(true) if net == Net::Packet && socket.family == 1 && **values == ["AF_UNIX"] => {
                row.miss.push(subject);
            }
            Some(true) => row.hit.push(subject),
            Some(false) => row.miss.push(subject),
            None => row.never.push(subject),
        }
    }
    row
}

/// Packets have no state: there is a warning, and nothing passes.
pub(super) fn packet_states() -> Vec<Row> {
    let never = [TCP, TCP6, UNIX].map(Subject::Socket).to_vec();
    vec![Row { values: vec!["0:65535".to_owned()], never, ..Row::default() }]
}

/// A Unix address has its family and no other.
pub(super) fn unix_families() -> Vec<Row> {
    let row = |value: &str| Row {
        values: vec![value.to_owned()],
        never: vec![Subject::Unreadable],
        ..Row::default()
    };
    let names = || vec![Subject::Text("/a"), Subject::Text("")];
    vec![Row { hit: names(), ..row("AF_UNIX") }, Row { miss: names(), ..row("AF_INET") }]
}

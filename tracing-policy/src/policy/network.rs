//! Sockets, packets and socket addresses: what they are and what filters ask of them.

use std::net::IpAddr;

use bpf_probes::abi::Endpoints;

use super::selector::{IntegerRange, Sense};

/// `AF_UNIX`
pub(crate) const AF_UNIX: u16 = 1;
/// `AF_INET`
pub(crate) const AF_INET: u16 = 2;
/// `AF_INET6`
pub(crate) const AF_INET6: u16 = 10;

/// What a pointer to something of the network points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkType {
    /// `struct sock`
    Sock,
    /// `struct socket`, read as its `struct sock`.
    Socket,
    /// `struct sk_buff`, read as the headers of its packet.
    Skb,
    /// `struct sockaddr` of the internet families: in user memory for system calls, in kernel memory else.
    Sockaddr,
}

/// One of two ends. The only address of a `struct sockaddr` is its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// Of a socket the local one.
    Source,
    /// Of a socket the remote one.
    Destination,
}

/// A number that describes something of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NetworkField {
    /// A port; only the internet families have ports.
    Port(End),
    /// `IPPROTO_*`
    Protocol,
    /// `AF_*`
    Family,
    /// `TCP_*`; only sockets have one.
    State,
}

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    /// The bits that follow the first `bits` are zero.
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The network of an address; `None` when it has fewer bits.
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(_) if bits > 32 => return None,
            IpAddr::V6(_) if bits > 128 => return None,
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & mask).into())
            }
        };
        Some(Self { address, bits })
    }

    /// Its family.
    pub fn family(&self) -> u16 {
        if self.address.is_ipv4() { AF_INET } else { AF_INET6 }
    }

    /// How many bits all its addresses share.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// The first address as [`Endpoints`] hold it.
    pub fn bytes(&self) -> [u8; 16] {
        match self.address {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            }
            IpAddr::V6(v6) => v6.octets(),
        }
    }

    /// The shared bits, laid out likewise.
    pub fn mask(&self) -> [u8; 16] {
        u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0).to_be_bytes()
    }

    /// Whether an address of a family lies in it.
    pub fn contains(&self, family: u16, address: [u8; 16]) -> bool {
        let masked = u128::from_be_bytes(address) & u128::from_be_bytes(self.mask());
        family == self.family() && masked.to_be_bytes() == self.bytes()
    }
}

/// A test of something of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkTest {
    /// Of an address. What has no addresses passes no test, not even a negated one.
    Address {
        /// Which address.
        end: End,
        /// Whether one network must hold it, or none.
        sense: Sense,
        /// The networks; at least one.
        networks: Vec<Network>,
    },
    /// Of a number. What has no ports passes no test of a port, not even a negated one.
    Number {
        /// Which number.
        field: NetworkField,
        /// Whether it must be in one range, or in none.
        sense: Sense,
        /// The ranges; at least one.
        ranges: Vec<IntegerRange>,
    },
}

/// What filters see of something of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkSubject {
    /// Addresses, ports, family and protocol.
    pub endpoints: Endpoints,
    /// State of a socket.
    pub state: Option<u16>,
}

impl NetworkSubject {
    /// Whether it has addresses and ports.
    fn is_internet(&self) -> bool {
        matches!(self.endpoints.family, AF_INET | AF_INET6)
    }

    /// The address at an end, where it has one.
    pub fn address(&self, end: End) -> Option<[u8; 16]> {
        let address = match end {
            End::Source => self.endpoints.source,
            End::Destination => self.endpoints.destination,
        };
        self.is_internet().then_some(address)
    }

    /// A number, where it has it.
    pub fn number(&self, field: NetworkField) -> Option<u16> {
        match field {
            NetworkField::Port(End::Source) => self.is_internet().then_some(self.endpoints.source_port),
            NetworkField::Port(End::Destination) => {
                self.is_internet().then_some(self.endpoints.destination_port)
            }
            NetworkField::Protocol => Some(self.endpoints.protocol),
            NetworkField::Family => Some(self.endpoints.family),
            NetworkField::State => self.state,
        }
    }
}

impl NetworkTest {
    /// Whether a subject passes.
    pub fn matches(&self, subject: &NetworkSubject) -> bool {
        let (found, sense) = match self {
            Self::Address { end, sense, networks } => {
                let Some(address) = subject.address(*end) else { return false };
                let family = subject.endpoints.family;
                (networks.iter().any(|network| network.contains(family, address)), *sense)
            }
            Self::Number { field, sense, ranges } => {
                let Some(number) = subject.number(*field).map(i128::from) else { return false };
                let inside = |range: &IntegerRange| range.min.get() <= number && number <= range.max.get();
                (ranges.iter().any(inside), *sense)
            }
        };
        found == (sense == Sense::Plain)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_begin_like_it() {
        let network = |text: &str, bits| Network::new(text.parse().unwrap(), bits);
        let v4 = |a, b, c, d| [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let loopback = network("127.0.0.1", 8).unwrap();
        assert!(loopback.contains(AF_INET, v4(127, 255, 0, 1)));
        assert!(!loopback.contains(AF_INET, v4(128, 0, 0, 1)));
        assert!(!loopback.contains(AF_INET6, v4(127, 0, 0, 1)));
        assert!(network("9.9.9.9", 0).unwrap().contains(AF_INET, v4(1, 2, 3, 4)));
        assert!(network("9.9.9.9", 32).unwrap().contains(AF_INET, v4(9, 9, 9, 9)));
        let six = network("2001:db8::ffff", 33).unwrap();
        let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
        assert!(six.contains(AF_INET6, address("2001:db8:7fff::1")));
        assert!(!six.contains(AF_INET6, address("2001:db8:8000::1")));
        assert!(network("::", 0).unwrap().contains(AF_INET6, address("fe80::1")));
        assert!(network("::1", 128).unwrap().contains(AF_INET6, address("::1")));
        assert_eq!(network("1.2.3.4", 33), None);
        assert_eq!(network("::", 129), None);
    }

    // proves: SEL-30 (sockets)
    #[test]
    fn what_has_no_address_or_port_passes_no_test_of_one() {
        let subject =
            NetworkSubject { endpoints: Endpoints { family: AF_UNIX, ..Endpoints::default() }, state: None };
        let networks = vec![Network::new("10.0.0.0".parse().unwrap(), 8).unwrap()];
        let ranges = Vec::new();
        for sense in [Sense::Plain, Sense::Negated] {
            let test = NetworkTest::Address { end: End::Source, sense, networks: networks.clone() };
            assert!(!test.matches(&subject));
            let field = NetworkField::Port(End::Source);
            assert!(!NetworkTest::Number { field, sense, ranges: ranges.clone() }.matches(&subject));
        }
    }
}

//! Addresses and networks, as Kubernetes' CEL library has them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: an address in it, and how many bits of it all its addresses share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cidr {
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
}

/// The address that `text` is; not one of IPv4 written as one of IPv6, and none with a zone.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    let is_mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    (!is_mapped).then_some(address)
}

/// The network that `text` is.
pub(super) fn cidr(text: &str) -> Option<Cidr> {
    let (address, prefix) = text.split_once('/')?;
    let is_number =
        prefix.bytes().all(|byte| byte.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
    let cidr = Cidr { address: ip(address)?, prefix: prefix.parse().ok().filter(|_| is_number)? };
    (cidr.prefix <= bits(cidr.address)).then_some(cidr)
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The first `prefix` bits of an address; the others are 0.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let drop = u32::from(bits(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & u32::MAX.checked_shl(drop).unwrap_or(0)).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.checked_shl(drop).unwrap_or(0)).into(),
    }
}

impl Cidr {
    /// The network by its first address.
    pub(super) fn masked(self) -> Self {
        Self { address: masked(self.address, self.prefix), prefix: self.prefix }
    }

    pub(super) fn contains(self, address: IpAddr) -> bool {
        bits(address) == bits(self.address)
            && masked(address, self.prefix) == masked(self.address, self.prefix)
    }

    pub(super) fn contains_all_of(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Whether it is in 224.0.0.0/24 or `ff02::/16`.
pub(super) fn is_link_local_multicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(address) => address.is_multicast() && address.segments()[0] & 0xf == 2,
    }
}

/// Whether it is in 169.254.0.0/16 or `fe80::/10`.
pub(super) fn is_link_local_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Whether packets to it may leave the link; private networks count.
pub(super) fn is_global_unicast(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(is_broadcast
        || address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || is_link_local_unicast(address))
}

//! Values of sockets, packets and socket addresses in a hook record.
//!
//! Each begins with [`Endpoints`], so that one test of an address or port serves them all.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Who talks to whom. An IPv4 address is in the first four bytes, the others are zero; bytes are in the order of the network, numbers in the host's.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Endpoints {
    /// Source address; of a socket the local one, of a socket address the only one.
    pub source: [u8; 16],
    /// Destination address; of a socket the remote one.
    pub destination: [u8; 16],
    /// `AF_*`; addresses and ports mean something for `AF_INET` and `AF_INET6` only.
    pub family: u16,
    /// `IPPROTO_*`
    pub protocol: u16,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
}

/// A `struct sock`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SocketValue {
    /// Local and remote end.
    pub endpoints: Endpoints,
    /// Address of the `struct sock`, which tells sockets apart.
    pub cookie: u64,
    /// `sk_mark`
    pub mark: u32,
    /// `sk_priority`
    pub priority: u32,
    /// `SOCK_*`
    pub kind: u16,
    /// `TCP_*`
    pub state: u16,
    /// Zero.
    pub reserved: u32,
}

/// A `struct sk_buff`, its headers included.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct PacketValue {
    /// From the packet's headers; the family is 0 where it is no packet of IP.
    pub endpoints: Endpoints,
    /// `hash`
    pub hash: u32,
    /// `len`
    pub len: u32,
    /// `mark`
    pub mark: u32,
    /// `priority`
    pub priority: u32,
}

/// A `struct sockaddr`: address and port are those of the source.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct AddressValue {
    /// The other end is zero.
    pub endpoints: Endpoints,
}

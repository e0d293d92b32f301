//! Names of the numbers that describe sockets. They are part of the kernel's interface and so the same on every kernel.

use std::borrow::Cow;

/// A table of names.
#[derive(Clone, Copy, Debug)]
pub struct NetworkNames(&'static [(u16, &'static str)]);

impl NetworkNames {
    /// Address families (`include/linux/socket.h`).
    pub const FAMILIES: Self = Self(FAMILIES);
    /// Types of sockets (`include/linux/net.h`).
    pub const KINDS: Self = Self(KINDS);
    /// Protocols over IP (`include/uapi/linux/in.h`, `in6.h`).
    pub const PROTOCOLS: Self = Self(PROTOCOLS);
    /// States of TCP (`include/net/tcp_states.h`).
    pub const STATES: Self = Self(STATES);

    /// The name of a number; the number itself where it has none.
    pub fn name(self, number: u16) -> Cow<'static, str> {
        match self.0.iter().find(|(known, _)| *known == number) {
            Some((_, name)) => Cow::Borrowed(name),
            None => Cow::Owned(number.to_string()),
        }
    }

    /// The number with this name, in any case.
    pub fn number(self, name: &str) -> Option<u16> {
        self.0.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(number, _)| *number)
    }

    /// All names.
    pub fn all(self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(_, name)| *name)
    }
}

const FAMILIES: &[(u16, &str)] = &[
    (0, "AF_UNSPEC"),
    (1, "AF_UNIX"),
    (1, "AF_LOCAL"),
    (2, "AF_INET"),
    (3, "AF_AX25"),
    (4, "AF_IPX"),
    (5, "AF_APPLETALK"),
    (6, "AF_NETROM"),
    (7, "AF_BRIDGE"),
    (8, "AF_ATMPVC"),
    (9, "AF_X25"),
    (10, "AF_INET6"),
    (11, "AF_ROSE"),
    (12, "AF_DECnet"),
    (13, "AF_NETBEUI"),
    (14, "AF_SECURITY"),
    (15, "AF_KEY"),
    (16, "AF_NETLINK"),
    (17, "AF_PACKET"),
    (18, "AF_ASH"),
    (19, "AF_ECONET"),
    (20, "AF_ATMSVC"),
    (21, "AF_RDS"),
    (22, "AF_SNA"),
    (23, "AF_IRDA"),
    (24, "AF_PPPOX"),
    (25, "AF_WANPIPE"),
    (26, "AF_LLC"),
    (27, "AF_IB"),
    (28, "AF_MPLS"),
    (29, "AF_CAN"),
    (30, "AF_TIPC"),
    (31, "AF_BLUETOOTH"),
    (32, "AF_IUCV"),
    (33, "AF_RXRPC"),
    (34, "AF_ISDN"),
    (35, "AF_PHONET"),
    (36, "AF_IEEE802154"),
    (37, "AF_CAIF"),
    (38, "AF_ALG"),
    (39, "AF_NFC"),
    (40, "AF_VSOCK"),
    (41, "AF_KCM"),
    (42, "AF_QIPCRTR"),
    (43, "AF_SMC"),
    (44, "AF_XDP"),
    (45, "AF_MCTP"),
];

const KINDS: &[(u16, &str)] = &[
    (1, "SOCK_STREAM"),
    (2, "SOCK_DGRAM"),
    (3, "SOCK_RAW"),
    (4, "SOCK_RDM"),
    (5, "SOCK_SEQPACKET"),
    (6, "SOCK_DCCP"),
    (7, "SOCK_PACKET"),
];

const PROTOCOLS: &[(u16, &str)] = &[
    (0, "IPPROTO_IP"),
    (0, "IPPROTO_HOPOPTS"),
    (1, "IPPROTO_ICMP"),
    (2, "IPPROTO_IGMP"),
    (4, "IPPROTO_IPIP"),
    (6, "IPPROTO_TCP"),
    (8, "IPPROTO_EGP"),
    (12, "IPPROTO_PUP"),
    (17, "IPPROTO_UDP"),
    (22, "IPPROTO_IDP"),
    (29, "IPPROTO_TP"),
    (33, "IPPROTO_DCCP"),
    (41, "IPPROTO_IPV6"),
    (43, "IPPROTO_ROUTING"),
    (44, "IPPROTO_FRAGMENT"),
    (46, "IPPROTO_RSVP"),
    (47, "IPPROTO_GRE"),
    (50, "IPPROTO_ESP"),
    (51, "IPPROTO_AH"),
    (58, "IPPROTO_ICMPV6"),
    (59, "IPPROTO_NONE"),
    (60, "IPPROTO_DSTOPTS"),
    (92, "IPPROTO_MTP"),
    (94, "IPPROTO_BEETPH"),
    (98, "IPPROTO_ENCAP"),
    (103, "IPPROTO_PIM"),
    (108, "IPPROTO_COMP"),
    (115, "IPPROTO_L2TP"),
    (132, "IPPROTO_SCTP"),
    (135, "IPPROTO_MH"),
    (136, "IPPROTO_UDPLITE"),
    (137, "IPPROTO_MPLS"),
    (143, "IPPROTO_ETHERNET"),
    (255, "IPPROTO_RAW"),
    (262, "IPPROTO_MPTCP"),
];

const STATES: &[(u16, &str)] = &[
    (1, "TCP_ESTABLISHED"),
    (2, "TCP_SYN_SENT"),
    (3, "TCP_SYN_RECV"),
    (4, "TCP_FIN_WAIT1"),
    (5, "TCP_FIN_WAIT2"),
    (6, "TCP_TIME_WAIT"),
    (7, "TCP_CLOSE"),
    (8, "TCP_CLOSE_WAIT"),
    (9, "TCP_LAST_ACK"),
    (10, "TCP_LISTEN"),
    (11, "TCP_CLOSING"),
    (12, "TCP_NEW_SYN_RECV"),
];

#[cfg(test)]
mod tests {
    use super::NetworkNames;

    #[test]
    fn numbers_have_one_name_and_names_one_number() {
        assert_eq!(NetworkNames::FAMILIES.name(1), "AF_UNIX");
        assert_eq!(NetworkNames::FAMILIES.number("AF_LOCAL"), Some(1));
        assert_eq!(NetworkNames::PROTOCOLS.name(0), "IPPROTO_IP");
        assert_eq!(NetworkNames::PROTOCOLS.number("ipproto_mptcp"), Some(262));
        assert_eq!(NetworkNames::STATES.name(0), "0");
        assert_eq!(NetworkNames::STATES.name(12), "TCP_NEW_SYN_RECV");
        assert_eq!(NetworkNames::KINDS.name(8), "8");
        assert_eq!(NetworkNames::KINDS.number("SOCK"), None);
        assert!(NetworkNames::STATES.all().all(|name| name.starts_with("TCP_")));
    }
}

//! Random policies: every matcher and every operator, with values that calls often have.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::run::policy;

/// The types of arguments whose place may hold several; the same for all policies of a set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Argument 2.
    pub(super) path: PathType,
    /// Argument 3.
    pub(super) net: NetType,
}

/// Things with a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PathType {
    File,
    Path,
    Fd,
    Dentry,
    LinuxBinprm,
}

/// Things of the network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NetType {
    Sock,
    Socket,
    Skb,
    Sockaddr,
    SockaddrUn,
    NetDevice,
}

/// The system call.
pub(super) const CALL: &str = "sys_mmap";
/// Its number.
pub(super) const NUMBER: u64 = 9;

const INTEGERS: [&str; 8] = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"];

pub(super) fn shape() -> impl Strategy<Value = Shape> {
    let path =
        select(&[PathType::File, PathType::Path, PathType::Fd, PathType::Dentry, PathType::LinuxBinprm]);
    let net = select(&[
        NetType::Sock,
        NetType::Socket,
        NetType::Skb,
        NetType::Sockaddr,
        NetType::SockaddrUn,
        NetType::NetDevice,
    ]);
    (path, net).prop_map(|(path, net)| Shape { path, net })
}

pub(super) fn policies(shape: Shape) -> impl Strategy<Value = Vec<String>> {
    vec(select(&INTEGERS[..]).prop_flat_map(move |integer| one(shape, integer)), 1..4)
}

fn one(shape: Shape, integer: &'static str) -> impl Strategy<Value = String> {
    let path = match shape.path {
        PathType::File => "file",
        PathType::Path => "path",
        PathType::Fd => "fd",
        PathType::Dentry => "dentry",
        PathType::LinuxBinprm => "linux_binprm",
    };
    let net = match shape.net {
        NetType::Sock => "sock",
        NetType::Socket => "socket",
        NetType::Skb => "skb",
        NetType::Sockaddr => "sockaddr",
        NetType::SockaddrUn => "sockaddr_un",
        NetType::NetDevice => "net_device",
    };
    let arguments = format!(
        "{{index: 0, type: {integer}}}, {{index: 1, type: string}}, {{index: 2, type: {path}}}, {{index: 3, type: {net}}}, \
         {{index: 4, type: cap_effective}}, {{index: 5, type: cap_permitted}}"
    );
    vec(selector(shape, integer.starts_with('u')), 1..4)
        .prop_map(move |selectors| policy(CALL, &arguments, &selectors.join(", ")))
}

fn selector(shape: Shape, unsigned: bool) -> impl Strategy<Value = String> {
    let filters = vec(argument(shape, unsigned), 0..4);
    (process(), filters)
        .prop_map(|(process, arguments)| format!("{{{process}matchArgs: [{}]}}", arguments.join(", ")))
}

/// A filter of one argument.
fn argument(shape: Shape, unsigned: bool) -> BoxedStrategy<String> {
    let path = match shape.path {
        PathType::File | PathType::Path => prop_oneof![3 => bytes(2, true), 1 => file_type()].boxed(),
        PathType::Fd | PathType::Dentry | PathType::LinuxBinprm => bytes(2, true),
    };
    let net = match shape.net {
        NetType::Sock | NetType::Socket | NetType::Skb => prop_oneof![ends(true), described(true)].boxed(),
        NetType::Sockaddr => prop_oneof![ends(false), described(false)].boxed(),
        NetType::SockaddrUn => prop_oneof![3 => bytes(3, false), 1 => described(false)].boxed(),
        NetType::NetDevice => bytes(3, true),
    };
    let sets = prop_oneof![
        2 => number(4, true, true),
        1 => number(5, true, true),
        2 => Just("{args: [4, 5], operator: CapabilitiesGained}".to_owned()),
    ];
    prop_oneof![2 => number(0, unsigned, false), 2 => bytes(1, true), 3 => path, 3 => net, 1 => sets].boxed()
}

fn filter(index: u8, operator: &str, values: &[String]) -> String {
    format!("{{index: {index}, operator: {operator}, values: {values:?}}}")
}

/// Some values, or so many that they are looked up.
fn few_or_many(value: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = Vec<String>> {
    prop_oneof![4 => vec(value.clone(), 1..4), 1 => vec(value, 17..40)]
}

fn number(index: u8, unsigned: bool, is_set: bool) -> BoxedStrategy<String> {
    let least = if unsigned { 0 } else { -5 };
    let one = move || {
        let names =
            select(&["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_CHOWN,CAP_FOWNER"]).prop_map(str::to_owned);
        let plain = (least..8).prop_map(|number: i32| number.to_string());
        if is_set {
            prop_oneof![2 => plain, 1 => names].boxed()
        } else {
            prop_oneof![5 => plain.clone(), 1 => (least..100).prop_map(|number: i32| number.to_string())]
                .boxed()
        }
    };
    let operator = select(&["Equal", "NotEqual", "GT", "LT", "Mask"]);
    let plain = (operator, few_or_many(one().boxed()))
        .prop_map(move |(operator, values)| filter(index, operator, &values));
    let range = || (least..8, 0..4).prop_map(|(min, more): (i32, i32)| format!("{min}:{}", min + more));
    let ranges = (select(&["InRange", "NotInRange"]), few_or_many(range().boxed()))
        .prop_map(move |(operator, values)| filter(index, operator, &values));
    let key = prop_oneof![(least..100).prop_map(|number: i32| number.to_string()), range()];
    let keys = (select(&["InMap", "NotInMap"]), few_or_many(key.boxed()))
        .prop_map(move |(operator, values)| filter(index, operator, &values));
    prop_oneof![3 => plain, 1 => ranges, 1 => keys].boxed()
}

/// A filter of a string or path.
fn bytes(index: u8, ends: bool) -> BoxedStrategy<String> {
    let path = || vec("[ab]{1,2}", 0..4).prop_map(|parts| format!("/{}", parts.join("/")));
    let value = prop_oneof![3 => path(), 2 => "[ab/]{1,3}", 1 => Just(format!("/{}", "a".repeat(33)))];
    let operators: &'static [&'static str] = if ends {
        &[
            "Equal",
            "NotEqual",
            "Prefix",
            "NotPrefix",
            "Postfix",
            "NotPostfix",
            "SubString",
            "SubStringIgnCase",
        ]
    } else {
        &["Equal", "NotEqual", "Prefix", "NotPrefix", "SubString", "SubStringIgnCase"]
    };
    (select(operators), few_or_many(value.boxed()))
        .prop_map(move |(operator, values)| filter(index, operator, &values))
        .boxed()
}

fn file_type() -> impl Strategy<Value = String> {
    let types = select(&["reg", "dir", "fifo", "sock", "chr", "blk", "lnk"]).prop_map(str::to_owned);
    (select(&["FileType", "NotFileType"]), vec(types, 1..3))
        .prop_map(|(operator, values)| filter(2, operator, &values))
}

/// A filter of addresses or ports.
fn ends(both: bool) -> impl Strategy<Value = String> {
    let network = select(&[
        "10.0.0.1",
        "10.0.0.0/31",
        "10.0.0.0/8",
        "10.1.0.0/16",
        "0.0.0.0/0",
        "192.168.0.0/16",
        "192.168.1.128/25",
        "2001:db8::1",
        "2001:db8::/33",
        "2001:db8:8000::/33",
        "::/0",
        "::1",
    ])
    .prop_map(str::to_owned);
    let more = (0_u8..255).prop_map(|number| format!("77.{number}.0.0/16"));
    let networks = prop_oneof![4 => vec(network.clone(), 1..3), 1 => (network, vec(more, 10..30)).prop_map(|(first, rest)| [vec![first], rest].concat())];
    let port = select(&["80", "443", "1023:1024", "0", "1000:2000", "8080", "65535"]).prop_map(str::to_owned);
    let more = (0_u32..1000).prop_map(|number| (50_000 + 2 * number).to_string());
    let ports = prop_oneof![4 => vec(port.clone(), 1..3), 1 => (port, vec(more, 18..30)).prop_map(|(first, rest)| [vec![first], rest].concat())];
    let sides: &'static [&'static str] = if both { &["S", "D"] } else { &["S"] };
    let not = || select(&["", "Not"]);
    prop_oneof![
        (not(), select(sides), networks).prop_map(|(not, side, values)| filter(
            3,
            &format!("{not}{side}Addr"),
            &values
        )),
        (not(), select(sides), ports).prop_map(|(not, side, values)| filter(
            3,
            &format!("{not}{side}Port"),
            &values
        )),
        (not(), select(sides)).prop_map(|(not, side)| {
            // the language writes one of the four in another way
            let word = format!("{not}{side}PortPriv").replace("NotSPortPriv", "NotSportPriv");
            filter(3, &word, &[])
        }),
    ]
}

/// A filter of the family, and where there is more of the protocol and the state.
fn described(more: bool) -> impl Strategy<Value = String> {
    let family = vec(select(&["AF_INET", "AF_INET6", "AF_UNIX", "2:10"]).prop_map(str::to_owned), 1..3)
        .prop_map(|values| filter(3, "Family", &values));
    let protocol = vec(select(&["IPPROTO_TCP", "17", "0", "5:18"]).prop_map(str::to_owned), 1..3)
        .prop_map(|values| filter(3, "Protocol", &values));
    let state = vec(select(&["TCP_ESTABLISHED", "TCP_LISTEN", "2:7"]).prop_map(str::to_owned), 1..3)
        .prop_map(|values| filter(3, "State", &values));
    if more { prop_oneof![family, protocol, state].boxed() } else { family.boxed() }
}

/// Filters of the process, or none.
fn process() -> impl Strategy<Value = String> {
    let membership = || select(&["In", "NotIn"]);
    let pid = (
        membership(),
        vec(select(&[5, 6, 7, 40, 50]), 1..3),
        select(&[
            "",
            ", isNamespacePID: true",
            ", followForks: true",
            ", isNamespacePID: true, followForks: true",
        ]),
    )
        .prop_map(|(operator, values, option)| {
            format!("{{operator: {operator}, values: {values:?}{option}}}")
        });
    let binary = || {
        let values = || vec(select(&["/bin/sh", "/bin/sh2", "/bin", "/usr/bin/ls", "sh", "/"]), 1..3);
        prop_oneof![
            (membership(), values(), any::<bool>()).prop_map(|(operator, values, follow)| {
                format!("{{operator: {operator}, values: {values:?}, followChildren: {follow}}}")
            }),
            (select(&["Prefix", "NotPrefix", "Postfix", "NotPostfix"]), values())
                .prop_map(|(operator, values)| format!("{{operator: {operator}, values: {values:?}}}")),
        ]
    };
    // the recorded types leave `struct net` out
    let kinds = || {
        select(&["Uts", "Ipc", "Mnt", "Pid", "PidForChildren", "Time", "TimeForChildren", "Cgroup", "User"])
    };
    let numbers = prop_oneof![4 => vec("[1-4]|host_ns", 1..4), 1 => vec("[1-9]{1,2}|[1-4]", 30)];
    let namespace = (kinds(), membership(), numbers).prop_map(|(kind, operator, values)| {
        format!("{{namespace: {kind}, operator: {operator}, values: {values:?}}}")
    });
    let capability = || {
        let names = vec(select(&["CAP_CHOWN", "CAP_KILL", "CAP_SYSLOG", "CAP_BPF"]), 1..3);
        let sets = select(&["Effective", "Inheritable", "Permitted"]);
        (sets, membership(), any::<bool>(), names).prop_map(|(set, operator, below, values)| {
            format!(
                "{{type: {set}, operator: {operator}, isNamespaceCapability: {below}, values: {values:?}}}"
            )
        })
    };
    let namespace_change = (membership(), vec(kinds(), 1..4))
        .prop_map(|(operator, values)| format!("{{operator: {operator}, values: {values:?}}}"));
    let entries = |field: &'static str, often: u32, entry: BoxedStrategy<String>| {
        let some = vec(entry, 1..3).prop_map(move |entries| format!("{field}: [{}], ", entries.join(", ")));
        prop_oneof![often => Just(String::new()), 1 => some]
    };
    (
        entries("matchPIDs", 5, pid.boxed()),
        entries("matchBinaries", 5, binary().boxed()),
        entries("matchParentBinaries", 7, binary().boxed()),
        entries("matchNamespaces", 7, namespace.boxed()),
        entries("matchCapabilities", 7, capability().boxed()),
        entries("matchNamespaceChanges", 9, namespace_change.boxed()),
        entries("matchCapabilityChanges", 9, capability().boxed()),
    )
        .prop_map(|(a, b, c, d, e, f, g)| [a, b, c, d, e, f, g].concat())
}

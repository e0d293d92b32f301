//! What the values of each type are.

use tracing_policy::diagnostic::Code;
use tracing_policy::schema::ArgumentType;

/// What the values of a type are, as far as operators are concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A number in a register.
    Number { bits: u32, signed: bool },
    /// A set of capabilities behind a pointer.
    Set,
    /// Text behind a pointer.
    Text(Text),
    /// Something that has a path; whether its type can be tested.
    Path { typed: bool },
    /// Something of the network.
    Network(Net),
    /// Reported, and not testable.
    Closed,
    /// The type itself is refused at a kprobe.
    Refused(Code),
}

/// Texts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Text {
    /// Of any length.
    String,
    /// With a length of its own, in one piece or in several.
    Buffer,
    /// At most 15 bytes.
    Device,
    /// The name of a Unix socket: at most 107 bytes, no postfixes, and a family.
    Unix,
}

/// Things of the network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Net {
    /// Both ends, protocol, family, state.
    Socket,
    /// The same without a state.
    Packet,
    /// One end, family.
    Address,
}

/// What the values of a type are.
pub(crate) fn kind(ty: ArgumentType) -> Kind {
    let number = |bits, signed| Kind::Number { bits, signed };
    match ty {
        ArgumentType::Int8 => number(8, true),
        ArgumentType::Uint8 => number(8, false),
        ArgumentType::Int16 => number(16, true),
        ArgumentType::Uint16 => number(16, false),
        ArgumentType::Int | ArgumentType::Int32 | ArgumentType::BpfCmd => number(32, true),
        ArgumentType::Uint | ArgumentType::Uint32 => number(32, false),
        ArgumentType::Int64 | ArgumentType::Long => number(64, true),
        ArgumentType::Uint64 | ArgumentType::Ulong | ArgumentType::SizeT => number(64, false),
        ArgumentType::KernelCap
        | ArgumentType::CapInheritable
        | ArgumentType::CapPermitted
        | ArgumentType::CapEffective => Kind::Set,
        ArgumentType::String => Kind::Text(Text::String),
        ArgumentType::NetDevice => Kind::Text(Text::Device),
        ArgumentType::SockaddrUn => Kind::Text(Text::Unix),
        ArgumentType::File | ArgumentType::Path => Kind::Path { typed: true },
        ArgumentType::Fd | ArgumentType::Dentry | ArgumentType::LinuxBinprm => Kind::Path { typed: false },
        ArgumentType::Sock | ArgumentType::Socket => Kind::Network(Net::Socket),
        ArgumentType::Skb => Kind::Network(Net::Packet),
        ArgumentType::Sockaddr => Kind::Network(Net::Address),
        ArgumentType::Nop
        | ArgumentType::Filename
        | ArgumentType::Kiocb
        | ArgumentType::Capability
        | ArgumentType::Cred
        | ArgumentType::UserNamespace
        | ArgumentType::BpfAttr
        | ArgumentType::BpfProg
        | ArgumentType::BpfMap
        | ArgumentType::PerfEvent
        | ArgumentType::Module
        | ArgumentType::LoadInfo => Kind::Closed,
        ArgumentType::Auto | ArgumentType::Syscall64 | ArgumentType::DataLoc => {
            Kind::Refused(Code::ArgumentType)
        }
        ArgumentType::CharBuf | ArgumentType::CharIovec | ArgumentType::IovIter => Kind::Text(Text::Buffer),
    }
}

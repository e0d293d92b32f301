//! The rows of each operator.

use tracing_policy::diagnostic::Code;
use tracing_policy::schema::{ArgumentType, Operator};

use super::kind::{Kind, Net, Text, kind};
use super::{network, numbers, texts};
use crate::network::Socket;

/// What becomes of an operator with a type.
pub(crate) enum Pair {
    /// It is refused with this code.
    Refused(Code),
    /// It does this.
    Compiled(Vec<Row>),
}

/// Values and what they do. Of a negated operator what hits fails, and what misses passes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) values: Vec<String>,
    /// More values, which nothing hits: with them the list is long enough to be looked up.
    pub(crate) filler: Vec<String>,
    pub(crate) hit: Vec<Subject>,
    pub(crate) miss: Vec<Subject>,
    /// What passes neither the operator nor its negation.
    pub(crate) never: Vec<Subject>,
}

/// A value of an argument.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// A number, or the bits of a set.
    Number(i128),
    /// Two sets.
    Sets(u64, u64),
    /// A text, or a path.
    Text(&'static str),
    /// A file of this mode.
    Mode(u16),
    /// A file without a path: a pipe.
    Nameless,
    /// A socket, a packet from one, or its address.
    Socket(Socket),
    /// Nothing where a pointer points.
    Unreadable,
}

/// Whether an operator is the negation of another.
pub(crate) fn is_negated(operator: Operator) -> bool {
    match operator {
        Operator::NotEqual
        | Operator::NotPrefix
        | Operator::NotPostfix
        | Operator::NotSPort
        | Operator::NotSPortPriv
        | Operator::NotDPort
        | Operator::NotDPortPriv
        | Operator::NotSAddr
        | Operator::NotDAddr
        | Operator::NotInMap
        | Operator::NotInRange
        | Operator::NotFileType
        | Operator::NotIn => true,
        Operator::Equal
        | Operator::Prefix
        | Operator::Postfix
        | Operator::GreaterThan
        | Operator::LessThan
        | Operator::Mask
        | Operator::SPort
        | Operator::SPortPriv
        | Operator::DPort
        | Operator::DPortPriv
        | Operator::SAddr
        | Operator::DAddr
        | Operator::Protocol
        | Operator::Family
        | Operator::State
        | Operator::InMap
        | Operator::CapabilitiesGained
        | Operator::InRange
        | Operator::SubString
        | Operator::SubStringIgnCase
        | Operator::CelExpr
        | Operator::FileType
        | Operator::In => false,
    }
}

/// What becomes of a type with an operator.
pub(crate) fn rows(ty: ArgumentType, operator: Operator) -> Pair {
    let kind = kind(ty);
    match kind {
        Kind::Refused(code) => return Pair::Refused(code),
        Kind::Number { .. }
        | Kind::Set
        | Kind::Text(_)
        | Kind::Path { .. }
        | Kind::Network(_)
        | Kind::Closed => {}
    }
    let rows = match operator {
        Operator::Equal | Operator::NotEqual => match kind {
            Kind::Number { bits, signed } => numbers::equal(bits, signed),
            Kind::Set => [numbers::sets_equal(), numbers::of_sets(numbers::equal(64, false))].concat(),
            Kind::Text(text) => texts::equal(text),
            Kind::Path { .. } => texts::of_paths(texts::equal(Text::String)),
            Kind::Network(_) | Kind::Closed | Kind::Refused(_) => Vec::new(),
        },
        Operator::Prefix | Operator::NotPrefix => match kind {
            Kind::Text(text) => texts::prefix(text),
            Kind::Path { .. } => texts::of_paths(texts::prefix(Text::String)),
            Kind::Number { .. } | Kind::Set | Kind::Network(_) | Kind::Closed | Kind::Refused(_) => Vec::new(),
        },
        Operator::Postfix | Operator::NotPostfix => match kind {
            Kind::Text(Text::Unix) => Vec::new(),
            Kind::Text(text) => texts::postfix(text),
            Kind::Path { .. } => texts::of_paths(texts::postfix(Text::String)),
            Kind::Number { .. } | Kind::Set | Kind::Network(_) | Kind::Closed | Kind::Refused(_) => Vec::new(),
        },
        Operator::SubString | Operator::SubStringIgnCase => {
            let ignored = operator == Operator::SubStringIgnCase;
            match kind {
                Kind::Text(text) => texts::contains(text, ignored),
                Kind::Path { .. } => texts::of_paths(texts::contains(Text::String, ignored)),
                Kind::Number { .. } | Kind::Set | Kind::Network(_) | Kind::Closed | Kind::Refused(_) => {
                    Vec::new()
                }
            }
        }
        Operator::GreaterThan => of_numbers(kind, numbers::greater),
        Operator::LessThan => of_numbers(kind, numbers::less),
        Operator::Mask => of_numbers(kind, numbers::mask),
        Operator::InRange | Operator::NotInRange => of_numbers(kind, numbers::ranges),
        Operator::InMap | Operator::NotInMap => of_numbers(kind, numbers::keys),
        Operator::CapabilitiesGained if kind == Kind::Set => numbers::gained(),
        Operator::FileType | Operator::NotFileType if kind == (Kind::Path { typed: true }) => texts::file_types(),
        Operator::Family if kind == Kind::Text(Text::Unix) => network::unix_families(),
        Operator::SAddr | Operator::NotSAddr => network::of(kind, network::SOURCES, true),
        Operator::SPort | Operator::NotSPort => network::of(kind, network::SOURCE_PORTS, true),
        Operator::SPortPriv | Operator::NotSPortPriv => network::of(kind, network::SOURCE_PRIVILEGED, true),
        Operator::Family => network::of(kind, network::FAMILIES, true),
        Operator::DAddr | Operator::NotDAddr => network::of(kind, network::DESTINATIONS, false),
        Operator::DPort | Operator::NotDPort => network::of(kind, network::DESTINATION_PORTS, false),
        Operator::DPortPriv | Operator::NotDPortPriv => {
            network::of(kind, network::DESTINATION_PRIVILEGED, false)
        }
        Operator::Protocol => network::of(kind, network::PROTOCOLS, false),
        Operator::State if kind == Kind::Network(Net::Packet) => network::packet_states(),
        Operator::State => network::of(kind, network::STATES, false),
        // more of them has tests of its own; what stands for the values where it is refused is no expression
        Operator::CelExpr => match kind {
            Kind::Number { .. } => vec![Row {
                values: vec!["arg0 == 5".to_owned()],
                hit: vec![Subject::Number(5)],
                miss: vec![Subject::Number(6), Subject::Number(0)],
                ..Row::default()
            }],
            Kind::Set | Kind::Text(_) | Kind::Path { .. } | Kind::Network(_) | Kind::Closed | Kind::Refused(_) => {
                return Pair::Refused(Code::BadExpression);
            }
        },
        Operator::CapabilitiesGained
        | Operator::FileType
        | Operator::NotFileType
        // of binaries
        | Operator::In
        | Operator::NotIn => Vec::new(),
    };
    if rows.is_empty() { Pair::Refused(Code::OperatorMismatch) } else { Pair::Compiled(rows) }
}

fn of_numbers(kind: Kind, rows: fn(u32, bool) -> Vec<Row>) -> Vec<Row> {
    match kind {
        Kind::Number { bits, signed } => rows(bits, signed),
        Kind::Set => numbers::of_sets(rows(64, false)),
        Kind::Text(_) | Kind::Path { .. } | Kind::Network(_) | Kind::Closed | Kind::Refused(_) => Vec::new(),
    }
}

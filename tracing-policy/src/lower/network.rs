//! Sockets, packets and socket addresses.

use super::number::merge;
use crate::ir::{AddressTest, Check, Interval, NumberTest, ReadId, Subject};
use crate::policy::{ArgumentType, Family, NetworkField, NetworkTest, NetworkType, ObjectKind, Sense};

/// The test of something of the network.
pub(super) fn test(read: ReadId, ty: ArgumentType, test: &NetworkTest) -> Check {
    match test {
        NetworkTest::Address { end, sense, networks } => {
            let mut networks = networks.clone();
            networks.sort_unstable();
            networks.dedup();
            Check::Address(AddressTest { read, end: *end, sense: *sense, networks, table: None })
        }
        NetworkTest::Number { field: NetworkField::State, .. } if !has_state(ty) => {
            // nothing hits: what has no state passes no test of one
            numbers(read, NetworkField::Family, Sense::Plain, Vec::new())
        }
        NetworkTest::Number { field, sense, ranges } => {
            let interval =
                |range: &crate::policy::IntegerRange| Interval { min: range.min.get(), max: range.max.get() };
            numbers(read, *field, *sense, merge(ranges.iter().map(interval).collect()))
        }
    }
}

fn has_state(ty: ArgumentType) -> bool {
    matches!(ty.family(), Family::Object(ObjectKind::Network(NetworkType::Sock | NetworkType::Socket)))
}

fn numbers(read: ReadId, field: NetworkField, sense: Sense, intervals: Vec<Interval>) -> Check {
    let subject = Subject::Field(read, field);
    Check::Number(NumberTest { subject, signed: false, sense, intervals, mask: 0, table: None })
}

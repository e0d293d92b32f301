//! What the form means, plainly: the oracle for the emitted code.

use std::collections::BTreeMap;

use super::expression::ExpressionTest;
use super::filter::{AddressTest, BytesTest, Check, Leaf, NumberTest, Subject, Test};
use super::hook::{Hook, Selector};
use super::table::TableSubject;
use super::{ReadId, TableBit};
use crate::policy::{AF_UNIX, Integer, Kin, Known, NetworkField, NetworkSubject, Sense, StringForm};

/// An argument's value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// A number, extended by its type.
    Number(i128),
    /// A path or string.
    Bytes(Vec<u8>),
    /// Something of the network.
    Network(NetworkSubject),
    /// Not readable.
    Error,
}

/// One call as the hook sees it.
#[derive(Clone, Debug)]
pub struct Call {
    /// One a read.
    pub values: Vec<Value>,
    /// Modes of files, one a read; 0 where there is none.
    pub modes: Vec<u16>,
    /// Thread group id for the host.
    pub host_pid: u32,
    /// Thread group id in the process's own namespace.
    pub own_pid: u32,
    /// What is looked at of the thread: namespaces and capabilities. What is not there counts as zero.
    pub task: BTreeMap<Subject, u64>,
    /// Classes that the process is in; `None` when the kernel side does not know it.
    pub classes: Option<Vec<u32>>,
    /// Classes that its parent is in; `None` when the parent is gone or not known.
    pub parent_classes: Option<Vec<u32>>,
    /// Classes of the workload that it belongs to.
    pub workload_classes: Vec<u32>,
    /// Policies in monitor mode, by number.
    pub monitored: Vec<u32>,
}

impl Hook {
    /// For each rider, the selector that acts.
    pub fn evaluate(&self, call: &Call) -> Vec<Option<&Selector>> {
        let matches = |policy: u32, selector: &&Selector| {
            selector.tests.iter().all(|test| self.passes(test, policy, call))
        };
        let rider = |rider: &'_ super::Rider| rider.policy_number;
        self.riders
            .iter()
            .map(|it| it.selectors.iter().find(|selector| matches(rider(it), selector)))
            .collect()
    }

    fn passes(&self, test: &Test, policy: u32, call: &Call) -> bool {
        self.holds(&test.check, policy, call)
    }

    fn holds(&self, check: &Check, policy: u32, call: &Call) -> bool {
        match check {
            Check::Enforcing => !call.monitored.contains(&policy),
            Check::Class { number, of, sense, unknown_passes } => {
                let classes = match of {
                    Kin::Process => call.classes.as_ref(),
                    Kin::Parent => call.parent_classes.as_ref(),
                    Kin::Workload => Some(&call.workload_classes),
                };
                let passes = |classes: &Vec<u32>| classes.contains(number) == (*sense == Sense::Plain);
                classes.map_or(*unknown_passes, passes)
            }
            Check::Number(test) => self.number(test, call),
            Check::Leaf { read, leaves } => leaf(read.index(), leaves, call),
            Check::Bytes(test) => self.bytes(test, call),
            Check::FileType { read, test } => {
                call.modes.get(read.index()).is_some_and(|mode| test.matches(*mode))
            }
            Check::Gained { before, after } => {
                let set = |read: &ReadId| match call.values.get(read.index()) {
                    Some(Value::Number(number)) => Some(*number),
                    Some(Value::Bytes(_) | Value::Error | Value::Network(_)) | None => None,
                };
                let (before, after) = (set(before), set(after));
                before.zip(after).is_some_and(|(before, after)| after & !before != 0)
            }
            Check::Contains(test) => bytes(test.read, call, &self.reads)
                .is_some_and(|subject| test.values.iter().any(|value| test.case.contains(subject, value))),
            Check::Readable(read) => !matches!(call.values.get(read.index()), Some(Value::Error) | None),
            Check::Address(test) => self.address(test, call),
            // the form of a return is about a call that entered
            Check::Entered { .. } => true,
            Check::Expression(test) => self.expression(test, policy, call),
        }
    }

    fn number(&self, test: &NumberTest, call: &Call) -> bool {
        let number = match test.subject {
            Subject::HostPid => i128::from(call.host_pid),
            Subject::OwnPid => i128::from(call.own_pid),
            Subject::Namespace(_)
            | Subject::Capabilities(_)
            | Subject::NamespacesChanged
            | Subject::CapabilitiesChanged(_) => call.task.get(&test.subject).copied().unwrap_or(0).into(),
            Subject::Read(read) => match call.values.get(read.index()) {
                Some(Value::Number(number)) => *number,
                Some(Value::Bytes(_) | Value::Error | Value::Network(_)) | None => return false,
            },
            Subject::Field(read, field) => match described(read, field, call) {
                Some(number) => i128::from(number),
                None => return false,
            },
        };
        let within = |interval: &super::Interval| interval.min <= number && number <= interval.max;
        let hit = test.intervals.iter().any(within)
            || (test.mask != 0 && i128::from(test.mask) & number != 0)
            || test.table.is_some_and(|bit| match self.table(bit) {
                Some(TableSubject::Number { intervals, .. }) => {
                    intervals.get(&bit.bit).is_some_and(|intervals| intervals.iter().any(within))
                }
                Some(TableSubject::Bytes { .. } | TableSubject::Address { .. }) | None => false,
            });
        hit == (test.sense == Sense::Plain)
    }

    fn bytes(&self, test: &BytesTest, call: &Call) -> bool {
        let Some(subject) = bytes(test.read, call, &self.reads) else {
            return false;
        };
        let fits = |value: &[u8]| match test.form {
            StringForm::Exact => subject == value,
            StringForm::Prefix => subject.starts_with(value),
            StringForm::Postfix => subject.ends_with(value),
        };
        let hit = test.values.iter().any(|value| fits(value))
            || test.table.is_some_and(|bit| match self.table(bit) {
                Some(TableSubject::Bytes { values, .. }) => {
                    values.iter().any(|(value, bits)| bits.contains(&bit.bit) && fits(value))
                }
                Some(TableSubject::Number { .. } | TableSubject::Address { .. }) | None => false,
            });
        hit == (test.sense == Sense::Plain)
    }

    fn address(&self, test: &AddressTest, call: &Call) -> bool {
        let Some(Value::Network(subject)) = call.values.get(test.read.index()) else { return false };
        let Some(address) = subject.address(test.end) else { return false };
        let family = subject.endpoints.family;
        let hit = test.networks.iter().any(|network| network.contains(family, address))
            || test.table.is_some_and(|bit| match self.table(bit) {
                Some(TableSubject::Address { networks, .. }) => networks
                    .iter()
                    .any(|(network, bits)| bits.contains(&bit.bit) && network.contains(family, address)),
                Some(TableSubject::Bytes { .. } | TableSubject::Number { .. }) | None => false,
            });
        hit == (test.sense == Sense::Plain)
    }

    fn expression(&self, test: &ExpressionTest, policy: u32, call: &Call) -> bool {
        let readable = |read: &ReadId| match call.values.get(read.index()) {
            Some(Value::Number(_)) => true,
            Some(Value::Bytes(_)) => bytes(*read, call, &self.reads).is_some(),
            Some(Value::Error | Value::Network(_)) | None => false,
        };
        let leaves = Leaves { hook: self, test, policy, call };
        test.reads.iter().all(readable) && test.condition.holds(&leaves)
    }

    fn table(&self, bit: TableBit) -> Option<&TableSubject> {
        self.tables.get(bit.table.index()).map(|table| &table.subject)
    }
}

/// What the leaves of an expression are in a call; all its arguments are readable.
struct Leaves<'a> {
    hook: &'a Hook,
    test: &'a ExpressionTest,
    policy: u32,
    call: &'a Call,
}

impl Known<usize, ReadId> for Leaves<'_> {
    fn passes(&self, atom: &usize) -> bool {
        self.test.atoms.get(*atom).is_some_and(|check| self.hook.holds(check, self.policy, self.call))
    }

    fn number(&self, read: &ReadId) -> u64 {
        match self.call.values.get(read.index()) {
            Some(Value::Number(number)) => Integer::new(*number).register(),
            Some(Value::Bytes(_) | Value::Error | Value::Network(_)) | None => 0,
        }
    }

    fn size(&self, read: &ReadId) -> u64 {
        let bytes = bytes(*read, self.call, &self.hook.reads).map_or(0, <[u8]>::len);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// A number that describes something of the network; a path of a socket is known of Unix sockets only.
fn described(read: ReadId, field: NetworkField, call: &Call) -> Option<u16> {
    match call.values.get(read.index())? {
        Value::Network(subject) => subject.number(field),
        Value::Bytes(_) if field == NetworkField::Family => Some(AF_UNIX),
        Value::Bytes(_) | Value::Number(_) | Value::Error => None,
    }
}

/// What is testable of an argument: an object without a path has none, an empty string is one.
fn bytes<'a>(read: ReadId, call: &'a Call, reads: &[super::Read]) -> Option<&'a [u8]> {
    let is_path = reads.get(read.index())?.ty.is_path();
    match call.values.get(read.index())? {
        Value::Bytes(bytes) if is_path && bytes.is_empty() => None,
        Value::Bytes(bytes) => Some(bytes),
        Value::Number(_) | Value::Error | Value::Network(_) => None,
    }
}

fn leaf(read: usize, leaves: &[Leaf], call: &Call) -> bool {
    let Some(Value::Bytes(path)) = call.values.get(read) else {
        return true;
    };
    let Some(at) = path.iter().rposition(|&byte| byte == b'/') else {
        return true;
    };
    let component = path.get(at + 1..).unwrap_or_default();
    if component.is_empty() {
        return true;
    }
    leaves.iter().any(|leaf| match leaf {
        Leaf::Whole(whole) => component == whole,
        Leaf::End(end) => component.ends_with(end),
    })
}

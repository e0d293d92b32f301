//! The stage: reads, tests and actions of all riders.

use std::collections::BTreeMap;

use super::{leaf, search, selector, table};
use crate::Rider;
use crate::ir::{self, PathId, Read, ReadId};
use crate::policy::{
    Argument, ArgumentFilter, ArgumentId, ArgumentType, Attachment, Family, ObjectKind, Selector, ValuePath,
};
use bpf_probes::spec::AttachSpec;

/// What a program is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// It reports, counts and signals.
    Report,
    /// It denies and does nothing else.
    Deny,
    /// It looks at what calls returned, and reports, counts and signals.
    Return,
}

/// Where riders' arguments are among the hook's reads.
pub(crate) struct Reads {
    list: Vec<Read>,
    paths: Vec<ValuePath>,
}

impl Reads {
    /// The distinct arguments that `riders` need, the cheapest to read first.
    fn of(riders: &[Rider<'_>], purpose: Purpose) -> Self {
        let mut list: Vec<Read> = Vec::new();
        let mut paths: Vec<ValuePath> = Vec::new();
        for rider in riders {
            let arguments = match purpose {
                Purpose::Report | Purpose::Deny => rider.hook.arguments.as_slice(),
                Purpose::Return => rider.hook.returned.as_slice(),
            };
            for (position, argument) in arguments.iter().enumerate() {
                if let Some(path) = argument.path.as_ref().filter(|path| !paths.contains(path)) {
                    paths.push(path.clone());
                }
                let Some(read) = read(argument, &paths) else { continue };
                let needed = purpose != Purpose::Deny
                    || read.ty == ArgumentType::Fd
                    || tests(&rider.hook.selectors, position);
                if needed && read.ty != ArgumentType::Nop && !list.contains(&read) {
                    list.push(read);
                }
            }
        }
        list.sort_by_key(|read| (cost(read.ty), read.index));
        Self { list, paths }
    }

    fn find(&self, argument: &Argument) -> Option<ReadId> {
        let read = read(argument, &self.paths)?;
        let index = self.list.iter().position(|known| *known == read)?;
        u16::try_from(index).ok().map(ReadId)
    }

    /// The read of a rider's argument.
    pub(crate) fn of_argument(&self, rider: &Rider<'_>, id: ArgumentId) -> Option<ReadId> {
        rider.hook.arguments.get(id.index()).and_then(|argument| self.find(argument))
    }

    /// The read of what a rider's call returned.
    pub(crate) fn of_return(&self, rider: &Rider<'_>) -> Option<ReadId> {
        rider.hook.returned.as_ref().and_then(|argument| self.find(argument))
    }

    /// The reads of a rider's file descriptors.
    pub(crate) fn descriptors(&self, rider: &Rider<'_>) -> Vec<ReadId> {
        let all = rider.hook.arguments.iter();
        all.filter(|it| it.ty.value == ArgumentType::Fd).filter_map(|it| self.find(it)).collect()
    }

    pub(crate) fn get(&self, id: ReadId) -> Option<Read> {
        self.list.get(id.index()).copied()
    }
}

fn read(argument: &Argument, paths: &[ValuePath]) -> Option<Read> {
    let path = match &argument.path {
        None => None,
        Some(path) => {
            let known = paths.iter().position(|known| known == path)?;
            Some(PathId(u16::try_from(known).ok()?))
        }
    };
    Some(Read {
        index: argument.index.value,
        ty: argument.ty.value,
        place: argument.place,
        path,
        size: argument.size,
        max_data: argument.max_data,
        is_syscall: argument.is_syscall,
    })
}

/// Registers, then one string to copy, then a path to form; last what only records need.
fn cost(ty: ArgumentType) -> u8 {
    match ty.family() {
        Family::Number(_) | Family::Nothing => 0,
        Family::String | Family::Object(ObjectKind::Network(_)) => 1,
        Family::Path => 2,
        Family::Object(_) => 3,
    }
}

fn tests(selectors: &[Selector], position: usize) -> bool {
    let Some(id) = ArgumentId::new(position) else { return false };
    selectors.iter().flat_map(|selector| &selector.arguments).any(|filter: &ArgumentFilter| filter.tests(id))
}

/// The program of one hook for `riders`.
pub fn hook(riders: &[Rider<'_>], purpose: Purpose) -> ir::Hook {
    let reads = Reads::of(riders, purpose);
    let mut places = ir::SourceMap::default();
    let mut lowered = Vec::with_capacity(riders.len());
    for (number, rider) in riders.iter().enumerate() {
        let values = match purpose {
            Purpose::Report => rider.hook.arguments.iter().filter_map(|it| reads.find(it)).collect(),
            Purpose::Deny => Vec::new(),
            Purpose::Return => rider.hook.returned.iter().filter_map(|it| reads.find(it)).collect(),
        };
        let selectors = selector::selectors(rider, number, purpose, &reads, &mut places);
        lowered.push(ir::Rider {
            policy_number: rider.policy_number,
            layout_number: rider.layout_number,
            first_selector: rider.first_selector,
            values,
            returns: rider.hook.returned.is_some(),
            selectors,
        });
    }
    for selector in lowered.iter_mut().flat_map(|rider| &mut rider.selectors) {
        leaf::add(selector, &reads);
    }
    let tables = table::extract(&mut lowered, &reads);
    let searches = search::extract(&mut lowered);
    for selector in lowered.iter_mut().flat_map(|rider| &mut rider.selectors) {
        selector.tests.sort_by_key(|test| order(&test.check));
    }
    let convention =
        riders.first().map_or(crate::policy::Convention::Function, |rider| rider.hook.key.convention);
    let members = riders.first().map(members).unwrap_or_default();
    ir::Hook {
        convention,
        reads: reads.list,
        paths: reads.paths,
        tables,
        searches,
        riders: lowered,
        places,
        members,
    }
}

/// How the places of a hook are told apart.
fn members(rider: &Rider<'_>) -> ir::Members {
    let is_multi = |attachment: &Attachment| matches!(attachment.target, AttachSpec::KprobeMulti { .. });
    let hook = rider.hook;
    if hook.members.is_empty() {
        ir::Members::One
    } else if hook.attachments.iter().any(is_multi) {
        ir::Members::Cookie
    } else {
        ir::Members::Syscalls(hook.members.iter().map(|member| member.number.unwrap_or(u32::MAX)).collect())
    }
}

/// Rank of a test: what it costs, arguments in the order of their reads.
fn order(check: &ir::Check) -> (u8, u16) {
    match check {
        ir::Check::Enforcing => (0, 0),
        ir::Check::Class { .. } => (1, 0),
        ir::Check::Entered { .. } => (0, 0),
        ir::Check::Number(ir::NumberTest { subject: ir::Subject::Field(read, _), .. }) => (5, 4 * read.0 + 3),
        ir::Check::Address(test) => (5, 4 * test.read.0 + 3),
        ir::Check::Number(test) if test.subject.is_of_task() => (4, u16::from(test.table.is_some())),
        ir::Check::Number(test) if test.table.is_none() => (2, 0),
        ir::Check::Number(_) => (3, 0),
        ir::Check::Gained { .. } => (3, 0),
        ir::Check::FileType { read, .. } => (5, 4 * read.0),
        ir::Check::Leaf { read, .. } => (5, 4 * read.0 + 1),
        ir::Check::Readable(read) => (5, 4 * read.0 + 2),
        ir::Check::Bytes(test) => (5, 4 * test.read.0 + 3),
        ir::Check::Contains(test) => (5, 4 * test.read.0 + 3),
        ir::Check::Expression(test) => test.last.map_or((3, 1), |last| (5, 4 * last.0 + 3)),
    }
}

/// A filter's place: rider, selector, test, and within an expression its position there.
pub(crate) type FilterPlace = (usize, usize, usize, Option<usize>);

/// Groups filters by what they look at.
pub(crate) type Groups<K> = BTreeMap<K, Vec<FilterPlace>>;

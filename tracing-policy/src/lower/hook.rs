//! The stage: reads, tests and actions of all riders.

use std::collections::BTreeMap;

use super::{leaf, search, selector, table};
use crate::Rider;
use crate::ir::{self, PathId, Read, ReadId};
use crate::policy::{
    Argument, ArgumentFilter, ArgumentId, ArgumentType, Attachment, BufferSize, Family, IntegerType,
    ObjectKind, Place, ResolvedHook, Selector, ValuePath,
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
    /// It asks for the hash of a file where a report will carry it.
    Ask,
}

impl Purpose {
    /// Whether its programs filter and report nothing.
    pub fn only_filters(self) -> bool {
        matches!(self, Self::Deny | Self::Ask)
    }
}

/// Where riders' arguments are among the hook's reads.
pub(crate) struct Reads {
    purpose: Purpose,
    list: Vec<Read>,
    paths: Vec<ValuePath>,
}

impl Reads {
    /// The distinct arguments that `riders` need, the cheapest to read first.
    fn of(riders: &[Rider<'_>], purpose: Purpose) -> Self {
        let mut list: Vec<Read> = Vec::new();
        let mut paths: Vec<ValuePath> = Vec::new();
        for rider in riders {
            if let Some(size) = size_of_returned(rider.hook, purpose).filter(|read| !list.contains(read)) {
                list.push(size);
            }
            for (position, argument) in arguments(rider.hook, purpose) {
                if let Some(path) = argument.path.as_ref().filter(|path| !paths.contains(path)) {
                    paths.push(path.clone());
                }
                let tested = argument.ty.value == ArgumentType::Fd || tests(&rider.hook.selectors, position);
                let reads = read(argument, purpose, &paths).into_iter().chain(count(argument, purpose));
                for read in reads.filter(|_| !purpose.only_filters() || tested) {
                    if read.ty != ArgumentType::Nop && !list.contains(&read) {
                        list.push(read);
                    }
                }
            }
        }
        list.sort_by_key(|read| (cost(read.ty), read.index));
        Self { purpose, list, paths }
    }

    fn find(&self, argument: &Argument) -> Option<ReadId> {
        self.position(read(argument, self.purpose, &self.paths)?)
    }

    fn position(&self, read: Read) -> Option<ReadId> {
        let index = self.list.iter().position(|known| *known == read)?;
        u16::try_from(index).ok().map(ReadId)
    }

    /// The read of a rider's argument; at a return that is what the call returned.
    pub(crate) fn of_argument(&self, rider: &Rider<'_>, id: ArgumentId) -> Option<ReadId> {
        let arguments = match self.purpose {
            Purpose::Report | Purpose::Deny | Purpose::Ask => rider.hook.arguments.as_slice(),
            Purpose::Return => rider.hook.returned.as_slice(),
        };
        arguments.get(id.index()).and_then(|argument| self.find(argument))
    }

    /// What a rider's records carry, in their order.
    fn values(&self, rider: &Rider<'_>) -> Vec<ReadId> {
        let all = arguments(rider.hook, self.purpose).map(|(_, argument)| argument);
        let reported = all.filter(|it| match self.purpose {
            Purpose::Report => it.at_return.is_none(),
            Purpose::Deny | Purpose::Ask => false,
            Purpose::Return => true,
        });
        reported.filter_map(|it| self.find(it)).collect()
    }

    /// A rider's buffers that are read when the call returns.
    fn left(&self, rider: &Rider<'_>) -> Vec<ir::Left> {
        let all = rider.hook.arguments.iter().filter(|it| it.at_return.is_some());
        let left = |argument: &Argument| {
            let count = count(argument, self.purpose).and_then(|count| self.position(count));
            Some(ir::Left { read: self.find(argument)?, count })
        };
        all.filter_map(left).collect()
    }

    /// Where the size of what a rider's call returns is known at the entry: the number there, the buffer at the return.
    fn returned_size(&self, rider: &Rider<'_>) -> Option<ReadId> {
        if self.purpose != Purpose::Return {
            return self.position(size_of_returned(rider.hook, self.purpose)?);
        }
        let returned = rider.hook.returned.as_ref()?;
        number_of(returned.size).and_then(|_| self.find(returned))
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

/// What a program for this purpose looks at, with its position in `args` where it is of the entry.
fn arguments(hook: &ResolvedHook, purpose: Purpose) -> impl Iterator<Item = (usize, &Argument)> {
    let is_return = purpose == Purpose::Return;
    let returned = hook.returned.iter().filter(move |_| is_return).map(|argument| (0, argument));
    let all = hook.arguments.iter().enumerate();
    returned.chain(all.filter(move |(_, argument)| !is_return || argument.at_return.is_some()))
}

/// How an argument is read: of a buffer that the call fills its address at the entry, the bytes at the return.
fn read(argument: &Argument, purpose: Purpose, paths: &[ValuePath]) -> Option<Read> {
    let path = match &argument.path {
        None => None,
        Some(path) => {
            let known = paths.iter().position(|known| known == path)?;
            Some(PathId(u16::try_from(known).ok()?))
        }
    };
    let read = Read {
        index: argument.index.value,
        ty: argument.ty.value,
        place: argument.place,
        path,
        size: argument.size,
        max_data: argument.max_data,
        at_return: None,
        is_syscall: argument.is_syscall,
    };
    Some(match (argument.at_return, purpose) {
        (None, _) => read,
        (at_return, Purpose::Return) => {
            Read { place: Place::Left { is_data: argument.is_data }, at_return, ..read }
        }
        (Some(_), Purpose::Report | Purpose::Deny | Purpose::Ask) => {
            Read { ty: ArgumentType::Integer(IntegerType::ADDRESS), size: None, ..read }
        }
    })
}

/// The number of pieces of a buffer that the call fills, at the entry.
fn count(argument: &Argument, purpose: Purpose) -> Option<Read> {
    let (Some(_), Purpose::Report) = (argument.at_return, purpose) else { return None };
    number_of(argument.size)
}

/// The size of a buffer that the call returns, at the entry.
fn size_of_returned(hook: &ResolvedHook, purpose: Purpose) -> Option<Read> {
    let returned = hook.returned.as_ref().filter(|_| purpose == Purpose::Report)?;
    number_of(returned.size)
}

/// The parameter in which the size of a buffer is, as a number.
fn number_of(size: Option<BufferSize>) -> Option<Read> {
    let Some(BufferSize::Parameter { index, bits, signed }) = size else { return None };
    Some(Read {
        index,
        ty: ArgumentType::Integer(IntegerType::of_bits(bits, signed)),
        place: Place::Parameter,
        path: None,
        size: None,
        max_data: false,
        at_return: None,
        is_syscall: false,
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
        let selectors = selector::selectors(rider, number, purpose, &reads, &mut places);
        lowered.push(ir::Rider {
            policy_number: rider.policy_number,
            layout_number: rider.layout_number,
            first_selector: rider.first_selector,
            values: reads.values(rider),
            returns: rider.hook.returns(),
            left: reads.left(rider),
            returned_size: reads.returned_size(rider),
            on_return: rider.hook.on_return,
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
    let is_multi = |attachment: &Attachment| {
        matches!(attachment.target, AttachSpec::KprobeMulti { .. } | AttachSpec::UprobeMulti { .. })
    };
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

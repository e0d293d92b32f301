//! The stage: reads, tests and actions of all riders.

use std::collections::BTreeMap;

use super::{leaf, selector, table};
use crate::Rider;
use crate::ir::{self, Read, ReadId};
use crate::policy::{Argument, ArgumentFilter, ArgumentId, ArgumentType, Selector};

/// What a program is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// It reports, counts and signals.
    Report,
    /// It denies and does nothing else.
    Deny,
}

/// Where riders' arguments are among the hook's reads.
pub(crate) struct Reads {
    list: Vec<Read>,
}

impl Reads {
    /// The distinct arguments that `riders` need, the cheapest to read first.
    fn of(riders: &[Rider<'_>], purpose: Purpose) -> Self {
        let mut list: Vec<Read> = Vec::new();
        for rider in riders {
            for (position, argument) in rider.hook.arguments.iter().enumerate() {
                let read = read(argument);
                let needed = purpose == Purpose::Report || tests(&rider.hook.selectors, position);
                if needed && !list.contains(&read) {
                    list.push(read);
                }
            }
        }
        list.sort_by_key(|read| (cost(read.ty), read.index));
        Self { list }
    }

    fn find(&self, argument: &Argument) -> Option<ReadId> {
        let read = read(argument);
        let index = self.list.iter().position(|known| *known == read)?;
        u16::try_from(index).ok().map(ReadId)
    }

    /// The read of a rider's argument.
    pub(crate) fn of_argument(&self, rider: &Rider<'_>, id: ArgumentId) -> Option<ReadId> {
        rider.hook.arguments.get(id.index()).and_then(|argument| self.find(argument))
    }

    pub(crate) fn get(&self, id: ReadId) -> Option<Read> {
        self.list.get(id.index()).copied()
    }
}

fn read(argument: &Argument) -> Read {
    Read { index: argument.index.value, ty: argument.ty.value }
}

/// Registers, then one string to copy, then a path to form.
fn cost(ty: ArgumentType) -> u8 {
    match ty {
        ArgumentType::Integer(_) => 0,
        ArgumentType::String => 1,
        ArgumentType::File | ArgumentType::Path => 2,
        ArgumentType::Network(_) | ArgumentType::SockaddrUn => 1,
    }
}

fn tests(selectors: &[Selector], position: usize) -> bool {
    let filters = selectors.iter().flat_map(|selector| &selector.arguments);
    filters.map(ArgumentFilter::argument).any(|id| id.index() == position)
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
        };
        let selectors = selector::selectors(rider, number, purpose, &reads, &mut places);
        lowered.push(ir::Rider {
            policy_number: rider.policy_number,
            layout_number: rider.layout_number,
            first_selector: rider.first_selector,
            values,
            selectors,
        });
    }
    for selector in lowered.iter_mut().flat_map(|rider| &mut rider.selectors) {
        leaf::add(selector, &reads);
    }
    let tables = table::extract(&mut lowered);
    for selector in lowered.iter_mut().flat_map(|rider| &mut rider.selectors) {
        selector.tests.sort_by_key(|test| order(&test.check));
    }
    let convention =
        riders.first().map_or(crate::policy::Convention::Function, |rider| rider.hook.key.convention);
    ir::Hook { convention, reads: reads.list, tables, riders: lowered, places }
}

/// Rank of a test: what it costs, arguments in the order of their reads.
fn order(check: &ir::Check) -> (u8, u16) {
    match check {
        ir::Check::Enforcing => (0, 0),
        ir::Check::Class { .. } => (1, 0),
        ir::Check::Number(ir::NumberTest { subject: ir::Subject::Field(read, _), .. }) => (4, 2 * read.0 + 1),
        ir::Check::Address(test) => (4, 2 * test.read.0 + 1),
        ir::Check::Number(test) if test.table.is_none() => (2, 0),
        ir::Check::Number(_) => (3, 0),
        ir::Check::Leaf { read, .. } => (4, 2 * read.0),
        ir::Check::Bytes(test) => (4, 2 * test.read.0 + 1),
    }
}

/// Groups filters by what they look at.
pub(crate) type Groups<K> = BTreeMap<K, Vec<(usize, usize, usize)>>;

//! Look-ups that answer many filters at once.
//!
//! Exact values lie in hash maps, one for each size of key, padded with zeros; prefixes in a trie; postfixes in a trie of reversed values; numbers in a trie of
//! eight bytes, each interval cut into the blocks that begin alike. An entry's value has one bit a filter. The tries find the longest entry only, so each entry
//! has the bits of all that it begins with.

use std::collections::{BTreeMap, BTreeSet};

use Register::{R0, R1, R2, R6, R7, R10};
use bpf_probes::asm::Prototype;
use bpf_probes::builder::{BuildError, Function, Program};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size, alu};
use bpf_probes::routine::layout::{PATH_END, PATH_START};
use bpf_probes::spec::{Entry, MapKind, MapSpec, flag};

use super::memory::{address, load, store, store_imm};
use super::number::sortable;
use super::program::Emitter;
use crate::ir::{Interval, ReadId, Subject, Table, TableSubject};
use crate::policy::{Family, StringForm};

/// Sizes of exact keys.
const EXACT_KEYS: [usize; 4] = [32, 64, 128, 256];
/// Bytes behind the longest string that may be part of a key.
const PADDING: u32 = 256;

type Bits = BTreeSet<u32>;

impl Emitter<'_> {
    /// The maps of all tables.
    pub(super) fn table_maps(&self) -> Vec<MapSpec> {
        self.hook.tables.iter().enumerate().flat_map(|(index, table)| maps(index, table)).collect()
    }

    /// Zero bytes that must follow a string in its area.
    pub(super) fn string_padding(&self, id: ReadId) -> u32 {
        let is_key = self.hook.tables.iter().any(|table| {
            matches!(&table.subject, TableSubject::Bytes { read, form: StringForm::Exact, .. } if *read == id)
        });
        if is_key { PADDING } else { 8 }
    }

    /// Looks up the numbers that are known before any memory is read, or those of the thread.
    pub(super) fn look_up_numbers(&self, f: &mut Function<'_>, of_task: bool) -> Result<(), BuildError> {
        for (index, table) in self.hook.tables.iter().enumerate() {
            if let TableSubject::Number { subject, signed, .. } = table.subject
                && subject.is_of_task() == of_task
                && !matches!(subject, Subject::Field(..))
            {
                self.look_up_number(f, index, table, subject, signed)?;
            }
        }
        Ok(())
    }

    pub(super) fn look_up_number(
        &self,
        f: &mut Function<'_>,
        index: usize,
        table: &Table,
        subject: Subject,
        signed: bool,
    ) -> Result<(), BuildError> {
        let none = f.label();
        self.clear(f, index, table)?;
        f.scope(|f| {
            let key = f.slot(16)?;
            self.subject(f, subject)?;
            sortable(f, signed);
            f.store_imm(Size::Word, R10, key.at(4), 64);
            f.store(Size::Double, R10, key.at(8), R1);
            f.copy(R2, R10);
            f.alu(AluOp::Add, R2, i32::from(key.at(4)));
            f.assembler().load_map(R1, &name(index));
            f.call(Helper::MapLookupElem);
            f.jump_if(Condition::Eq, R0, 0, none);
            self.note(f, index, table)?;
            f.bind(none);
            Ok(())
        })
    }

    /// Looks up what was read of an argument; for a path after [`Emitter::locate`].
    pub(super) fn look_up_bytes(&self, f: &mut Function<'_>, id: ReadId) -> Result<(), BuildError> {
        for (index, table) in self.hook.tables.iter().enumerate() {
            match &table.subject {
                TableSubject::Bytes { read, form, values } if *read == id => {
                    self.look_up_form(f, index, table, id, *form, values)?;
                }
                TableSubject::Bytes { .. } | TableSubject::Number { .. } | TableSubject::Address { .. } => {}
            }
        }
        Ok(())
    }

    fn look_up_form(
        &self,
        f: &mut Function<'_>,
        index: usize,
        table: &Table,
        id: ReadId,
        form: StringForm,
        values: &BTreeMap<Vec<u8>, Bits>,
    ) -> Result<(), BuildError> {
        let Some(bytes) = self.state().bytes(id) else { return Ok(()) };
        let (none, found) = (f.label(), f.label());
        f.comment("many values at once");
        self.clear(f, index, table)?;
        load(f, Size::Word, R1, bytes.testable)?;
        f.jump_if(Condition::Eq, R1, 0, none);
        match form {
            StringForm::Exact => {
                for size in EXACT_KEYS {
                    if !values.keys().any(|value| exact_key(value.len()) == Some(size)) {
                        continue;
                    }
                    let larger = f.label();
                    load(f, Size::Word, R1, bytes.header)?;
                    f.jump_if(Condition::Gt, R1, i32::try_from(size).unwrap_or(0), larger);
                    self.subject_address(f, R2, id, 0);
                    f.assembler().load_map(R1, &exact_name(index, size));
                    f.call(Helper::MapLookupElem);
                    f.jump_if(Condition::Eq, R0, 0, none);
                    f.jump(found);
                    f.bind(larger);
                }
                f.load(Size::Byte, R1, R6, 0);
                super::number::always(f, none);
            }
            StringForm::Prefix => {
                load(f, Size::Word, R1, bytes.header)?;
                limit(f, longest(values));
                self.subject_address(f, R2, id, 4);
                f.store(Size::Word, R2, 0, R1);
                f.assembler().load_map(R1, &name(index));
                f.call(Helper::MapLookupElem);
                f.jump_if(Condition::Eq, R0, 0, none);
            }
            StringForm::Postfix => {
                let area = self.memory.areas[bytes.area];
                load(f, Size::Word, R2, bytes.header)?;
                match self.hook.read(id).ty.family() {
                    Family::String => {
                        f.jump_if(Condition::Gt, R2, (PATH_END - PATH_START).cast_signed(), none);
                        f.copy(R1, R6);
                        f.alu_reg(AluOp::Add, R1, R2);
                        f.alu(AluOp::Add, R1, (area + PATH_START).cast_signed());
                    }
                    Family::Path | Family::Number(_) | Family::Object(_) | Family::Nothing => {
                        address(f, R1, area + PATH_END);
                    }
                }
                f.call_subprogram(&name(index));
                f.jump_if(Condition::Eq, R0, 0, none);
            }
        }
        f.bind(found);
        self.note(f, index, table)?;
        f.bind(none);
        Ok(())
    }

    /// The subprograms that look up reversed ends.
    pub(super) fn add_look_ups(&self, program: &mut Program) -> Result<(), BuildError> {
        for (index, table) in self.hook.tables.iter().enumerate() {
            if let TableSubject::Bytes { form: StringForm::Postfix, values, .. } = &table.subject {
                program.add(self.look_up_end(&name(index), longest(values))?);
            }
        }
        Ok(())
    }

    /// `look_up(end, length) -> answer or null`: the bytes before `end`, last one first.
    fn look_up_end(&self, map: &str, longest: usize) -> Result<bpf_probes::asm::Subprogram, BuildError> {
        let mut f = Function::new(map, Prototype::Static { arguments: 2 }, self.facts).with_frame(160);
        let bytes = u32::try_from(longest).unwrap_or(0);
        let key = f.slot(bytes + 8)?;
        f.copy(R7, R1);
        f.copy(R1, R2);
        limit(&mut f, longest);
        f.store(Size::Word, R10, key.at(4), R1);
        for word in 0..bytes / 8 {
            let back = f.offset(8 * (word + 1))?;
            f.load(Size::Double, R1, R7, -back);
            f.emit(alu::to_big_endian(R1, 64));
            f.store(Size::Double, R10, key.at(8 + 8 * word), R1);
        }
        f.copy(R2, R10);
        f.alu(AluOp::Add, R2, i32::from(key.at(4)));
        f.assembler().load_map(R1, map);
        f.call(Helper::MapLookupElem);
        f.return_result();
        f.finish()
    }

    fn clear(&self, f: &mut Function<'_>, index: usize, table: &Table) -> Result<(), BuildError> {
        for word in 0..table.words() {
            store_imm(f, Size::Double, self.state().tables[index] + 8 * word, 0)?;
        }
        Ok(())
    }

    /// Keeps the answer at `R0`.
    pub(super) fn note(&self, f: &mut Function<'_>, index: usize, table: &Table) -> Result<(), BuildError> {
        for word in 0..table.words() {
            let at = f.offset(8 * word)?;
            f.load(Size::Double, R1, R0, at);
            store(f, Size::Double, self.state().tables[index] + 8 * word, R1)?;
        }
        Ok(())
    }
}

/// `R1 = 8 * min(R1, most)`: bytes to bits of a trie's key.
fn limit(f: &mut Function<'_>, most: usize) {
    let fits = f.label();
    let most = i32::try_from(most).unwrap_or(0);
    f.jump_if(Condition::Le, R1, most, fits);
    f.constant(R1, u64::from(most.unsigned_abs()));
    f.bind(fits);
    f.alu(AluOp::Lsh, R1, 3);
}

pub(super) fn name(index: usize) -> String {
    format!("table_{index}")
}

fn exact_name(index: usize, size: usize) -> String {
    format!("table_{index}_{size}")
}

/// The size of key for an exact value.
fn exact_key(length: usize) -> Option<usize> {
    EXACT_KEYS.into_iter().find(|size| length <= *size)
}

/// Bytes of a trie's key.
fn longest(values: &BTreeMap<Vec<u8>, Bits>) -> usize {
    values.keys().map(Vec::len).max().unwrap_or(0).next_multiple_of(8)
}

fn maps(index: usize, table: &Table) -> Vec<MapSpec> {
    let words = table.words();
    match &table.subject {
        TableSubject::Bytes { form: StringForm::Exact, values, .. } => EXACT_KEYS
            .into_iter()
            .filter_map(|size| {
                let entries = values.iter().filter(|(value, _)| exact_key(value.len()) == Some(size));
                let contents: Vec<Entry> = entries
                    .map(|(value, bits)| {
                        let mut key = value.clone();
                        key.resize(size, 0);
                        Entry { key, value: answer(bits, words) }
                    })
                    .collect();
                (!contents.is_empty()).then(|| MapSpec {
                    contents,
                    ..MapSpec::hash(exact_name(index, size), size32(size), 8 * words, 0)
                })
            })
            .map(sized)
            .collect(),
        TableSubject::Bytes { form: StringForm::Prefix, values, .. } => {
            vec![trie(index, longest(values), words, closed(values.clone()))]
        }
        TableSubject::Bytes { form: StringForm::Postfix, values, .. } => {
            let reversed = values
                .iter()
                .map(|(value, bits)| (value.iter().rev().copied().collect::<Vec<u8>>(), bits.clone()));
            vec![trie(index, longest(values), words, closed(reversed.collect()))]
        }
        TableSubject::Address { networks, .. } => vec![super::address::map(index, words, networks)],
        TableSubject::Number { signed, intervals, .. } => {
            let bias = if *signed { 1_i128 << 63 } else { 0 };
            let contents = blocks(intervals, bias)
                .into_iter()
                .map(|(first, length, bits)| {
                    let mut key = length.to_ne_bytes().to_vec();
                    key.extend(first.to_be_bytes());
                    Entry { key, value: answer(&bits, words) }
                })
                .collect();
            vec![sized(trie_of(index, 8, words, contents))]
        }
    }
}

fn size32(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

pub(super) fn sized(map: MapSpec) -> MapSpec {
    let entries = size32(map.contents.len().max(1));
    MapSpec { entries: bpf_probes::spec::Entries::Fixed(entries), ..map }
}

fn trie_of(index: usize, key: usize, words: u32, contents: Vec<Entry>) -> MapSpec {
    MapSpec { kind: MapKind::LpmTrie, contents, ..MapSpec::hash(name(index), 4 + size32(key), 8 * words, 0) }
        .with_flags(flag::NO_PREALLOC)
}

fn trie(index: usize, key_bytes: usize, words: u32, values: BTreeMap<Vec<u8>, Bits>) -> MapSpec {
    let contents = values
        .into_iter()
        .map(|(value, bits)| {
            let mut key = (8 * size32(value.len())).to_ne_bytes().to_vec();
            key.extend(value);
            key.resize(4 + key_bytes, 0);
            Entry { key, value: answer(&bits, words) }
        })
        .collect();
    sized(trie_of(index, key_bytes, words, contents))
}

/// Each value with the bits of all values that it begins with.
fn closed(values: BTreeMap<Vec<u8>, Bits>) -> BTreeMap<Vec<u8>, Bits> {
    let mut closed = BTreeMap::new();
    // in order, the values that one begins with stand before it, each the beginning of the next
    let mut line: Vec<(Vec<u8>, Bits)> = Vec::new();
    for (value, mut bits) in values {
        while line.last().is_some_and(|(start, _)| !value.starts_with(start)) {
            line.pop();
        }
        if let Some((_, inherited)) = line.last() {
            bits.extend(inherited);
        }
        line.push((value.clone(), bits.clone()));
        closed.insert(value, bits);
    }
    closed
}

pub(super) fn answer(bits: &Bits, words: u32) -> Vec<u8> {
    let mut answer = vec![0_u8; 8 * words as usize];
    for &bit in bits {
        if let Some(byte) = answer.get_mut(bit as usize / 8) {
            *byte |= 1 << (bit % 8);
        }
    }
    answer
}

/// Blocks of numbers that begin alike (first number, significant bits) and the filters that they hit; blocks do not overlap.
fn blocks(intervals: &BTreeMap<u32, Vec<Interval>>, bias: i128) -> Vec<(u64, u32, Bits)> {
    // where filters begin and end to hit
    let mut changes: BTreeMap<i128, (Vec<u32>, Vec<u32>)> = BTreeMap::new();
    for (&bit, intervals) in intervals {
        for interval in intervals {
            changes.entry(interval.min + bias).or_default().0.push(bit);
            changes.entry(interval.max + bias + 1).or_default().1.push(bit);
        }
    }
    let mut blocks = Vec::new();
    let mut hit = Bits::new();
    let mut from = 0;
    for (at, (begin, end)) in changes {
        if !hit.is_empty() {
            cover(from, at - 1, &hit, &mut blocks);
        }
        for bit in end {
            hit.remove(&bit);
        }
        hit.extend(begin);
        from = at;
    }
    blocks
}

/// Cuts `first..=last` into the largest blocks.
fn cover(mut first: i128, last: i128, bits: &Bits, blocks: &mut Vec<(u64, u32, Bits)>) {
    while first <= last {
        let aligned = if first == 0 { 64 } else { first.trailing_zeros().min(64) };
        let mut size = aligned;
        while first + (1_i128 << size) - 1 > last {
            size -= 1;
        }
        blocks.push((u64::try_from(first).unwrap_or(u64::MAX), 64 - size, bits.clone()));
        first += 1_i128 << size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(bits: &[u32]) -> Bits {
        bits.iter().copied().collect()
    }

    #[test]
    fn an_entry_of_a_trie_has_the_bits_of_what_it_begins_with() {
        let values = [("/a", 0), ("/a/b", 1), ("/a/b/c", 2), ("/a/c", 3), ("/b", 4)];
        let values = values.into_iter().map(|(value, bit)| (value.as_bytes().to_vec(), bits(&[bit])));
        let closed = closed(values.collect());
        assert_eq!(closed[b"/a/b/c".as_slice()], bits(&[0, 1, 2]));
        assert_eq!(closed[b"/a/c".as_slice()], bits(&[0, 3]));
        assert_eq!(closed[b"/b".as_slice()], bits(&[4]));
    }

    #[test]
    fn intervals_are_cut_into_blocks_that_do_not_overlap() {
        let interval = |min, max| Interval { min, max };
        let intervals =
            BTreeMap::from([(0, vec![interval(1, 6)]), (1, vec![interval(4, 4), interval(8, 8)])]);
        let blocks = blocks(&intervals, 0);
        let expected = [
            (1, 64, bits(&[0])),
            (2, 63, bits(&[0])),
            (4, 64, bits(&[0, 1])),
            (5, 64, bits(&[0])),
            (6, 64, bits(&[0])),
            (8, 64, bits(&[1])),
        ];
        assert_eq!(blocks, expected);
    }

    #[test]
    fn all_numbers_are_one_block() {
        let interval = Interval { min: i128::from(i64::MIN), max: i128::from(i64::MAX) };
        let blocks = blocks(&BTreeMap::from([(0, vec![interval])]), 1 << 63);
        assert_eq!(blocks, [(0, 0, bits(&[0]))]);
    }
}

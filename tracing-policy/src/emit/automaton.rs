//! A machine that finds many texts in one pass (Aho and Corasick, 1975), as the bytes of a map's value.
//!
//! ```text
//! | class of each byte | filters found, one u64 a state | next state, one u16 a state and class |
//! 0                    256                              256 + 8 * states
//! ```
//! States and classes are counted up to powers of two, so that an index is kept in bounds by a mask and never by a jump: a loop that jumps at each byte is more than
//! old verifiers follow.

use std::collections::{BTreeMap, VecDeque};

use crate::policy::Case;

/// The machine.
#[derive(Clone, Debug)]
pub(super) struct Automaton {
    classes: Vec<u8>,
    /// Bits of a class.
    pub(super) class_bits: u32,
    /// Bits of a state.
    pub(super) state_bits: u32,
    found: Vec<u64>,
    next: Vec<u16>,
    /// Filters with an empty text, which everything contains.
    pub(super) always: u64,
}

/// Bytes of the classes.
pub(super) const CLASSES_BYTES: u32 = 256;

impl Automaton {
    /// The machine that finds `values`; each with the bit of its filter.
    pub(super) fn new(values: &[(Vec<u8>, u32)], case: Case) -> Self {
        let fold = |byte: u8| match case {
            Case::Counts => byte,
            Case::Ignored => byte.to_ascii_lowercase(),
        };
        let mut by_byte = BTreeMap::new();
        for byte in values.iter().flat_map(|(value, _)| value) {
            let class = by_byte.len() + 1;
            by_byte.entry(fold(*byte)).or_insert(class);
        }
        let class_of = |byte: u8| by_byte.get(&fold(byte)).copied().unwrap_or(0);
        let classes: Vec<u8> = (0..=u8::MAX).map(|byte| u8::try_from(class_of(byte)).unwrap_or(0)).collect();
        let class_count = (by_byte.len() + 1).next_power_of_two();
        let mut trie = Trie { next: vec![vec![0; class_count]], found: vec![0] };
        let mut always = 0;
        for (value, bit) in values {
            if value.is_empty() {
                always |= 1 << bit;
            }
            let state = value.iter().fold(0, |state, byte| trie.step(state, class_of(*byte)));
            if let Some(found) = trie.found.get_mut(state).filter(|_| !value.is_empty()) {
                *found |= 1 << bit;
            }
        }
        trie.complete();
        let states = trie.next.len().next_power_of_two();
        trie.next.resize(states, vec![0; class_count]);
        trie.found.resize(states, 0);
        let next = trie.next.into_iter().flatten().map(|state| u16::try_from(state).unwrap_or(0)).collect();
        Self {
            classes,
            class_bits: class_count.trailing_zeros(),
            state_bits: states.trailing_zeros(),
            found: trie.found,
            next,
            always,
        }
    }

    /// Offset of the next states.
    pub(super) fn next_at(&self) -> u32 {
        CLASSES_BYTES + (8 << self.state_bits)
    }

    /// The map's value.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.classes.clone();
        bytes.extend(self.found.iter().flat_map(|found| found.to_ne_bytes()));
        bytes.extend(self.next.iter().flat_map(|next| next.to_ne_bytes()));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }
}

/// Beginnings of texts as states; state 0 is nothing.
struct Trie {
    next: Vec<Vec<usize>>,
    found: Vec<u64>,
}

impl Trie {
    /// The state behind a class, made where there is none.
    fn step(&mut self, state: usize, class: usize) -> usize {
        let made = self.next.len();
        let classes = self.next[0].len();
        let next = &mut self.next[state][class];
        if *next != 0 {
            return *next;
        }
        *next = made;
        self.next.push(vec![0; classes]);
        self.found.push(0);
        made
    }

    /// Leads what goes on in no text to the longest end of it that begins one.
    fn complete(&mut self) {
        let mut shorter = vec![0; self.next.len()];
        let mut queue: VecDeque<usize> = self.next[0].iter().copied().filter(|next| *next != 0).collect();
        while let Some(state) = queue.pop_front() {
            self.found[state] |= self.found[shorter[state]];
            for class in 0..self.next[state].len() {
                let fallback = self.next[shorter[state]][class];
                let next = self.next[state][class];
                if next == 0 {
                    self.next[state][class] = fallback;
                } else {
                    shorter[next] = fallback;
                    queue.push_back(next);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the machine finds in a text.
    fn find(machine: &Automaton, text: &[u8]) -> u64 {
        let mut found = machine.always;
        let mut state = 0_usize;
        for byte in text {
            let class = usize::from(machine.classes[usize::from(*byte)]);
            state = usize::from(machine.next[state << machine.class_bits | class]);
            found |= machine.found[state];
        }
        found
    }

    // proves: SEL-22 (search)
    #[test]
    fn every_text_is_found_where_it_stands() {
        let texts = ["he", "she", "his", "hers", "aab", "aaab", "x"];
        let values: Vec<_> =
            texts.iter().zip(0..).map(|(text, bit)| (text.as_bytes().to_vec(), bit)).collect();
        for case in [Case::Counts, Case::Ignored] {
            let machine = Automaton::new(&values, case);
            for subject in ["ushers", "ahishe", "aaaab", "aab", "", "HERS", "xX", "aaaaaaab", "h", "shhis"] {
                let folded = match case {
                    Case::Counts => subject.to_owned(),
                    Case::Ignored => subject.to_ascii_lowercase(),
                };
                let expected = texts.iter().zip(0..).filter(|(text, _)| folded.contains(**text));
                let expected = expected.fold(0, |all, (_, bit)| all | 1 << bit);
                assert_eq!(find(&machine, subject.as_bytes()), expected, "{subject} {case:?}");
            }
        }
        assert_eq!(find(&Automaton::new(&[(Vec::new(), 3)], Case::Counts), b""), 1 << 3);
    }
}

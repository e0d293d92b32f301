//! Small numbers that programs in the kernel are compiled with, handed out and taken back.
//!
//! A number that came back is handed out last: a program that was swapped out may still be running on some CPU, and the longer its numbers rest
//! the surer nobody uses them.

use std::collections::VecDeque;

/// Numbers from 0 to a bound, each in one hand at a time.
#[derive(Debug)]
pub(super) struct Numbers {
    bound: u32,
    unused: u32,
    returned: VecDeque<u32>,
}

impl Numbers {
    /// All numbers below `bound`.
    pub(super) const fn below(bound: u32) -> Self {
        Self { bound, unused: 0, returned: VecDeque::new() }
    }

    /// A number nobody has; `None` when all are out.
    pub(super) fn take(&mut self) -> Option<u32> {
        if self.unused < self.bound {
            self.unused += 1;
            return Some(self.unused - 1);
        }
        self.returned.pop_front()
    }

    /// Takes a number back.
    pub(super) fn put_back(&mut self, number: u32) {
        debug_assert!(
            number < self.unused && !self.returned.contains(&number),
            "number {number} came back twice"
        );
        self.returned.push_back(number);
    }

    /// How many can be taken.
    pub(super) fn left(&self) -> usize {
        (self.bound - self.unused) as usize + self.returned.len()
    }
}

/// A run of consecutive numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Run {
    /// The first.
    pub(super) first: u32,
    /// How many; may be zero.
    pub(super) len: u32,
}

/// Runs of consecutive numbers below a bound, each in one hand at a time.
#[derive(Debug)]
pub(super) struct Runs {
    /// Free runs by their first number; neighbours are joined.
    free: Vec<Run>,
}

impl Runs {
    /// All numbers below `bound`.
    pub(super) fn below(bound: u32) -> Self {
        Self { free: vec![Run { first: 0, len: bound }] }
    }

    /// A run of `len` numbers nobody has; `None` when none is long enough.
    pub(super) fn take(&mut self, len: u32) -> Option<Run> {
        if len == 0 {
            return Some(Run { first: 0, len: 0 });
        }
        let at = self.free.iter().position(|run| run.len >= len)?;
        let run = self.free.get_mut(at)?;
        let taken = Run { first: run.first, len };
        run.first += len;
        run.len -= len;
        if run.len == 0 {
            self.free.remove(at);
        }
        Some(taken)
    }

    /// Takes a run back.
    pub(super) fn put_back(&mut self, run: Run) {
        if run.len == 0 {
            return;
        }
        let at = self.free.partition_point(|free| free.first < run.first);
        self.free.insert(at, run);
        let mut joined: Vec<Run> = Vec::with_capacity(self.free.len());
        for next in self.free.drain(..) {
            match joined.last_mut() {
                Some(last) if last.first + last.len == next.first => last.len += next.len,
                _ => joined.push(next),
            }
        }
        self.free = joined;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_in_one_hand_and_rests_as_long_as_it_can() {
        let mut numbers = Numbers::below(3);
        let all: Vec<_> = std::iter::from_fn(|| numbers.take()).collect();
        assert_eq!(all, [0, 1, 2]);
        assert_eq!(numbers.left(), 0);
        numbers.put_back(2);
        numbers.put_back(0);
        assert_eq!((numbers.take(), numbers.take(), numbers.take()), (Some(2), Some(0), None));
    }

    #[test]
    fn a_fresh_number_goes_before_a_returned_one() {
        let mut numbers = Numbers::below(2);
        let first = numbers.take().unwrap();
        numbers.put_back(first);
        assert_eq!((numbers.take(), numbers.take()), (Some(1), Some(0)));
    }

    #[test]
    fn runs_do_not_overlap_and_join_when_they_come_back() {
        let mut runs = Runs::below(10);
        let (a, b, c) = (runs.take(4).unwrap(), runs.take(4).unwrap(), runs.take(2).unwrap());
        assert_eq!((a.first, b.first, c.first), (0, 4, 8));
        assert_eq!(runs.take(1), None);
        runs.put_back(a);
        runs.put_back(c);
        assert_eq!(runs.take(5), None, "six are free, but not in a row");
        runs.put_back(b);
        assert_eq!(runs.take(10), Some(Run { first: 0, len: 10 }));
    }

    #[test]
    fn an_empty_run_costs_nothing() {
        let mut runs = Runs::below(1);
        let empty = runs.take(0).unwrap();
        runs.put_back(empty);
        assert_eq!(runs.take(1).unwrap().first, 0);
    }
}

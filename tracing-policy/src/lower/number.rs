//! Numbers: every list of values becomes disjoint intervals and a mask.

use crate::ir::{Check, Interval, NumberTest, ReadId, Subject};
use crate::policy::{IntegerTest, IntegerType, Membership, PidFilter, PidNamespace, Sense, Signedness};

/// The test of a process number.
pub(super) fn pid(filter: &PidFilter) -> Check {
    let subject = match filter.namespace {
        PidNamespace::Host => Subject::HostPid,
        PidNamespace::Own => Subject::OwnPid,
    };
    let sense = match filter.membership {
        Membership::In => Sense::Plain,
        Membership::NotIn => Sense::Negated,
    };
    among(subject, filter.pids.iter().copied(), sense)
}

/// The test whether an unsigned number is one of some.
pub(super) fn among(subject: Subject, numbers: impl Iterator<Item = u32>, sense: Sense) -> Check {
    let points = numbers.map(|number| Interval { min: number.into(), max: number.into() });
    let intervals = merge(points.collect());
    Check::Number(NumberTest { subject, signed: false, sense, intervals, mask: 0, table: None })
}

/// The test whether a number has one of some bits.
pub(super) fn bits(subject: Subject, mask: u64, sense: Sense) -> Check {
    Check::Number(NumberTest { subject, signed: false, sense, intervals: Vec::new(), mask, table: None })
}

/// The test of an argument.
pub(super) fn integer(read: ReadId, ty: IntegerType, test: &IntegerTest) -> Check {
    let (least, greatest) = ty.bounds();
    let point = |value: &crate::policy::Integer| Interval { min: value.get(), max: value.get() };
    let range = |range: &crate::policy::IntegerRange| Interval { min: range.min.get(), max: range.max.get() };
    let mut mask = 0;
    let (sense, intervals) = match test {
        IntegerTest::Equal(values) => (Sense::Plain, values.iter().map(point).collect()),
        IntegerTest::NotEqual(values) => (Sense::Negated, values.iter().map(point).collect()),
        IntegerTest::GreaterThan(values) => {
            let above = |value: &crate::policy::Integer| Interval { min: value.get() + 1, max: greatest };
            (Sense::Plain, values.iter().map(above).collect())
        }
        IntegerTest::LessThan(values) => {
            let below = |value: &crate::policy::Integer| Interval { min: least, max: value.get() - 1 };
            (Sense::Plain, values.iter().map(below).collect())
        }
        IntegerTest::Mask(masks) => {
            mask = masks.iter().fold(0, |all, mask| all | mask);
            (Sense::Plain, Vec::new())
        }
        IntegerTest::InRange(ranges) => (Sense::Plain, ranges.iter().map(range).collect()),
        IntegerTest::NotInRange(ranges) => (Sense::Negated, ranges.iter().map(range).collect()),
    };
    Check::Number(NumberTest {
        subject: Subject::Read(read),
        signed: ty.signedness == Signedness::Signed,
        sense,
        intervals: merge(intervals),
        mask,
        table: None,
    })
}

/// The same numbers in disjoint ascending intervals that do not touch.
pub(super) fn merge(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.retain(|interval| interval.min <= interval.max);
    intervals.sort_unstable();
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for interval in intervals {
        match merged.last_mut() {
            Some(last) if interval.min <= last.max + 1 => last.max = last.max.max(interval.max),
            _ => merged.push(interval),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_that_touch_become_one_and_empty_ones_vanish() {
        let interval = |min, max| Interval { min, max };
        let merged =
            merge(vec![interval(5, 6), interval(1, 2), interval(3, 3), interval(9, 8), interval(6, 7)]);
        assert_eq!(merged, [interval(1, 3), interval(5, 7)]);
    }
}

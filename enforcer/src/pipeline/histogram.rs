//! How often which values came.

/// Upper bounds of the ranges: powers of four up to 16 Mi.
const BOUNDS: usize = 13;

/// Counts of values by range.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Histogram {
    /// The last is for what lies above all bounds.
    counts: [u64; BOUNDS + 1],
    sum: u64,
}

impl Histogram {
    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        // The least k with value <= 4^k.
        let bits = u64::BITS - value.saturating_sub(1).leading_zeros();
        let range = (bits.div_ceil(2) as usize).min(BOUNDS);
        if let Some(count) = self.counts.get_mut(range) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(value);
    }

    /// Adds the values that another one counted.
    pub fn extend(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    #[expect(clippy::cast_precision_loss, reason = "a sum beyond 2^53 is told to 16 digits")]
    pub fn sum(&self) -> f64 {
        self.sum as f64
    }

    /// Each range's upper bound, the last one without end, and how many values are in it and in none below.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds =
            std::iter::successors(Some(1.0), |bound| Some(4.0 * bound)).take(BOUNDS).chain([f64::INFINITY]);
        bounds.zip(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    #[test]
    fn a_value_is_in_the_range_whose_bound_it_does_not_exceed() {
        for (value, bound) in [
            (0, 1.0),
            (1, 1.0),
            (2, 4.0),
            (4, 4.0),
            (5, 16.0),
            (64, 64.0),
            (65, 256.0),
            (1 << 24, 16_777_216.0),
            ((1 << 24) + 1, f64::INFINITY),
            (u64::MAX, f64::INFINITY),
        ] {
            let mut histogram = Histogram::default();
            histogram.add(value);
            let found = histogram.buckets().find(|(_, count)| *count == 1).map(|(bound, _)| bound);
            assert_eq!((found, histogram.count()), (Some(bound), 1), "{value}");
        }
    }
}

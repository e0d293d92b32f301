//! How many CPUs this kernel may ever have.

use std::fs;

/// The number of possible CPUs: how many values an element of a per-CPU map has. Always read from the kernel, since it decides how many
/// bytes the kernel writes through our pointers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PossibleCpus(u32);

const PATH: &str = "/sys/devices/system/cpu/possible";

/// Why the number of possible CPUs is not known.
#[derive(Debug, thiserror::Error)]
pub enum CpusError {
    /// The file could not be read.
    #[error("could not read {PATH}, which says how many CPUs per-CPU maps count: {0}")]
    Read(#[source] std::io::Error),
    /// The file does not hold a list of CPUs.
    #[error("{PATH} holds {text:?}, not a list of CPUs")]
    Malformed {
        /// What it holds.
        text: String,
    },
}

impl PossibleCpus {
    /// Reads the number from sysfs.
    ///
    /// # Errors
    /// See [`CpusError`].
    pub fn read() -> Result<Self, CpusError> {
        let text = fs::read_to_string(PATH).map_err(CpusError::Read)?;
        parse(text.trim()).map(Self).ok_or(CpusError::Malformed { text })
    }

    /// The number, at least 1.
    pub const fn count(self) -> u32 {
        self.0
    }
}

/// The count of a list such as `0-3,8`: the highest number and one, as the kernel sizes per-CPU values by
/// `num_possible_cpus`, and a gap would have to be counted by it: it counts the numbers listed.
fn parse(list: &str) -> Option<u32> {
    let mut count = 0_u32;
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        count = count.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_counted() {
        let cases = [
            ("0", Some(1)),
            ("0-3", Some(4)),
            ("0-1,4,6-7", Some(5)),
            ("", None),
            ("3-1", None),
            ("x", None),
        ];
        for (list, count) in cases {
            assert_eq!(parse(list), count, "{list}");
        }
    }
}

//! Where the addresses of a process are mapped from, from `/proc/PID/maps`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

/// Bytes of the file that are read at most: a process may have 65 530 mappings.
const MAX_FILE: u64 = 16 << 20;

/// What is asked in a helper thread.
#[derive(Debug)]
pub(super) struct Question {
    /// `/proc/PID/maps`
    pub(super) maps: PathBuf,
    /// Addresses in the process.
    pub(super) addresses: Vec<u64>,
}

/// Where an address is mapped from; empty where it is not known.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Place {
    /// The file as the process's mappings name it, or a name such as `[vdso]`.
    pub(super) module: Box<str>,
    /// Offset in it.
    pub(super) offset: u64,
    /// The addresses of the mapping, as the names in `/proc/PID/map_files` have them; empty where no file is mapped.
    pub(super) mapping: Box<str>,
}

/// The places of all addresses, in their order.
pub(super) fn places(question: &Question) -> Vec<Place> {
    match File::open(&question.maps) {
        Ok(file) => find(BufReader::new(file.take(MAX_FILE)), &question.addresses),
        // it has ended
        Err(_) => Vec::new(),
    }
}

fn find(mut maps: impl BufRead, addresses: &[u64]) -> Vec<Place> {
    let mut places = vec![Place::default(); addresses.len()];
    let mut line = Vec::new();
    loop {
        line.clear();
        // what was read before an error is kept: the process may be ending
        if maps.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return places;
        }
        let line = String::from_utf8_lossy(&line);
        let Some(mapping) = mapping(line.trim_end_matches('\n')) else { continue };
        let Mapping { start, end, offset, module, is_file } = mapping;
        for (address, place) in addresses.iter().zip(&mut places) {
            if (start..end).contains(address) && !module.is_empty() {
                *place = Place {
                    module: module.into(),
                    offset: offset.wrapping_add(address - start),
                    mapping: if is_file { format!("{start:x}-{end:x}").into() } else { Box::default() },
                };
            }
        }
    }
}

/// A line of the file.
struct Mapping<'l> {
    start: u64,
    end: u64,
    offset: u64,
    module: &'l str,
    is_file: bool,
}

/// `start-end permissions offset device inode  path`; the path may have spaces.
fn mapping(line: &str) -> Option<Mapping<'_>> {
    let mut rest = line;
    let mut word = || {
        let (word, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = tail;
        Some(word).filter(|word| !word.is_empty())
    };
    let hexadecimal = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = word()?.split_once('-')?;
    let (_permissions, offset, _device, inode) = (word()?, word()?, word()?, word()?);
    Some(Mapping {
        start: hexadecimal(start)?,
        end: hexadecimal(end)?,
        offset: hexadecimal(offset)?,
        module: rest.trim_start_matches(' '),
        is_file: inode != "0",
    })
}

#[cfg(test)]
mod tests {
    use super::{Place, Question, find, places};

    const MAPS: &str = "\
55d0a0000000-55d0a0001000 r--p 00000000 fd:01 1234                       /usr/bin/a b
55d0a0001000-55d0a0003000 r-xp 00001000 fd:01 1234                       /usr/bin/a b
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
nonsense
7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0                          [vdso]
";

    fn place(module: &str, offset: u64, mapping: &str) -> Place {
        Place { module: module.into(), offset, mapping: mapping.into() }
    }

    // proves: ACT-14 (places of the program)
    #[test]
    fn an_address_is_at_an_offset_in_the_file_that_is_mapped_there() {
        let addresses = [0x55d0_a000_2004, 0x7f00_0000_0010, 0x7ffd_0000_0ff0, 1, u64::MAX];
        let expected = [
            place("/usr/bin/a b", 0x2004, "55d0a0001000-55d0a0003000"),
            Place::default(),
            place("[vdso]", 0xff0, ""),
            Place::default(),
            Place::default(),
        ];
        assert_eq!(find(MAPS.as_bytes(), &addresses), expected);
    }

    #[test]
    fn the_tests_own_code_is_in_its_file_and_a_process_that_has_ended_has_none() {
        let function: fn(&Question) -> Vec<Place> = places;
        let addresses = vec![function as usize as u64];
        let question = |maps: &str| Question { maps: maps.into(), addresses: addresses.clone() };
        let found = places(&question("/proc/self/maps"));
        let own = std::env::current_exe().unwrap_or_default();
        assert_eq!(found.first().map(|place| &*place.module), own.to_str());
        assert!(places(&question("/nonexistent")).is_empty());
    }
}

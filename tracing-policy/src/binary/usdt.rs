//! Static probes: notes that a program carries about places where it can be watched.
//!
//! A note of `.note.stapsdt` is named `stapsdt`, of type 3, and holds (systemtap's `sys/sdt.h`)
//!
//! ```text
//! 0   address of the probe's instruction (a nop)
//! 8   address of .stapsdt.base when it was linked: what that section has moved since, the other two have moved as well
//! 16  address of the semaphore, 0 for none: a counter that says to the program that somebody watches
//! 24  provider, name, arguments: texts that end with a NUL
//! ```

use std::collections::BTreeSet;

use object::read::elf::SectionHeader;

use super::file::{Binary, ENDIAN, FileOffset};
use super::operand::{self, OperandError, UsdtArgument};

pub(super) const SECTION: &[u8] = b".note.stapsdt";
const BASE: &[u8] = b".stapsdt.base";
const OWNER: &[u8] = b"stapsdt";
const TYPE: u32 = 3;
/// So many probes are listed where one is missing.
const MOST_TOLD: usize = 32;

/// One place of a static probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsdtNote {
    /// Of the instruction to attach to.
    pub offset: FileOffset,
    /// Of the counter that tells the program that it is watched.
    pub semaphore: Option<FileOffset>,
    /// Where the arguments are, in order; what cannot be read is an error of its own.
    pub arguments: Vec<Result<UsdtArgument, OperandError>>,
}

/// Why a static probe cannot be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsdtError {
    /// No notes at all.
    #[error("the file has no static probes (no section .note.stapsdt)")]
    NoProbes,
    /// None of that name.
    #[error("the file has no static probe {provider}:{name}; it has {}", listed(probes))]
    Missing {
        /// Whose.
        provider: String,
        /// Which.
        name: String,
        /// Those that there are, as `provider:name`, the first in order of the alphabet.
        probes: Vec<String>,
    },
    /// A note that tells a place where no instructions are.
    #[error("the probe {probe} is said to be at address {address:#x}, where the file has no instructions")]
    NoCode {
        /// The probe.
        probe: String,
        /// What the note says.
        address: u64,
    },
    /// A note that tells a counter that is not in the file.
    #[error(
        "the probe {probe} has its semaphore at address {address:#x}, which is not in the file: it cannot be set"
    )]
    NoSemaphore {
        /// The probe.
        probe: String,
        /// What the note says.
        address: u64,
    },
}

fn listed(probes: &[String]) -> String {
    match probes.len() {
        0 => "none".to_owned(),
        MOST_TOLD.. => format!("{} and more", probes.join(", ")),
        _ => probes.join(", "),
    }
}

/// A note as it is in the file.
pub(super) struct Raw<'d> {
    address: u64,
    base: u64,
    semaphore: u64,
    pub(super) provider: &'d [u8],
    pub(super) name: &'d [u8],
    arguments: &'d [u8],
}

impl<'d> Binary<'d> {
    /// All places of a static probe, in the order of the file.
    ///
    /// # Errors
    /// [`UsdtError`]; also where one place of several is of no use: to watch some of a probe's places would be to miss calls.
    pub fn usdt(&self, provider: &str, name: &str) -> Result<Vec<UsdtNote>, UsdtError> {
        let mut probes = BTreeSet::new();
        let mut found = Vec::new();
        let mut any = false;
        for note in self.sections_named(SECTION).flat_map(|section| self.raw_notes(section)) {
            any = true;
            if note.provider == provider.as_bytes() && note.name == name.as_bytes() {
                let note = self.located(&note, provider, name)?;
                if !found.contains(&note) {
                    found.push(note);
                }
            } else if found.is_empty() {
                probes.insert((note.provider, note.name));
                if probes.len() > MOST_TOLD {
                    probes.pop_last();
                }
            }
        }
        match (found.is_empty(), any) {
            (false, _) => Ok(found),
            (true, false) => Err(UsdtError::NoProbes),
            (true, true) => Err(UsdtError::Missing {
                provider: provider.to_owned(),
                name: name.to_owned(),
                probes: probes.into_iter().map(|(provider, name)| told(provider, name)).collect(),
            }),
        }
    }

    pub(super) fn raw_notes(&self, section: &'d super::file::Section) -> Vec<Raw<'d>> {
        let Ok(Some(notes)) = section.notes(ENDIAN, self.bytes()) else { return Vec::new() };
        notes
            .map_while(Result::ok)
            .filter(|note| note.name() == OWNER && note.n_type(ENDIAN).0 == TYPE)
            .filter_map(|note| raw(note.desc()))
            .collect()
    }

    fn located(&self, note: &Raw<'d>, provider: &str, name: &str) -> Result<UsdtNote, UsdtError> {
        let probe = || format!("{provider}:{name}");
        let base = self.sections_named(BASE).next().map(|section| section.sh_addr(ENDIAN));
        let moved = match base {
            Some(base) if note.base != 0 => base.wrapping_sub(note.base),
            _ => 0,
        };
        let address = note.address.wrapping_add(moved);
        let offset = self
            .address_to_offset(address)
            .filter(|offset| self.offset_is_executable(*offset))
            .ok_or_else(|| UsdtError::NoCode { probe: probe(), address })?;
        let semaphore = match note.semaphore {
            0 => None,
            linked => {
                let address = linked.wrapping_add(moved);
                let offset = self.address_to_offset(address);
                Some(offset.ok_or_else(|| UsdtError::NoSemaphore { probe: probe(), address })?)
            }
        };
        let from_probe =
            |symbol: &str| Some(self.symbol_address(symbol)?.wrapping_sub(address).cast_signed());
        let arguments = operand::arguments(&String::from_utf8_lossy(note.arguments), &from_probe);
        Ok(UsdtNote { offset, semaphore, arguments })
    }
}

fn raw(bytes: &[u8]) -> Option<Raw<'_>> {
    let word = |at: usize| bytes.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word));
    let mut texts = bytes.get(24..)?.split(|byte| *byte == 0);
    Some(Raw {
        address: word(0)?,
        base: word(8)?,
        semaphore: word(16)?,
        provider: texts.next()?,
        name: texts.next()?,
        arguments: texts.next()?,
    })
}

fn told(provider: &[u8], name: &[u8]) -> String {
    let shown = |text| crate::parse::shortened(&String::from_utf8_lossy(text).escape_default().to_string());
    format!("{}:{}", shown(provider), shown(name))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::image::{CODE, DATA, Image, Symbol, note, words};
    use super::super::operand::{CpuRegister, UsdtSource};
    use super::*;

    const TEXT: u64 = 0x40_1000;
    const SEMAPHORES: u64 = 0x40_4000;

    fn probe(place: u64, base: u64, semaphore: u64, texts: &[u8]) -> Vec<u8> {
        note(b"stapsdt\0", TYPE, &[words(&[place, base, semaphore]), texts.to_vec()].concat())
    }

    fn image(notes: &[Vec<u8>]) -> Image {
        Image::default().loaded(TEXT, CODE, vec![0x90; 0x100]).loaded(SEMAPHORES, DATA, vec![0; 16]).section(
            ".note.stapsdt",
            7,
            0,
            0,
            notes.concat(),
        )
    }

    #[test]
    fn all_places_of_a_probe_are_found() {
        let bytes = image(&[
            probe(TEXT + 0x10, 0, SEMAPHORES, b"app\0run\0-4@%edi\0"),
            probe(TEXT + 0x20, 0, 0, b"app\0stop\0\0"),
            note(b"other\0", TYPE, &[0; 40]),
            probe(TEXT + 0x30, 0, SEMAPHORES, b"app\0run\0-4@%esi\0"),
            probe(TEXT + 0x30, 0, SEMAPHORES, b"app\0run\0-4@%esi\0"),
        ])
        .build();
        let binary = Binary::parse(&bytes).unwrap();
        let notes = binary.usdt("app", "run").unwrap();
        let at = |address| binary.address_to_offset(address).unwrap();
        assert_eq!(
            notes.iter().map(|note| note.offset).collect::<Vec<_>>(),
            [at(TEXT + 0x10), at(TEXT + 0x30)]
        );
        assert!(notes.iter().all(|note| note.semaphore == Some(at(SEMAPHORES))));
        let stop = binary.usdt("app", "stop").unwrap();
        assert_eq!((stop.len(), stop[0].semaphore, stop[0].arguments.len()), (1, None, 0));
    }

    #[test]
    fn a_probe_that_is_missing_lists_those_that_there_are() {
        let bytes = image(&[
            probe(TEXT, 0, 0, b"app\0run\0\0"),
            probe(TEXT, 0, 0, b"app\0\x1b[2J\0\0"),
            probe(TEXT, 0, 0, b"app\0run\0\0"),
        ])
        .build();
        let binary = Binary::parse(&bytes).unwrap();
        let error = binary.usdt("app", "runs").unwrap_err();
        let told = "the file has no static probe app:runs; it has app:\\u{1b}[2J, app:run";
        assert_eq!(error.to_string(), told);
        assert!(matches!(binary.usdt("ap", "run"), Err(UsdtError::Missing { .. })));
        let none = Image::default().loaded(TEXT, CODE, vec![0x90; 16]).build();
        assert_eq!(Binary::parse(&none).unwrap().usdt("app", "run"), Err(UsdtError::NoProbes));
    }

    #[test]
    fn probes_move_with_the_base_they_were_linked_at() {
        let notes = [probe(0x1010, 0x8000, 0x4000, b"app\0run\0\0")];
        let bytes = image(&notes).section(".stapsdt.base", 1, 0x40_8000, 0, vec![0]).build();
        let binary = Binary::parse(&bytes).unwrap();
        let note = &binary.usdt("app", "run").unwrap()[0];
        assert_eq!(Some(note.offset), binary.address_to_offset(TEXT + 0x10));
        assert_eq!(note.semaphore, binary.address_to_offset(SEMAPHORES));
    }

    #[test]
    fn a_place_that_is_not_in_the_file_refuses_the_probe() {
        let refused =
            |notes: &[Vec<u8>]| Binary::parse(&image(notes).build()).unwrap().usdt("app", "run").unwrap_err();
        let good = || probe(TEXT, 0, 0, b"app\0run\0\0");
        let probe_name = "app:run".to_owned();
        let bad = [good(), probe(SEMAPHORES, 0, 0, b"app\0run\0\0")];
        assert_eq!(refused(&bad), UsdtError::NoCode { probe: probe_name.clone(), address: SEMAPHORES });
        let bad = [good(), probe(TEXT, 0, 0x10, b"app\0run\0\0")];
        assert_eq!(refused(&bad), UsdtError::NoSemaphore { probe: probe_name, address: 0x10 });
    }

    #[test]
    fn a_variable_is_as_far_from_the_probe_as_its_symbol_says() {
        let symbols = [Symbol { kind: 1, local: true, ..Symbol::function("counter", SEMAPHORES + 8) }];
        let bytes = image(&[probe(TEXT + 0x10, 0, 0, b"app\0run\0-4@counter(%rip) 4@gone(%rip)\0")])
            .symbols(2, &symbols)
            .build();
        let notes = Binary::parse(&bytes).unwrap().usdt("app", "run").unwrap();
        let expected = UsdtSource::Memory {
            base: Some(CpuRegister::Rip),
            index: None,
            scale: 1,
            displacement: (SEMAPHORES + 8 - (TEXT + 0x10)).cast_signed(),
        };
        assert_eq!(notes[0].arguments[0].as_ref().unwrap().source, expected);
        assert!(notes[0].arguments[1].is_err());
    }
}

//! A function or variable by its name: `.symtab`, then `.dynsym`, then what Go keeps for its own traces.

use object::LittleEndian;
use object::elf;
use object::read::SectionIndex;
use object::read::elf::{SectionHeader, Sym};

use super::file::{Binary, ENDIAN, FileOffset};
use super::go::{GoError, GoTable};
use super::names::Names;

/// Names longer than this are nobody's typing error.
const LONGEST_SUGGESTION: usize = 256;
/// So many suggestions, and so many places of an ambiguous name, are told.
const MOST_TOLD: usize = 4;

/// Why there is no place for a function's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// A stripped file that is not Go's.
    #[error(
        "the file has no symbols (it is stripped), so {symbol:?} cannot be found: give its offset or address"
    )]
    NoSymbols {
        /// The name.
        symbol: String,
    },
    /// No such name.
    #[error("the file has no function {symbol:?}{}", suggestion(near))]
    Missing {
        /// The name.
        symbol: String,
        /// Names much like it.
        near: Vec<String>,
    },
    /// Used here, but defined in another file.
    #[error("{symbol:?} is not in this file but in a library that it uses: name the library's path")]
    Imported {
        /// The name.
        symbol: String,
    },
    /// What runs is chosen when the program starts.
    #[error(
        "{symbol:?} is an indirect function (IFUNC): the address is of what chooses an implementation, not of one; \
         name the implementation"
    )]
    Indirect {
        /// The name.
        symbol: String,
    },
    /// A variable, for one.
    #[error("{symbol:?} is no function")]
    NotAFunction {
        /// The name.
        symbol: String,
    },
    /// Several functions have the name.
    #[error(
        "{symbol:?} is the name of several functions, at the offsets {}: give one of them",
        listed(offsets)
    )]
    Ambiguous {
        /// The name.
        symbol: String,
        /// Where the first of them are.
        offsets: Vec<FileOffset>,
    },
    /// The symbol table tells an address that is not loaded, or not as instructions.
    #[error("{symbol:?} is said to be at address {address:#x}, where the file has no instructions")]
    NoCode {
        /// The name.
        symbol: String,
        /// The address.
        address: u64,
    },
    /// A Go program whose function table is of no use.
    #[error("{symbol:?} cannot be found in this stripped Go program: {reason}")]
    Go {
        /// The name.
        symbol: String,
        /// What is wrong with the table.
        reason: GoError,
    },
}

fn suggestion(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; it has {}", near.join(", ")) }
}

fn listed(offsets: &[FileOffset]) -> String {
    offsets.iter().map(FileOffset::to_string).collect::<Vec<_>>().join(", ")
}

/// What a name may stand for in a table, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Visible, and the one that new programs are linked to.
    Default,
    /// Visible, but of an older version.
    Old,
    /// Of one compilation unit.
    Local,
}

/// Where the symbols of a name are, and what those are that are of no use.
#[derive(Debug, Default)]
struct Found {
    functions: Vec<(Rank, u64)>,
    imported: bool,
    indirect: Option<Rank>,
    other: bool,
}

/// A symbol table with what belongs to it.
pub(super) struct Table<'d> {
    pub(super) symbols: &'d [elf::Sym64<LittleEndian>],
    names: &'d [u8],
    versions: &'d [elf::Versym<LittleEndian>],
}

impl<'d> Binary<'d> {
    /// The place of a function's first instruction. A name may carry a version: `realpath@GLIBC_2.3`.
    ///
    /// # Errors
    /// [`SymbolError`], with names like it.
    pub fn function_offset(&self, symbol: &str) -> Result<FileOffset, SymbolError> {
        let name = || symbol.to_owned();
        let mut found = Found::default();
        let tables = [self.table(elf::SHT_SYMTAB), self.table(elf::SHT_DYNSYM)];
        let names = self.names.get().map_or([None, None], |names| names.each_ref().map(Option::as_ref));
        for (table, names) in
            tables.iter().zip(names).filter_map(|(table, names)| Some((table.as_ref()?, names)))
        {
            self.search((table, names), symbol, &mut found);
            let best = found.functions.iter().map(|(rank, _)| *rank).min();
            if found.indirect.is_some_and(|rank| best.is_none_or(|best| rank <= best)) {
                return Err(SymbolError::Indirect { symbol: name() });
            }
            if let Some(address) = unique(&found.functions, self, symbol)? {
                return self.code_at(address, symbol);
            }
        }
        match GoTable::find(self) {
            Ok(Some(table)) => match table.function(symbol) {
                Ok(Some(address)) => return self.code_at(address, symbol),
                Ok(None) => {}
                Err(reason) => return Err(SymbolError::Go { symbol: name(), reason }),
            },
            Err(reason) => return Err(SymbolError::Go { symbol: name(), reason }),
            Ok(None) if tables.iter().all(Option::is_none) => {
                return Err(SymbolError::NoSymbols { symbol: name() });
            }
            Ok(None) => {}
        }
        Err(match found {
            Found { other: true, .. } => SymbolError::NotAFunction { symbol: name() },
            Found { imported: true, .. } => SymbolError::Imported { symbol: name() },
            Found { .. } => SymbolError::Missing { symbol: name(), near: self.near(symbol) },
        })
    }

    /// Has the names of functions sorted, for a file of which many are asked for.
    pub fn sort_names(&self) {
        let tables = [self.table(elf::SHT_SYMTAB), self.table(elf::SHT_DYNSYM)];
        self.names.get_or_init(|| tables.map(|table| table.as_ref().map(Names::of)));
    }

    /// The address of a variable or function of that very name, where there is just one.
    pub(super) fn symbol_address(&self, symbol: &str) -> Option<u64> {
        [elf::SHT_SYMTAB, elf::SHT_DYNSYM].into_iter().filter_map(|kind| self.table(kind)).find_map(|table| {
            let mut addresses = table.symbols.iter().filter_map(|entry| {
                let named = table.name(entry).is_some_and(|name| is_text(name, symbol.as_bytes()));
                (named && !entry.is_undefined(ENDIAN) && entry.st_type() != elf::STT_TLS)
                    .then(|| entry.st_value(ENDIAN))
            });
            let first = addresses.next()?;
            addresses.all(|other| other == first).then_some(first)
        })
    }

    fn code_at(&self, address: u64, symbol: &str) -> Result<FileOffset, SymbolError> {
        self.address_to_offset(address)
            .filter(|offset| self.offset_is_executable(*offset))
            .ok_or_else(|| SymbolError::NoCode { symbol: symbol.to_owned(), address })
    }

    pub(super) fn table(&self, kind: elf::SectionType) -> Option<Table<'d>> {
        let section = self.sections().iter().find(|section| section.sh_type(ENDIAN) == kind)?;
        let symbols = section.data_as_array(ENDIAN, self.bytes()).ok()?;
        let names = self.linked(section.sh_link(ENDIAN))?;
        let versions = match kind {
            elf::SHT_DYNSYM => self.versions().unwrap_or_default(),
            _ => &[],
        };
        Some(Table { symbols, names, versions })
    }

    fn linked(&self, index: u32) -> Option<&'d [u8]> {
        let index = SectionIndex(usize::try_from(index).ok()?);
        self.sections().section(index).ok()?.data(ENDIAN, self.bytes()).ok()
    }

    fn versions(&self) -> Option<&'d [elf::Versym<LittleEndian>]> {
        let is_versions = |kind| kind == elf::SHT_GNU_VERSYM;
        let section = self.sections().iter().find(|section| is_versions(section.sh_type(ENDIAN)))?;
        section.data_as_array(ENDIAN, self.bytes()).ok()
    }

    /// The number that the file gives a version that it defines.
    fn version_number(&self, version: &str) -> Option<u16> {
        let (mut definitions, link) = self.sections().gnu_verdef(ENDIAN, self.bytes()).ok()??;
        let names = self.linked(u32::try_from(link.0).ok()?)?;
        while let Ok(Some((definition, mut parts))) = definitions.next() {
            let Ok(Some(part)) = parts.next() else { continue };
            let name = usize::try_from(part.vda_name.get(ENDIAN)).ok().and_then(|at| names.get(at..));
            if name.is_some_and(|name| is_text(name, version.as_bytes())) {
                return Some(definition.vd_ndx.get(ENDIAN).0);
            }
        }
        None
    }

    fn search(&self, (table, names): (&Table<'d>, Option<&Names>), symbol: &str, found: &mut Found) {
        let (base, version) = match symbol.split_once('@') {
            Some((base, version)) => (base, Some(version.trim_start_matches('@'))),
            None => (symbol, None),
        };
        let number = version.and_then(|version| self.version_number(version));
        let all = names.is_none().then_some(0..table.symbols.len());
        let alike = names.map(|names| names.like(symbol));
        for index in all.into_iter().flatten().chain(alike.into_iter().flatten()) {
            let Some(entry) = table.symbols.get(index) else { continue };
            let Some(name) = table.name(entry) else { continue };
            let old = table.versions.get(index).is_some_and(|version| version.0.get(ENDIAN).is_hidden());
            let own = table.versions.get(index).map(|version| version.0.get(ENDIAN).index().0);
            let visible = if old { Rank::Old } else { Rank::Default };
            let rank = match version {
                _ if is_text(name, symbol.as_bytes()) => visible,
                Some(_) if number.is_some() && own == number && is_text(name, base.as_bytes()) => {
                    Rank::Default
                }
                // Linkers write the version into the names of .symtab.
                _ => match (versioned(name, base.as_bytes()), version) {
                    (Some((default, own)), Some(version)) if is_text(own, version.as_bytes()) && default => {
                        Rank::Default
                    }
                    (Some((default, _)), None) if default => Rank::Default,
                    (Some((_, _)), None) => Rank::Old,
                    _ => continue,
                },
            };
            let rank = if entry.st_bind() == elf::STB_LOCAL { Rank::Local } else { rank };
            self.sort_in(entry, rank, found);
        }
    }

    fn sort_in(&self, entry: &elf::Sym64<LittleEndian>, rank: Rank, found: &mut Found) {
        let address = entry.st_value(ENDIAN);
        let is_code =
            || self.address_to_offset(address).is_some_and(|offset| self.offset_is_executable(offset));
        match entry.st_type() {
            _ if entry.is_undefined(ENDIAN) => found.imported = true,
            elf::STT_GNU_IFUNC => found.indirect = Some(found.indirect.map_or(rank, |best| best.min(rank))),
            elf::STT_FUNC => found.functions.push((rank, address)),
            elf::STT_NOTYPE if is_code() => found.functions.push((rank, address)),
            _ => found.other = true,
        }
    }

    /// Names of functions much like one that is not there.
    fn near(&self, symbol: &str) -> Vec<String> {
        let tables = [self.table(elf::SHT_SYMTAB), self.table(elf::SHT_DYNSYM)];
        let named = tables.iter().flatten().flat_map(|table| {
            let functions = table
                .symbols
                .iter()
                .filter(|entry| entry.st_type() == elf::STT_FUNC && !entry.is_undefined(ENDIAN));
            functions.filter_map(|entry| text(table.name(entry)?))
        });
        let go = GoTable::find(self).ok().flatten();
        let of_go = go.iter().flat_map(GoTable::names).filter_map(text);
        let mut near: Vec<(usize, &str)> =
            named.chain(of_go).filter_map(|name| Some((likeness(symbol, name)?, name))).collect();
        near.sort_unstable();
        near.dedup();
        near.into_iter().take(MOST_TOLD).map(|(_, name)| name.to_owned()).collect()
    }
}

impl<'d> Table<'d> {
    /// The names from this symbol's on: up to the first NUL it is its own.
    pub(super) fn name(&self, entry: &elf::Sym64<LittleEndian>) -> Option<&'d [u8]> {
        let at = usize::try_from(entry.st_name(ENDIAN)).ok()?;
        self.names.get(at..).filter(|_| at != 0)
    }
}

/// The one address of the best rank.
fn unique(functions: &[(Rank, u64)], binary: &Binary<'_>, symbol: &str) -> Result<Option<u64>, SymbolError> {
    let Some(best) = functions.iter().map(|(rank, _)| *rank).min() else { return Ok(None) };
    let mut addresses: Vec<u64> =
        functions.iter().filter(|(rank, _)| *rank == best).map(|(_, address)| *address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if let [address] = addresses.as_slice() {
        return Ok(Some(*address));
    }
    let offsets = addresses.iter().filter_map(|address| binary.address_to_offset(*address)).take(MOST_TOLD);
    Err(SymbolError::Ambiguous { symbol: symbol.to_owned(), offsets: offsets.collect() })
}

/// Whether a text that ends with a NUL is `wanted`. Only so much of it is read.
pub(super) fn is_text(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.strip_prefix(wanted).is_some_and(|rest| rest.first() == Some(&0))
}

/// Of `base@VERSION` or `base@@VERSION`: whether it is the default one, and the version.
fn versioned<'n>(name: &'n [u8], base: &[u8]) -> Option<(bool, &'n [u8])> {
    let version = name.strip_prefix(base)?.strip_prefix(b"@")?;
    Some(version.strip_prefix(b"@").map_or((false, version), |version| (true, version)))
}

/// A text that ends with a NUL, where it is short enough to be told.
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.get(..bytes.len().min(LONGEST_SUGGESTION))?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(bytes.get(..end)?).ok().filter(|name| !name.is_empty())
}

/// How far a name is from the one that was asked for; nothing where they have little in common.
fn likeness(wanted: &str, name: &str) -> Option<usize> {
    const FAR: usize = 2;
    // `main.run` for `run`, `(*T).run` likewise.
    let qualified = name.strip_suffix(wanted).is_some_and(|rest| rest.ends_with(['.', ':']));
    match crate::parse::distance(wanted, name) {
        distance @ 0..=FAR if !wanted.is_empty() => Some(distance),
        _ if qualified && !wanted.is_empty() => Some(FAR + 1),
        _ => None,
    }
}

//! What this machine's own files and made-up ones say, and that damaged ones say nothing wrong.

use proptest::prelude::{any, prop, proptest};

use super::image::{CODE, DATA, Image, Symbol, note, words};
use super::{Binary, BinaryError, FileOffset, GoError, SymbolError};

/// The code of made-up files: where programs are linked to be.
const TEXT: u64 = 0x40_1000;
/// Their data.
const VARIABLES: u64 = 0x40_4000;
const SYMTAB: u32 = 2;
const DYNSYM: u32 = 11;

fn image() -> Image {
    Image::default().loaded(TEXT, CODE, vec![0x90; 0x400]).loaded(VARIABLES, DATA, vec![0; 0x100])
}

/// Where the code of [`image`] is in the file: behind the headers of two segments.
fn offset(address: u64) -> FileOffset {
    FileOffset(address - TEXT + 64 + 2 * 56)
}

#[test]
fn what_is_no_program_of_this_machine_is_told_apart() {
    let refused = |bytes: &[u8]| Binary::parse(bytes).map(|_| ()).unwrap_err();
    assert_eq!(refused(b"#!/bin/sh\n"), BinaryError::NotElf);
    assert_eq!(refused(b""), BinaryError::NotElf);
    assert_eq!(refused(b"\x7fELF\x01\x01"), BinaryError::Class);
    let mut other = image().build();
    other[18] = 183;
    assert_eq!(refused(&other), BinaryError::Machine(183));
    other[18] = 62;
    other[16] = 1;
    assert_eq!(refused(&other), BinaryError::NotLoadable);
    assert!(matches!(refused(&image().build()[..80]), BinaryError::Damaged(_)));
}

#[test]
fn an_address_is_found_in_the_segment_that_is_loaded_there() {
    let bytes = image().build();
    let binary = Binary::parse(&bytes).unwrap();
    assert_eq!(binary.address_to_offset(TEXT), Some(offset(TEXT)));
    assert_eq!(binary.address_to_offset(TEXT + 0x3ff), Some(offset(TEXT + 0x3ff)));
    assert_eq!(binary.address_to_offset(TEXT + 0x400), None, "zeros behind what is in the file");
    assert_eq!(binary.address_to_offset(TEXT - 1), None);
    assert_eq!(binary.address_to_offset(u64::MAX), None);
    assert!(binary.offset_is_executable(offset(TEXT + 0x3ff)));
    assert!(!binary.offset_is_executable(offset(TEXT + 0x400)));
    assert!(!binary.offset_is_executable(binary.address_to_offset(VARIABLES).unwrap()));
    assert!(!binary.offset_is_executable(FileOffset(u64::MAX)));
}

#[test]
fn a_build_is_identified_by_its_note() {
    let id = [7_u8; 20];
    let notes = [note(b"GNU\0", 1, &[0; 16]), note(b"Go\0\0", 3, b"x"), note(b"GNU\0", 3, &id)].concat();
    let in_segment = image().segment(4, 0, 4, notes.clone()).build();
    assert_eq!(Binary::parse(&in_segment).unwrap().build_id(), Some(&id[..]));
    let in_section = image().section(".note.gnu.build-id", 7, 0, 0, notes).build();
    assert_eq!(Binary::parse(&in_section).unwrap().build_id(), Some(&id[..]));
    assert_eq!(Binary::parse(&image().build()).unwrap().build_id(), None);
}

#[test]
fn a_function_is_found_in_either_symbol_table() {
    let exported = [Symbol::function("shared", TEXT + 0x20)];
    let own = [
        Symbol::function("main", TEXT + 0x10),
        Symbol { local: true, ..Symbol::function("own", TEXT + 0x30) },
    ];
    let bytes = image().symbols(SYMTAB, &own).symbols(DYNSYM, &exported).build();
    let binary = Binary::parse(&bytes).unwrap();
    assert_eq!(binary.function_offset("main"), Ok(offset(TEXT + 0x10)));
    assert_eq!(binary.function_offset("own"), Ok(offset(TEXT + 0x30)));
    assert_eq!(binary.function_offset("shared"), Ok(offset(TEXT + 0x20)));
    let missing = SymbolError::Missing { symbol: "mian".to_owned(), near: vec!["main".to_owned()] };
    assert_eq!(binary.function_offset("mian"), Err(missing));
    assert!(matches!(binary.function_offset(""), Err(SymbolError::Missing { .. })));
}

#[test]
fn what_cannot_be_watched_by_its_name_says_why() {
    let symbols = [
        Symbol { kind: 10, ..Symbol::function("chosen", TEXT) },
        Symbol { kind: 1, ..Symbol::function("variable", VARIABLES) },
        Symbol { section: 0, ..Symbol::function("imported", 0) },
        Symbol::function("nowhere", 0x99_0000),
        Symbol { local: true, ..Symbol::function("twice", TEXT + 0x40) },
        Symbol { local: true, ..Symbol::function("twice", TEXT + 0x50) },
        Symbol { kind: 0, ..Symbol::function("label", TEXT + 0x60) },
    ];
    let bytes = image().symbols(SYMTAB, &symbols).build();
    let binary = Binary::parse(&bytes).unwrap();
    let symbol = |name: &str| name.to_owned();
    let refused = |name: &str| binary.function_offset(name).unwrap_err();
    assert_eq!(refused("chosen"), SymbolError::Indirect { symbol: symbol("chosen") });
    assert_eq!(refused("variable"), SymbolError::NotAFunction { symbol: symbol("variable") });
    assert_eq!(refused("imported"), SymbolError::Imported { symbol: symbol("imported") });
    assert_eq!(refused("nowhere"), SymbolError::NoCode { symbol: symbol("nowhere"), address: 0x99_0000 });
    let offsets = vec![offset(TEXT + 0x40), offset(TEXT + 0x50)];
    assert_eq!(refused("twice"), SymbolError::Ambiguous { symbol: symbol("twice"), offsets });
    assert_eq!(binary.function_offset("label"), Ok(offset(TEXT + 0x60)), "written in assembly");
    let stripped = image().build();
    let stripped = Binary::parse(&stripped).unwrap();
    assert_eq!(stripped.function_offset("main"), Err(SymbolError::NoSymbols { symbol: symbol("main") }));
}

#[test]
fn a_visible_function_comes_before_one_of_a_single_unit() {
    let symbols = [
        Symbol { local: true, ..Symbol::function("run", TEXT + 0x40) },
        Symbol::function("run", TEXT + 0x50),
    ];
    let bytes = image().symbols(SYMTAB, &symbols).build();
    assert_eq!(Binary::parse(&bytes).unwrap().function_offset("run"), Ok(offset(TEXT + 0x50)));
}

#[test]
fn a_version_chooses_among_functions_of_a_name() {
    let named = [Symbol::function("f@V1", TEXT + 0x10), Symbol::function("f@@V2", TEXT + 0x20)];
    let bytes = image().symbols(SYMTAB, &named).build();
    let binary = Binary::parse(&bytes).unwrap();
    assert_eq!(binary.function_offset("f"), Ok(offset(TEXT + 0x20)));
    assert_eq!(binary.function_offset("f@V1"), Ok(offset(TEXT + 0x10)));
    assert_eq!(binary.function_offset("f@V2"), Ok(offset(TEXT + 0x20)));
    assert!(binary.function_offset("f@V3").is_err());

    // The same as the dynamic linker has it: numbers, the old one hidden, and what they stand for.
    let half = |half: u16| half.to_le_bytes();
    let symbols = [Symbol::function("f", TEXT + 0x10), Symbol::function("f", TEXT + 0x20)];
    let numbers = [half(0), half(0x8002), half(3)].concat();
    let definition = |number: u16, name: u32, next: u32| {
        let mut bytes = [half(1), half(0), half(number), half(1)].concat();
        for word in [0, 20, next, name, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    };
    let definitions = [definition(2, 1, 28), definition(3, 4, 0)].concat();
    let bytes = image()
        .symbols(DYNSYM, &symbols)
        .section(".gnu.version", 0x6fff_ffff, 0, 1, numbers)
        .section(".gnu.version_d", 0x6fff_fffd, 0, 5, definitions)
        .section(".dynstr", 3, 0, 0, b"\0V1\0V2\0".to_vec())
        .build();
    let binary = Binary::parse(&bytes).unwrap();
    assert_eq!(binary.function_offset("f"), Ok(offset(TEXT + 0x20)));
    assert_eq!(binary.function_offset("f@V1"), Ok(offset(TEXT + 0x10)));
    assert_eq!(binary.function_offset("f@@V2"), Ok(offset(TEXT + 0x20)));
    assert!(binary.function_offset("f@V3").is_err());
}

/// A table of `main.main` at 0x10 and `main.run` at 0x30 of the text.
fn go_table(magic: u32, text: u64) -> Vec<u8> {
    let mut bytes = magic.to_le_bytes().to_vec();
    bytes.extend([0, 0, 1, 8]);
    let names = b"main.main\0main.run\0\0\0\0\0\0";
    let with_addresses = magic == 0xffff_fffa;
    let headers = if with_addresses { 7 } else { 8 };
    let names_at = 8 + 8 * headers;
    let functions_at = names_at + names.len() as u64;
    if with_addresses {
        bytes.extend(words(&[2, 1, names_at, 0, 0, 0, functions_at]));
    } else {
        bytes.extend(words(&[2, 1, text, names_at, 0, 0, 0, functions_at]));
    }
    bytes.extend(names);
    if with_addresses {
        bytes.extend(words(&[TEXT + 0x10, 40, TEXT + 0x30, 52, TEXT + 0x80]));
        for (entry, name) in [(TEXT + 0x10, 0_u32), (TEXT + 0x30, 10)] {
            bytes.extend(entry.to_le_bytes());
            bytes.extend(name.to_le_bytes());
        }
    } else {
        let details = [0x10, 20, 0x30, 28, 0x80, 0x10, 0, 0x30, 10];
        bytes.extend(details.into_iter().flat_map(u32::to_le_bytes));
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

#[test]
fn a_stripped_go_program_tells_its_functions() {
    const TABLE: u64 = 0x50_0000;
    for magic in [0xffff_fffa, 0xffff_fff0, 0xffff_fff1] {
        let loaded = image().loaded(TABLE, 4, [vec![0; 24], go_table(magic, TEXT)].concat());
        let with_section = loaded.clone().section(".gopclntab", 1, TABLE + 24, 0, Vec::new());
        for image in [loaded, with_section] {
            let bytes = image.build();
            let binary = Binary::parse(&bytes).unwrap();
            let at = |offset: u64| binary.address_to_offset(TEXT + offset);
            assert_eq!(binary.function_offset("main.main").ok(), at(0x10), "{magic:#x}");
            assert_eq!(binary.function_offset("main.run").ok(), at(0x30), "{magic:#x}");
            let near = vec!["main.run".to_owned()];
            let missing = Err(SymbolError::Missing { symbol: "run".to_owned(), near });
            assert_eq!(binary.function_offset("run"), missing);
        }
    }
}

#[test]
fn a_go_table_that_is_too_old_or_damaged_says_so() {
    let refused = |table: Vec<u8>| {
        let image = image().loaded(0x50_0000, 4, table).section(".gopclntab", 1, 0x50_0000, 0, Vec::new());
        let error = Binary::parse(&image.build()).unwrap().function_offset("main.run").unwrap_err();
        let SymbolError::Go { reason, .. } = error else { panic!("{error}") };
        reason
    };
    assert_eq!(refused(go_table(0xffff_fffb, TEXT)), GoError::TooOld);
    assert_eq!(refused(go_table(0xffff_ff00, TEXT)), GoError::Damaged);
    let mut table = go_table(0xffff_fff1, TEXT);
    table[8 + 7 * 8] = 0xff;
    assert_eq!(refused(table), GoError::Damaged);
    assert_eq!(refused(go_table(0xffff_fff1, 0)), GoError::NoText);
}

#[test]
fn a_go_program_whose_table_lacks_the_start_of_its_text_has_it_in_its_module() {
    const TABLE: u64 = 0x50_0000;
    const MODULE: u64 = 0x60_0000;
    let mut module = vec![3, TABLE, 1, 2, 3, TEXT + 0x10, TEXT + 0x99, TEXT];
    module.extend([TEXT + 0x10, TEXT + 0x80, TEXT, TEXT + 0x200]);
    let table = go_table(0xffff_fff1, 0);
    let bytes = image().loaded(TABLE, 4, table.clone()).loaded(MODULE, DATA, words(&module)).build();
    let binary = Binary::parse(&bytes).unwrap();
    assert_eq!(binary.function_offset("main.run").ok(), binary.address_to_offset(TEXT + 0x30));

    // Position-independent: the words are written by relocations, and zero in the file.
    let relative = |at: u64, value: u64| [at, 8, value];
    let relocations: Vec<u64> = module
        .iter()
        .enumerate()
        .filter(|(_, word)| **word > 0x1000)
        .flat_map(|(index, word)| relative(MODULE + 8 * index as u64, *word))
        .collect();
    let size = 8 * relocations.len() as u64;
    let bytes = image()
        .loaded(TABLE, 4, table)
        .loaded(MODULE, DATA, vec![0; 8 * module.len()])
        .loaded(0x70_0000, 4, words(&relocations))
        .segment(2, 0x80_0000, 4, words(&[7, 0x70_0000, 8, size, 0, 0]))
        .build();
    let binary = Binary::parse(&bytes).unwrap();
    assert_eq!(binary.function_offset("main.run").ok(), binary.address_to_offset(TEXT + 0x30));
}

fn library_c() -> Option<Vec<u8>> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let path = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .find(|path| path.contains("/libc.so.6"));
    path.map(|path| std::fs::read(path).unwrap())
}

#[test]
fn this_program_finds_its_own_functions_where_they_run() {
    let bytes = std::fs::read("/proc/self/exe").unwrap();
    let binary = Binary::parse(&bytes).unwrap();
    let main = binary.function_offset("main").unwrap();
    assert!(binary.offset_is_executable(main));
    assert!(binary.build_id().is_none_or(|id| id.len() >= 8));

    // The mapping of the file that this function is in says the same as its symbol.
    #[expect(unsafe_code, reason = "a name to look for")]
    #[unsafe(no_mangle)]
    extern "C" fn a_function_of_this_test() -> u64 {
        std::hint::black_box(11)
    }
    let address = a_function_of_this_test as *const () as u64;
    assert_eq!(a_function_of_this_test(), 11);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mapped = maps.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let (from, to) = (number(from)?, number(to)?);
        let offset = number(fields.nth(1)?)?;
        (from..to).contains(&address).then(|| FileOffset(address - from + offset))
    });
    assert_eq!(binary.function_offset("a_function_of_this_test").ok(), mapped);
}

#[test]
fn the_c_library_of_this_machine_is_understood() {
    let Some(bytes) = library_c() else { return };
    let binary = Binary::parse(&bytes).unwrap();
    assert!(binary.function_offset("getpid").is_ok());
    let (new, old) =
        (binary.function_offset("realpath@GLIBC_2.3"), binary.function_offset("realpath@GLIBC_2.2.5"));
    assert_eq!(binary.function_offset("realpath"), new);
    assert!(old.is_ok() && old != new, "{old:?} {new:?}");
    assert!(matches!(binary.function_offset("memcpy"), Err(SymbolError::Indirect { .. })), "not the old one");
    assert!(matches!(binary.function_offset("strlen"), Err(SymbolError::Indirect { .. })));
    let near = binary.function_offset("getpidd").unwrap_err();
    assert!(
        matches!(&near, SymbolError::Missing { near, .. } if near.contains(&"getpid".to_owned())),
        "{near}"
    );
    // Debian's has static probes.
    if let Ok(notes) = binary.usdt("libc", "setjmp") {
        assert!(notes.iter().all(|note| binary.offset_is_executable(note.offset)));
        assert!(
            notes.iter().all(|note| note.arguments.len() == 3 && note.arguments.iter().all(Result::is_ok))
        );
    }
}

/// A file with something of everything.
fn everything() -> Vec<u8> {
    let probe =
        [words(&[TEXT + 4, 0x40_5000, VARIABLES]), b"app\0run\0-4@%edi 8@v(%rip) 1@$5\0".to_vec()].concat();
    image()
        .loaded(0x50_0000, 4, go_table(0xffff_fff0, 0))
        .loaded(0x60_0000, DATA, words(&[0x50_0000, TEXT + 0x10, TEXT + 0x80, TEXT, 0]))
        .segment(4, 0, 4, note(b"GNU\0", 3, &[1; 20]))
        .loaded(0x70_0000, 4, words(&[0x60_0020, 8, 77]))
        .segment(2, 0x80_0000, 4, words(&[7, 0x70_0000, 8, 24, 0, 0]))
        .symbols(
            SYMTAB,
            &[Symbol::function("f", TEXT), Symbol { kind: 1, ..Symbol::function("v", VARIABLES) }],
        )
        .symbols(DYNSYM, &[Symbol::function("g@@V2", TEXT)])
        .section(".note.stapsdt", 7, 0, 0, note(b"stapsdt\0", 3, &probe))
        .section(".stapsdt.base", 1, 0x40_5000, 0, vec![0])
        .section(".gopclntab", 1, 0x50_0000, 0, Vec::new())
        .build()
}

/// Asks everything; what is answered has to be true.
fn ask(bytes: &[u8]) -> bool {
    let Ok(binary) = Binary::parse(bytes) else { return false };
    let functions = ["f", "g", "g@V2", "main.run", "v", "nothing"].map(|name| binary.function_offset(name));
    assert!(functions.iter().flatten().all(|offset| binary.offset_is_executable(*offset)));
    if let Ok(notes) = binary.usdt("app", "run") {
        assert!(!notes.is_empty() && notes.iter().all(|note| binary.offset_is_executable(note.offset)));
    }
    assert!(binary.usdt("app", "none").is_err());
    if let Some(id) = binary.build_id() {
        assert!(!id.is_empty());
    }
    true
}

#[test]
fn a_file_with_everything_answers_everything() {
    let bytes = everything();
    let binary = Binary::parse(&bytes).unwrap();
    for name in ["f", "g", "main.run"] {
        assert!(binary.function_offset(name).is_ok(), "{name}");
    }
    assert_eq!(binary.usdt("app", "run").unwrap()[0].arguments.iter().flatten().count(), 3);
    assert!(ask(&bytes));
}

proptest! {
    #[test]
    fn a_damaged_file_is_never_believed(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
        length in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut bytes = everything();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if !whole {
            bytes.truncate(length.index(bytes.len()));
        }
        ask(&bytes);
    }

    #[test]
    fn huge_numbers_in_the_headers_lead_nowhere(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec![
            0_u64, 1, 0xff, 0x7fff_ffff, 0xffff_ffff, u64::MAX, u64::MAX - 7, 1 << 63,
        ])), 1..6),
    ) {
        let mut bytes = everything();
        for (at, word) in changes {
            let at = at.index(bytes.len() / 8) * 8;
            if at >= 24 {
                bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
            }
        }
        ask(&bytes);
    }
}

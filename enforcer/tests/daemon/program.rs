//! A program that is made by the tests, so that they know every byte of it: it calls a function with 7, and ends with what is in a word as its status.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Where the function is in the file, and in memory.
pub(crate) const FUNCTION: u64 = 0x1040;
pub(crate) const FUNCTION_ADDRESS: u64 = LOADED + FUNCTION;
/// Where the word is in the file: a counter of those who look at the program.
pub(crate) const COUNTER: u64 = 0x3000;
/// What identifies the build.
pub(crate) const BUILD_ID: [u8; 20] = *b"a build of the tests";

const LOADED: u64 = 0x40_0000;
const TEXT: usize = 0x1000;
const TABLES: usize = 0x2000;
const GO_TABLE: usize = 0x2100;
const END: usize = 0x3100;

/// From 0x401000 on; the function is at 0x401040.
const CODE: [u8; 0x45] = {
    let mut code = [0xcc; 0x45];
    let start = [
        0xbf, 7, 0, 0, 0, // mov $7, %edi
        0xe8, 0x36, 0, 0, 0, // call 0x401040
        0x0f, 0xb7, 0x3c, 0x25, 0, 0x30, 0x40, 0, // movzwl 0x403000, %edi
        0xb8, 60, 0, 0, 0, // mov $60, %eax
        0x0f, 0x05, // syscall: exit
    ];
    let function = [0x90, 0x90, 0x89, 0xf8, 0xc3]; // nop; nop; mov %edi, %eax; ret
    let mut at = 0;
    while at < start.len() {
        code[at] = start[at];
        at += 1;
    }
    at = 0;
    while at < function.len() {
        code[0x40 + at] = function[at];
        at += 1;
    }
    code
};

/// The layouts of Go's table of functions, by the first version that has each.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Go {
    V1_16,
    V1_18,
    V1_20,
}

/// How the file names the function.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Names {
    /// `work`, in a symbol table.
    Symbols,
    /// `main.work`, in a Go program's table; the file has no symbols.
    Go(Go),
    /// The same, in a file without section headers.
    GoAlone(Go),
}

/// Writes the program to a file that can be run.
pub(crate) fn write(path: &Path, names: Names) {
    fs::write(path, bytes(names)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn halves(halves: &[u32]) -> Vec<u8> {
    halves.iter().flat_map(|half| half.to_le_bytes()).collect()
}

fn bytes(names: Names) -> Vec<u8> {
    let mut file = vec![0; END];
    put(&mut file, TEXT, &CODE);
    let note = [halves(&[4, 20, 3]), b"GNU\0".to_vec(), BUILD_ID.to_vec()].concat();
    put(&mut file, TABLES, &note);
    let sections = match names {
        Names::Symbols => symbols(&mut file),
        Names::Go(version) => {
            let table = go_table(version);
            put(&mut file, GO_TABLE, &table);
            let at = LOADED + GO_TABLE as u64;
            vec![(1, 1, at, GO_TABLE as u64, table.len() as u64, 0, 0)]
        }
        Names::GoAlone(version) => {
            put(&mut file, GO_TABLE, &go_table(version));
            Vec::new()
        }
    };
    let (table, count) = append_sections(&mut file, &sections);
    let load = |flags: u32, at: u64, len: u64| (1_u32, flags, at, len);
    let headers = [
        load(5, TEXT as u64, CODE.len() as u64),
        load(4, TABLES as u64, 0x1000),
        load(6, COUNTER, 0x100),
        (4, 4, TABLES as u64, note.len() as u64),
    ];
    put(&mut file, 0, b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0");
    put(&mut file, 24, &words(&[LOADED + TEXT as u64, 64, table]));
    let last = count.saturating_sub(1);
    let sizes = [64_u16, 56, 4, 64, count, last].map(u16::to_le_bytes).concat();
    put(&mut file, 52, &sizes);
    for (index, (kind, flags, at, len)) in headers.into_iter().enumerate() {
        let alignment = if kind == 1 { 0x1000 } else { 4 };
        let header = [halves(&[kind, flags]), words(&[at, LOADED + at, LOADED + at, len, len, alignment])];
        put(&mut file, 64 + 56 * index, &header.concat());
    }
    file
}

/// Name in the names below, kind, address, offset, length, link, size of an entry.
type Section = (u32, u32, u64, u64, u64, u32, u64);

/// Names of sections; the first is that of Go's table.
const SECTION_NAMES: &[u8] = b"\0.gopclntab\0.symtab\0.strtab\0.shstrtab\0";

/// `.symtab` and `.strtab`.
fn symbols(file: &mut Vec<u8>) -> Vec<Section> {
    let names = b"\0work\0";
    let table = file.len() as u64;
    file.extend([0; 24]);
    file.extend([halves(&[1]), vec![0x12, 0, 1, 0], words(&[FUNCTION_ADDRESS, 5])].concat());
    let at = file.len() as u64;
    file.extend(names);
    vec![(12, 2, 0, table, 48, 2, 24), (20, 3, 0, at, names.len() as u64, 0, 0)]
}

/// Adds the headers of sections behind one that is none, and the section of their names; where they are and how many.
fn append_sections(file: &mut Vec<u8>, sections: &[Section]) -> (u64, u16) {
    if sections.is_empty() {
        return (0, 0);
    }
    let names = (28, 3, 0, file.len() as u64, SECTION_NAMES.len() as u64, 0, 0);
    file.extend(SECTION_NAMES);
    file.resize(file.len().next_multiple_of(8), 0);
    let table = file.len() as u64;
    let all = [&[(0, 0, 0, 0, 0, 0, 0)], sections, &[names]].concat();
    for (name, kind, address, offset, len, link, entry) in &all {
        let header = [
            halves(&[*name, *kind]),
            words(&[0, *address, *offset, *len]),
            halves(&[*link, 0]),
            words(&[1, *entry]),
        ];
        file.extend(header.concat());
    }
    (table, u16::try_from(all.len()).unwrap())
}

/// Go's table with one function (`debug/gosym`, `runtime/symtab.go`).
fn go_table(version: Go) -> Vec<u8> {
    let names = b"main.work\0\0\0\0\0\0\0";
    let begin = |magic: u32| [halves(&[magic]), vec![0, 0, 1, 8]].concat();
    let (text, offset) = (LOADED + TEXT as u64, u32::try_from(FUNCTION).unwrap() - 0x1000);
    match version {
        Go::V1_16 => {
            let functions = 64 + names.len() as u64;
            let header = words(&[1, 0, 64, functions, functions, functions, functions]);
            // a pair, where the last function ends, and the details: where it begins, its name
            let pairs = words(&[FUNCTION_ADDRESS, 24, FUNCTION_ADDRESS + 5, FUNCTION_ADDRESS, 0]);
            [begin(0xffff_fffa), header, names.to_vec(), pairs].concat()
        }
        Go::V1_18 | Go::V1_20 => {
            let magic = if matches!(version, Go::V1_18) { 0xffff_fff0 } else { 0xffff_fff1 };
            let functions = 72 + names.len() as u64;
            let header = words(&[1, 0, text, 72, functions, functions, functions, functions]);
            let pairs = halves(&[offset, 12, offset + 5, offset, 0, 0]);
            [begin(magic), header, names.to_vec(), pairs].concat()
        }
    }
}

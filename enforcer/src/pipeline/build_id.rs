//! Build ids of mapped files: a note of the ELF file (`NT_GNU_BUILD_ID`), read where the process that mapped it sees it.
//!
//! A few reads of a file that was mapped a moment ago. What cannot be read has no build id; nothing is waited for, and every length is bounded.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// Program headers that are looked at.
const MAX_HEADERS: usize = 64;
/// Bytes of notes that are looked at.
const MAX_NOTES: usize = 4096;
/// Longest build id that is shown.
const MAX_ID: usize = 20;
/// `PT_NOTE`
const NOTE: u32 = 4;
/// `NT_GNU_BUILD_ID`
const BUILD_ID: u32 = 3;

/// The build id of the file that process `pid` of the procfs at `proc` calls `path`; empty if there is none.
pub(super) fn of_mapped(proc: &Path, pid: u32, path: &str) -> Box<[u8]> {
    let root = proc.join(pid.to_string()).join("root");
    open_below(&root, path).and_then(|file| build_id(&file)).unwrap_or_default()
}

/// A regular file below `root`, by a path without symbolic links.
fn open_below(root: &Path, path: &str) -> Option<File> {
    let root = File::open(root).ok()?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = File::from(openat2(&root, path.trim_start_matches('/'), how).ok()?);
    file.metadata().ok()?.is_file().then_some(file)
}

/// Numbers of an ELF file, in its own byte order and width.
struct Elf {
    is_64_bit: bool,
    is_big: bool,
}

impl Elf {
    fn number(&self, bytes: &[u8], at: usize, width: usize) -> Option<u64> {
        let field = bytes.get(at..at.checked_add(width)?)?;
        let fold = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.is_big { field.iter().fold(0, fold) } else { field.iter().rev().fold(0, fold) })
    }

    fn word(&self, bytes: &[u8], at: usize) -> Option<u32> {
        u32::try_from(self.number(bytes, at, 4)?).ok()
    }
}

fn read(file: &File, at: u64, bytes: usize) -> Option<Vec<u8>> {
    let mut buffer = vec![0; bytes];
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at.checked_add(u64::try_from(filled).ok()?)?) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(_unreadable) => return None,
        }
    }
    buffer.truncate(filled);
    Some(buffer)
}

fn build_id(file: &File) -> Option<Box<[u8]>> {
    let header = read(file, 0, 64)?;
    let (magic, [class, order, ..]) =
        header.split_first_chunk::<4>().and_then(|(magic, rest)| Some((magic, rest.first_chunk::<2>()?)))?;
    if magic != b"\x7fELF" {
        return None;
    }
    let elf = Elf { is_64_bit: *class == 2, is_big: *order == 2 };
    // e_phoff, e_phentsize, e_phnum; p_offset, p_filesz
    let (table, size, count, offset_at, length_at, width) =
        if elf.is_64_bit { (32, 54, 56, 8, 32, 8) } else { (28, 42, 44, 4, 16, 4) };
    let table = elf.number(&header, table, width)?;
    let size = usize::try_from(elf.number(&header, size, 2)?).ok()?;
    let count = usize::try_from(elf.number(&header, count, 2)?).ok()?.min(MAX_HEADERS);
    let headers = read(file, table, size.min(256).checked_mul(count)?)?;
    for header in headers.chunks_exact(size.clamp(1, 256)) {
        if elf.word(header, 0) != Some(NOTE) {
            continue;
        }
        let offset = elf.number(header, offset_at, width)?;
        let length = usize::try_from(elf.number(header, length_at, width)?).ok()?.min(MAX_NOTES);
        if let Some(id) = find(&elf, &read(file, offset, length)?) {
            return Some(id);
        }
    }
    None
}

/// The build id among notes.
fn find(elf: &Elf, notes: &[u8]) -> Option<Box<[u8]>> {
    let mut at = 0_usize;
    loop {
        let name_len = usize::try_from(elf.word(notes, at)?).ok()?;
        let len = usize::try_from(elf.word(notes, at + 4)?).ok()?;
        let kind = elf.word(notes, at + 8)?;
        let name = at + 12;
        let text = name.checked_add(name_len.checked_next_multiple_of(4)?)?;
        if kind == BUILD_ID && notes.get(name..name.checked_add(name_len)?) == Some(b"GNU\0") {
            return notes.get(text..text.checked_add(len.min(MAX_ID))?).map(Into::into);
        }
        at = text.checked_add(len.checked_next_multiple_of(4)?)?;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// An ELF file of little endian with one note segment.
    fn elf(is_64_bit: bool, notes: &[u8]) -> Vec<u8> {
        let (header, entry) = if is_64_bit { (64, 56) } else { (52, 32) };
        let mut bytes = vec![0; header + entry];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', if is_64_bit { 2 } else { 1 }, 1]);
        let mut put = |at: usize, number: usize, width: usize| {
            bytes[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
        };
        if is_64_bit {
            put(32, header, 8);
            put(54, entry, 2);
            put(56, 1, 2);
            put(header, 4, 4);
            put(header + 8, header + entry, 8);
            put(header + 32, notes.len(), 8);
        } else {
            put(28, header, 4);
            put(42, entry, 2);
            put(44, 1, 2);
            put(header, 4, 4);
            put(header + 4, header + entry, 4);
            put(header + 16, notes.len(), 4);
        }
        bytes.extend(notes);
        bytes
    }

    fn note(name: &[u8], kind: u32, text: &[u8]) -> Vec<u8> {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let padded = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        [len(name).to_vec(), len(text).to_vec(), kind.to_le_bytes().to_vec(), padded(name), padded(text)]
            .concat()
    }

    fn found(bytes: &[u8]) -> Option<Box<[u8]>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        build_id(&file)
    }

    // proves: HOOK-17 (build id)
    #[test]
    fn the_build_id_is_found_behind_other_notes_in_files_of_both_widths() {
        let id: Vec<u8> = (1..=20).collect();
        let notes = [note(b"Go\0", 4, b"abcde"), note(b"GNU\0", 1, b"x"), note(b"GNU\0", 3, &id)].concat();
        for is_64_bit in [true, false] {
            assert_eq!(found(&elf(is_64_bit, &notes)).as_deref(), Some(&*id));
        }
        let long = note(b"GNU\0", 3, &[7; 64]);
        assert_eq!(found(&elf(true, &long)).unwrap().len(), MAX_ID);
    }

    #[test]
    fn a_file_that_lies_or_is_cut_off_has_none() {
        let whole = elf(true, &note(b"GNU\0", 3, &[7; 20]));
        for len in 0..whole.len() {
            assert_eq!(found(&whole[..len]), None, "{len}");
        }
        let mut bytes = whole.clone();
        for at in 0..whole.len() {
            for byte in [0, 0x7f, 0xff] {
                bytes[at] = byte;
                // no panic, whatever it finds
                let _found = found(&bytes);
            }
            bytes[at] = whole[at];
        }
        assert_eq!(found(b"#!/bin/sh\n"), None);
    }

    #[test]
    fn a_file_is_found_where_the_process_sees_it_and_not_by_way_of_symbolic_links() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("7/root");
        std::fs::create_dir_all(root.join("lib")).unwrap();
        std::fs::write(root.join("lib/x"), elf(true, &note(b"GNU\0", 3, &[7; 20]))).unwrap();
        std::os::unix::fs::symlink("x", root.join("lib/link")).unwrap();
        assert_eq!(&*of_mapped(dir.path(), 7, "/lib/x"), [7; 20]);
        for (pid, path) in [(7, "/lib/link"), (7, "/lib"), (7, "/none"), (8, "/lib/x"), (7, "")] {
            assert!(of_mapped(dir.path(), pid, path).is_empty(), "{pid} {path}");
        }
    }
}

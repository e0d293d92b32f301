//! Functions of the kernel, from `/proc/kallsyms`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Bytes of the file that are read at most; kernels have 10 to 20 MB.
const MAX_FILE: u64 = 128 << 20;
/// Functions that are remembered at most; kernels have about 100 000.
const MAX_SYMBOLS: usize = 1_000_000;
/// No function is as long as this: what lies further behind a symbol is something else.
const MAX_OFFSET: u64 = 1 << 20;
/// How often the file is read again for an address that is not known: modules come and go.
const RENEWAL: Duration = Duration::from_mins(1);

/// The functions, read when the first is asked for.
#[derive(Debug)]
pub(super) struct KernelSymbols {
    path: PathBuf,
    table: Table,
    read: Option<Instant>,
}

/// Functions by address.
#[derive(Debug, Default)]
struct Table {
    /// Address, and where the name lies.
    symbols: Vec<(u64, u32, u16)>,
    names: String,
}

impl KernelSymbols {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, table: Table { symbols: Vec::new(), names: String::new() }, read: None }
    }

    /// The function that an address is in, and how far.
    pub(super) fn find(&mut self, address: u64) -> Option<(&str, u64)> {
        let is_old = self.read.is_none_or(|read| read.elapsed() >= RENEWAL);
        if is_old && self.table.position(address).is_none() {
            self.renew();
        }
        let (name, start) = self.table.at(self.table.position(address)?)?;
        Some((name, address - start))
    }

    fn renew(&mut self) {
        self.read = Some(Instant::now());
        let table = File::open(&self.path).and_then(|file| Table::read(BufReader::new(file.take(MAX_FILE))));
        match table {
            Ok(table) if table.symbols.is_empty() => {
                tracing::warn!(
                    "stacks of the kernel have no names: it hides its addresses (kernel.kptr_restrict)"
                );
            }
            Ok(table) => self.table = table,
            Err(error) => {
                tracing::warn!("stacks of the kernel have no names: {}: {error}", self.path.display());
            }
        }
    }
}

impl Table {
    /// Lines `address type name`, behind which a module's name may stand in brackets. Addresses that are hidden are zero.
    fn read(mut from: impl BufRead) -> std::io::Result<Self> {
        let mut table = Self::default();
        let mut line = Vec::new();
        while table.symbols.len() < MAX_SYMBOLS {
            line.clear();
            if from.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            table.add(&String::from_utf8_lossy(&line));
        }
        table.symbols.sort_by_key(|(address, ..)| *address);
        table.symbols.shrink_to_fit();
        table.names.shrink_to_fit();
        Ok(table)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_ascii_whitespace();
        let address = u64::from_str_radix(words.next()?, 16).ok().filter(|address| *address != 0)?;
        let is_function = matches!(words.next()?, "t" | "T" | "w" | "W");
        let name = words.next().filter(|_| is_function)?;
        let (start, length) = (u32::try_from(self.names.len()).ok()?, u16::try_from(name.len()).ok()?);
        self.names.push_str(name);
        self.symbols.push((address, start, length));
        Some(())
    }

    /// The last function that does not begin behind the address; of several names of one the first.
    fn position(&self, address: u64) -> Option<usize> {
        let behind = self.symbols.partition_point(|(start, ..)| *start <= address);
        let (start, ..) = *self.symbols.get(behind.checked_sub(1)?)?;
        (address - start < MAX_OFFSET).then(|| self.symbols.partition_point(|(other, ..)| *other < start))
    }

    fn at(&self, position: usize) -> Option<(&str, u64)> {
        let (address, start, length) = *self.symbols.get(position)?;
        let start = start as usize;
        Some((self.names.get(start..start + usize::from(length))?, address))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::KernelSymbols;

    const TEXT: &str = "0000000000000000 A fixed_percpu_data
ffffffff81000100 T second
ffffffff81000000 T first
ffffffff81000000 t first_too
ffffffff81000200 D some_data
ffffffff81000300 w weak\t[module]
nonsense
ffffffff81000400
";

    fn symbols(text: &str) -> (tempfile::TempDir, KernelSymbols) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kallsyms");
        std::fs::write(&path, text).unwrap();
        (dir, KernelSymbols::new(path))
    }

    // proves: ACT-14 (names of the kernel)
    #[test]
    fn an_address_is_in_the_function_that_begins_last_before_it() {
        let (_dir, mut symbols) = symbols(TEXT);
        for (address, expected) in [
            (0xffff_ffff_8100_0000, Some(("first", 0))),
            (0xffff_ffff_8100_00ff, Some(("first", 0xff))),
            (0xffff_ffff_8100_0280, Some(("second", 0x180))),
            (0xffff_ffff_8100_0301, Some(("weak", 1))),
            (0xffff_ffff_8200_0000, None),
            (0xffff_ffff_80ff_ffff, None),
            (0, None),
            (u64::MAX, None),
        ] {
            assert_eq!(symbols.find(address), expected, "{address:#x}");
        }
    }

    #[test]
    fn hidden_addresses_and_a_missing_file_name_nothing() {
        let (_dir, mut hidden) = symbols("0000000000000000 T first\n0000000000000000 t second\n");
        assert_eq!(hidden.find(5), None);
        assert_eq!(KernelSymbols::new("/nonexistent".into()).find(u64::MAX), None);
    }
}

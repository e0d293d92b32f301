//! Lines of the kernel's log that are about us.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::item::{Collected, ItemError};

/// Words of lines that are about us, or about what we use.
const WORDS: [&str; 15] = [
    "tetragon",
    "enforcer",
    "tetra",
    "bpf",
    "btf",
    "ftrace",
    "kprobe",
    "uprobe",
    "tracepoint",
    "lockdown",
    "lsm:",
    "oom-kill",
    "out of memory",
    "bug:",
    "warning:",
];
/// Largest record, in bytes (kernel/printk: `PRINTK_MESSAGE_MAX`, 2048 since 6.5, 8192 before).
const RECORD: usize = 8 << 10;
/// Most records that are read.
const RECORDS: usize = 1 << 17;

/// The lines `[SECONDS] TEXT` with one of [`WORDS`].
pub(super) fn ours() -> Collected {
    let path = Path::new("/dev/kmsg");
    let read = || -> io::Result<String> {
        // It has no end: a read that would wait says so.
        let mut log = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let (mut record, mut text) = (vec![0; RECORD], String::new());
        for _ in 0..RECORDS {
            match log.read(&mut record) {
                Ok(length) => text.extend(line(&String::from_utf8_lossy(&record[..length]))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Records went away before they were read; the next read goes on behind them.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                Err(error) => return Err(error),
            }
        }
        Ok(text)
    };
    read().map(String::into_bytes).map_err(|source| ItemError::file(path, source))
}

/// The line of a record `PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT`, if it is about us.
fn line(record: &str) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let text = text.lines().next().unwrap_or_default();
    let lower = text.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word)).then_some(())?;
    let time: u64 = head.split(',').nth(2)?.parse().ok()?;
    Some(format!("[{:>5}.{:06}] {text}\n", time / 1_000_000, time % 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn lines_about_us_are_kept_with_their_time() {
        let record = "4,1000,12345678,-;BPF:     type_id=1\n SUBSYSTEM=x\n";
        assert_eq!(line(record).as_deref(), Some("[   12.345678] BPF:     type_id=1\n"));
        assert_eq!(line("6,1,1,-;usb 1-1: new device\n"), None);
        assert_eq!(line("no record"), None);
        assert_eq!(line("a,b,c,d;bpf"), None);
    }
}

//! Types of files as values.

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Bytes, FileTypeTest, Sense};

/// Words by the type's number, the upper four bits of a file's mode (include/uapi/linux/stat.h).
const WORDS: [(&[&str], u16); 7] = [
    (&["fifo", "pipe"], 1),
    (&["chr", "char"], 2),
    (&["dir"], 4),
    (&["blk", "block"], 6),
    (&["reg", "regular"], 8),
    (&["lnk", "link"], 10),
    (&["sock", "socket"], 12),
];

/// The test for these types.
pub(super) fn test(values: &[Bytes], sense: Sense, report: &mut Report) -> Option<FileTypeTest> {
    let mut types = 0;
    let mut all = true;
    for value in values {
        let word = String::from_utf8_lossy(&value.value);
        let word = word.strip_suffix('\0').unwrap_or(&word);
        if let Some((_, number)) = WORDS.iter().find(|(words, _)| words.contains(&word)) {
            types |= 1 << number;
        } else {
            let message = format!("no file has the type {word:?}");
            let error = Diagnostic::error(Code::UnknownWord, value.span, message);
            report.push(error.help("types: sock, lnk, reg, blk, dir, chr, fifo"));
            all = false;
        }
    }
    all.then_some(FileTypeTest { types, sense })
}

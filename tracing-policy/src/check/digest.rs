//! Digests of files: `ALGORITHM:HEX`.

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Digest, DigestAlgorithm};
use crate::source::Spanned;

/// Longest build id; those of GNU ld have 20 bytes.
const MAX_BUILD_ID: usize = 64;

/// The digests of a file, of which it must have one. `None` when the report has an error about one.
pub(super) fn digests(written: &[Spanned<String>], report: &mut Report) -> Option<Vec<Digest>> {
    let all: Vec<_> = written.iter().map(|one| digest(one, report)).collect();
    all.into_iter().collect()
}

fn digest(written: &Spanned<String>, report: &mut Report) -> Option<Digest> {
    let text = written.value.as_str();
    let named = |name: &str| {
        DigestAlgorithm::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    };
    let parts = text.split_once(':').and_then(|(name, hex)| Some((named(name.trim())?, hex.trim())));
    let names = DigestAlgorithm::ALL.map(DigestAlgorithm::name).join(", ");
    let Some((algorithm, hex)) = parts else {
        let error = Diagnostic::error(Code::UnknownWord, written.span, "this is no digest of a file");
        report.push(error.help(format!("write ALGORITHM:HEX; algorithms: {names}")));
        return None;
    };
    let bytes = bytes(hex).filter(|bytes| match algorithm.bytes() {
        Some(length) => bytes.len() == length,
        None => (1..=MAX_BUILD_ID).contains(&bytes.len()),
    });
    let Some(bytes) = bytes else {
        let length = match algorithm.bytes() {
            Some(length) => format!("{} hexadecimal digits", 2 * length),
            None => format!("up to {} hexadecimal digits, two a byte", 2 * MAX_BUILD_ID),
        };
        let message = format!("a digest {} has {length}", algorithm.name());
        report.push(Diagnostic::error(Code::BadNumber, written.span, message));
        return None;
    };
    Some(Digest { algorithm, bytes, span: written.span })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

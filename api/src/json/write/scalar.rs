//! Strings, numbers, bytes and times.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::event::Timestamp;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `text` in quotes. Control characters (C0, DEL and C1, which terminals act on) are escaped.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.push(b'"');
    if all_plain(bytes) {
        out.extend_from_slice(bytes);
    } else {
        escaped(out, bytes);
    }
    out.push(b'"');
}

fn escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut copied = 0;
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        if stands_out(byte) == 0 {
            index += plain(&bytes[index..]);
            continue;
        }
        // U+0080 to U+009F are C2 80 to C2 9F.
        let c1 = byte == C1 && bytes.get(index + 1).is_some_and(|&next| next < 0xa0);
        if byte == C1 && !c1 {
            index += 1;
            continue;
        }
        out.extend_from_slice(&bytes[copied..index]);
        if c1 {
            index += 1;
            unicode_escape(out, bytes[index]);
        } else {
            escape(out, byte);
        }
        index += 1;
        copied = index;
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// The first byte of U+0080 to U+00BF.
const C1: u8 = 0xc2;

/// Whether a byte of a text may have to be escaped: not 0 if so. In bytes and without a branch, so that the compiler looks at all bytes of a block at once.
fn stands_out(byte: u8) -> u8 {
    let of_c0 = u8::from(byte < 0x20);
    of_c0 | u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte == 0x7f) | u8::from(byte == C1)
}

/// Whether no byte of a block stands out.
fn is_plain<const N: usize>(block: &[u8; N]) -> bool {
    block.iter().fold(0, |any, &byte| any | stands_out(byte)) == 0
}

/// Whether no byte stands out. What is left behind the last whole block is looked at with bytes before it.
fn all_plain(bytes: &[u8]) -> bool {
    if let Some(last) = bytes.last_chunk::<16>() {
        return bytes.as_chunks::<16>().0.iter().chain([last]).all(is_plain);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        return is_plain(first) && is_plain(last);
    }
    bytes.iter().all(|&byte| stands_out(byte) == 0)
}

/// How many bytes of `bytes`, the first of which does not stand out, do not: all of them up to the first that does, or the whole blocks before.
fn plain(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<16>();
    match blocks.iter().take_while(|block| is_plain(block)).count() {
        0 => bytes.iter().take(16).take_while(|&&byte| stands_out(byte) == 0).count(),
        count => 16 * count,
    }
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => return unicode_escape(out, byte),
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn unicode_escape(out: &mut Vec<u8>, code: u8) {
    let digits = [HEX[usize::from(code >> 4)], HEX[usize::from(code & 0xf)]];
    out.extend_from_slice(b"\\u00");
    out.extend_from_slice(&digits);
}

/// Appends `number` in decimal.
pub(super) fn unsigned(out: &mut Vec<u8>, number: u64) {
    padded(out, number, 1);
}

/// Appends `number` in decimal.
pub(super) fn signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    unsigned(out, number.unsigned_abs());
}

/// Appends `number` in decimal, with zeros in front up to `width` digits.
fn padded(out: &mut Vec<u8>, mut number: u64, width: usize) {
    // 2^64 has 20 digits.
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    while number > 0 || digits.len() - first < width {
        first -= 1;
        digits[first] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    out.extend_from_slice(&digits[first..]);
}

/// Appends `bytes` as base64 in quotes.
pub(super) fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    // 48 bytes become 64 characters, without padding between.
    let mut block = [0; 64];
    for chunk in bytes.chunks(48) {
        let length = STANDARD.encode_slice(chunk, &mut block).unwrap_or_default();
        out.extend_from_slice(&block[..length]);
    }
    out.push(b'"');
}

/// Appends `time` as RFC 3339 in UTC, without quotes, with 0, 3, 6 or 9 digits of fraction, or always 9 if `all_digits`.
pub fn write_timestamp(out: &mut Vec<u8>, time: Timestamp, all_digits: bool) {
    let (seconds, nanos) = time.parts();
    let (year, month, day) = civil_date(seconds.div_euclid(86_400));
    let second_of_day = seconds.rem_euclid(86_400).unsigned_abs();
    padded(out, year, 4);
    let mut rest = *b"-00-00T00:00:00";
    let numbers = [month, day, second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60];
    for (place, number) in rest.as_chunks_mut::<3>().0.iter_mut().zip(numbers) {
        let two = u8::try_from(number).unwrap_or_default();
        (place[1], place[2]) = (b'0' + two / 10, b'0' + two % 10);
    }
    out.extend_from_slice(&rest);
    let (fraction, digits) = match nanos {
        _ if all_digits => (nanos, 9),
        0 => (0, 0),
        _ if nanos % 1_000_000 == 0 => (nanos / 1_000_000, 3),
        _ if nanos % 1_000 == 0 => (nanos / 1_000, 6),
        _ => (nanos, 9),
    };
    if digits > 0 {
        out.push(b'.');
        padded(out, u64::from(fraction), digits);
    }
    out.push(b'Z');
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are counted from March, so that a leap day ends one; 146 097 days make 400 years.
fn civil_date(days: i64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year.unsigned_abs(), month.unsigned_abs(), day.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::{base64, signed, string, unsigned, write_timestamp};
    use crate::event::Timestamp;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn quotes_backslashes_and_control_characters_are_escaped() {
        let text = written(|out| string(out, "a\"b\\c\n\t\u{1}\u{7f}\u{9b}31m é\u{a0}"));
        assert_eq!(text, "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f\\u009b31m é\u{a0}\"");
        for before in 0..40 {
            let (before, behind) = ("x".repeat(before), "y".repeat(40 - before));
            let text = written(|out| string(out, &format!("{before}\n{behind}\u{9b}")));
            assert_eq!(text, format!("\"{before}\\n{behind}\\u009b\""));
        }
    }

    #[test]
    fn what_is_to_be_escaped_is_found_wherever_it_stands() {
        let escapes = [('"', "\\\""), ('\u{1f}', "\\u001f"), ('\u{80}', "\\u0080")];
        for (length, plain) in (1..40).flat_map(|length| [(length, "x"), (length, "é")]) {
            for (place, (character, escaped)) in (0..length).flat_map(|place| escapes.map(|one| (place, one)))
            {
                let (before, behind) = (plain.repeat(place), plain.repeat(length - place - 1));
                let text = written(|out| string(out, &format!("{before}{character}{behind}")));
                assert_eq!(text, format!("\"{before}{escaped}{behind}\""));
            }
        }
    }

    #[test]
    fn numbers_at_their_ends() {
        assert_eq!(written(|out| unsigned(out, 0)), "0");
        assert_eq!(written(|out| unsigned(out, u64::MAX)), u64::MAX.to_string());
        assert_eq!(written(|out| signed(out, i64::MIN)), i64::MIN.to_string());
    }

    #[test]
    fn bytes_longer_than_a_block_are_one_base64_text() {
        assert_eq!(written(|out| base64(out, b"")), "\"\"");
        assert_eq!(written(|out| base64(out, &[0; 49])), format!("\"{}==\"", "A".repeat(66)));
    }

    #[test]
    fn a_fraction_has_three_six_or_nine_digits() {
        for (nanos, expected) in [
            (1_795_448_269_949_105_178, "2026-11-23T15:37:49.949105178Z"),
            (1_795_448_269_949_105_000, "2026-11-23T15:37:49.949105Z"),
            (1_795_448_269_949_000_000, "2026-11-23T15:37:49.949Z"),
            (1_795_448_269_000_000_000, "2026-11-23T15:37:49Z"),
            (951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (0, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(written(|out| write_timestamp(out, Timestamp::from_nanos(nanos), false)), expected);
        }
        assert_eq!(
            written(|out| write_timestamp(out, Timestamp::from_nanos(0), true)),
            "1970-01-01T00:00:00.000000000Z"
        );
    }
}

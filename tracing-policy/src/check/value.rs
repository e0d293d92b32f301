//! Values: numbers, ranges and byte strings.

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Bytes, Integer, IntegerRange, IntegerType, StringForm};
use crate::source::Spanned;

/// Longest path that the kernel hands out, without its NUL (include/uapi/linux/limits.h: `PATH_MAX`).
const MAX_PATH: usize = 4095;
/// Longest text that is looked for.
const MAX_PART: usize = 255;
/// Longest string argument, without its NUL.
const MAX_STRING: usize = 4095;

/// Numbers of a type.
pub(super) fn integers(values: &[Bytes], ty: IntegerType, report: &mut Report) -> Option<Vec<Integer>> {
    let (min, max) = ty.bounds();
    all(values, |value| number(value, &value.value, min, max).map(Integer::new), report)
}

/// Bit masks for a type: any pattern of its width, signed or not.
pub(super) fn masks(values: &[Bytes], ty: IntegerType, report: &mut Report) -> Option<Vec<u64>> {
    let (min, _) = ty.bounds();
    let max = (1_i128 << ty.width.bits()) - 1;
    let mask = |value: &Bytes| {
        let bits = Integer::new(number(value, &value.value, min, max)?).register();
        // A pattern with the sign bit means that of the register, where the sign extends.
        Ok(Integer::new(ty.from_register(bits)).register())
    };
    all(values, mask, report)
}

/// Ranges `min:max`, both ends included.
pub(super) fn ranges(values: &[Bytes], ty: IntegerType, report: &mut Report) -> Option<Vec<IntegerRange>> {
    let bounds = ty.bounds();
    let range = |value: &Bytes| {
        let bad = |message: &str| {
            Diagnostic::error(Code::BadRange, value.span, message.to_owned())
                .help("write `min:max`, both included")
        };
        let colon =
            value.value.iter().position(|&byte| byte == b':').ok_or_else(|| bad("this is not a range"))?;
        let (low, high) = value.value.split_at(colon);
        let min = number(value, low, bounds.0, bounds.1)?;
        let max = number(value, high.get(1..).unwrap_or_default(), bounds.0, bounds.1)?;
        if min > max {
            return Err(bad("the range is empty: its end is before its start"));
        }
        Ok(IntegerRange { min: Integer::new(min), max: Integer::new(max) })
    };
    all(values, range, report)
}

/// Keys of a map: decimal numbers, and ranges `a:b` that stand for all numbers from `a` to `b`.
pub(super) fn keys(values: &[Bytes], ty: IntegerType, report: &mut Report) -> Option<Vec<IntegerRange>> {
    let (least, greatest) = ty.bounds();
    let key = |value: &Bytes| {
        if value.value.starts_with(b"list:") {
            let message = "a list is a value of tracepoints only: it stands for numbers of system calls";
            return Err(Diagnostic::error(Code::BadNumber, value.span, message.to_owned()));
        }
        let mut ends = value.value.splitn(2, |&byte| byte == b':');
        let min = decimal(value, ends.next().unwrap_or_default(), least, greatest)?;
        let max = ends.next().map_or(Ok(min), |end| decimal(value, end, least, greatest))?;
        if min > max {
            let message = "the range is empty: its end is before its start".to_owned();
            return Err(Diagnostic::error(Code::BadRange, value.span, message));
        }
        Ok(IntegerRange { min: Integer::new(min), max: Integer::new(max) })
    };
    all(values, key, report)
}

/// A decimal number from `min` to `max`.
fn decimal(value: &Bytes, text: &[u8], min: i128, max: i128) -> Result<i128, Diagnostic> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        let error = Diagnostic::error(Code::BadNumber, value.span, "this is not a decimal number".to_owned());
        return Err(error.help("write one number, or a range `first:last`"));
    }
    // a leading zero would say octal elsewhere
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count().min(digits.len() - 1);
    let sign: &[u8] = if digits.len() < text.len() { b"-" } else { b"" };
    number(value, &[sign, digits.get(zeros..).unwrap_or_default()].concat(), min, max)
}

/// Reads every value, reporting every bad one.
pub(super) fn all<T>(
    values: &[Bytes],
    read: impl Fn(&Bytes) -> Result<T, Diagnostic>,
    report: &mut Report,
) -> Option<Vec<T>> {
    let mut good = Vec::with_capacity(values.len());
    for value in values {
        match read(value) {
            Ok(value) => good.push(value),
            Err(error) => report.push(error),
        }
    }
    (good.len() == values.len()).then_some(good)
}

/// A number from `min` to `max`.
fn number(value: &Bytes, text: &[u8], min: i128, max: i128) -> Result<i128, Diagnostic> {
    let error = |message: String| Diagnostic::error(Code::BadNumber, value.span, message);
    let Some(number) = std::str::from_utf8(text).ok().and_then(base_zero) else {
        return Err(error("this is not a number".to_owned())
            .help("decimal, 0x hexadecimal, 0o or 0 octal, 0b binary, with a sign and underscores"));
    };
    if (min..=max).contains(&number) {
        return Ok(number);
    }
    Err(error(format!("the argument's type holds {min} to {max}, this is {number}")))
}

/// A number in the notation of Go's integer literals ("base 0"): `0x1f`, `0o17`, `017`, `0b11`, `-5`, `1_000`.
pub(super) fn base_zero(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, text.get(1..)?),
        [b'+', ..] => (false, text.get(1..)?),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, lower.get(2..)?),
        [b'0', b'o', ..] => (8, lower.get(2..)?),
        [b'0', b'b', ..] => (2, lower.get(2..)?),
        [b'0', _, ..] => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    // An underscore stands between digits, or between the prefix and a digit.
    let prefixed = digits.len() < lower.len();
    let bad_underscore =
        digits.ends_with('_') || digits.contains("__") || (digits.starts_with('_') && !prefixed);
    let digits: String = digits.chars().filter(|&c| c != '_').collect();
    if bad_underscore || digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let number = i128::from_str_radix(&digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

/// Values for a string: a trailing NUL is the terminator, not part of the value.
pub(super) fn strings(values: Vec<Bytes>, form: StringForm, report: &mut Report) -> Option<Vec<Bytes>> {
    let values = values.into_iter().map(|mut value| {
        while value.value.last() == Some(&0) {
            value.value.pop();
        }
        value
    });
    bounded(values.collect(), MAX_STRING, form, report)
}

/// Values for a name in the kernel.
pub(super) fn names(values: Vec<Bytes>, form: StringForm, report: &mut Report) -> Option<Vec<Bytes>> {
    bounded(values, MAX_STRING, form, report)
}

/// Values for a buffer: any bytes.
pub(super) fn buffers(values: Vec<Bytes>, form: StringForm, report: &mut Report) -> Option<Vec<Bytes>> {
    let without_nul = values.iter().map(|value| {
        let bytes = value.value.iter().map(|&byte| byte.max(1)).collect();
        Spanned::new(bytes, value.span)
    });
    bounded(without_nul.collect(), MAX_STRING, form, report).map(|_checked| values)
}

/// Texts to look for; the trailing NUL of a string is its terminator.
pub(super) fn parts(values: Vec<Bytes>, is_string: bool, report: &mut Report) -> Option<Vec<Bytes>> {
    let values = values.into_iter().map(|mut value| {
        while is_string && value.value.last() == Some(&0) {
            value.value.pop();
        }
        value
    });
    bounded(values.collect(), MAX_PART, StringForm::Prefix, report)
}

/// Values for a path.
pub(super) fn paths(values: Vec<Bytes>, form: StringForm, report: &mut Report) -> Option<Vec<Bytes>> {
    let values = bounded(values, MAX_PATH, form, report)?;
    for value in &values {
        let relative = form != StringForm::Postfix && value.value.first().is_some_and(|&byte| byte != b'/');
        if relative {
            let warning = Diagnostic::warning(Code::NeverMatches, value.span, "no path starts like this");
            report.push(warning.help("paths are absolute; to compare the end of a path use Postfix"));
        }
    }
    Some(values)
}

fn bounded(values: Vec<Bytes>, max: usize, form: StringForm, report: &mut Report) -> Option<Vec<Bytes>> {
    let mut good = true;
    for Spanned { value, span } in &values {
        if value.len() > max {
            let message =
                format!("this value has {} bytes, what it is compared with at most {max}", value.len());
            report.push(Diagnostic::error(Code::ValueTooLong, *span, message));
            good = false;
        } else if value.contains(&0) {
            let message = "a NUL byte ends a string and cannot be part of it";
            report.push(Diagnostic::warning(Code::NeverMatches, *span, message));
        } else if value.is_empty() && form != StringForm::Exact {
            let message = "everything starts and ends with nothing";
            let warning = Diagnostic::warning(Code::MatchesEverything, *span, message);
            report.push(warning.help("leave the value out, or the filter"));
        }
    }
    good.then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_in_go() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("+7", Some(7)),
            ("0x1F", Some(31)),
            ("0X1f", Some(31)),
            ("017", Some(15)),
            ("0o17", Some(15)),
            ("-0b101", Some(-5)),
            ("1_000", Some(1000)),
            ("0x_ff", Some(255)),
            ("18446744073709551615", Some(i128::from(u64::MAX))),
            ("", None),
            ("-", None),
            ("--1", None),
            ("08", None),
            ("0x", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("1.0", None),
            (" 1", None),
            ("٣", None),
        ] {
            assert_eq!(base_zero(text), expected, "{text:?}");
        }
        assert_eq!(base_zero(&"9".repeat(100)), None);
    }
}

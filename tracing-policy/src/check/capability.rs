//! Sets of capabilities as values.

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Bytes, capability_number};
use crate::source::Spanned;

/// The values with names of capabilities, separated by commas, turned into the number of their set. Numbers stay as they are.
pub(super) fn sets(values: &[Bytes], report: &mut Report) -> Option<Vec<Bytes>> {
    let mut good = Vec::with_capacity(values.len());
    for value in values {
        let is_names = value.value.first().is_some_and(u8::is_ascii_alphabetic);
        if !is_names {
            good.push(value.clone());
            continue;
        }
        match set(&value.value) {
            Ok(bits) => good.push(Spanned::new(bits.to_string().into_bytes(), value.span)),
            Err(name) => {
                let message = format!("there is no capability {name:?}");
                let error = Diagnostic::error(Code::BadNumber, value.span, message);
                report.push(error.help("write CAP_ names separated by commas, or the set as a number"));
            }
        }
    }
    (good.len() == values.len()).then_some(good)
}

fn set(names: &[u8]) -> Result<u64, String> {
    let mut bits = 0;
    for name in names.split(|&byte| byte == b',') {
        let name = String::from_utf8_lossy(name);
        let name = name.trim();
        match capability_number(name) {
            Some(number) => bits |= 1_u64 << number,
            None => return Err(name.to_owned()),
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_the_bits_of_their_numbers() {
        assert_eq!(set(b"CAP_CHOWN"), Ok(1));
        assert_eq!(set(b"CAP_SYS_ADMIN,CAP_CHECKPOINT_RESTORE"), Ok(1 << 21 | 1 << 40));
        assert_eq!(set(b"CAP_CHOWN, CAP_KILL"), Ok(0b10_0001));
        assert_eq!(set(b"CAP_CHOWN,"), Err(String::new()));
        assert_eq!(set(b"CHOWN"), Err("CHOWN".to_owned()));
    }
}

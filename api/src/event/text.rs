//! Bytes of the kernel to text.

use std::borrow::Cow;

/// `bytes` as text: each maximal invalid UTF-8 sequence becomes one U+FFFD. Borrows where nothing had to change.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn bytes_that_are_not_utf8_become_the_replacement_character() {
        assert_eq!(text(b"/tmp/\xff\xfe"), "/tmp/\u{fffd}\u{fffd}");
        assert_eq!(text("/tmp/ü".as_bytes()), "/tmp/ü");
    }
}

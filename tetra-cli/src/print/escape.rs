//! Text from elsewhere, made harmless for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` as it is where each character can be seen and none is a space; otherwise in double quotes, with escapes. So the
/// words of a compact line are told apart.
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| c != ' ' && is_visible(c)) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(quoted(text))
    }
}

/// `text` with escapes for what cannot be seen. For one line.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push(&mut escaped, c);
    }
    Cow::Owned(escaped)
}

/// [`visible`] of each line, for answers of several lines.
pub(crate) fn visible_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(visible).collect();
    lines.join("\n")
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if c == '"' || c == '\\' {
            quoted.push('\\');
            quoted.push(c);
        } else {
            push(&mut quoted, c);
        }
    }
    quoted.push('"');
    quoted
}

/// Appends `c`, escaped as in Go where it cannot be seen.
fn push(text: &mut String, c: char) {
    let short = match c {
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{b}' => 'v',
        _ if is_visible(c) => return text.push(c),
        _ => {
            let code = u32::from(c);
            let written = match code {
                0..0x80 => write!(text, "\\x{code:02x}"),
                0x80..0x1_0000 => write!(text, "\\u{code:04x}"),
                _ => write!(text, "\\U{code:08x}"),
            };
            written.expect("a String takes all text");
            return;
        }
    };
    text.push('\\');
    text.push(short);
}

/// Whether `c` takes part in a line of text and shows: no control, format, unassigned or separator character, the space
/// excepted.
fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // The standard library keeps its table of printable characters to itself, but escapes by it. A mark that combines
    // with the character before is escaped only at the start of a text, hence the letter.
    let mut text = [0; 5];
    text[0] = b'a';
    let length = 1 + c.encode_utf8(&mut text[1..]).len();
    std::str::from_utf8(&text[..length]).is_ok_and(|text| text.escape_debug().eq(text.chars()))
}

#[cfg(test)]
mod tests {
    use super::{visible, visible_lines, word};

    #[test]
    fn a_word_of_visible_characters_is_left_alone() {
        for text in ["", "/usr/bin/x", "a\"b\\", "ünï", "e\u{301}", "🚀", "\u{fffd}", "日本"] {
            assert_eq!(word(text), text);
        }
    }

    // proves: SEC-09
    #[test]
    fn spaces_and_what_cannot_be_seen_bring_quotes() {
        for (text, expected) in [
            ("a b", "\"a b\""),
            ("a \"b\\", "\"a \\\"b\\\\\""),
            ("\n", "\"\\n\""),
            ("\u{1b}[31m", "\"\\x1b[31m\""),
            ("\u{9b}", "\"\\u009b\""),
            ("\u{a0}", "\"\\u00a0\""),
            ("\u{202e}x", "\"\\u202ex\""),
            ("\u{e0001}", "\"\\U000e0001\""),
            ("\u{7f}", "\"\\x7f\""),
        ] {
            assert_eq!(word(text), expected);
        }
    }

    // proves: SEC-09
    #[test]
    fn a_line_keeps_its_spaces_and_loses_its_control_characters() {
        assert_eq!(visible("a b\u{1b}c"), "a b\\x1bc");
        assert_eq!(visible_lines("a\nb\tc\r\n"), "a\nb\\tc");
    }
}

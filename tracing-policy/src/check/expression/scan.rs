//! The words of an expression.

use std::ops::Range;

/// Longest text of an expression, in bytes.
const LONGEST: usize = 64 * 1024;

/// What is wrong with an expression, and where in its text.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) range: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self { range, message: message.into(), help: None }
    }

    pub(super) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}

/// A word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// A name or keyword.
    Name(String),
    /// A number without its sign, and whether it says that it has none.
    Number { magnitude: u64, unsigned: bool },
    /// A text.
    Text(Vec<u8>),
    /// An operator or bracket.
    Mark(&'static str),
    /// The end of the expression.
    End,
}

/// Operators and brackets, the longer ones first.
const MARKS: [&str; 22] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", "(", ")", "[", "]",
    ",", ".",
];

/// The words of a text, and where each stands; the last is its end.
pub(super) fn scan(text: &str) -> Result<Vec<(Token, Range<usize>)>, Fault> {
    if text.len() > LONGEST {
        let message = format!("an expression has at most {LONGEST} bytes, this one {}", text.len());
        return Err(Fault::new(0..text.len(), message));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or_default();
        if first.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let (token, bytes) = one(rest)
            .map_err(|fault| Fault { range: at + fault.range.start..at + fault.range.end, ..fault })?;
        tokens.push((token, at..at + bytes));
        at += bytes;
    }
    tokens.push((Token::End, text.len()..text.len()));
    Ok(tokens)
}

/// The first word of a text, and its length.
fn one(rest: &str) -> Result<(Token, usize), Fault> {
    let first = rest.chars().next().unwrap_or_default();
    if let Some(quoted) = text(rest) {
        return quoted;
    }
    if first.is_ascii_digit() {
        return number(rest);
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let bytes = length(rest, |c| c.is_ascii_alphanumeric() || c == '_');
        return Ok((Token::Name(rest.get(..bytes).unwrap_or_default().to_owned()), bytes));
    }
    match MARKS.iter().find(|mark| rest.starts_with(**mark)) {
        Some(mark) => Ok((Token::Mark(mark), mark.len())),
        None => Err(Fault::new(0..first.len_utf8(), "expressions have no such character")),
    }
}

fn length(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn number(rest: &str) -> Result<(Token, usize), Fault> {
    let bytes = length(rest, |c| c.is_ascii_alphanumeric());
    let whole = rest.get(..bytes).unwrap_or_default();
    let is_fraction = rest.get(bytes..).is_some_and(|rest| rest.starts_with('.'));
    if is_fraction {
        return Err(Fault::new(0..bytes + 1, "a number with a fraction: the kernel has whole numbers only"));
    }
    let lower = whole.to_ascii_lowercase();
    let (digits, unsigned) = match lower.strip_suffix('u') {
        Some(digits) => (digits, true),
        None => (lower.as_str(), false),
    };
    let (digits, radix) = match digits.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    match u64::from_str_radix(digits, radix) {
        Ok(magnitude) => Ok((Token::Number { magnitude, unsigned }, bytes)),
        Err(_) if is_number => Err(Fault::new(0..bytes, "no number of 64 bits is that large")),
        Err(_) => Err(Fault::new(0..bytes, "this is not a number")
            .help("decimal, or 0x hexadecimal; a `u` behind it makes it unsigned")),
    }
}

/// A text in quotes, if one begins here: `"…"`, `'…'`, with `r` in front for one without escapes, with `b` for one whose escapes are bytes.
fn text(rest: &str) -> Option<Result<(Token, usize), Fault>> {
    let prefix = length(rest, |c| matches!(c, 'r' | 'R' | 'b' | 'B')).min(2);
    let quote = rest.get(prefix..)?.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let has = |letter: char| {
        rest.get(..prefix).is_some_and(|prefix| prefix.contains([letter, letter.to_ascii_uppercase()]))
    };
    Some(quoted(rest, prefix + 1, quote, has('r'), has('b')))
}

fn quoted(rest: &str, from: usize, quote: char, raw: bool, bytes: bool) -> Result<(Token, usize), Fault> {
    let mut value = Vec::new();
    let mut at = from;
    while let Some(c) = rest.get(at..).and_then(|rest| rest.chars().next()) {
        let width = c.len_utf8();
        if c == quote {
            return Ok((Token::Text(value), at + width));
        }
        if c == '\\' && !raw {
            let (part, width) = escape(rest.get(at..).unwrap_or_default(), bytes)
                .map_err(|width| Fault::new(at..at + width, "expressions have no such escape"))?;
            value.extend(part);
            at += width;
            continue;
        }
        value.extend(rest.get(at..at + width).unwrap_or_default().bytes());
        at += width;
    }
    Err(Fault::new(0..rest.len(), "this text has no end").help(format!("close it with {quote}")))
}

/// What an escape stands for, and its length; the length alone if for nothing.
fn escape(rest: &str, bytes: bool) -> Result<(Vec<u8>, usize), usize> {
    let letter = rest.chars().nth(1).ok_or(1_usize)?;
    let plain = match letter {
        'n' => Some(b'\n'),
        't' => Some(b'\t'),
        'r' => Some(b'\r'),
        'a' => Some(7),
        'b' => Some(8),
        'v' => Some(11),
        'f' => Some(12),
        '\\' => Some(b'\\'),
        '"' => Some(b'"'),
        '\'' => Some(b'\''),
        '`' => Some(b'`'),
        '?' => Some(b'?'),
        _ => None,
    };
    if let Some(byte) = plain {
        return Ok((vec![byte], 2));
    }
    let (first, digits, radix) = match letter {
        'x' | 'X' => (2, 2, 16),
        'u' => (2, 4, 16),
        'U' => (2, 8, 16),
        '0'..='3' => (1, 3, 8),
        _ => return Err(1 + letter.len_utf8()),
    };
    let end = first + digits;
    let number = rest.get(first..end).and_then(|digits| u32::from_str_radix(digits, radix).ok());
    let number = number.ok_or(first)?;
    if bytes && digits < 4 {
        return Ok((vec![u8::try_from(number).map_err(|_too_large| end)?], end));
    }
    let mut buffer = [0; 4];
    let c = char::from_u32(number).ok_or(end)?;
    Ok((c.encode_utf8(&mut buffer).bytes().collect(), end))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        scan(text).unwrap().into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn words_numbers_and_texts_are_told_apart() {
        let number = |magnitude, unsigned| Token::Number { magnitude, unsigned };
        assert_eq!(
            tokens("arg0<=0xFFu&&!x"),
            [
                Token::Name("arg0".to_owned()),
                Token::Mark("<="),
                number(255, true),
                Token::Mark("&&"),
                Token::Mark("!"),
                Token::Name("x".to_owned()),
                Token::End,
            ]
        );
        let text = |bytes: &[u8]| vec![Token::Text(bytes.to_vec()), Token::End];
        assert_eq!(tokens(r#""a\"\n\x41\u00fc""#), text("a\"\nAü".as_bytes()));
        assert_eq!(tokens(r"b'\xff\101'"), text(b"\xffA"));
        assert_eq!(tokens(r"r'\x'"), text(br"\x"));
    }

    #[test]
    fn what_is_no_word_is_pointed_at() {
        for (text, range) in [
            ("arg0 == 'x", 8..10),
            ("1 + 18446744073709551616", 4..24),
            ("1.5", 0..2),
            ("a # b", 2..3),
            (r"'ab\q'", 3..5),
            ("12ab", 0..4),
            ("ü", 0..2),
        ] {
            assert_eq!(scan(text).unwrap_err().range, range, "{text}");
        }
    }
}

//! Text to words.

/// A word of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Int(u64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// Longest first, so that none is taken for its beginning.
const SIGNS: [&str; 25] = [
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",", "(", ")",
    "[", "]", "{", "}", "=",
];

/// The words of `text`, each with the byte it begins at, and the end.
///
/// # Errors
///
/// What is none.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        let at = text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            tokens.push((at, Token::End));
            return Ok(tokens);
        };
        let (token, after) = match string(rest) {
            Some(found) => found.map_err(|reason| format!("at byte {at}: {reason}"))?,
            None if first.is_ascii_digit() => {
                number(rest).ok_or_else(|| format!("at byte {at}: no number"))?
            }
            None if first.is_ascii_alphabetic() || first == '_' => {
                let (word, after) =
                    split_while(rest, |letter| letter.is_ascii_alphanumeric() || letter == '_');
                (Token::Name(word.to_owned()), after)
            }
            None => SIGNS
                .iter()
                .find_map(|sign| rest.strip_prefix(sign).map(|after| (Token::Sign(sign), after)))
                .ok_or_else(|| format!("at byte {at}: {first:?} means nothing here"))?,
        };
        tokens.push((at, token));
        rest = after;
    }
}

fn split_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|letter| !belongs(letter)).unwrap_or(text.len());
    text.split_at(end)
}

fn number(text: &str) -> Option<(Token, &str)> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let (digits, after) = split_while(hex, |letter| letter.is_ascii_hexdigit());
        return Some(integer(u64::from_str_radix(digits, 16).ok()?, after));
    }
    let (digits, mut after) = split_while(text, |letter| letter.is_ascii_digit());
    let mut is_double = false;
    if let Some(fraction) =
        after.strip_prefix('.').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    {
        is_double = true;
        after = split_while(fraction, |letter| letter.is_ascii_digit()).1;
    }
    if let Some(exponent) = after.strip_prefix(['e', 'E']) {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let (found, rest) = split_while(digits, |letter| letter.is_ascii_digit());
        if found.is_empty() {
            return None;
        }
        is_double = true;
        after = rest;
    }
    if is_double {
        let whole = text.get(..text.len() - after.len())?;
        return Some((Token::Double(whole.parse().ok()?), after));
    }
    Some(integer(digits.parse().ok()?, after))
}

fn integer(value: u64, after: &str) -> (Token, &str) {
    match after.strip_prefix(['u', 'U']) {
        Some(after) => (Token::Uint(value), after),
        None => (Token::Int(value), after),
    }
}

/// A string or bytes in quotes, with the text behind; `None` if there is none here.
fn string(text: &str) -> Option<Result<(Token, &str), String>> {
    let (prefix, quoted) = split_while(text, |letter| matches!(letter, 'r' | 'R' | 'b' | 'B'));
    let raw = prefix.contains(['r', 'R']);
    let bytes = prefix.contains(['b', 'B']);
    if prefix.len() > usize::from(raw) + usize::from(bytes) {
        return None;
    }
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| quoted.starts_with(quote))?;
    Some(content(quoted.get(quote.len()..)?, quote, raw, bytes))
}

fn content<'t>(text: &'t str, quote: &str, raw: bool, bytes: bool) -> Result<(Token, &'t str), String> {
    let mut content: Vec<u8> = Vec::new();
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix(quote) {
            let token = if bytes {
                Token::Bytes(content)
            } else {
                Token::String(
                    String::from_utf8(content).map_err(|_no_text| "a string that is no text".to_owned())?,
                )
            };
            return Ok((token, after));
        }
        let Some(letter) = rest.chars().next() else { return Err("a string without an end".to_owned()) };
        if letter == '\n' && quote.len() == 1 {
            return Err("a string that ends with its line".to_owned());
        }
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        if letter == '\\' && !raw {
            rest = escape(rest, bytes, &mut content).ok_or("an escape in a string that is none")?;
        } else {
            content.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// Adds what stands behind a backslash; the text behind it.
fn escape<'t>(text: &'t str, bytes: bool, content: &mut Vec<u8>) -> Option<&'t str> {
    let letter = text.chars().next()?;
    let after = text.get(letter.len_utf8()..)?;
    let plain = match letter {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' | '?' | '"' | '\'' | '`' => u8::try_from(letter).ok()?,
        _ => return number_escape(letter, text, after, bytes, content),
    };
    content.push(plain);
    Some(after)
}

fn number_escape<'t>(
    letter: char,
    text: &'t str,
    after: &'t str,
    bytes: bool,
    content: &mut Vec<u8>,
) -> Option<&'t str> {
    let (digits, radix, rest) = match letter {
        'x' | 'X' => (after.get(..2)?, 16, after.get(2..)?),
        'u' => (after.get(..4)?, 16, after.get(4..)?),
        'U' => (after.get(..8)?, 16, after.get(8..)?),
        '0'..='3' => (text.get(..3)?, 8, text.get(3..)?),
        _ => return None,
    };
    let code = u32::from_str_radix(digits, radix).ok()?;
    if bytes && !matches!(letter, 'u' | 'U') {
        content.push(u8::try_from(code).ok()?);
    } else {
        content.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(rest)
}

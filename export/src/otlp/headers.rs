//! What is sent along with each batch, such as a token.

use std::str::FromStr as _;

use tonic::codegen::http::HeaderName;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};

/// Those that say what a request is, and are not for users to give.
const OURS: [&str; 7] =
    ["connection", "content-encoding", "content-length", "content-type", "host", "te", "transfer-encoding"];
/// Shorter words of a value are not looked for in what is told: no secret is, and much else has them.
const SECRET: usize = 6;

/// Headers of requests. Their values are secrets: they are not shown.
#[derive(Clone, Debug, Default)]
pub struct Headers(MetadataMap);

/// Why a text names no headers. It never says a value.
#[derive(Debug, thiserror::Error)]
pub enum HeadersError {
    /// A part without `=`.
    #[error("header {0}: expected NAME=VALUE, with commas between")]
    Shape(usize),
    /// A name that no header has. It may be part of a value that was not meant so.
    #[error("header {0}: what is before = is no name of a header")]
    Name(usize),
    /// A name that the sink gives itself.
    #[error("the header {0} is the exporter's own")]
    Ours(String),
    /// A value with other characters.
    #[error("the value of {0} has characters that a header cannot have")]
    Value(String),
}

impl Headers {
    /// Reads `NAME=VALUE,NAME=VALUE`, as in `OTEL_EXPORTER_OTLP_HEADERS`: `%2C` in a value stands for a comma.
    ///
    /// # Errors
    /// See [`HeadersError`].
    pub fn parse(text: &str) -> Result<Self, HeadersError> {
        let mut headers = MetadataMap::new();
        let parts = text.split(',').map(str::trim).enumerate();
        for (index, part) in parts.filter(|(_, part)| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or(HeadersError::Shape(index + 1))?;
            let name = name.trim().to_ascii_lowercase();
            let key = AsciiMetadataKey::from_str(&name).map_err(|_no_name| HeadersError::Name(index + 1))?;
            if OURS.contains(&name.as_str()) {
                return Err(HeadersError::Ours(name));
            }
            let value = decoded(value.trim()).and_then(|bytes| AsciiMetadataValue::try_from(bytes).ok());
            let mut value = value.ok_or(HeadersError::Value(name))?;
            value.set_sensitive(true);
            headers.append(key, value);
        }
        Ok(Self(headers))
    }

    /// Their names, with commas between.
    pub fn names(&self) -> String {
        self.0.as_ref().keys().map(HeaderName::as_str).collect::<Vec<_>>().join(",")
    }

    /// `text` without the values, which a collector may repeat in what it says.
    pub(super) fn hide(&self, mut text: String) -> String {
        for value in self.0.as_ref().values().filter_map(|value| value.to_str().ok()) {
            for word in value.split_whitespace().filter(|word| word.len() >= SECRET) {
                text = text.replace(word, "[redacted]");
            }
        }
        text
    }

    pub(super) fn metadata(&self) -> MetadataMap {
        self.0.clone()
    }
}

/// The bytes that `%41` and the like stand for.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::Headers;

    #[test]
    fn headers_are_read_and_their_values_are_never_shown() {
        let headers = Headers::parse("Authorization=Bearer%20a%2Cb, x-tenant=7,").unwrap();
        assert_eq!(headers.names(), "authorization,x-tenant");
        let value = |name: &str| headers.0.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!((value("authorization").as_str(), value("x-tenant").as_str()), ("Bearer a,b", "7"));
        let shown = format!("{headers:?}");
        assert!(!shown.contains("Bearer") && !shown.contains('7'), "{shown}");
    }

    #[test]
    fn what_repeats_a_value_loses_it() {
        let headers = Headers::parse("authorization=Basic%20dXNlcjpw,x-tenant=7").unwrap();
        let said = "401: no user 'dXNlcjpw' in 7".to_owned();
        assert_eq!(headers.hide(said), "401: no user '[redacted]' in 7");
    }

    #[test]
    fn what_is_no_header_is_refused_without_its_value() {
        for (text, says) in [
            ("a=1,secret", "header 2: "),
            ("Bearer secret=", "header 1: what is before"),
            ("Host=secret", "the header host is"),
            ("a=secret%", "the value of a "),
            ("a=secret%0a", "the value of a "),
            ("a=1,a-bin=secret", "header 2: what is before"),
        ] {
            let error = Headers::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(says) && !error.contains("secret"), "{error}");
        }
    }
}

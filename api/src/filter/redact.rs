//! Redaction: what of a process's arguments is never stored.

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder, RegexSet};

use super::compile::EXPRESSION_BYTES;
use super::{FilterError, compile};
use crate::wire;

/// What stands where something was.
const REDACTED: &str = "*****";

/// Redaction filters, compiled.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    filters: Vec<RedactionFilter>,
}

#[derive(Debug, Clone)]
struct RedactionFilter {
    /// Which programs it is for; `None`: all.
    binaries: Option<RegexSet>,
    redact: Vec<Regex>,
}

impl Redaction {
    /// Redacts nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// The filters of an option.
    ///
    /// # Errors
    ///
    /// Where an expression is none.
    pub fn compile(filters: &[wire::RedactionFilter]) -> Result<Self, FilterError> {
        Ok(Self { filters: filters.iter().map(RedactionFilter::compile).collect::<Result<_, _>>()? })
    }

    /// `text`, which belongs to a process of program `binary`, with each group of each match replaced; `None` where it stays as it is.
    pub fn redact(&self, binary: &str, text: &str) -> Option<String> {
        let mut redacted: Option<String> = None;
        for filter in self.filters.iter().filter(|filter| filter.is_for(binary)) {
            for expression in &filter.redact {
                let current = redacted.as_deref().unwrap_or(text);
                // borrowed: no match
                if let Cow::Owned(text) = expression.replace_all(current, replace_groups) {
                    redacted = Some(text);
                }
            }
        }
        redacted
    }
}

impl RedactionFilter {
    #[expect(deprecated, reason = "the message has a field that upstream ignores too")]
    fn compile(filter: &wire::RedactionFilter) -> Result<Self, FilterError> {
        let wire::RedactionFilter { r#match: _, redact, binary_regex } = filter;
        let binaries = compile::expressions("binary_regex", binary_regex)?;
        let expression = |text: &String| RegexBuilder::new(text).size_limit(EXPRESSION_BYTES).build();
        let redact = redact.iter().map(expression).collect::<Result<_, _>>();
        Ok(Self {
            binaries: Some(binaries).filter(|set| !set.is_empty()),
            redact: redact
                .map_err(|error| FilterError::Expression { field: "redact", source: Box::new(error) })?,
        })
    }

    fn is_for(&self, binary: &str) -> bool {
        self.binaries.as_ref().is_none_or(|expressions| expressions.is_match(binary))
    }
}

/// The match with each of its groups replaced; a group within one that is replaced goes with it.
fn replace_groups(captures: &Captures<'_>) -> String {
    let Some(whole) = captures.get(0) else { return String::new() };
    let mut text = String::with_capacity(whole.len());
    let mut done = whole.start();
    for group in captures.iter().skip(1).flatten() {
        if group.start() < done {
            continue;
        }
        text.push_str(part(whole, done, group.start()));
        text.push_str(REDACTED);
        done = group.end();
    }
    text.push_str(part(whole, done, whole.end()));
    text
}

/// What stands from `start` to `end` of the text that was searched.
fn part(whole: regex::Match<'_>, start: usize, end: usize) -> &str {
    whole.as_str().get(start - whole.start()..end - whole.start()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::read_redaction_filters;
    use super::Redaction;

    fn redaction(text: &str) -> Redaction {
        Redaction::compile(&read_redaction_filters(text).unwrap()).unwrap()
    }

    // proves: FLT-14 (groups, programs)
    #[test]
    fn each_group_of_each_match_is_replaced_for_the_programs_named() {
        for (filter, binary, text, expected) in [
            (
                r#"{"redact":["--password(?:\\s+|=)(\\S*)"]}"#,
                "/x",
                "--password=a --password b c",
                "--password=***** --password ***** c",
            ),
            (r#"{"redact":["(a)-(b)?(c)"]}"#, "/x", "a-c a-bc", "*****-***** *****-**********"),
            (r#"{"redact":["((a)b)"]}"#, "/x", "xaby", "x*****y"),
            (r#"{"redact":["secret"]}"#, "/x", "secret", "secret"),
            (r#"{"redact":["(s)"],"binary_regex":["^/bin/sh$","z"]}"#, "/bin/sh", "s", "*****"),
            (r#"{"redact":["(s)"],"binary_regex":["^/bin/sh$"]}"#, "/bin/bash", "s", "s"),
            (r#"{"redact":["(é)ä"]}{"redact":["(ö)"]}"#, "/x", "éä öß", "*****ä *****ß"),
            (r#"{"match":[{}],"redact":["()"]}"#, "/x", "ab", "*****a*****b*****"),
        ] {
            let redacted = redaction(filter).redact(binary, text);
            assert_eq!(redacted.as_deref().unwrap_or(text), expected, "{filter}");
        }
        assert_eq!(redaction(r#"{"redact":["(x)"]}"#).redact("/x", "abc"), None);
    }

    #[test]
    fn a_wrong_expression_is_named() {
        for (filter, expected) in
            [(r#"{"redact":["("]}"#, "redact"), (r#"{"binary_regex":["("]}"#, "binary_regex")]
        {
            let error = Redaction::compile(&read_redaction_filters(filter).unwrap()).unwrap_err().to_string();
            assert!(error.contains(&format!("field {expected}: ")), "{error}");
        }
    }
}

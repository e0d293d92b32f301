//! A test as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::act::Act;

/// A test: the file's whole content.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    /// Its name, of lower-case letters, digits and `-`; the policy's is `policytest-NAME`.
    pub(super) name: String,
    /// What it is about, a sentence.
    #[serde(default)]
    pub(super) description: String,
    /// Words by which tests are told apart in the list.
    #[serde(default)]
    pub(super) labels: Vec<String>,
    /// What `--set-param` may set; `{{NAME}}` in texts of the test is replaced.
    #[serde(default)]
    pub(super) parameters: Vec<Parameter>,
    /// `spec` of the policy. No selector may have `matchPIDs`: the runner puts its own there.
    pub(super) policy: Value,
    /// What is done, and what has to come of it.
    pub(super) scenarios: Vec<Scenario>,
}

/// A parameter of a test.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: String,
    /// Its value where none is given.
    pub(super) default: String,
    /// The values of `--all-params`, and the only ones that may be given; any may where there are none.
    #[serde(default)]
    pub(super) values: Vec<String>,
}

/// Acts of one process, and what has to come of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    /// Its name, a sentence.
    pub(super) name: String,
    /// What the process does, one after the other, until something fails.
    pub(super) acts: Vec<Act>,
    /// How that ends: `ok`, `killed`, or the name of an error such as `EPERM`.
    #[serde(default = "ok")]
    pub(super) result: String,
    /// How it ends where the policy only monitors.
    #[serde(default = "ok")]
    pub(super) unenforced: String,
    /// The events of the policy about the process, in their order: each has at least what stands here.
    #[serde(default)]
    pub(super) events: Vec<BTreeMap<String, Value>>,
}

fn ok() -> String {
    "ok".to_owned()
}

/// A text that is no test.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TestError {
    /// Not of the form.
    #[error("{name}: {reason}")]
    Form {
        /// The file, or the name of a test that is built in.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

impl Test {
    /// The test in `text`; `from` says where that is from.
    pub(super) fn parse(from: &str, text: &str) -> Result<Self, TestError> {
        let form = |reason: String| TestError::Form { name: from.to_owned(), reason };
        let test: Self = serde_saphyr::from_str(text).map_err(|error| form(error.to_string()))?;
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if test.name.is_empty() || test.name.len() > 48 || !test.name.chars().all(plain) {
            return Err(form(format!("{:?} is no name; use at most 48 of a-z, 0-9 and -", test.name)));
        }
        if test.scenarios.is_empty() || test.scenarios.iter().any(|scenario| scenario.acts.is_empty()) {
            return Err(form("a test has scenarios, and each of them acts".to_owned()));
        }
        Ok(test)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::Test;

    #[test]
    fn a_text_that_is_no_test_is_refused_with_what_is_wrong() {
        let good = "name: a\npolicy: {}\nscenarios: [{name: s, acts: [{open: /x}]}]\n";
        let test = Test::parse("f", good).unwrap();
        assert_eq!((test.scenarios[0].result.as_str(), test.scenarios[0].events.len()), ("ok", 0));
        for (text, expected) in [
            (good.replace("name: a", "name: A b"), "is no name"),
            (good.replace("acts: [{open: /x}]", "acts: []"), "each of them acts"),
            (good.replace("open", "explode"), "explode"),
            (good.replace("policy", "polcy"), "polcy"),
        ] {
            let error = Test::parse("f", &text).unwrap_err().to_string();
            assert!(error.starts_with("f: ") && error.contains(expected), "{error}");
        }
    }
}

//! Tests that are built in.

use super::test::{Test, TestError};

const TEXTS: [(&str, &str); 9] = [
    ("connect", include_str!("tests/connect.yaml")),
    ("exec", include_str!("tests/exec.yaml")),
    ("file-denied", include_str!("tests/file-denied.yaml")),
    ("file-killed", include_str!("tests/file-killed.yaml")),
    ("file-opened", include_str!("tests/file-opened.yaml")),
    ("monitor", include_str!("tests/monitor.yaml")),
    ("rate-limit", include_str!("tests/rate-limit.yaml")),
    ("seek", include_str!("tests/seek.yaml")),
    ("seek-killed", include_str!("tests/seek-killed.yaml")),
];

/// All of them, by name.
pub(super) fn tests() -> Result<Vec<Test>, TestError> {
    TEXTS.iter().map(|(name, text)| Test::parse(name, text)).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use tracing_policy::source::SourceText;

    use super::TEXTS;
    use crate::command::policytest::{parameter, scope};

    #[test]
    fn they_are_tests_by_their_names_and_hold_policies() {
        let all = super::tests().unwrap();
        let names: Vec<&str> = all.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, TEXTS.map(|(name, _)| name));
        for test in &all {
            assert!(!test.description.is_empty() && !test.labels.is_empty(), "{}", test.name);
            for values in parameter::all_values(&test.parameters) {
                let filled = parameter::filled(test, &values);
                let policy = scope::policy(&test.name, &filled.policy, 1, false).unwrap();
                let text = serde_saphyr::to_string(&policy).unwrap();
                let source = SourceText::new("test", text.as_str());
                assert!(tracing_policy::parse::policy(&source).is_ok(), "{}: {text}", test.name);
            }
        }
    }
}

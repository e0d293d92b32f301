//! Policies of the field, where they are at hand: every one is read, and is refused only for what comes later.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;

use tracing_policy::diagnostic::render::{Style, terminal};
use tracing_policy::diagnostic::{Code, Severity};
use tracing_policy::source::SourceText;
use tracing_policy::{check, parse};

#[test]
fn policies_of_the_field_are_read_and_refused_only_for_what_is_not_supported_yet() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples/policies");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        assert!(std::env::var_os("CI").is_none(), "the sample policies are missing");
        return;
    };
    let mut accepted = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        let source = SourceText::from_bytes(path.to_str().unwrap(), &std::fs::read(&path).unwrap()).unwrap();
        let schema =
            parse::policy(&source).unwrap_or_else(|e| panic!("{}", terminal(&source, &e, Style::Plain)));
        match check::policy(schema) {
            Ok(_) => accepted += 1,
            Err(findings) => {
                let surprise = |code, severity| severity == Severity::Error && code != Code::NotSupportedYet;
                let surprises: Vec<_> =
                    findings.into_iter().filter(|finding| surprise(finding.code, finding.severity)).collect();
                assert!(surprises.is_empty(), "{}", terminal(&source, &surprises, Style::Plain));
            }
        }
    }
    assert!(accepted >= 5, "only {accepted} were accepted");
}

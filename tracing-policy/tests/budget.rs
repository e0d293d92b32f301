//! Hostile and huge texts: bounded time, bounded memory, a clear answer.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fmt::Write as _;
use std::time::Instant;

use tracing_policy::diagnostic::{Code, Diagnostic, MAX_FINDINGS};
use tracing_policy::policy::{ArgumentFilter, Policy};
use tracing_policy::source::{MAX_BYTES, SourceText};
use tracing_policy::{check, parse};

fn errors(text: impl Into<String>) -> Vec<Diagnostic> {
    parse::policy(&SourceText::new("hostile.yaml", text.into())).unwrap_err()
}

fn with_values(count: usize) -> String {
    let mut text = "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: many}\nspec:\n  kprobes:\n  \
                    - call: security_file_open\n    syscall: false\n    args: [{index: 0, type: file}]\n    selectors:\n    \
                    - matchArgs:\n      - index: 0\n        operator: Prefix\n        values:\n"
        .to_owned();
    for value in 0..count {
        writeln!(text, "        - \"/var/lib/containers/storage/overlay/{value:08}\"").unwrap();
    }
    text
}

fn read(text: &str) -> Policy {
    let schema = parse::policy(&SourceText::new("many.yaml", text)).unwrap();
    check::policy(schema).unwrap().0
}

#[test]
fn a_hundred_thousand_values_are_read_and_the_time_grows_with_their_number_only() {
    let time = |count| {
        let text = with_values(count);
        let start = Instant::now();
        let policy = read(&text);
        let ArgumentFilter::Path { test, .. } = &policy.hooks[0].selectors[0].arguments[0] else { panic!() };
        assert_eq!(test.values.len(), count);
        start.elapsed()
    };
    // The least of several: what else runs on this machine only adds.
    let least = |count| (0..3).map(|_| time(count)).min().unwrap();
    let (few, many) = (least(10_000), least(100_000));
    // Ten times the values: about ten times the time; a hundred would be quadratic.
    assert!(many < few * 40, "{few:?} for 10 000, {many:?} for 100 000");
}

#[test]
fn fifty_megabytes_are_refused_before_they_are_read() {
    let text = "a: b\n".repeat(10 * 1024 * 1024);
    assert!(text.len() > 50_000_000);
    assert!(SourceText::from_bytes("big.yaml", text.as_bytes()).is_err());
    let errors = errors(text);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].code, Code::TooLarge);
    assert!(errors[0].message.contains(&MAX_BYTES.to_string()));
}

#[test]
fn a_long_scalar_copied_often_is_refused() {
    let text = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(1 << 20), "*a,".repeat(1000));
    assert_eq!(errors(text)[0].code, Code::TooComplex);
}

#[test]
fn nesting_is_refused_in_every_style() {
    for text in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000)] {
        let error = &errors(text)[0];
        assert!([Code::TooComplex, Code::BadYaml].contains(&error.code), "{error:?}");
    }
}

#[test]
fn a_million_mistakes_are_counted_not_shown() {
    let mut text =
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: x}\nspec:\n".to_owned();
    for field in 0..100_000 {
        writeln!(text, "  f{field}: 1").unwrap();
    }
    let errors = errors(text);
    assert_eq!(errors.len(), MAX_FINDINGS + 1);
    assert!(
        errors.iter().any(|error| error.code == Code::TooManyFindings && error.message.starts_with("99900 "))
    );
}

// proves: POL-02
#[test]
fn duplicate_keys_are_found_among_many() {
    let mut text = String::new();
    for key in 0..100_000 {
        writeln!(text, "k{key}: 1").unwrap();
    }
    text.push_str("k0: 2\n");
    let errors = errors(text);
    assert_eq!(errors[0].code, Code::DuplicateKey);
    assert_eq!(errors[0].labels.len(), 1);
}

mod random {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

        /// Whatever the text, there is an answer, and every place in it is a place in the text.
        #[test]
        fn any_text_gets_an_answer_with_places_inside_it(
            text in r#"(apiVersion|kind|spec|kprobes|- |  |: |\n|\[|\]|\{|\}|,|"|'|&a|\*a|!!|<<|[a-z0-9#|>%@\\\t]|ä){0,60}"#
        ) {
            let source = SourceText::new("random", text.as_str());
            if let Err(findings) = parse::policy(&source).and_then(check::policy) {
                prop_assert!(!findings.is_empty());
                for finding in findings {
                    for label in std::iter::once(&finding.primary).chain(&finding.labels) {
                        prop_assert!(label.span.start <= label.span.end);
                        prop_assert!(label.span.end as usize <= text.len());
                        prop_assert!(text.get(label.span.start as usize..).is_some());
                    }
                    tracing_policy::diagnostic::render::terminal(
                        &source, &[finding], tracing_policy::diagnostic::render::Style::Plain);
                }
            }
        }

        /// A value that is written in double quotes arrives as the same bytes.
        #[test]
        fn a_quoted_value_arrives_as_it_was_meant(value in "/[ -~äß\t]{0,40}") {
            let quoted = serde_json::to_string(&value).unwrap();
            let text = with_values(0) + "        - " + &quoted + "\n";
            let policy = read(&text);
            let ArgumentFilter::Path { test, .. } = &policy.hooks[0].selectors[0].arguments[0] else { panic!() };
            prop_assert_eq!(&test.values[0].value, value.as_bytes());
        }
    }
}

// found by the fuzz target `parse`
#[test]
fn broken_yaml_is_shown_at_whole_characters() {
    for text in ["\u{92}obU0s", "a: \u{92}", ""] {
        for error in errors(text) {
            let span = error.primary.span;
            assert!(text.get(span.start as usize..span.end as usize).is_some(), "{text:?}: {error:?}");
        }
    }
}

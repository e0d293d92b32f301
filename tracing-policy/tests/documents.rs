//! Policies as files: each file below `valid` and `invalid` is a test, and states its findings in comments.
//!
//! `# expect: P0012 line 14` in an invalid policy, `# warn: P0016 line 5` in a valid one. All findings must be stated.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tracing_policy::diagnostic::render::{Style, json, sarif, terminal};
use tracing_policy::diagnostic::{Code, Diagnostic, Severity};
use tracing_policy::source::SourceText;
use tracing_policy::{check, parse};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn source(path: &Path) -> SourceText {
    let name = path.file_name().unwrap().to_str().unwrap();
    SourceText::from_bytes(name, &std::fs::read(path).unwrap()).unwrap()
}

/// All findings about a policy, and whether it was accepted.
fn findings(source: &SourceText) -> (bool, Vec<Diagnostic>) {
    match parse::policy(source).and_then(check::policy) {
        Ok((_, warnings)) => (true, warnings),
        Err(errors) => (false, errors),
    }
}

fn stated(source: &SourceText, word: &str) -> BTreeSet<String> {
    let prefix = format!("# {word}: ");
    source
        .text()
        .lines()
        .filter_map(|line| line.split_once(&prefix))
        .map(|(_, rest)| rest.to_owned())
        .collect()
}

fn found(source: &SourceText, findings: &[Diagnostic]) -> BTreeSet<String> {
    let line = |finding: &Diagnostic| source.position(finding.primary.span.start).line;
    findings.iter().map(|finding| format!("{} line {}", finding.code, line(finding))).collect()
}

// proves: POL-01 (TracingPolicy), POL-07 (policy-mode, disable-kprobe-multi), POL-11 (text that is cut), POL-13 (mode without effect), ACT-05 (errno)
#[test]
fn a_valid_policy_is_accepted_with_the_warnings_it_states() {
    for path in files("valid") {
        let source = source(&path);
        let (accepted, findings) = findings(&source);
        assert!(accepted, "{}\n{}", path.display(), terminal(&source, &findings, Style::Plain));
        assert_eq!(found(&source, &findings), stated(&source, "warn"), "{}", path.display());
    }
}

// proves: POL-02, POL-03 (types, words, limits), POL-04, POL-11 (limits), SEL-31, ACT-19 (kprobes)
#[test]
fn an_invalid_policy_is_refused_with_the_findings_it_states() {
    for path in files("invalid") {
        let source = source(&path);
        let (accepted, findings) = findings(&source);
        assert!(!accepted, "{}", path.display());
        assert!(findings.iter().any(|finding| finding.severity == Severity::Error), "{}", path.display());
        assert_eq!(found(&source, &findings), stated(&source, "expect"), "{}", path.display());
    }
}

/// Findings that no small file shows: the tests of `budget.rs` make the first two, those of `resolve.rs` and `live` the others, which need a kernel.
const NOT_IN_FILES: [Code; 8] = [
    Code::TooLarge,
    Code::TooManyFindings,
    Code::NoSuchFunction,
    Code::NotOnThisKernel,
    Code::BeyondPrototype,
    Code::PrototypeMismatch,
    Code::Refused,
    Code::BadFile,
];

#[test]
fn the_first_finding_of_each_code_looks_like_its_picture() {
    let mut seen: BTreeSet<Code> = NOT_IN_FILES.into_iter().collect();
    for path in files("invalid").into_iter().chain(files("valid")) {
        let source = source(&path);
        for finding in findings(&source).1 {
            if seen.insert(finding.code) {
                let name = finding.code.as_str().to_owned();
                insta::assert_snapshot!(
                    name,
                    terminal(&source, std::slice::from_ref(&finding), Style::Plain)
                );
            }
        }
    }
    let missing: Vec<&Code> = Code::ALL.iter().filter(|code| !seen.contains(code)).collect();
    assert!(missing.is_empty(), "no file shows {missing:?}");
}

#[test]
fn tools_get_json_lines_and_sarif() {
    let path = files("invalid").into_iter().find(|path| path.ends_with("duplicate-option.yaml")).unwrap();
    let source = source(&path);
    let findings = findings(&source).1;
    insta::assert_snapshot!("json", json(&source, &findings));
    let sarif: serde_json::Value = serde_json::from_str(&sarif(&source, &findings)).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "P0019");
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 8);
    assert_eq!(sarif["runs"][0]["tool"]["driver"]["rules"][0]["id"], "P0019");
}

#[test]
fn a_line_too_long_for_a_terminal_is_not_drawn() {
    let text = format!("{{\"a\": 1, {}\n}}", "\"b\": 1, ".repeat(100_000));
    let source = SourceText::new("long.json", text);
    let picture = terminal(&source, &findings(&source).1, Style::Plain);
    assert!(picture.contains("long.json:1:18: `b` is there twice"), "{}", picture.len());
    assert!(picture.len() < 1000);
}

#[test]
fn a_terminal_never_gets_control_characters_from_a_policy() {
    let source = SourceText::new(
        "\u{1b}[2J.yaml",
        "apiVersion: cilium.io/v1alpha1\n\"\\e[31mx\": 1\nkind: \"\\e]0;\\a\"\n",
    );
    let comment = SourceText::new("x", "kind: x # \u{1b}[2J \u{9b}2J \u{202e} \u{7}\nfoo: 1\n");
    for source in [source, comment] {
        let (_, findings) = findings(&source);
        for style in [Style::Plain, Style::Ascii] {
            let text = terminal(&source, &findings, style);
            assert!(!text.contains(|c: char| c == '\u{202e}' || c.is_control() && c != '\n'), "{text:?}");
        }
    }
}

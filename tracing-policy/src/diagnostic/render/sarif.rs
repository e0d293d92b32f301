//! Findings as SARIF 2.1.0, which code hosts and editors read.

use serde_json::{Value, json};

use crate::diagnostic::{Code, Diagnostic, Label, Severity};
use crate::source::SourceText;

/// One SARIF log with one run. The rules are the codes that occur, each with its page.
pub fn sarif(source: &SourceText, findings: &[Diagnostic]) -> String {
    let mut codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let rules: Vec<Value> = codes.iter().map(|code| rule(*code)).collect();
    let results: Vec<Value> = findings.iter().map(|finding| result(source, finding)).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "enforcer", "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.as_str(),
        "shortDescription": { "text": code.title() },
        "help": { "text": code.page(), "markdown": code.page() },
    })
}

fn result(source: &SourceText, finding: &Diagnostic) -> Value {
    let text = match &finding.help {
        Some(help) => format!("{} ({help})", finding.message),
        None => finding.message.clone(),
    };
    let related: Vec<Value> = finding.labels.iter().map(|label| location(source, label)).collect();
    json!({
        "ruleId": finding.code.as_str(),
        "level": match finding.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "message": { "text": text },
        "locations": [location(source, &finding.primary)],
        "relatedLocations": related,
    })
}

fn location(source: &SourceText, label: &Label) -> Value {
    let mut location = json!({ "physicalLocation": { "artifactLocation": { "uri": source.name() } } });
    if !label.span.is_empty() {
        let (start, end) = (source.position(label.span.start), source.position(label.span.end));
        location["physicalLocation"]["region"] = json!({
            "startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column,
        });
    }
    if !label.text.is_empty() {
        location["message"] = json!({ "text": label.text });
    }
    location
}

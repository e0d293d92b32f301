//! What an API server accepts by the custom resource definitions, and what the compiler accepts: the same, as far as a schema can say it.
//!
//! `server` does with a document what an API server does with it, `documents` makes documents out of the schema.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod documents;
mod server;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tracing_policy::diagnostic::{Code, Severity};
use tracing_policy::source::SourceText;
use tracing_policy::{check, parse};

use documents::{Found, every_field, with};
use server::Server;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn ours(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The errors of the compiler's first two stages: that of the shape, or else those of the meaning.
fn errors(text: &str) -> Vec<Code> {
    let source = SourceText::new("test", text);
    let findings = parse::policy(&source).and_then(check::policy).err().unwrap_or_default();
    let errors = findings.into_iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| finding.code).collect()
}

/// Whether the text has the shape that the parser asks for.
fn has_shape(text: &str) -> bool {
    parse::policy(&SourceText::new("test", text)).is_ok()
}

/// The policy of a text of one or more documents; `None` when no client could send it to a server.
fn document(text: &str) -> Option<Value> {
    let parts: Vec<&str> = text.split("\n---\n").collect();
    let policy = parts.iter().find(|part| parts.len() == 1 || part.contains("kind: TracingPolicy"))?;
    // clients send text for bytes
    let binary = regex::Regex::new("!!binary [^],]*").unwrap();
    serde_saphyr::from_str(&binary.replace_all(policy, "text")).ok()
}

// proves: POL-03 (schema of valid policies)
#[test]
fn every_valid_policy_passes_the_definition() {
    let server = Server::new();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples/policies");
    let mut paths = files(&ours("valid"));
    if samples.is_dir() {
        paths.extend(files(&samples));
    }
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let document = document(&text).unwrap_or_else(|| panic!("{}", path.display()));
        if document["kind"] == "TracingPolicy" || document["kind"] == "TracingPolicyNamespaced" {
            assert_eq!(server.refusals(&document), Vec::<String>::new(), "{}", path.display());
        }
    }
}

/// Policies that have the right shape, and that the definition refuses by a limit or by a rule; the compiler refuses them in its second stage.
const BY_LIMIT_OR_RULE: [&str; 4] =
    ["pod-selector.yaml", "too-many-tags.yaml", "wrong-returns.yaml", "wrong-values-of-host-selector.yaml"];

// proves: POL-03 (schema of invalid policies)
#[test]
fn an_invalid_policy_is_refused_by_the_definition_exactly_if_its_shape_is_wrong() {
    let server = Server::new();
    let mut by_limit_or_rule = BTreeSet::new();
    let mut by_shape = 0;
    for path in files(&ours("invalid")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // what is not YAML, not one policy or not a policy never comes to the definition
        let elsewhere = [
            Code::BadYaml,
            Code::TooComplex,
            Code::DuplicateKey,
            Code::NotOnePolicy,
            Code::ForeignYaml,
            Code::NotAPolicy,
            Code::TooLarge,
        ];
        let parsed = parse::policy(&SourceText::new("test", text.as_str()));
        if parsed.is_err() && errors(&text).iter().any(|code| elsewhere.contains(code)) {
            continue;
        }
        let refusals = server.refusals(&document(&text).unwrap_or_else(|| panic!("{name}")));
        match (parsed.is_ok(), refusals.is_empty()) {
            (true, true) => {}
            (true, false) => drop(by_limit_or_rule.insert(name)),
            (false, true) => panic!("{name}: the definition has nothing against {:?}", errors(&text)),
            (false, false) => by_shape += 1,
        }
    }
    assert_eq!(by_limit_or_rule.iter().map(String::as_str).collect::<Vec<_>>(), BY_LIMIT_OR_RULE);
    assert!(by_shape > 3, "{by_shape}");
}

// proves: POL-03
#[test]
fn every_field_takes_the_same_in_the_definition_and_in_the_parser() {
    let server = Server::new();
    let mut kinds = BTreeSet::new();
    let fields = every_field(&server);
    assert!(fields.len() > 400, "{}", fields.len());
    for Found { path, schema, required } in &fields {
        let kind = schema["type"].as_str().unwrap();
        kinds.insert(kind);
        for (value, right) in documents::values(schema) {
            let document = with(&server, path, Some(value.clone()));
            let text = document.to_string();
            assert_eq!(server.refusals_but_rules(&document).is_empty(), right, "{path:?} {value}");
            assert_eq!(has_shape(&text), right, "{path:?} {value}");
        }
        for absent in [None, Some(Value::Null)] {
            let document = with(&server, path, absent);
            assert_eq!(server.refusals_but_rules(&document).is_empty(), !required, "{path:?} left out");
            assert_eq!(has_shape(&document.to_string()), !required, "{path:?} left out");
        }
        if kind == "object" && schema.get("properties").is_some() {
            let mut stranger = path.clone();
            stranger.push("noSuchField".to_owned());
            let document = with(&server, &stranger, Some(json!("x")));
            assert!(!server.refusals_but_rules(&document).is_empty(), "{stranger:?}");
            assert!(!has_shape(&document.to_string()), "{stranger:?}");
        }
    }
    assert_eq!(kinds, BTreeSet::from(["array", "boolean", "integer", "object", "string"]));
}

/// A policy with a hook of this kind.
fn policy(spec: &str) -> String {
    format!("apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec: {spec}\n")
}

/// The checked policy in words, without places in the text.
fn meaning(text: &str) -> Result<String, Vec<Code>> {
    let (policy, _) = tracing_policy::read(&SourceText::new("test", text))
        .map_err(|findings| findings.iter().map(|finding| finding.code).collect::<Vec<_>>())?;
    let spans = regex::Regex::new(r"Span \{[^}]*\}").unwrap();
    Ok(spans.replace_all(&format!("{policy:?}"), "Span").into_owned())
}

// proves: POL-03 (defaults)
#[test]
fn a_policy_means_the_same_with_and_without_the_defaults_that_a_server_fills_in() {
    let server = Server::new();
    for spec in [
        "{kprobes: [{call: sys_dup}]}",
        "{kprobes: [{call: sys_write, args: [{index: 0, type: int}, {index: 1, type: char_buf, sizeArgIndex: 3}], selectors: [{matchPIDs: [{operator: In, values: [1]}], matchBinaries: [{operator: In, values: [/a]}], matchCapabilities: [{operator: In, values: [CAP_CHOWN]}], matchActions: [{action: Post, rateLimit: 1m}]}]}]}",
        "{kprobes: [{call: sys_dup, return: true, returnArg: {index: 0, type: int}, ignore: {}}]}",
        "{tracepoints: [{subsystem: sched, event: sched_process_exec, args: [{index: 4, type: int64}]}]}",
        "{uprobes: [{path: /bin/sh, symbols: [main], ignore: {}}]}",
        "{lsmhooks: [{hook: file_open, args: [{index: 0, type: file}]}]}",
        "{usdts: [{path: /bin/sh, provider: a, name: b}]}",
        "{loader: true}",
    ] {
        let text = policy(spec);
        let mut filled = document(&text).unwrap();
        let count = server.fill_in_defaults(&mut filled);
        assert!(count > 0 || spec.contains("usdts") || spec.contains("loader"), "{spec}");
        assert_eq!(meaning(&filled.to_string()), meaning(&text), "{spec}");
        assert!(meaning(&text).is_ok(), "{spec}");
    }
    let wrapper = meaning(&policy("{kprobes: [{call: sys_dup}]}")).unwrap();
    assert_eq!(meaning(&policy("{kprobes: [{call: sys_dup, syscall: true}]}")).unwrap(), wrapper);
    assert_ne!(meaning(&policy("{kprobes: [{call: sys_dup, syscall: false}]}")).unwrap(), wrapper);
}

/// A rule of the definition, a policy that keeps it and one that breaks it.
const RULES: [(&str, &str, &str); 5] = [
    (
        "returnArg",
        "{kprobes: [{call: sys_dup, return: true, returnArg: {index: 0, type: int}}]}",
        "{kprobes: [{call: sys_dup, return: true}]}",
    ),
    (
        "returnArg",
        "{fentries: [{call: vfs_open, syscall: false, return: false}]}",
        "{fentries: [{call: vfs_open, syscall: false, return: true}]}",
    ),
    (
        "one place",
        "{uprobes: [{path: /a, symbols: [b], selectors: [{matchActions: [{action: Post}]}]}]}",
        "{uprobes: [{path: /a, symbols: [b], selectors: [{matchActions: [{action: Override, argNewSymbol: x, argNewAddr: 1}]}]}]}",
    ),
    (
        "hostSelector",
        "{hostSelector: {}, podSelector: {}, containerSelector: {}, kprobes: [{call: sys_dup}]}",
        "{hostSelector: {matchLabels: {}}, podSelector: {}, containerSelector: {}, kprobes: [{call: sys_dup}]}",
    ),
    (
        "maxItems",
        "{kprobes: [{call: sys_dup, tags: [aa, aa, aa, aa, aa, aa, aa, aa, aa, aa, aa, aa, aa, aa, aa, aa]}]}",
        "{kprobes: [{call: sys_dup, tags: [aa, aa, aa, aa, aa, aa, aa, aa, aa, aa, aa, aa, aa, aa, aa, aa, aa]}]}",
    ),
];

// proves: POL-03 (limits, CEL rules)
#[test]
fn rules_and_limits_of_the_definition_are_those_of_the_compiler() {
    let server = Server::new();
    for (rule, good, bad) in RULES {
        let good = policy(good);
        assert_eq!(server.refusals(&document(&good).unwrap()), Vec::<String>::new());
        assert_eq!(errors(&good), [], "{good}");
        let bad = policy(bad);
        let refusals = server.refusals(&document(&bad).unwrap());
        assert!(refusals.len() == 1 && refusals[0].contains(rule), "{bad}: {refusals:?}");
        assert!(!errors(&bad).is_empty(), "{bad}");
    }
}

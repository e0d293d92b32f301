//! Files that are made from the language: committed, and equal to what the compiler would write now. `cargo xtask generate` writes them.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use tracing_policy::crd::{definition, reference};
use tracing_policy::schema::PolicyKind;

const HEAD: &str = "\
# Policies

<!-- Made by `cargo xtask generate` from tracing-policy/src/parse and src/crd. Do not edit. -->

Every field that a policy can have. What this version does not compile yet it refuses, with the line
([compatibility](../compatibility.md)).
";

/// Compares a file with what it should be, or writes it when that is asked for.
fn is(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("ENFORCER_GENERATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "{}: not what the source says; run cargo xtask generate", path.display());
}

fn yaml(kind: PolicyKind) -> String {
    let head = "# Made by `cargo xtask generate` from tracing-policy/src/parse and src/crd. Do not edit.\n";
    format!("{head}{}", serde_saphyr::to_string(&definition(kind)).unwrap())
}

#[test]
fn the_definitions_for_clusters_are_those_of_the_language() {
    is("charts/enforcer/crds/tracingpolicies.yaml", &yaml(PolicyKind::Cluster));
    is("charts/enforcer/crds/tracingpoliciesnamespaced.yaml", &yaml(PolicyKind::Namespaced));
}

#[test]
fn the_definitions_survive_yaml() {
    for kind in [PolicyKind::Cluster, PolicyKind::Namespaced] {
        let back: serde_json::Value = serde_saphyr::from_str(&yaml(kind)).unwrap();
        assert_eq!(back, definition(kind));
    }
}

// proves: DOC-03
#[test]
fn the_reference_is_that_of_the_language() {
    is("docs/reference/policy.md", &format!("{HEAD}{}", reference()));
}

//! What is made from the catalogue of metrics and from the options is what is committed; `ENFORCER_GENERATE=1` writes it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

/// Compares pages of `docs/reference`, or writes them.
fn generated(pages: &[(&str, String)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
    for (name, text) in pages {
        let path = folder.join(name);
        if std::env::var_os("ENFORCER_GENERATE").is_some() {
            fs::write(&path, text).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == *text, "{name} is not what the source says; run cargo xtask generate");
    }
}

// proves: MET-01 (reference), DOC-06
#[test]
fn the_reference_and_the_dashboard_of_metrics_are_what_the_source_says() {
    generated(&[
        ("metrics.md", enforcer::metrics::reference()),
        ("grafana.json", enforcer::metrics::dashboard()),
    ]);
}

// proves: DOC-05 (flags: the page is what the source says)
#[test]
fn the_reference_of_options_is_what_the_source_says() {
    generated(&[("flags.md", enforcer::config::flags_reference())]);
}

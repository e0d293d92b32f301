//! Real output of another agent, read and written back.
//!
//! The samples lie beside the checkout, in `shared/samples`. Without them the tests pass with a notice on a developer's
//! machine, and fail under CI.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Paths of the sample files that end with `suffix`; empty where there are none and that is allowed.
fn samples(suffix: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        assert!(std::env::var_os("CI").is_none(), "no samples in {}", folder.display());
        eprintln!("skipped: no samples in {}", folder.display());
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(suffix)).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no {suffix} in {}", folder.display());
    paths
}

/// Calls `check` with each sample line.
fn for_each_line(check: impl Fn(&str)) {
    for path in samples(".json") {
        let text = std::fs::read_to_string(&path).unwrap();
        for (index, line) in text.lines().enumerate() {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(line)));
            assert!(result.is_ok(), "{}:{}", path.display(), index + 1);
        }
    }
}

// proves: EVT-24
#[test]
fn a_line_of_another_agent_reads_and_writes_back_equal() {
    for_each_line(|line| {
        let event = api::json::read_event(line.as_bytes()).unwrap();
        let mut written = Vec::new();
        api::json::write_event(&event, &mut written);
        let expected: Value = serde_json::from_str(line).unwrap();
        let actual: Value = serde_json::from_slice(&written).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(actual, expected);
    });
}

#[test]
fn the_way_over_protobuf_loses_nothing() {
    for_each_line(|line| {
        let event = api::json::read_event(line.as_bytes()).unwrap();
        let message = api::convert::to_wire(&event);
        let expected: Value = serde_json::from_str(line).unwrap();
        let actual: Value = serde_json::from_str(&api::json::write_message(&message).unwrap()).unwrap();
        assert_eq!(actual, expected);
        assert_eq!(api::convert::from_wire(message).unwrap(), event);
    });
}

//! Compact output of real events equals what upstream's tetra printed of them, byte for byte.
//!
//! The samples lie beside the checkout, in `shared/samples`. Without them the test passes with a notice on a developer's
//! machine, and fails under CI.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::fs::File;
use std::path::Path;
use std::process::Command;

/// What `tetra getevents` makes of `file` on standard input.
fn getevents(file: &Path, flags: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tetra"))
        .arg("getevents")
        .args(flags)
        .stdin(File::open(file).unwrap())
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

// proves: CLI-02 (compact), CLI-03 (without colours), CLI-04 (calls in the samples), REL-16
#[test]
fn compact_output_equals_that_of_upstream() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        assert!(std::env::var_os("CI").is_none(), "no samples in {}", folder.display());
        eprintln!("skipped: no samples in {}", folder.display());
        return;
    };
    let mut compared = 0;
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let expected = std::fs::read_to_string(path.with_extension("compact")).unwrap();
        let actual = getevents(&path, &["-o", "compact"]);
        // Upstream's stream ran a little longer than its export file in the one sample that has all events.
        let count = actual.lines().count();
        let further = expected.lines().count() - count;
        let allowed = if path.ends_with("base.json") { 2 } else { 0 };
        assert_eq!(further, allowed, "{}", path.display());
        let expected: String = expected.split_inclusive('\n').take(count).collect();
        assert_eq!(actual, expected, "{}", path.display());
        compared += 1;
    }
    assert!(compared >= 15, "only {compared} samples in {}", folder.display());
}

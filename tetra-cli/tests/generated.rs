//! The reference of the command is what its definition says; `ENFORCER_GENERATE=1` writes it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn the_reference_of_the_command_is_what_the_source_says() {
    let output = Command::new(env!("CARGO_BIN_EXE_tetra")).arg("reference").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/tetra.md");
    if std::env::var_os("ENFORCER_GENERATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "tetra.md is not what the source says; run cargo xtask generate");
}

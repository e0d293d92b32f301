//! The text of the source: sizes of files, what does not belong into it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::build;

/// Bytes of one file of Rust.
const LARGEST: usize = 40 * 1024;

/// A file of the repository, by its path in it.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Its path from the root.
    pub(crate) path: PathBuf,
    /// Its content.
    pub(crate) text: String,
}

/// All text files that git knows.
pub(crate) fn files() -> Result<Vec<File>> {
    let root = build::workspace();
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .context("git ls-files")?;
    if !output.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    }
    let names = String::from_utf8(output.stdout).context("git ls-files")?;
    let mut files = Vec::new();
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        let extension = name.rsplit('.').next().unwrap_or_default();
        // One that was removed and not yet committed, or is not text, is not looked at.
        if ["rs", "toml", "md", "yaml", "yml", "proto", "sh"].contains(&extension)
            && let Ok(text) = fs::read_to_string(root.join(name))
        {
            files.push(File { path: PathBuf::from(name), text });
        }
    }
    Ok(files)
}

/// The text of a file before its tests.
pub(crate) fn product_part(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text)
}

/// Everything that does not belong into the source.
pub(crate) fn findings(files: &[File]) -> Vec<String> {
    files.iter().flat_map(of_file).collect()
}

fn of_file(file: &File) -> Vec<String> {
    let path = file.path.display();
    let mut findings = Vec::new();
    let is_rust = file.path.extension().is_some_and(|extension| extension == "rs");
    if is_rust && file.text.len() > LARGEST {
        findings.push(format!("{path}: {} bytes, more than {LARGEST}", file.text.len()));
    }
    // Written in two parts, so that this file does not find itself.
    let unfinished = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["HA", "CK:"].concat()];
    for (index, line) in file.text.lines().enumerate() {
        for word in &unfinished {
            if line.contains(word.as_str()) {
                findings.push(format!("{path}:{}: {word} belongs into an issue", index + 1));
            }
        }
        if line.ends_with([' ', '\t']) && is_rust {
            findings.push(format!("{path}:{}: blanks at the end", index + 1));
        }
        let glob = line.trim_start().starts_with("pub use ") && line.trim_end().ends_with("::*;");
        if is_rust && glob {
            findings.push(format!("{path}:{}: a module names what it exports", index + 1));
        }
    }
    if file.path.file_name().is_some_and(|name| name == "mod.rs") {
        findings.extend(of_module(&path.to_string(), &file.text));
    }
    findings
}

/// A `mod.rs` is a doc comment and a list of what is inside.
fn of_module(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(format!("{path}: begins with what the module is for"));
    }
    // The chores and tests are programs, of which a folder's first file may hold code.
    let program = path.starts_with("xtask/") || path.contains("tests/");
    let code =
        product_part(text).lines().filter(|line| line.starts_with("fn ") || line.starts_with("pub fn "));
    let count = code.count();
    if count > 0 && !program {
        findings.push(format!("{path}: {count} functions; a mod.rs only names what is inside"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{File, LARGEST, of_file};

    fn count(path: &str, text: &str) -> usize {
        of_file(&File { path: path.into(), text: text.to_owned() }).len()
    }

    #[test]
    fn unfinished_work_is_found_in_every_kind_of_file() {
        let word = ["TO", "DO"].concat();
        assert_eq!(count("a.rs", &format!("// {word}: more\n")), 1);
        assert_eq!(count("docs/a.md", &word), 1);
        assert_eq!(count("a.rs", "// to do: more\n"), 0);
    }

    #[test]
    fn files_that_are_too_large_and_globs_are_found() {
        assert_eq!(count("a.rs", &"x".repeat(LARGEST + 1)), 1);
        assert_eq!(count("a.md", &"x".repeat(LARGEST + 1)), 0);
        assert_eq!(count("a.rs", "pub use inner::*;\n"), 1);
        assert_eq!(count("a.rs", "pub use inner::Name;\n"), 0);
    }

    #[test]
    fn a_mod_rs_has_a_comment_and_no_functions() {
        assert_eq!(count("api/src/x/mod.rs", "//! What it is for.\nmod a;\npub use a::A;\n"), 0);
        assert_eq!(count("api/src/x/mod.rs", "mod a;\npub fn f() {}\n"), 2);
        assert_eq!(count("xtask/src/x/mod.rs", "//! What it is for.\npub fn f() {}\n"), 0);
    }
}

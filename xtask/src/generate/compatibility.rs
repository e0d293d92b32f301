//! The scoreboard: each feature of Tetragon, and the tests that prove it here.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use e2e::samples::{DIFFERENCES, Difference};

use super::marks::Mark;

const HEAD: &str = "\
# Compatibility

<!-- Made by `cargo xtask generate` from docs/features.txt and the marks beside the tests. Do not edit. -->

Enforcer reads the policies of Tetragon v1.8.0-pre, speaks its wire format and prints what its command prints. This page
says how far, row by row. A row counts only by a test that runs: *proved* names tests which together hold all of it,
*in part* those that hold what stands in brackets. A row without a test may work or not; nobody promises it.
What a policy asks for and this version does not have is refused with its line, never ignored.

What is stable: ids of rows, codes of diagnostics, the wire format, names of options and metrics. What is not yet:
the records in the rings ([specs/record.md](specs/record.md)), and every Rust interface.
";

/// A group of rows.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Group {
    title: String,
    rows: Vec<(String, String)>,
}

/// Reads `## Title` and `ID text` lines; `#` begins a comment.
pub(super) fn features(text: &str) -> Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(title) = line.strip_prefix("## ") {
            groups.push(Group { title: title.to_owned(), rows: Vec::new() });
        } else if !line.starts_with('#') {
            let Some((group, (id, text))) = groups.last_mut().zip(line.split_once(' ')) else {
                bail!("not a row: {line}");
            };
            group.rows.push((id.to_owned(), text.to_owned()));
        }
    }
    let mut ids: Vec<&str> = groups.iter().flat_map(|group| &group.rows).map(|(id, _)| id.as_str()).collect();
    ids.sort_unstable();
    if let Some(twice) = ids.windows(2).find(|pair| pair.first() == pair.last()) {
        bail!("{} is there twice", twice.concat());
    }
    Ok(groups)
}

/// Marks of rows that do not exist.
pub(super) fn unknown(groups: &[Group], marks: &[Mark]) -> Vec<String> {
    let known = |row: &str| groups.iter().flat_map(|group| &group.rows).any(|(id, _)| id == row);
    let strange = marks.iter().filter(|mark| !known(&mark.row));
    strange
        .map(|mark| format!("{}: {} proves {}, which is no row", mark.path.display(), mark.test, mark.row))
        .collect()
}

/// The page.
pub(super) fn page(groups: &[Group], marks: &[Mark]) -> String {
    let of = |id: &str| marks.iter().filter(|mark| mark.row == id).collect::<Vec<_>>();
    let all: Vec<Vec<&Mark>> = groups.iter().flat_map(|group| &group.rows).map(|(id, _)| of(id)).collect();
    let proved = all.iter().filter(|marks| state(marks) == "proved").count();
    let in_part = all.iter().filter(|marks| state(marks) == "in part").count();
    let mut page = HEAD.to_owned();
    // Writing to a String does not fail.
    writeln!(page, "\n{proved} rows of {} are proved, {in_part} in part.", all.len()).unwrap_or_default();
    for group in groups {
        writeln!(
            page,
            "\n## {}\n\n| row | feature | state | tests |\n| --- | --- | --- | --- |",
            group.title
        )
        .unwrap_or_default();
        for (id, text) in &group.rows {
            let marks = of(id);
            let tests: Vec<String> = marks.iter().map(|mark| link(mark)).collect();
            let text = text.replace('|', "\\|").replace('<', "&lt;");
            writeln!(page, "| {id} | {text} | {} | {} |", state(&marks), tests.join("<br>"))
                .unwrap_or_default();
        }
    }
    page.push_str(&differences());
    page
}

/// Where ours differs from upstream's events of the same acts, which a scenario compares field by field.
fn differences() -> String {
    let mut text = "
## Differences from upstream's events

The scenario `upstreams_policies_load_and_report_what_upstream_reported` makes the same acts under upstream's example policies and compares events
with upstream's, apart from identities, times, addresses and ports of a run. These fields are not compared:

| policy | function | field | why |
| --- | --- | --- | --- |
"
    .to_owned();
    let or = |word: &'static str, all: &'static str| if word.is_empty() { all } else { word };
    for Difference { sample, function, field, reason } in DIFFERENCES {
        let (sample, function, field) = (or(sample, "any"), or(function, "any"), or(field, "all"));
        writeln!(text, "| {sample} | {function} | `{field}` | {reason} |").unwrap_or_default();
    }
    text
}

fn state(marks: &[&Mark]) -> &'static str {
    if marks.is_empty() {
        ""
    } else if marks.iter().all(|mark| !mark.part.is_empty()) {
        "in part"
    } else {
        "proved"
    }
}

fn link(mark: &Mark) -> String {
    let part = if mark.part.is_empty() { String::new() } else { format!(" ({})", mark.part) };
    format!("[{}](../{}){part}", mark.test, mark.path.display())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{Mark, features, page, unknown};

    fn mark(row: &str, part: &str) -> Mark {
        Mark { row: row.to_owned(), part: part.to_owned(), test: "t".to_owned(), path: "a/b.rs".into() }
    }

    #[test]
    fn a_row_is_proved_in_part_while_every_test_holds_a_part() {
        let groups = features("# words\n## One\nA-01 first\nA-02 second\nA-03 a < b\n").unwrap();
        let text = page(&groups, &[mark("A-01", ""), mark("A-01", "x"), mark("A-02", "x")]);
        assert!(text.contains("1 rows of 3 are proved, 1 in part."), "{text}");
        assert!(text.contains("| A-01 | first | proved | [t](../a/b.rs)<br>[t](../a/b.rs) (x) |"), "{text}");
        assert!(text.contains("| A-02 | second | in part | [t](../a/b.rs) (x) |"), "{text}");
        assert!(text.contains("| A-03 | a &lt; b |  |  |"), "{text}");
    }

    #[test]
    fn rows_without_a_group_or_there_twice_are_refused() {
        assert!(features("A-01 first\n").is_err());
        assert!(features("## One\nA-01 first\n## Two\nA-01 again\n").is_err());
    }

    #[test]
    fn a_mark_of_an_unknown_row_is_found() {
        let groups = features("## One\nA-01 first\n").unwrap();
        assert_eq!(unknown(&groups, &[mark("A-01", ""), mark("B-01", "")]).len(), 1);
    }
}

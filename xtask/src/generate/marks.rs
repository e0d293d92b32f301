//! Marks beside tests: `// proves: POL-02, ARG-06 (file, path)` on a line of its own before a test, or before a
//! scenario's line in the list. Words in brackets say which part of the row the test proves.

use std::path::PathBuf;

use crate::lint::File;

// Written in two parts, so that this file does not find itself.
const MARK: &str = concat!("// pro", "ves:");
/// How an entry of the list of scenarios begins; its name is the first string behind, on this line or the next.
const SCENARIO: [&str; 4] = ["plain(", "parallel(", "contended(", "Scenario {"];
/// Lines between a mark and its test at most: attributes, further comments.
const DISTANCE: usize = 8;

/// A row that a test proves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mark {
    /// Id of the row.
    pub(crate) row: String,
    /// Which part of it; all if empty.
    pub(crate) part: String,
    /// Name of the test.
    pub(crate) test: String,
    /// The file it is in.
    pub(crate) path: PathBuf,
}

/// All marks in the order of files and lines, and those that cannot be read or stand before no test.
pub(crate) fn find(files: &[File]) -> (Vec<Mark>, Vec<String>) {
    let mut marks = Vec::new();
    let mut mistakes = Vec::new();
    for file in files.iter().filter(|file| file.path.extension().is_some_and(|extension| extension == "rs")) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(rows) = line.trim_start().strip_prefix(MARK) else { continue };
            let place = || format!("{}:{}", file.path.display(), index + 1);
            let after = lines.get(index + 1..).unwrap_or_default();
            let Some(test) = (0..DISTANCE.min(after.len())).find_map(|from| test_name(after.get(from..)?))
            else {
                mistakes.push(format!("{}: the mark stands before no test", place()));
                continue;
            };
            for row in split(rows) {
                let (row, part) = row.split_once('(').unwrap_or((row, ""));
                let (row, part) = (row.trim().to_owned(), part.trim().trim_end_matches(')').to_owned());
                if row.is_empty() {
                    mistakes.push(format!("{}: a mark without a row", place()));
                    continue;
                }
                marks.push(Mark { row, part, test: test.to_owned(), path: file.path.clone() });
            }
        }
    }
    (marks, mistakes)
}

/// The parts between commas that are not in brackets.
fn split(rows: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    rows.split(|letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .collect()
}

/// The name of the test or scenario that begins on the first of these lines.
fn test_name<'text>(lines: &[&'text str]) -> Option<&'text str> {
    let line = lines.first()?.trim_start();
    if SCENARIO.iter().any(|begin| line.starts_with(begin)) {
        return lines.iter().take(2).find_map(|line| line.split('"').nth(1));
    }
    let visible = line.strip_prefix("pub(crate) ").unwrap_or(line);
    let named = visible.strip_prefix("async ").unwrap_or(visible).strip_prefix("fn ")?;
    named.split(['(', '<']).next()
}

#[cfg(test)]
mod tests {
    use super::{MARK, find};
    use crate::lint::File;

    fn found(text: &str) -> (Vec<(String, String, String)>, usize) {
        let (marks, mistakes) = find(&[File { path: "a.rs".into(), text: text.to_owned() }]);
        (marks.into_iter().map(|mark| (mark.row, mark.part, mark.test)).collect(), mistakes.len())
    }

    fn mark(row: &str, part: &str, test: &str) -> (String, String, String) {
        (row.to_owned(), part.to_owned(), test.to_owned())
    }

    #[test]
    fn a_mark_belongs_to_the_next_test_and_may_name_a_part() {
        let text = format!(
            "    {MARK} POL-02, ARG-06 (file, path)\n    #[test]\n    #[expect(x, reason = \"y\")]\n    fn it_is() {{}}"
        );
        let expected = vec![mark("POL-02", "", "it_is"), mark("ARG-06", "file, path", "it_is")];
        assert_eq!(found(&text), (expected, 0));
    }

    #[test]
    fn a_mark_in_the_list_of_scenarios_belongs_to_the_next_one() {
        let text = format!("{MARK} ACT-02\n    contended(\"it_kills\", shadow::kill),\n");
        assert_eq!(found(&text), (vec![mark("ACT-02", "", "it_kills")], 0));
    }

    #[test]
    fn an_entry_of_the_list_may_be_of_any_kind_and_over_several_lines() {
        for entry in [
            "parallel(\"it_kills\", shadow::kill),",
            "plain(\n    \"it_kills\",\n    shadow::kill,\n),",
            "Scenario {\n    name: \"it_kills\",\n    needs: &[],\n},",
        ] {
            let text = format!("{MARK} ACT-02\n{entry}\nplain(\"it_does_not\", shadow::none),\n");
            assert_eq!(found(&text), (vec![mark("ACT-02", "", "it_kills")], 0), "{entry}");
        }
    }

    #[test]
    fn a_mark_without_test_or_row_is_a_mistake() {
        assert_eq!(found(&format!("{MARK} ACT-02\nlet x = 1;\n")), (Vec::new(), 1));
        assert_eq!(found(&format!("{MARK}\nfn f() {{}}\n")), (Vec::new(), 1));
        assert_eq!(found("// nothing\nfn f() {}\n"), (Vec::new(), 0));
    }
}

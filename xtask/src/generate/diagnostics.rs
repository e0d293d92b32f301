//! The page of diagnostics, from the pages that the compiler carries.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use crate::lint::File;

const FOLDER: &str = "tracing-policy/src/diagnostic/pages";

const HEAD: &str = "\
# Diagnostics of policies

<!-- Made by `cargo xtask generate` from tracing-policy/src/diagnostic/pages. Do not edit. -->

What the compiler says about a policy has a code, which keeps its number and meaning for ever, a place in the text, and
where there is something to do, a help. A stage reports all that it finds; the next stage runs only when there was no error.
";

/// All pages below each other, after a list of them.
pub(super) fn page(files: &[File]) -> Result<String> {
    let mut pages: Vec<&File> = files.iter().filter(|file| file.path.starts_with(FOLDER)).collect();
    pages.sort_by(|left, right| left.path.cmp(&right.path));
    if pages.is_empty() {
        bail!("{FOLDER}: no pages");
    }
    let (mut list, mut texts) = (String::new(), String::new());
    for file in pages {
        let first = file.text.lines().next().and_then(|line| line.strip_prefix("# "));
        let Some((code, title)) = first.and_then(|line| line.split_once(": ")) else {
            bail!("{}: begins with `# CODE: title`", file.path.display());
        };
        // Writing to a String does not fail.
        writeln!(list, "- [{code}](#{}): {title}", code.to_lowercase()).unwrap_or_default();
        let rest = file.text.lines().skip(1).collect::<Vec<_>>().join("\n");
        writeln!(texts, "\n## {code}\n\n**{title}**\n\n{}", rest.trim()).unwrap_or_default();
    }
    Ok(format!("{HEAD}\n{list}{texts}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{FOLDER, page};
    use crate::lint::File;

    #[test]
    fn pages_come_in_order_behind_their_list() {
        let file =
            |name: &str, text: &str| File { path: format!("{FOLDER}/{name}").into(), text: text.to_owned() };
        let files = [file("P0002.md", "# P0002: b\n\nTwo.\n"), file("P0001.md", "# P0001: a\n\nOne.\n")];
        let text = page(&files).unwrap();
        assert!(
            text.contains("- [P0001](#p0001): a\n- [P0002](#p0002): b\n\n## P0001\n\n**a**\n\nOne.\n"),
            "{text}"
        );
        assert!(page(&[file("P0003.md", "no title\n")]).is_err());
        assert!(page(&[]).is_err());
    }
}

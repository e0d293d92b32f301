//! What pages for users name is there: options, commands, metrics, codes of diagnostics, kinds of events, and what they quote of the daemon.
//!
//! The references are made from the source, so that a name in them is one that there is.

use std::collections::BTreeSet;

use clap::{Arg, Command, CommandFactory as _};

use super::text::{File, product_part};
use crate::Arguments;

/// Pages that people write.
const PAGES: [&str; 4] = ["docs/guide/", "docs/limitations.md", "README.md", "SECURITY.md"];
const CONCEPTS: &str = "docs/guide/concepts.md";
const TROUBLESHOOTING: &str = "docs/guide/troubleshooting.md";
const EVENTS: &str = "api/proto/tetragon/events.proto";
/// An event that clients make, to see whether the way is open.
const UNEXPLAINED: &str = "test";

/// Names that are not there.
// proves: DOC-01 (names of options and commands), DOC-02 (kinds of events), DOC-09 (messages, codes, options, commands and metrics that the page names)
pub(crate) fn guides_name_what_there_is(files: &[File]) -> Vec<String> {
    let Some(known) = Known::of(files) else { return vec!["docs/reference: a page is missing".to_owned()] };
    let is_page = |file: &&File| PAGES.iter().any(|page| file.path.starts_with(page));
    let mut findings = Vec::new();
    for page in files.iter().filter(is_page) {
        let place = page.path.display();
        findings.extend(
            known.missing_of(&page.text).into_iter().map(|name| format!("{place}: there is no {name}")),
        );
    }
    findings.extend(unexplained(files));
    findings.extend(unsaid(files));
    findings
}

fn text_of<'f>(files: &'f [File], path: &str) -> Option<&'f str> {
    files.iter().find(|file| file.path.as_os_str() == path).map(|file| file.text.as_str())
}

/// What the references have.
struct Known<'f> {
    options: BTreeSet<String>,
    /// As they are written behind `tetra `.
    commands: BTreeSet<String>,
    metrics: &'f str,
    diagnostics: &'f str,
}

impl<'f> Known<'f> {
    fn of(files: &'f [File]) -> Option<Self> {
        let (flags, tetra) =
            (text_of(files, "docs/reference/flags.md")?, text_of(files, "docs/reference/tetra.md")?);
        Some(Self {
            options: options(flags)
                .chain(options(tetra))
                .map(str::to_owned)
                .chain(of_chores(&Arguments::command()))
                .collect(),
            commands: commands(tetra),
            metrics: text_of(files, "docs/reference/metrics.md")?,
            diagnostics: text_of(files, "docs/reference/diagnostics.md")?,
        })
    }

    /// What a page names and there is not.
    fn missing_of(&self, page: &str) -> BTreeSet<String> {
        let mut missing = BTreeSet::new();
        for line in page.lines() {
            for word in line.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')) {
                let is_metric = word.starts_with("enforcer_") || word.starts_with("tetragon_");
                if is_metric && !self.metrics.contains(&format!("`{word}`")) {
                    missing.insert(word.to_owned());
                }
                let is_code = word.len() == 5
                    && word
                        .strip_prefix('P')
                        .is_some_and(|rest| rest.bytes().all(|digit| digit.is_ascii_digit()));
                if is_code && !self.diagnostics.contains(&format!("## {word}")) {
                    missing.insert(word.to_owned());
                }
            }
        }
        for code in code(page) {
            let unknown = options(&code).filter(|name| is_ours(&code) && !self.options.contains(*name));
            missing.extend(unknown.map(str::to_owned));
            missing.extend(self.unknown_command(&code));
        }
        missing
    }

    /// The command of a piece of code, unless it has a name that there is.
    fn unknown_command(&self, code: &str) -> Option<String> {
        let (before, behind) = code.split_once("tetra ")?;
        let is_program = before.is_empty() || before.ends_with(['/', ' ']);
        let is_name = |word: &&str| word.starts_with(|letter: char| letter.is_ascii_lowercase());
        let mut words = behind.split_whitespace().take_while(is_name);
        let name = words.next().filter(|_| is_program)?;
        if !self.commands.contains(name) {
            return Some(format!("tetra {name}"));
        }
        let inner = format!("{name} {}", words.next()?);
        let has_inner = self.commands.iter().any(|known| known.starts_with(&format!("{name} ")));
        (has_inner && !self.commands.contains(&inner)).then(|| format!("tetra {inner}"))
    }
}

/// Options of the chores of this repository.
fn of_chores(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(Arg::get_long).map(|name| format!("--{name}"));
    own.chain(command.get_subcommands().flat_map(of_chores)).collect()
}

/// Whether a piece of code is an option by itself, or a command of this repository.
fn is_ours(code: &str) -> bool {
    let program = code.split_whitespace().next().and_then(|word| word.rsplit('/').next()).unwrap_or_default();
    code.starts_with("--")
        || ["enforcer", "tetra", "tetragon"].contains(&program)
        || code.starts_with("cargo xtask ")
}

/// Each `--name` in a text.
fn options(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let words = text.split(move |letter: char| !is_name(letter));
    words.filter(|word| word.len() > 2 && word.starts_with("--") && !word.starts_with("---"))
}

/// Commands by the headings of the reference, and by the other names that stand below these.
fn commands(reference: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut current = String::new();
    for line in reference.lines() {
        if let Some((_, name)) = line.split_once("# tetra ") {
            name.clone_into(&mut current);
            found.insert(current.clone());
        } else if let Some((_, names)) = line.split_once(" Also `") {
            let above = current.rsplit_once(' ').map_or(String::new(), |(above, _)| format!("{above} "));
            found.extend(names.split('`').step_by(2).map(|name| format!("{above}{name}")));
        }
    }
    found
}

/// Pieces of code: commands between fences, each in one line, and what stands between backticks.
fn code(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let commands_in_one_line = page.replace("\\\n", " ");
    for (index, part) in commands_in_one_line.split("\n```").enumerate() {
        if index % 2 == 1 {
            found.extend(part.lines().skip(1).map(str::to_owned));
        } else {
            found.extend(part.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned));
        }
    }
    found
}

/// Kinds of events that the concepts do not explain.
fn unexplained(files: &[File]) -> Vec<String> {
    let (Some(proto), Some(concepts)) = (text_of(files, EVENTS), text_of(files, CONCEPTS)) else {
        return vec![format!("{EVENTS} or {CONCEPTS} is missing")];
    };
    let kinds =
        proto.split("oneof event {").nth(1).and_then(|rest| rest.split('}').next()).unwrap_or_default();
    let names = kinds.lines().filter_map(|line| line.split_whitespace().nth(1));
    let unexplained = names.filter(|name| *name != UNEXPLAINED && !concepts.contains(&format!("`{name}`")));
    unexplained.map(|name| format!("{CONCEPTS}: says nothing of the event {name}")).collect()
}

/// What the page quotes of the daemon, in the first column of tables about what somebody `says`, and the daemon does not say.
fn unsaid(files: &[File]) -> Vec<String> {
    let Some(page) = text_of(files, TROUBLESHOOTING) else {
        return vec![format!("{TROUBLESHOOTING} is missing")];
    };
    let is_product =
        |file: &&File| file.path.starts_with("enforcer/src") || file.path.starts_with("bpf-probes/src");
    let source: Vec<&str> = files.iter().filter(is_product).map(|file| product_part(&file.text)).collect();
    let is_said = |text: &str| source.iter().any(|file| file.contains(text));
    let is_missing = |part: &&str| match part.strip_suffix('=') {
        Some(kind) => !is_said(&format!("\"{kind}\"")),
        None => !is_said(part),
    };
    let parts = quotes(page).flat_map(|quote| quote.split('…')).flat_map(parts);
    parts
        .filter(is_missing)
        .map(|part| format!("{TROUBLESHOOTING}: the daemon does not say {part:?}"))
        .collect()
}

/// What stands between numbers and names, which differ: `text: kind=` is a text and the name of a kind.
fn parts(quote: &str) -> impl Iterator<Item = &str> {
    let quote = quote.trim();
    let (text, kind) = match quote.rsplit_once(' ') {
        Some((text, kind)) if kind.ends_with('=') => (text, kind),
        _ if quote.ends_with('=') => ("", quote),
        _ => (quote, ""),
    };
    [text.trim_end_matches(':'), kind].into_iter().filter(|part| !part.is_empty())
}

fn quotes(page: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let cells = page.lines().filter_map(move |line| {
        let cell = line.strip_prefix('|').and_then(|row| row.split('|').next());
        let is_below = is_quoted;
        is_quoted = cell.is_some_and(|cell| is_quoted || cell.trim_end().ends_with(" says"));
        cell.filter(|_| is_below)
    });
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2))
}

#[cfg(test)]
mod tests {
    use super::{File, guides_name_what_there_is};

    /// A repository with one option, two commands, a metric, a code, an event and a sentence.
    fn findings(page: &str, troubleshooting: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.to_owned() };
        guides_name_what_there_is(&[
            file("docs/reference/flags.md", "| `--rb-size SIZE` |\n"),
            file(
                "docs/reference/tetra.md",
                "## tetra policy\n\nOf policies. Also `tp`.\n\n### tetra policy add\n\n## tetra top\n",
            ),
            file("docs/reference/metrics.md", "| `enforcer_lost_total` |\n"),
            file("docs/reference/diagnostics.md", "## P0001\n"),
            file(
                "api/proto/tetragon/events.proto",
                "oneof event {\n  A process_exec = 1;\n  T test = 2;\n}\n",
            ),
            file("docs/guide/concepts.md", page),
            file("docs/guide/troubleshooting.md", troubleshooting),
            file("enforcer/src/a.rs", "format!(\"lost in the kernel: {}\"); \"exec\"\n"),
        ])
    }

    const EVENTS: &str = "`process_exec`\n";

    #[test]
    fn names_that_there_are_are_no_findings() {
        let page = format!(
            "{EVENTS}`--rb-size 1M`, `enforcer_lost_total{{kind}}`, P0001, `tetra policy add x.yaml`, `tetra top`\n```sh\n./tetra tp add x.yaml\n\
             tetra --rb-size 1 status\ncargo build --release\nsha256sum --check x\n```\nThe command tetra is there.\n"
        );
        let table =
            "| it says | do |\n| --- | --- |\n| `lost in the kernel: exec=…` or `… in the …` | `nothing` |\n";
        assert_eq!(findings(&page, table), [""; 0]);
    }

    #[test]
    fn every_name_that_is_not_there_is_a_finding() {
        for (name, found) in [
            ("`--rb-sizes`", "--rb-sizes"),
            ("`enforcer_lost`", "enforcer_lost"),
            ("P0002", "P0002"),
            ("`cargo xtask lint --fast`", "--fast"),
            ("```\nenforcer \\\n  --rb-sizes 1\n```", "--rb-sizes"),
            ("`tetra dance`", "tetra dance"),
            ("```\ntetra policy remove x\n```", "tetra policy remove"),
        ] {
            let expected = format!("docs/guide/concepts.md: there is no {found}");
            assert_eq!(findings(&format!("{EVENTS}{name}\n"), ""), [expected]);
        }
        assert_eq!(findings("", ""), ["docs/guide/concepts.md: says nothing of the event process_exec"]);
    }

    #[test]
    fn what_nobody_says_is_a_finding_where_it_is_quoted() {
        let tables = "| `x y` | |\n\n| `tetra top` says | means |\n| --- | --- |\n| `lost in … forks=` | `z` |\n\n| `x` | |\n";
        let expected = "docs/guide/troubleshooting.md: the daemon does not say \"forks=\"";
        assert_eq!(findings(EVENTS, tables), [expected]);
    }
}

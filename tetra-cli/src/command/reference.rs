//! `docs/reference/tetra.md`, made from the command line's definition.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use crate::args::Arguments;
use crate::print::{Output, OutputError};

/// Prints the page, for `cargo xtask generate`.
pub(crate) fn reference() -> Result<(), OutputError> {
    Output::stdout().write_all(page().as_bytes())
}

fn page() -> String {
    let mut text = String::from(
        "# The command tetra

Made from the source by `cargo xtask generate`.

Output goes to standard output, what is wrong to standard error as `Error: …` with exit code 1. Times are written as in Go: `30s`, `1m30s`, `200ms`.
`tetra completion SHELL` prints a script for a shell, `tetra man` the manual page. Commands in the last part are for scripts that have them, or for
looking closely; `--help` does not list them.

## All commands
",
    );
    let mut command = Arguments::command();
    command.build();
    text.push_str(&options(command.get_arguments().filter(|argument| !is_general(argument))));
    let (hidden, shown): (Vec<&Command>, Vec<&Command>) =
        command.get_subcommands().partition(|command| command.is_hide_set());
    for command in shown {
        describe(&mut text, command, "tetra", 2);
    }
    text.push_str("\n# Commands that are not listed\n");
    for command in hidden {
        describe(&mut text, command, "tetra", 2);
    }
    text
}

fn describe(text: &mut String, command: &Command, above: &str, depth: usize) {
    let name = format!("{above} {}", command.get_name());
    let about =
        command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
    let aliases: Vec<String> = command.get_all_aliases().map(|alias| format!("`{alias}`")).collect();
    let aliases = if aliases.is_empty() { String::new() } else { format!(" Also {}.", aliases.join(", ")) };
    // Writing to a String does not fail.
    writeln!(text, "\n{} {name}\n\n{}.{aliases}", "#".repeat(depth.min(4)), about.trim_end_matches('.'))
        .unwrap_or_default();
    let own = command.get_arguments().filter(|argument| !is_general(argument) && !argument.is_global_set());
    text.push_str(&options(own));
    for inner in command.get_subcommands() {
        describe(text, inner, &name, depth + 1);
    }
}

fn is_general(argument: &Arg) -> bool {
    argument.is_hide_set() || ["help", "version"].contains(&argument.get_id().as_str())
}

fn options<'arg>(arguments: impl Iterator<Item = &'arg Arg>) -> String {
    let rows: String = arguments.map(row).collect();
    if rows.is_empty() { rows } else { format!("\n| option | default | what |\n| --- | --- | --- |\n{rows}") }
}

fn row(argument: &Arg) -> String {
    let value =
        argument.get_value_names().unwrap_or_default().first().map(ToString::to_string).unwrap_or_default();
    let takes = argument.get_action().takes_values();
    let name = match (argument.get_long(), argument.get_short()) {
        (Some(long), Some(short)) => format!("-{short}, --{long}"),
        (Some(long), None) => format!("--{long}"),
        (None, _) => value.clone(),
    };
    let name = if takes && argument.get_long().is_some() { format!("{name} {value}") } else { name };
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let (what, said) = help.split_once(" [default: ").map_or((help.as_str(), None), |(what, rest)| {
        let (default, further) = rest.split_once(']').unwrap_or((rest, ""));
        (what, Some((default.to_owned(), further.to_owned())))
    });
    let set: Vec<String> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let (default, further) = said.unwrap_or_else(|| {
        let shown = takes && !argument.is_hide_default_value_set();
        (if shown { set.join(", ") } else { String::new() }, String::new())
    });
    let default = if default.is_empty() { default } else { format!("`{default}`") };
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| takes && !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let values = if values.is_empty() { String::new() } else { format!(": {}", values.join(", ")) };
    format!("| `{name}` | {default} | {} |\n", cell(&format!("{what}{further}{values}")))
}

fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn commands_have_their_options_and_defaults() {
        let page = page();
        for part in [
            "\n## tetra getevents\n",
            "\n### tetra tracingpolicy add\n",
            "| `-o, --output OUTPUT` | `json` | Form of the events: `json`, `compact` |",
            "| `--timeout DURATION` | `30s` |",
            "\n# Commands that are not listed\n\n## tetra sensors\n",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        assert!(!page.contains("`-h, --help`"), "{page}");
    }
}

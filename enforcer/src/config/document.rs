//! Texts made from the options: the manual page, completion for shells, the reference of options.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;

use clap::{Arg, CommandFactory as _, ValueEnum as _};
use clap_complete::Shell;

use super::environment::variable;
use super::flags::Flags;

/// A text that the command line asks for in the place of a daemon: `enforcer man`, `enforcer completion SHELL`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Document {
    /// The manual page, in roff.
    Man,
    /// A script that completes options in that shell.
    Completion(Shell),
}

/// What stands behind the options in the manual page.
const FURTHER: &str = r".SH ENVIRONMENT
Each option can come from a variable with its name in capitals behind TETRAGON_: TETRAGON_RB_SIZE for \-\-rb\-size. NODE_NAME is the name of this machine in events.
.SH FILES
.TP
\fI/usr/lib/tetragon/tetragon.conf.d\fR, \fI/usr/local/lib/tetragon/tetragon.conf.d\fR, \fI/etc/tetragon/tetragon.conf.d\fR
Options, one a file: the name of the file is that of the option, its content the value. The last directory wins.
.TP
\fI/etc/tetragon/tetragon.yaml\fR
Options as a mapping.
.TP
\fI/etc/tetragon/tetragon.tp.d\fR
Policies to load at start.
.TP
\fI/var/run/tetragon\fR
The socket, the pid file and tetragon\-info.json, by which
.BR tetra (1)
finds the daemon.
.SH SIGNALS
SIGTERM and SIGINT end the daemon after what is under way was written; SIGHUP has the file of events opened anew.
.SH EXIT STATUS
0 where the daemon ended in order and nothing was lost on the way, 1 otherwise.
.SH SEE ALSO
.BR tetra (1)
";

impl Document {
    /// What `arguments` (the program's name first) ask for; none where they are options of a daemon.
    ///
    /// # Errors
    /// A sentence about what is wrong.
    pub fn asked(arguments: &[OsString]) -> Result<Option<Self>, String> {
        let words: Vec<&str> =
            arguments.iter().skip(1).map(|word| word.to_str().unwrap_or_default()).collect();
        match words.as_slice() {
            ["man"] => Ok(Some(Self::Man)),
            ["completion", shell] => {
                Shell::from_str(shell, true).map(|shell| Some(Self::Completion(shell))).map_err(|_unknown| {
                    let known: Vec<String> =
                        Shell::value_variants().iter().map(ToString::to_string).collect();
                    format!("there is no completion for {shell:?}; give {}", known.join(", "))
                })
            }
            ["completion", ..] => Err("give one shell: enforcer completion bash".to_owned()),
            _ => Ok(None),
        }
    }

    /// The text.
    ///
    /// # Errors
    /// Nothing that happens: it is made in memory.
    pub fn text(self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut command = Flags::command();
        match self {
            Self::Completion(shell) => clap_complete::generate(shell, &mut command, "enforcer", &mut text),
            Self::Man => {
                let man = clap_mangen::Man::new(command).section("8");
                man.render_title(&mut text)?;
                man.render_name_section(&mut text)?;
                man.render_synopsis_section(&mut text)?;
                man.render_description_section(&mut text)?;
                man.render_options_section(&mut text)?;
                text.extend_from_slice(FURTHER.as_bytes());
            }
        }
        Ok(text)
    }
}

/// `docs/reference/flags.md`.
pub fn flags_reference() -> String {
    let mut text = String::from(
        "# Options of the daemon

Made from the source by `cargo xtask generate`.

The command line wins over the environment, the environment over files, and files over the defaults. A file of options has the name of the option and
holds its value; they are read from `/usr/lib/tetragon/tetragon.conf.d`, `/usr/local/lib/tetragon/tetragon.conf.d`, `/etc/tetragon/tetragon.conf.d`
and `--config-dir`, of which the last wins; [install](../guide/install.md) shows some. Names are those of Tetragon; its options that do nothing here are taken with a
warning that says what serves in their place. An option that is a choice between yes and no is `false` unless it says otherwise, and
may be given without a value. `enforcer man` and `enforcer completion SHELL` print the manual page and a script for a shell.

| option | environment | default | what |
| --- | --- | --- | --- |
",
    );
    let command = Flags::command();
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        text.push_str(&row(argument));
    }
    text
}

fn row(argument: &Arg) -> String {
    let Some(name) = argument.get_long() else { return String::new() };
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let (what, default) = help.split_once(" [default: ").unwrap_or((&help, ""));
    let is_switch = argument.get_num_args().is_some_and(|count| count.min_values() == 0);
    let default = match default.trim_end_matches(']') {
        "" if is_switch => "`false`".to_owned(),
        "" => String::new(),
        default => format!("`{default}`"),
    };
    let short = argument.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let value = argument.get_value_names().unwrap_or_default().first().map(|value| format!(" {value}"));
    let value = value.filter(|_value| !is_switch).unwrap_or_default();
    let mut row = String::new();
    // Writing to a String does not fail.
    writeln!(row, "| {short}`--{name}{value}` | `{}` | {default} | {} |", variable(name), cell(what))
        .unwrap_or_default();
    row
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> Result<Option<Document>, String> {
        Document::asked(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_document_is_asked_for_by_the_first_word() {
        assert_eq!(asked(&["enforcer", "man"]), Ok(Some(Document::Man)));
        assert_eq!(asked(&["enforcer", "completion", "zsh"]), Ok(Some(Document::Completion(Shell::Zsh))));
        for words in [&["enforcer"][..], &["enforcer", "--debug"], &["enforcer", "--cluster-name", "man"]] {
            assert_eq!(asked(words), Ok(None), "{words:?}");
        }
        assert!(asked(&["enforcer", "completion", "csh"]).unwrap_err().contains("bash"));
        assert!(asked(&["enforcer", "completion"]).is_err());
    }

    // proves: DOC-05 (flags)
    #[test]
    fn every_option_is_in_every_document() {
        let text = |document: Document| String::from_utf8(document.text().unwrap()).unwrap();
        let man = text(Document::Man);
        let shells = [Shell::Bash, Shell::Zsh, Shell::Fish].map(|shell| text(Document::Completion(shell)));
        for name in Flags::names() {
            assert!(man.contains(&name.replace('-', "\\-")), "{name}");
            assert!(shells.iter().all(|script| script.contains(&name)), "{name}");
            assert!(flags_reference().contains(&format!("`--{name}")), "{name}");
        }
        assert!(man.contains(".TH enforcer 8") && man.contains("SH FILES"), "{man}");
    }

    #[test]
    fn defaults_and_variables_have_columns_of_their_own() {
        let page = flags_reference();
        for line in [
            "| `--process-cache-size COUNT` | `TETRAGON_PROCESS_CACHE_SIZE` | `65536` | Processes to remember in the daemon |",
            "| `-d`, `--debug` | `TETRAGON_DEBUG` | `false` | Log debug messages, whatever --log-level says |",
        ] {
            assert!(page.contains(line), "{page}");
        }
    }
}

//! Text made from the command line's definition: completion and manual page.

use clap::CommandFactory as _;

use crate::args::Arguments;
use crate::print::{Output, OutputError};

/// Prints the script that completes commands in `shell`.
pub(crate) fn completion(shell: clap_complete::Shell) -> Result<(), OutputError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "tetra", &mut text);
    Output::stdout().write_all(&text)
}

/// Prints the manual page, with a section for each subcommand.
pub(crate) fn man() -> Result<(), OutputError> {
    let mut text = Vec::new();
    let mut command = Arguments::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut text).map_err(OutputError)?;
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        let man = clap_mangen::Man::new(subcommand.clone());
        man.render_synopsis_section(&mut text).map_err(OutputError)?;
        man.render_description_section(&mut text).map_err(OutputError)?;
        man.render_options_section(&mut text).map_err(OutputError)?;
    }
    Output::stdout().write_all(&text)
}

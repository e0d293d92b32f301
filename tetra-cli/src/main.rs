//! `tetra`: events on a terminal, policies, state of the daemon.
//!
//! Exit codes: 0 done (also where the reader of the output went away), 1 failed, with one line `Error: …` that says what
//! to do.

mod args;
mod client;
mod command;
mod print;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Arguments, Command};
use print::OutputError;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return print::usage(&error),
    };
    let result = run(arguments);
    match result {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => print::failure(&error),
    }
}

/// Whether the reader of standard output went away.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<OutputError>())
        .any(|output| output.0.kind() == std::io::ErrorKind::BrokenPipe)
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let connection = arguments.connection;
    match arguments.command {
        Command::Getevents(options) => command::getevents::run(&connection, &options)?,
        Command::Top(options) => command::top::run(&connection, options)?,
        Command::Status => command::status::run(&connection)?,
        Command::Tracingpolicy(command) => command::policy::run(&connection, &command)?,
        Command::Explain(options) => command::explain::run(&options)?,
        Command::Info => command::info::run(&connection)?,
        Command::Loglevel(command) => command::loglevel::run(&connection, &command)?,
        Command::Eventlog(command) => command::eventlog::run(&connection, &command)?,
        Command::Probe(options) => command::probe::run(&options)?,
        Command::Sensors(command) => command::sensors::run(&connection, &command)?,
        Command::Rthooks(command) => command::rthooks::run(&connection, &command)?,
        Command::Bugtool(options) => command::bugtool::run(&connection, &options)?,
        Command::Debug(command) => command::debug::run(&connection, &command)?,
        Command::Cri(options) => command::containers::cri(&options)?,
        Command::Policyfilter(command) => command::containers::policyfilter(&command)?,
        Command::Cgtracker(command) => command::containers::cgtracker(&command)?,
        Command::Dump(command) => command::dump::run(&connection, &command)?,
        Command::Version(options) => command::version::run(&connection, options)?,
        Command::Completion { shell } => command::generate::completion(shell)?,
        Command::Man => command::generate::man()?,
        Command::Reference => command::reference::reference()?,
        Command::Policytest(command) => {
            return Ok(command::policytest::run(&connection, &command)?.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

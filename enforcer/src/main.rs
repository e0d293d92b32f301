//! The daemon `enforcer`: flags, logging, build, run, exit code.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use bpf_probes::load::PossibleCpus;
use clap::Parser as _;
use enforcer::config::{self, Document, Flags};
use enforcer::daemon::Daemon;
use enforcer::{log, memory};

fn main() -> ExitCode {
    let started = Instant::now();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match Document::asked(&arguments) {
        Ok(None) => {}
        Ok(Some(document)) => return print(document),
        Err(mistake) => return say(&format!("error: {mistake}")),
    }
    memory::give_back_large_pieces();
    let (arguments, notes) = config::without_foreign(arguments);
    match run(Flags::parse_from(arguments), &notes, started) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{}", log::sentence(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(flags: Flags, notes: &[String], started: Instant) -> anyhow::Result<ExitCode> {
    let cpus = PossibleCpus::read().map_or(1, PossibleCpus::count);
    let configuration = match config::load(flags, |name| std::env::var_os(name), cpus) {
        Ok(configuration) => configuration,
        Err(error) => {
            // There are no settings yet that say how to log.
            log::init(&log::FALLBACK).context("logging")?;
            return Err(error.into());
        }
    };
    let level = log::init(&configuration.settings.log).context("logging")?;
    for note in notes.iter().chain(&configuration.notes) {
        tracing::warn!("{note}");
    }
    let report = Daemon::build(configuration.settings, started)?.run(level)?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a text that was asked for in the place of a daemon.
fn print(document: Document) -> ExitCode {
    let written = document.text().and_then(|text| io::stdout().write_all(&text));
    written.map_or_else(|error| say(&format!("error: {error}")), |()| ExitCode::SUCCESS)
}

/// Says on standard error why there is nothing; where that is closed, the code alone has to do.
fn say(mistake: &str) -> ExitCode {
    drop(writeln!(io::stderr(), "{mistake}"));
    ExitCode::FAILURE
}

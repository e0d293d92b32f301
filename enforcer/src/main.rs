//! The daemon `enforcer`: flags, logging, build, run, exit code.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use bpf_probes::load::PossibleCpus;
use clap::Parser as _;
use enforcer::config::{self, Flags};
use enforcer::daemon::Daemon;
use enforcer::{log, memory};

fn main() -> ExitCode {
    let started = Instant::now();
    memory::give_back_large_pieces();
    let (arguments, notes) = config::without_foreign(std::env::args_os());
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

//! The first process of a machine: prepares it, runs one command, reports, and switches off.
//!
//! What to run is in [`JOB_PATH`]; what comes of it goes line by line to the second serial port
//! ([`Message`]). Without a command a shell gets the first serial port.

mod prepare;
mod report;
mod run;

use std::process::ExitCode;

use e2e::vm::{End, JOB_PATH, Job, Message};
use nix::sys::reboot::{RebootMode, reboot};

use report::Port;

fn main() -> ExitCode {
    if std::process::id() != 1 {
        return ExitCode::FAILURE;
    }
    let prepared = prepare::file_systems();
    let port = match Port::open() {
        Ok(port) => port,
        Err(_no_port) => return ExitCode::FAILURE,
    };
    let end = match prepared.and_then(|()| job()) {
        Ok(job) => {
            port.send(&Message::Begin);
            run::job(&job, &port).unwrap_or_else(End::Broken)
        }
        Err(reason) => End::Broken(reason),
    };
    port.send(&Message::End(end));
    port.drain();
    match reboot(RebootMode::RB_POWER_OFF) {
        Ok(never) => match never {},
        // The kernel panics when its first process ends, which ends the machine as well.
        Err(_) => ExitCode::FAILURE,
    }
}

fn job() -> Result<Job, String> {
    let text = std::fs::read(JOB_PATH).map_err(|error| format!("{JOB_PATH}: {error}"))?;
    let job: Job = serde_json::from_slice(&text).map_err(|error| format!("{JOB_PATH}: {error}"))?;
    prepare::machine(&job)?;
    Ok(job)
}

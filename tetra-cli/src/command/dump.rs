//! `tetra debug dump`

use std::fmt::Write as _;
use std::path::Path;

use api::wire::{
    ConfigFlag, DumpProcessCacheReqArgs, GetDebugRequest, ProcessInternal, get_debug_request,
    get_debug_response,
};

use super::answer::{self, AnswerError};
use super::{errmetrics, foreign};
use crate::args::{Connection, Dump, TableFormat};
use crate::client::{Client, Description, RUN_FOLDER, metrics_page};
use crate::print::Output;

/// Prints what `command` asks for.
pub(crate) fn run(connection: &Connection, command: &Dump) -> Result<(), AnswerError> {
    match *command {
        Dump::Processcache { skip_zero_refcnt, exclude_execve_map_processes } => {
            let arguments = DumpProcessCacheReqArgs { skip_zero_refcnt, exclude_execve_map_processes };
            answer::print(
                connection,
                "get the processes",
                |client| ask(client, arguments),
                |processes| lines(&processes),
            )
        }
        Dump::Errmetrics { output, .. } => errors(output),
        Dump::Execve { .. } => Err(foreign::EXECVE.into()),
        Dump::Policyfilter { .. } => Err(foreign::POLICYFILTER.into()),
    }
}

/// What is printed of all processes.
pub(super) fn processes(client: &Client) -> Result<String, AnswerError> {
    let all = DumpProcessCacheReqArgs { skip_zero_refcnt: false, exclude_execve_map_processes: false };
    let processes =
        ask(client, all).map_err(|source| AnswerError::Call { what: "get the processes", source })?;
    lines(&processes)
}

fn ask(
    client: &Client,
    arguments: DumpProcessCacheReqArgs,
) -> Result<Vec<ProcessInternal>, crate::client::CallError> {
    let request = GetDebugRequest {
        flag: ConfigFlag::DumpProcessCache.into(),
        arg: Some(get_debug_request::Arg::Dump(arguments)),
    };
    let answer = client.call(async |mut service| service.get_debug(request).await)?;
    Ok(match answer.arg {
        Some(get_debug_response::Arg::Processes(list)) => list.processes,
        Some(get_debug_response::Arg::Level(_)) | None => Vec::new(),
    })
}

fn lines(processes: &[ProcessInternal]) -> Result<String, AnswerError> {
    let mut text = String::new();
    for process in processes {
        writeln!(text, "{}", api::json::write_message(process)?).expect("a String takes all text");
    }
    Ok(text)
}

/// Prints the errors that the daemon's metrics count.
fn errors(format: TableFormat) -> Result<(), AnswerError> {
    let said = Description::read(Path::new(RUN_FOLDER)).unwrap_or_default();
    let page = metrics_page(&said.metrics_address)?;
    let errors = errmetrics::errors(&page);
    let text = match format {
        TableFormat::Tab => errmetrics::table(&errors),
        TableFormat::Json => serde_json::to_string(&errors)? + "\n",
    };
    Ok(Output::stdout().write_all(text.as_bytes())?)
}

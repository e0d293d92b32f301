//! `tetra debug dump`

use std::fmt::Write as _;

use api::wire::{
    ConfigFlag, DumpProcessCacheReqArgs, GetDebugRequest, ProcessInternal, get_debug_request,
    get_debug_response,
};

use super::answer::{self, AnswerError};
use crate::args::{Connection, Dump};

/// Prints the processes that the daemon knows, a JSON object a line.
pub(crate) fn run(connection: &Connection, command: Dump) -> Result<(), AnswerError> {
    let Dump::Processcache { skip_zero_refcnt, exclude_execve_map_processes } = command;
    let arguments = DumpProcessCacheReqArgs { skip_zero_refcnt, exclude_execve_map_processes };
    let request = GetDebugRequest {
        flag: ConfigFlag::DumpProcessCache.into(),
        arg: Some(get_debug_request::Arg::Dump(arguments)),
    };
    answer::print(
        connection,
        "get the processes",
        |client| client.call(async |mut service| service.get_debug(request).await),
        |answer| match answer.arg {
            Some(get_debug_response::Arg::Processes(list)) => lines(&list.processes),
            Some(get_debug_response::Arg::Level(_)) | None => Ok(String::new()),
        },
    )
}

fn lines(processes: &[ProcessInternal]) -> Result<String, AnswerError> {
    let mut text = String::new();
    for process in processes {
        writeln!(text, "{}", api::json::write_message(process)?).expect("a String takes all text");
    }
    Ok(text)
}

//! `GetDebug` of the processes that are known.

use std::sync::Arc;

use api::convert::process_to_wire;
use api::wire::{
    DumpProcessCacheReqArgs, DumpProcessCacheResArgs, GetDebugRequest, GetDebugResponse, ProcessInternal,
    get_debug_request, get_debug_response,
};
use bpf_probes::abi::map_name;
use bpf_probes::load::Map;
use prost::Message;
use tokio::sync::Semaphore;
use tonic::Status;
use zerocopy::IntoBytes as _;

use super::observed::Observed;
use crate::pipeline::{KnownProcess, Stage};

/// Bytes of processes in an answer, at most.
const MAX_BYTES: usize = 64 << 20;

/// The processes of the table that the request wants. Who asks while another list is made waits for that.
pub(super) async fn dump(
    observed: &Observed,
    dumps: &Semaphore,
    request: GetDebugRequest,
) -> Result<GetDebugResponse, Status> {
    let Some(get_debug_request::Arg::Dump(wanted)) = request.arg else {
        return Err(Status::invalid_argument("the request does not say which processes to list"));
    };
    let _permit = dumps.acquire().await.map_err(|_closed| Status::unavailable("the daemon ends"))?;
    let known = observed.inspector.processes().await;
    let known = known.map_err(|ended| Status::unavailable(ended.to_string()))?;
    let kernel = wanted
        .exclude_execve_map_processes
        .then(|| observed.base.map(map_name::PROCESSES).cloned())
        .flatten();
    let list = tokio::task::spawn_blocking(move || list(&known, wanted, kernel.as_ref())).await;
    let processes = list.map_err(|error| Status::internal(error.to_string()))??;
    let arg = get_debug_response::Arg::Processes(DumpProcessCacheResArgs { processes });
    Ok(GetDebugResponse { flag: request.flag, arg: Some(arg) })
}

/// `kernel`: the kernel's table, if processes that it has are to be left out.
fn list(
    known: &[KnownProcess],
    wanted: DumpProcessCacheReqArgs,
    kernel: Option<&Arc<Map>>,
) -> Result<Vec<ProcessInternal>, Status> {
    let mut bytes = 0;
    let mut listed = Vec::new();
    for one in known {
        if wanted.skip_zero_refcnt && one.process.refcnt == 0 {
            continue;
        }
        if let Some(kernel) = kernel
            && is_in(kernel, one.process.pid.unwrap_or_default())?
        {
            continue;
        }
        let entry = to_wire(one);
        bytes += entry.encoded_len();
        if bytes > MAX_BYTES {
            return Err(Status::resource_exhausted(format!(
                "the {} processes that are known take more than {} MiB; ask for fewer, those in use (skip_zero_refcnt) for one",
                known.len(),
                MAX_BYTES >> 20,
            )));
        }
        listed.push(entry);
    }
    Ok(listed)
}

fn is_in(kernel: &Map, tgid: u32) -> Result<bool, Status> {
    let found = kernel.lookup(tgid.as_bytes());
    Ok(found.map_err(|error| Status::internal(error.to_string()))?.is_some())
}

/// Single references are not counted by what they are for, so there are no `refcnt_ops`.
fn to_wire(known: &KnownProcess) -> ProcessInternal {
    let color = match known.stage {
        Stage::InUse => "inUse",
        Stage::Ended => "deletePending",
        Stage::Ready => "deleteReady",
    };
    ProcessInternal {
        process: Some(process_to_wire(&known.process)),
        color: color.to_owned(),
        refcnt: Some(known.process.refcnt),
        ..ProcessInternal::default()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use api::event::{Process, ProcessRef, SharedProcess};

    use super::*;

    fn known(pid: u32, refcnt: u32, stage: Stage, arguments: &str) -> KnownProcess {
        let process = Process { pid: Some(pid), arguments: arguments.into(), ..Process::default() };
        KnownProcess { process: ProcessRef::new(SharedProcess::new(process), refcnt), stage }
    }

    // proves: API-08 (processes)
    #[test]
    fn processes_are_listed_with_their_references_and_their_stage() {
        let table =
            [known(1, 2, Stage::InUse, ""), known(2, 0, Stage::Ended, ""), known(3, 0, Stage::Ready, "x")];
        let all = list(&table, DumpProcessCacheReqArgs::default(), None).unwrap();
        let seen: Vec<_> = all
            .iter()
            .map(|one| (one.process.as_ref().unwrap().pid, one.refcnt, one.color.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (Some(1), Some(2), "inUse"),
                (Some(2), Some(0), "deletePending"),
                (Some(3), Some(0), "deleteReady")
            ]
        );
        assert_eq!(all[0].process.as_ref().unwrap().refcnt, 2);
        let used = DumpProcessCacheReqArgs { skip_zero_refcnt: true, ..DumpProcessCacheReqArgs::default() };
        assert_eq!(list(&table, used, None).unwrap().len(), 1);
    }

    #[test]
    fn a_list_that_is_too_large_is_refused_and_says_what_would_be_smaller() {
        let long = "x".repeat(1 << 20);
        let table: Vec<_> = (0..65).map(|pid| known(pid, 0, Stage::Ended, &long)).collect();
        let refused = list(&table, DumpProcessCacheReqArgs::default(), None).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert!(refused.message().contains("65 processes") && refused.message().contains("skip_zero_refcnt"));
        assert_eq!(list(&table[..60], DumpProcessCacheReqArgs::default(), None).unwrap().len(), 60);
    }
}

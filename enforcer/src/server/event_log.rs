//! The service of the export file: reads and changes its rotation while it is written to.

use api::name::{format_duration, parse_duration};
use api::wire::event_log_service_server::EventLogService;
use api::wire::{
    GetEventLogParamsRequest, GetEventLogParamsResponse, SetEventLogParamsRequest, SetEventLogParamsResponse,
};
use export::json::Rotation;
use tonic::{Request, Response, Status};

use crate::config::{MEBIBYTE, file_bytes, rotation_interval};
use crate::sinks::EventLog;

/// The service, for an export file if there is one.
#[derive(Clone, Debug)]
pub(super) struct EventLogs {
    log: Option<EventLog>,
}

impl EventLogs {
    pub(super) const fn new(log: Option<EventLog>) -> Self {
        Self { log }
    }

    fn log(&self) -> Result<&EventLog, Status> {
        self.log.as_ref().ok_or_else(|| {
            Status::failed_precondition("no events are exported; start the daemon with --export-filename")
        })
    }
}

/// `rotation` with what `request` changes. Nothing is changed where one value is wrong.
fn changed(rotation: Rotation, request: &SetEventLogParamsRequest) -> Result<Rotation, Status> {
    let wrong = |text: String| Status::invalid_argument(text);
    let mut rotation = rotation;
    if let Some(size) = request.max_size {
        let bytes = u64::try_from(size).ok().and_then(file_bytes);
        rotation.max_bytes =
            bytes.ok_or_else(|| wrong(format!("max_size {size}: a size in MiB is needed")))?;
    }
    if let Some(backups) = request.max_backups {
        rotation.backups = usize::try_from(backups)
            .map_err(|_negative| wrong(format!("max_backups {backups}: a number of files is needed")))?;
    }
    if let Some(text) = &request.rotation_interval {
        let interval = parse_duration(text);
        let interval = interval.ok_or_else(|| {
            wrong(format!("rotation_interval {text:?}: expected a time such as 30m or 24h"))
        })?;
        rotation.interval = rotation_interval(interval);
    }
    Ok(rotation)
}

#[tonic::async_trait]
impl EventLogService for EventLogs {
    async fn set_event_log_params(
        &self,
        request: Request<SetEventLogParamsRequest>,
    ) -> Result<Response<SetEventLogParamsResponse>, Status> {
        let log = self.log()?;
        let rotation = changed(log.rotation(), request.get_ref())?;
        log.set_rotation(rotation);
        tracing::info!(?rotation, "the export file's rotation is changed");
        Ok(Response::new(SetEventLogParamsResponse {}))
    }

    async fn get_event_log_params(
        &self,
        _: Request<GetEventLogParamsRequest>,
    ) -> Result<Response<GetEventLogParamsResponse>, Status> {
        let Rotation { max_bytes, interval, backups, compress: _ } = self.log()?.rotation();
        Ok(Response::new(GetEventLogParamsResponse {
            max_size: i32::try_from(max_bytes / MEBIBYTE).unwrap_or(i32::MAX),
            rotation_interval: format_duration(interval.unwrap_or_default()),
            max_backups: i32::try_from(backups).unwrap_or(i32::MAX),
        }))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_a_request_leaves_out_stays_and_a_wrong_value_changes_nothing() {
        let before = Rotation::default();
        let request = |max_size, interval: Option<&str>, max_backups| SetEventLogParamsRequest {
            max_size,
            rotation_interval: interval.map(str::to_owned),
            max_backups,
        };
        assert_eq!(changed(before, &request(None, None, None)).unwrap(), before);
        let after = changed(before, &request(Some(2), Some("90s"), Some(0))).unwrap();
        let interval = Some(Duration::from_secs(90));
        assert_eq!(after, Rotation { max_bytes: 2 << 20, interval, backups: 0, compress: false });
        assert_eq!(changed(after, &request(None, Some("0s"), None)).unwrap().interval, None);
        for wrong in
            [request(Some(-1), None, None), request(None, Some("x"), None), request(None, None, Some(-1))]
        {
            assert_eq!(changed(before, &wrong).unwrap_err().code(), tonic::Code::InvalidArgument);
        }
    }
}

//! `tetra eventlog`

use api::name::format_duration;
use api::wire::{GetEventLogParamsRequest, GetEventLogParamsResponse, SetEventLogParamsRequest};

use super::answer::{self, AnswerError};
use crate::args::{Connection, EventLog};
use crate::client::{CallError, Client};
use crate::print::escape;

/// Prints the settings of the daemon's file of events, or changes those that are given and prints nothing.
pub(crate) fn run(connection: &Connection, command: &EventLog) -> Result<(), AnswerError> {
    match command {
        EventLog::Get => answer::print(connection, "get the settings of the event log", text, Ok),
        EventLog::Set { max_size, max_backups, rotation_interval } => {
            let request = SetEventLogParamsRequest {
                max_size: *max_size,
                rotation_interval: rotation_interval.map(format_duration),
                max_backups: *max_backups,
            };
            answer::print(
                connection,
                "change the settings of the event log",
                |client| {
                    client.call_event_log(async |mut service| {
                        service.set_event_log_params(request.clone()).await
                    })
                },
                |_empty| Ok(String::new()),
            )
        }
    }
}

/// What is printed of the settings as they are.
pub(super) fn text(client: &Client) -> Result<String, CallError> {
    let settings = client.call_event_log(async |mut service| {
        service.get_event_log_params(GetEventLogParamsRequest {}).await
    })?;
    Ok(format!("Current logging parameters: {}\n", render(&settings)))
}

/// The settings that are not zero, in protobuf's text format.
fn render(settings: &GetEventLogParamsResponse) -> String {
    let mut parts = Vec::new();
    if settings.max_size != 0 {
        parts.push(format!("max_size:{}", settings.max_size));
    }
    if !settings.rotation_interval.is_empty() {
        parts.push(format!("rotation_interval:\"{}\"", escape::visible(&settings.rotation_interval)));
    }
    if settings.max_backups != 0 {
        parts.push(format!("max_backups:{}", settings.max_backups));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_in_protobufs_text_format() {
        let settings = GetEventLogParamsResponse {
            max_size: 10,
            rotation_interval: "24h0m0s".to_owned(),
            max_backups: 5,
        };
        assert_eq!(render(&settings), r#"max_size:10 rotation_interval:"24h0m0s" max_backups:5"#);
        assert_eq!(render(&GetEventLogParamsResponse::default()), "");
    }
}

//! `tetra eventlog`

use std::time::Duration;

use api::wire::{GetEventLogParamsRequest, GetEventLogParamsResponse, SetEventLogParamsRequest};

use super::answer::{self, AnswerError};
use crate::args::{Connection, EventLog};
use crate::print::escape;

/// Prints the settings of the daemon's file of events, or changes those that are given and prints nothing.
pub(crate) fn run(connection: &Connection, command: &EventLog) -> Result<(), AnswerError> {
    match command {
        EventLog::Get => answer::print(
            connection,
            "get the settings of the event log",
            |client| {
                client.call_event_log(async |mut service| {
                    service.get_event_log_params(GetEventLogParamsRequest {}).await
                })
            },
            |settings| Ok(format!("Current logging parameters: {}\n", render(&settings))),
        ),
        EventLog::Set { max_size, max_backups, rotation_interval } => {
            let request = SetEventLogParamsRequest {
                max_size: *max_size,
                rotation_interval: rotation_interval.map(go_duration),
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

/// A duration as Go writes it: `1h30m0s`, `1.5s`, `200ms`.
fn go_duration(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if seconds == 0 {
        let in_unit =
            |size: u32, unit: &str| format!("{}{unit}", decimal(u64::from(nanos / size), nanos % size, size));
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => in_unit(1_000, "µs"),
            _ => in_unit(1_000_000, "ms"),
        };
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let rest = decimal(seconds % 60, nanos, 1_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// `whole` and `part / size`, without zeros at the end. `size` is a power of ten.
fn decimal(whole: u64, part: u32, size: u32) -> String {
    if part == 0 {
        return whole.to_string();
    }
    let digits = usize::try_from(size.ilog10()).expect("at most nine");
    format!("{whole}.{part:0digits$}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_go() {
        for (duration, expected) in [
            (Duration::ZERO, "0s"),
            (Duration::from_nanos(7), "7ns"),
            (Duration::from_nanos(1_500), "1.5µs"),
            (Duration::from_millis(200), "200ms"),
            (Duration::from_micros(1_050), "1.05ms"),
            (Duration::from_millis(1_500), "1.5s"),
            (Duration::from_secs(90), "1m30s"),
            (Duration::from_hours(24), "24h0m0s"),
            (Duration::from_secs(3_661), "1h1m1s"),
        ] {
            assert_eq!(go_duration(duration), expected);
        }
    }

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

//! `tetra loglevel`

use api::wire::{self, get_debug_response, set_debug_request, set_debug_response};

use super::answer::{self, AnswerError};
use crate::args::{Connection, LogLevel};
use crate::client::{CallError, Client};

const NAMES: [(&str, wire::LogLevel); 9] = [
    ("trace", wire::LogLevel::Trace),
    ("debug", wire::LogLevel::Debug),
    ("info", wire::LogLevel::Info),
    ("warning", wire::LogLevel::Warn),
    ("warn", wire::LogLevel::Warn),
    ("error", wire::LogLevel::Error),
    ("err", wire::LogLevel::Error),
    ("fatal", wire::LogLevel::Fatal),
    ("panic", wire::LogLevel::Panic),
];

/// Prints the level at which the daemon logs, after having changed it where asked to.
pub(crate) fn run(connection: &Connection, command: &LogLevel) -> Result<(), AnswerError> {
    match command {
        LogLevel::Get => answer::print(connection, "get the log level", text, Ok),
        LogLevel::Set { level } => {
            let level = named(level)?;
            answer::print(
                connection,
                "set the log level",
                |client| set(client, level),
                |level| Ok(format!("Log level set to: {}\n", level.as_str_name())),
            )
        }
    }
}

/// What is printed of the level as it is.
pub(super) fn text(client: &Client) -> Result<String, CallError> {
    get(client).map(|level| format!("Current log level: {}\n", level.as_str_name()))
}

fn named(text: &str) -> Result<wire::LogLevel, AnswerError> {
    let lower = text.to_ascii_lowercase();
    let known = NAMES.iter().find(|(name, _)| *name == lower).map(|(_, level)| *level);
    known.ok_or_else(|| {
        AnswerError::Form(format!(
            "{text:?} is no log level; give trace, debug, info, warning, error, fatal or panic"
        ))
    })
}

fn get(client: &Client) -> Result<wire::LogLevel, CallError> {
    let request = wire::GetDebugRequest { flag: wire::ConfigFlag::LogLevel.into(), arg: None };
    let answer = client.call(async |mut service| service.get_debug(request).await)?;
    Ok(match answer.arg {
        Some(get_debug_response::Arg::Level(level)) => wire::LogLevel::try_from(level).unwrap_or_default(),
        Some(get_debug_response::Arg::Processes(_)) | None => wire::LogLevel::default(),
    })
}

fn set(client: &Client, level: wire::LogLevel) -> Result<wire::LogLevel, CallError> {
    let request = wire::SetDebugRequest {
        flag: wire::ConfigFlag::LogLevel.into(),
        arg: Some(set_debug_request::Arg::Level(level.into())),
    };
    let answer = client.call(async |mut service| service.set_debug(request).await)?;
    Ok(match answer.arg {
        Some(set_debug_response::Arg::Level(level)) => wire::LogLevel::try_from(level).unwrap_or_default(),
        None => wire::LogLevel::default(),
    })
}

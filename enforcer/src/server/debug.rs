//! `GetDebug` and `SetDebug`: how much the daemon logs. The processes that it knows are listed by [`super::processes`].

use api::wire::{
    ConfigFlag, GetDebugRequest, GetDebugResponse, LogLevel, SetDebugRequest, SetDebugResponse,
    get_debug_response, set_debug_request, set_debug_response,
};
use tonic::Status;
use tracing::Level;

use crate::log::LevelControl;

/// What the daemon logs.
pub(super) fn get(level: &LevelControl, request: GetDebugRequest) -> Result<GetDebugResponse, Status> {
    about_the_level(request.flag)?;
    let arg = get_debug_response::Arg::Level(to_wire(level.level()).into());
    Ok(GetDebugResponse { flag: request.flag, arg: Some(arg) })
}

/// Logs as the request asks for; the answer is what is logged from now on.
pub(super) fn set(level: &LevelControl, request: &SetDebugRequest) -> Result<SetDebugResponse, Status> {
    about_the_level(request.flag)?;
    let Some(set_debug_request::Arg::Level(number)) = request.arg else {
        return Err(Status::invalid_argument("the request names no log level"));
    };
    let wanted = LogLevel::try_from(number)
        .map_err(|_unknown| Status::invalid_argument(format!("there is no log level {number}")))?;
    level.set(from_wire(wanted));
    tracing::info!("a client set the log level to {}", level.level());
    let arg = set_debug_response::Arg::Level(to_wire(level.level()).into());
    Ok(SetDebugResponse { flag: request.flag, arg: Some(arg) })
}

fn about_the_level(flag: i32) -> Result<(), Status> {
    match ConfigFlag::try_from(flag) {
        Ok(ConfigFlag::LogLevel) => Ok(()),
        Ok(ConfigFlag::DumpProcessCache) => {
            Err(Status::invalid_argument("the processes that are known can be read, not set"))
        }
        Err(_) => Err(Status::invalid_argument(format!("there is no debug flag {flag}"))),
    }
}

fn to_wire(level: Level) -> LogLevel {
    match level {
        Level::TRACE => LogLevel::Trace,
        Level::DEBUG => LogLevel::Debug,
        Level::INFO => LogLevel::Info,
        Level::WARN => LogLevel::Warn,
        Level::ERROR => LogLevel::Error,
    }
}

/// The daemon has no lines above errors.
const fn from_wire(level: LogLevel) -> Level {
    match level {
        LogLevel::Trace => Level::TRACE,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error | LogLevel::Fatal | LogLevel::Panic => Level::ERROR,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn asked(flag: ConfigFlag, level: Option<i32>) -> SetDebugRequest {
        SetDebugRequest { flag: flag.into(), arg: level.map(set_debug_request::Arg::Level) }
    }

    // proves: API-08 (log level)
    #[test]
    fn the_level_is_changed_and_told() {
        let (_filter, level) = LevelControl::detached(Level::INFO);
        let get = |level: &LevelControl| get(level, GetDebugRequest::default()).unwrap().arg;
        assert_eq!(get(&level), Some(get_debug_response::Arg::Level(LogLevel::Info.into())));
        for (wanted, expected) in [
            (LogLevel::Trace, LogLevel::Trace),
            (LogLevel::Warn, LogLevel::Warn),
            (LogLevel::Panic, LogLevel::Error),
        ] {
            let answer = set(&level, &asked(ConfigFlag::LogLevel, Some(wanted.into()))).unwrap();
            assert_eq!(answer.arg, Some(set_debug_response::Arg::Level(expected.into())));
            assert_eq!(get(&level), Some(get_debug_response::Arg::Level(expected.into())));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let (_filter, level) = LevelControl::detached(Level::INFO);
        let code = |request| set(&level, &request).unwrap_err().code();
        assert_eq!(code(asked(ConfigFlag::LogLevel, None)), tonic::Code::InvalidArgument);
        assert_eq!(code(asked(ConfigFlag::LogLevel, Some(99))), tonic::Code::InvalidArgument);
        assert_eq!(code(SetDebugRequest { flag: 7, arg: None }), tonic::Code::InvalidArgument);
        assert_eq!(code(asked(ConfigFlag::DumpProcessCache, None)), tonic::Code::InvalidArgument);
        assert_eq!(level.level(), Level::INFO);
    }
}

//! The command: which source, and what can go wrong.

use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;

use api::filter::FilterError;

use crate::args::{Connection, GetEvents};
use crate::client::{AddressError, CallError};
use crate::print::OutputError;

use super::{Writer, stdin, stream};

/// Events could not be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetEventsError {
    /// No usable address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No stream.
    #[error("cannot get events: {0}")]
    Call(#[from] CallError),
    /// A filter that is none.
    #[error("{0}")]
    Filter(#[from] FilterError),
    /// Standard input could not be read.
    #[error("cannot read standard input: {0}")]
    Input(std::io::Error),
    /// No output.
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// Prints events until the source ends or the user interrupts.
pub(crate) fn run(connection: &Connection, options: &GetEvents) -> Result<(), GetEventsError> {
    let mut writer = Writer::new(options);
    if stdin_is_a_source() {
        let debug = connection.debug;
        stdin::print(options, connection.max_recv_size, debug, &mut writer)
    } else {
        stream::print(connection, options, &mut writer)
    }
}

/// Whether standard input is open and no character device: a terminal and `/dev/null` are, a pipe and a file are not.
fn stdin_is_a_source() -> bool {
    let Ok(descriptor) = std::io::stdin().as_fd().try_clone_to_owned() else { return false };
    let metadata = std::fs::File::from(descriptor).metadata();
    metadata.is_ok_and(|metadata| !metadata.file_type().is_char_device())
}

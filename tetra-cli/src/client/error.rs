//! What goes wrong between here and the daemon.

use std::error::Error;
use std::io;

use tonic::{Code, Status};

use super::Address;

/// What the transport says of a message beyond the limit.
const TOO_LARGE: &str = "message length too large";

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The socket is not there.
    #[error(
        "no daemon at {address}: there is no such socket; start the daemon, or give its address with --server-address"
    )]
    NoSocket {
        /// Where.
        address: Address,
    },
    /// The socket may not be used.
    #[error(
        "not permitted to use {address}: run tetra as root, or as a member of the group that owns the socket"
    )]
    NotPermitted {
        /// Where.
        address: Address,
    },
    /// Nothing listens.
    #[error(
        "nothing listens at {address}: is the daemon running? Start it, or give its address with --server-address"
    )]
    Refused {
        /// Where.
        address: Address,
    },
    /// The host has no address.
    #[error("cannot connect to {address}: {reason}; check --server-address")]
    Connect {
        /// Where.
        address: Address,
        /// The innermost cause.
        reason: String,
    },
    /// No answer in time.
    #[error(
        "no answer from {address} in {seconds} s; is it a Tetragon or Enforcer daemon? Raise --timeout to wait longer"
    )]
    Timeout {
        /// Where.
        address: Address,
        /// The limit.
        seconds: f32,
    },
    /// The daemon does not have the call.
    #[error("the daemon at {address} does not offer this: {message}")]
    Unimplemented {
        /// Where.
        address: Address,
        /// What it says.
        message: String,
    },
    /// The answer is larger than what is read.
    #[error("the answer of {address} is too large ({message}); raise --max-recv-size")]
    TooLarge {
        /// Where.
        address: Address,
        /// How large, and what the limit is.
        message: String,
    },
    /// The daemon said no.
    #[error("{message}")]
    Refusal {
        /// What it says.
        message: String,
    },
    /// The connection broke, or something else that is no answer.
    #[error("the call to {address} failed ({code}): {message}")]
    Broken {
        /// Where.
        address: Address,
        /// Kind of failure.
        code: Code,
        /// What is known.
        message: String,
    },
    /// The runtime could not be started.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    /// The user interrupted the call.
    #[error("interrupted")]
    Interrupted,
}

impl CallError {
    /// A connection that could not be made.
    pub(super) fn of_connection(address: &Address, error: &tonic::transport::Error) -> Self {
        let address = address.clone();
        let mut cause: &dyn Error = error;
        let mut kind = None;
        loop {
            kind = cause.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
            match cause.source() {
                Some(source) => cause = source,
                None => break,
            }
        }
        match kind {
            Some(io::ErrorKind::NotFound) => Self::NoSocket { address },
            Some(io::ErrorKind::PermissionDenied) => Self::NotPermitted { address },
            Some(io::ErrorKind::ConnectionRefused) => Self::Refused { address },
            _ => Self::Connect { address, reason: cause.to_string() },
        }
    }

    /// An answer that is a failure.
    pub(super) fn of_status(address: &Address, status: &Status) -> Self {
        let address = address.clone();
        let from_transport = status.source().is_some();
        // Of a connection that breaks, the innermost cause says why.
        let message = std::iter::successors(status.source(), |&cause| cause.source())
            .last()
            .map_or_else(|| status.message().to_owned(), ToString::to_string);
        let code = status.code();
        if code == Code::Unimplemented {
            Self::Unimplemented { address, message }
        } else if code == Code::OutOfRange && message.contains(TOO_LARGE) {
            Self::TooLarge { address, message }
        } else if from_transport
            || [Code::Unavailable, Code::Cancelled, Code::DeadlineExceeded].contains(&code)
        {
            Self::Broken { address, code, message }
        } else {
            Self::Refusal { message }
        }
    }

    /// Whether the daemon may be there a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::NoSocket { .. } | Self::Refused { .. } | Self::Connect { .. } => true,
            Self::Broken { code, .. } => *code == Code::Unavailable,
            Self::NotPermitted { .. }
            | Self::Timeout { .. }
            | Self::Unimplemented { .. }
            | Self::TooLarge { .. }
            | Self::Refusal { .. }
            | Self::Runtime(_)
            | Self::Interrupted => false,
        }
    }
}

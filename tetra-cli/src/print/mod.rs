//! What a terminal sees. Text from elsewhere (paths, arguments, answers of a daemon) passes through [`escape`] only.

mod bytes;
mod color;
mod compact;
pub(crate) mod escape;
mod output;
mod table;
mod time;

pub(crate) use bytes::bytes;
pub(crate) use compact::{Compact, CompactOptions};
pub(crate) use output::{Output, OutputError, failure, notice, usage};
pub(crate) use table::Table;
pub(crate) use time::{stamp, timestamp};

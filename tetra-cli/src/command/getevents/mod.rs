//! `tetra getevents`: from the daemon, or from standard input where that is a file or a pipe.

mod print;
mod request;
mod stdin;
mod stream;
mod writer;

pub(crate) use print::{GetEventsError, run};
use writer::Writer;

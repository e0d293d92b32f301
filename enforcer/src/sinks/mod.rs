//! Where events go besides clients: what is opened, and the thread that each of it has behind its own queue of the hub.

mod open;
mod thread;

pub use open::ExportError;
pub(crate) use open::open;
pub use thread::EventLog;
pub(crate) use thread::SinkThread;

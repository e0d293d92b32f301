//! Events as short lines for people, byte for byte as upstream prints them.
//!
//! `<emoji> <name, padded to 7> <node or pod> <binary> <details>`, and at column 120 a mark for processes that may do nearly
//! everything. Every text of an event passes [`super::escape::word`].

mod details;
mod event;
mod kprobe;
mod line;
mod stack;
mod syscall;
#[cfg(test)]
mod tests;

pub(crate) use event::{Compact, CompactOptions};

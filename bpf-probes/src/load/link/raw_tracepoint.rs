//! Raw tracepoints (4.17).

use std::os::fd::AsFd as _;

use super::attach::{Fault, Hold, name};
use crate::load::program::Program;
use crate::load::sys;

pub(super) fn attach(program: &Program, tracepoint: &str) -> Result<Hold, Fault> {
    match sys::raw_tracepoint_open(Some(&name(tracepoint)?), program.as_fd()) {
        Ok(link) => Ok(Hold::link(link)),
        Err(error) if error.errno == libc::ENOENT => Err(Fault::NoSuchTarget(error)),
        Err(error) => Err(error.into()),
    }
}

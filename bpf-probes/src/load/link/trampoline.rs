//! fentry, fexit (5.5), `fmod_ret` (5.7) and typed tracepoints (5.5): bound to their target when loaded.

use std::os::fd::AsFd as _;

use super::attach::{Fault, Hold};
use crate::load::program::Program;
use crate::load::sys;

pub(super) fn attach(program: &Program) -> Result<Hold, Fault> {
    Ok(Hold::link(sys::raw_tracepoint_open(None, program.as_fd())?))
}

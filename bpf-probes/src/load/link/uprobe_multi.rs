//! uprobe of one place by a link of its own (6.6).

use std::ffi::CStr;
use std::os::fd::AsFd as _;

use super::attach::{Fault, Hold};
use super::user_file::fault;
use crate::attach::{CallEnd, UserPlace};
use crate::load::program::Program;
use crate::load::sys;

pub(super) fn attach(program: &Program, place: &UserPlace, end: CallEnd, door: &CStr) -> Result<Hold, Fault> {
    let link = sys::uprobe_multi_link(program.as_fd(), door, place, end);
    Ok(Hold::link(link.map_err(fault)?))
}

//! uprobes of one or more places in a file by a link of their own (6.6).

use std::ffi::CStr;
use std::os::fd::AsFd as _;

use super::attach::{Fault, Hold};
use super::user_file::fault;
use crate::attach::{CallEnd, UserPlace};
use crate::load::program::Program;
use crate::load::sys;
use crate::spec::AttachSpec;

/// Attaches to a place and to further ones at these offsets. What is wrong with one of many is told of that one.
pub(super) fn attach(
    program: &Program,
    place: &UserPlace,
    further: &[u64],
    end: CallEnd,
    door: &CStr,
) -> Result<Hold, Fault> {
    let link = |place: &UserPlace, further: &[u64]| {
        sys::uprobe_multi_link(program.as_fd(), door, place, further, end)
    };
    match link(place, further) {
        Ok(link) => Ok(Hold::link(link)),
        Err(error) if further.is_empty() => Err(fault(error)),
        Err(error) => {
            let offsets = std::iter::once(place.offset).chain(further.iter().copied());
            let mut places = offsets.map(|offset| UserPlace { offset, ..place.clone() });
            let bad = places.find_map(|place| link(&place, &[]).err().map(|error| (place, error)));
            let Some((place, error)) = bad else { return Err(fault(error)) };
            let one = AttachSpec::UprobeMulti { place: Box::new(place), further: Vec::new(), end };
            Err(Fault::At(one, Box::new(fault(error))))
        }
    }
}

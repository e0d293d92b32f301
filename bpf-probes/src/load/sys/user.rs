//! Links on places in user space.

#![expect(unsafe_code, reason = "bpf(2)")]

use std::ffi::CStr;
use std::iter::once;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use libbpf_sys as ffi;

use super::SysError;
use super::object::own;
use super::program::link_opts;
use crate::attach::{CallEnd, UserPlace};

/// Attaches to a place in a file, and to further ones at these offsets, by one link (6.6): to their entries or to the returns from them. The cookies count from 0.
pub(in crate::load) fn uprobe_multi_link(
    program: BorrowedFd<'_>,
    path: &CStr,
    place: &UserPlace,
    further: &[u64],
    end: CallEnd,
) -> Result<OwnedFd, SysError> {
    const CALL: &str = "bpf(BPF_LINK_CREATE, uprobe.multi)";
    let far = |_far| SysError::new(CALL, libc::EOVERFLOW);
    let numbers = |numbers: &mut dyn Iterator<Item = u64>| -> Result<Vec<libc::c_ulong>, SysError> {
        numbers.map(|number| libc::c_ulong::try_from(number).map_err(far)).collect()
    };
    let offsets = numbers(&mut once(place.offset).chain(further.iter().copied()))?;
    let counters = numbers(&mut once(place.reference_counter).chain(further.iter().map(|_| 0)))?;
    let cookies: Vec<u64> = (0..).take(offsets.len()).collect();
    let mut opts = link_opts();
    opts.__bindgen_anon_1.uprobe_multi = ffi::bpf_link_create_opts__bindgen_ty_1__bindgen_ty_3 {
        cnt: u32::try_from(offsets.len()).map_err(|_many| SysError::new(CALL, libc::E2BIG))?,
        flags: if end == CallEnd::Return { ffi::BPF_F_UPROBE_MULTI_RETURN } else { 0 },
        path: path.as_ptr(),
        offsets: offsets.as_ptr(),
        ref_ctr_offsets: if place.reference_counter == 0 { std::ptr::null() } else { counters.as_ptr() },
        cookies: cookies.as_ptr(),
        ..Default::default()
    };
    // SAFETY: `opts` is live, of the size that it states; the path is NUL-terminated, and the three arrays of `cnt` elements each live as long.
    let result =
        unsafe { ffi::bpf_link_create(program.as_raw_fd(), 0, ffi::BPF_TRACE_UPROBE_MULTI, &raw const opts) };
    own(CALL, result)
}

//! Links on places in user space.

#![expect(unsafe_code, reason = "bpf(2)")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use libbpf_sys as ffi;

use super::SysError;
use super::object::own;
use super::program::link_opts;
use crate::attach::{CallEnd, UserPlace};

/// Attaches to one place in a file by a link (6.6), to its entry or to the return from it.
pub(in crate::load) fn uprobe_multi_link(
    program: BorrowedFd<'_>,
    path: &CStr,
    place: &UserPlace,
    end: CallEnd,
) -> Result<OwnedFd, SysError> {
    const CALL: &str = "bpf(BPF_LINK_CREATE, uprobe.multi)";
    let far = |_far| SysError::new(CALL, libc::EOVERFLOW);
    let offset = libc::c_ulong::try_from(place.offset).map_err(far)?;
    let counter = libc::c_ulong::try_from(place.reference_counter).map_err(far)?;
    let mut opts = link_opts();
    opts.__bindgen_anon_1.uprobe_multi = ffi::bpf_link_create_opts__bindgen_ty_1__bindgen_ty_3 {
        cnt: 1,
        flags: if end == CallEnd::Return { ffi::BPF_F_UPROBE_MULTI_RETURN } else { 0 },
        path: path.as_ptr(),
        offsets: &raw const offset,
        ref_ctr_offsets: if counter == 0 { std::ptr::null() } else { &raw const counter },
        ..Default::default()
    };
    // SAFETY: `opts` is live, of the size that it states; the path is NUL-terminated, and the two arrays of one element each live as long.
    let result =
        unsafe { ffi::bpf_link_create(program.as_raw_fd(), 0, ffi::BPF_TRACE_UPROBE_MULTI, &raw const opts) };
    own(CALL, result)
}

//! What programs are called.

#![expect(unsafe_code, reason = "bpf(2)")]

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use libbpf_sys as ffi;

use super::SysError;
use super::object::{info, info_len, object_name, own};
use super::program::FuncInfo;
use crate::btf::{Btf, TypeId};

/// The kernel keeps so many bytes of a name (`include/uapi/linux/bpf.h: BPF_OBJ_NAME_LEN`, less the NUL).
pub(in crate::load) const KEPT: usize = 15;
/// Larger types of a program are not read for its name: those of ours are some hundred bytes.
const LARGEST: usize = 1 << 16;

/// The name of a program: that of its first function where the kernel cut the program's and has types of it, otherwise the first 15 bytes.
pub(in crate::load) fn program_name(fd: BorrowedFd<'_>) -> Result<String, SysError> {
    let mut main = FuncInfo { slot: 0, type_id: 0 };
    let mut answer = ffi::bpf_prog_info {
        nr_func_info: 1,
        func_info_rec_size: info_len::<FuncInfo>(),
        func_info: &raw mut main as u64,
        ..Default::default()
    };
    // SAFETY: this is what programs are asked for; `func_info` goes to one live record of the size beside it, and all other pointers are null with
    // counts of 0.
    unsafe { info(fd, &mut answer) }?;
    let name = object_name(&answer.name);
    if name.len() < KEPT || answer.btf_id == 0 || answer.nr_func_info == 0 {
        return Ok(name);
    }
    // Types that are gone or of another kind leave the short name.
    let full = function_name(answer.btf_id, main.type_id).filter(|full| !full.is_empty());
    Ok(full.unwrap_or(name))
}

fn function_name(btf: u32, function: u32) -> Option<String> {
    let types = Btf::parse(btf_bytes(btf_by_id(btf).ok()?.as_fd())?).ok()?;
    types.get(TypeId::new(function)).ok().map(|function| function.name().to_owned())
}

/// BTF by its number.
fn btf_by_id(id: u32) -> Result<OwnedFd, SysError> {
    // SAFETY: a plain number; the call makes a descriptor or fails.
    own("bpf(BPF_BTF_GET_FD_BY_ID)", unsafe { ffi::bpf_btf_get_fd_by_id(id) })
}

/// What it holds, unless that is large.
fn btf_bytes(fd: BorrowedFd<'_>) -> Option<Arc<[u8]>> {
    let mut bytes = vec![0_u8; LARGEST];
    let mut answer = ffi::bpf_btf_info {
        btf: bytes.as_mut_ptr() as u64,
        btf_size: u32::try_from(bytes.len()).ok()?,
        ..Default::default()
    };
    // SAFETY: this is what BTF is asked for; `btf` goes to a live buffer of `btf_size` bytes, and `name` is null with a length of 0.
    unsafe { info(fd, &mut answer) }.ok()?;
    // The size is that of the whole, also where less was written.
    bytes.truncate(usize::try_from(answer.btf_size).ok().filter(|size| *size <= LARGEST)?);
    Some(bytes.into())
}

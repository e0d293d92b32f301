//! BPF LSM programs (5.7), where `bpf` is among the active security modules.

use std::fs;
use std::os::fd::AsFd as _;

use super::attach::{Fault, Hold};
use crate::load::kernel_fs::KernelFs;
use crate::load::program::Program;
use crate::load::sys;

/// Attaches, unless the program would never run: without `bpf` in the list of active modules, 5.10 loads and attaches LSM
/// programs without an error and calls none of them.
pub(super) fn attach(program: &Program) -> Result<Hold, Fault> {
    let Some(active) = active_modules() else {
        let reason = "the list of active security modules cannot be read, so that it may never run";
        return Err(Fault::NotSupported(reason.to_owned()));
    };
    if !active.split(',').any(|module| module == "bpf") {
        return Err(Fault::LsmInactive(active));
    }
    Ok(Hold::link(sys::raw_tracepoint_open(None, program.as_fd())?))
}

/// The active security modules as the kernel lists them (`capability,…,bpf`); `None` where the list cannot be read.
pub(in crate::load) fn active_modules() -> Option<String> {
    let root = KernelFs::Security.root().ok()?;
    let text = fs::read_to_string(root.path().join("lsm")).ok()?;
    Some(text.trim().to_owned())
}

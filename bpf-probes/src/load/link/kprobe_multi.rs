//! kprobes of many functions by one link (5.18, with `CONFIG_FPROBE`).

use std::ffi::{CStr, CString};
use std::os::fd::AsFd as _;

use super::attach::{Fault, Hold, name};
use crate::load::program::Program;
use crate::load::sys;

pub(super) fn attach(program: &Program, symbols: &[String]) -> Result<Hold, Fault> {
    let names = symbols.iter().map(|symbol| name(symbol)).collect::<Result<Vec<CString>, Fault>>()?;
    let names: Vec<&CStr> = names.iter().map(CString::as_c_str).collect();
    match sys::kprobe_multi_link(program.as_fd(), &names) {
        Ok(link) => Ok(Hold::link(link)),
        // kernel/trace/ftrace.c: ftrace_lookup_symbols.
        Err(error) if error.errno == libc::ESRCH || error.errno == libc::ENOENT => {
            Err(Fault::NoSuchTarget(error))
        }
        Err(error) => Err(error.into()),
    }
}

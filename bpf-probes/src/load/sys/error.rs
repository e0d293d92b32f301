//! What a system call answered.

use std::io;

/// A system call that failed: which, and with what errno.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{call}: {}", text(*errno))]
pub struct SysError {
    /// The call and, for bpf(2), its command.
    pub call: &'static str,
    /// The positive errno.
    pub errno: i32,
}

/// `ENOTSUPP` of the kernel's inside, which leaks out of bpf(2) and which libc does not know.
pub(in crate::load) const ENOTSUPP: i32 = 524;

fn text(errno: i32) -> String {
    if errno == ENOTSUPP {
        return "this kernel does not support it (ENOTSUPP)".to_owned();
    }
    io::Error::from_raw_os_error(errno).to_string()
}

impl SysError {
    pub(in crate::load) const fn new(call: &'static str, errno: i32) -> Self {
        Self { call, errno }
    }

    /// The error of a libc call that just returned -1.
    pub(in crate::load) fn last(call: &'static str) -> Self {
        Self::from_io(call, &io::Error::last_os_error())
    }

    pub(in crate::load) fn from_io(call: &'static str, error: &io::Error) -> Self {
        Self { call, errno: error.raw_os_error().unwrap_or(libc::EIO) }
    }

    /// The result of a libbpf call, which returns a negative errno.
    pub(super) fn check(call: &'static str, result: libc::c_int) -> Result<libc::c_int, Self> {
        if result < 0 { Err(Self { call, errno: result.saturating_neg() }) } else { Ok(result) }
    }

    /// Whether the kernel refused for want of a right (`EPERM`): a capability, or the host's policy.
    pub const fn is_not_permitted(&self) -> bool {
        self.errno == libc::EPERM
    }

    /// Whether the kernel does not know what was asked (`ENOTSUPP`, `EOPNOTSUPP`, `ENOSYS`).
    pub const fn is_not_supported(&self) -> bool {
        matches!(self.errno, ENOTSUPP | libc::EOPNOTSUPP | libc::ENOSYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_the_call_and_what_came_back() {
        let error = SysError::new("bpf(BPF_MAP_CREATE)", libc::EPERM);
        assert_eq!(error.to_string(), "bpf(BPF_MAP_CREATE): Operation not permitted (os error 1)");
        assert!(error.is_not_permitted());
    }

    #[test]
    fn the_kernels_inner_errno_has_words() {
        let error = SysError::new("bpf(BPF_PROG_LOAD)", ENOTSUPP);
        assert!(error.is_not_supported());
        assert!(error.to_string().ends_with("does not support it (ENOTSUPP)"));
    }
}

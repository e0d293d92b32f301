//! Error numbers that helpers return.

/// Why a helper or a map operation failed, by the kernel's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[repr(i32)]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub enum Errno {
    #[error("EPERM")]
    Eperm = 1,
    #[error("ENOENT")]
    Enoent = 2,
    #[error("E2BIG")]
    E2big = 7,
    #[error("EAGAIN")]
    Eagain = 11,
    #[error("EFAULT")]
    Efault = 14,
    #[error("EEXIST")]
    Eexist = 17,
    #[error("EINVAL")]
    Einval = 22,
    #[error("ENOSPC")]
    Enospc = 28,
    #[error("ERANGE")]
    Erange = 34,
    #[error("ENAMETOOLONG")]
    Enametoolong = 36,
    #[error("EOPNOTSUPP")]
    Eopnotsupp = 95,
}

impl Errno {
    /// The negative number, as a helper returns it in `R0`.
    pub fn code(self) -> u64 {
        i64::from(-(self as i32)).cast_unsigned()
    }
}

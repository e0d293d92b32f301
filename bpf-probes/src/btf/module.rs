//! BTF of kernel modules (`/sys/kernel/btf/NAME`), which continues the numbers and strings of the kernel's.

use std::sync::Arc;

use super::parse::{Btf, ParseError};

impl Btf {
    /// Reads a module's BTF over the kernel's. Look-ups in the result find both; numbers below
    /// `base.end_id()` are the base's.
    ///
    /// # Errors
    /// [`ParseError`], when the bytes are not BTF or contradict themselves.
    pub fn parse_module(bytes: Arc<[u8]>, base: &Arc<Self>) -> Result<Self, ParseError> {
        Self::parse_on(bytes, Some(Arc::clone(base)))
    }
}

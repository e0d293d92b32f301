//! What a register holds: 64 bits, and where they came from.

/// Where a value came from, and so what it may be used for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tag {
    /// Never set, or lost at a call.
    Unset,
    /// A number.
    Number,
    /// An address that the machine gave out: exact bounds.
    Pointer,
    /// A kernel pointer with a type: loads never fault, stores always do.
    Kernel,
}

/// A register's contents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) bits: u64,
    pub(super) tag: Tag,
}

impl Value {
    pub(super) const UNSET: Self = Self { bits: 0, tag: Tag::Unset };

    pub(super) const fn number(bits: u64) -> Self {
        Self { bits, tag: Tag::Number }
    }

    pub(super) const fn pointer(bits: u64) -> Self {
        Self { bits, tag: Tag::Pointer }
    }

    pub(super) const fn kernel(bits: u64) -> Self {
        Self { bits, tag: Tag::Kernel }
    }
}

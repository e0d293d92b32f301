//! Places in a subprogram that jumps name before they are known.

/// A place of one [`super::Assembler`]. Made by [`super::Assembler::label`], bound once, jumped to as often as needed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Label(pub(super) u32);

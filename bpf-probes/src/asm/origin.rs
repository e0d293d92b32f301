//! Where an instruction came from.

/// An opaque number on each instruction, carried along and never interpreted here. Whoever emits code decides what it means (the
/// policy compiler: an index into its source map) and gets it back from errors and verifier logs.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Origin(pub u32);

impl Origin {
    /// No particular place.
    pub const NONE: Self = Self(0);
}

//! Kernel types: BTF in, offsets and prototypes out; and BTF of our own, for maps and functions that the kernel
//! wants described.
//!
//! Bytes are foreign until [`Btf::parse`] has checked them: afterwards every type can be read without a panic, though it
//! may still refer to types that do not exist, which look-ups answer with an error. Nothing here copies types out: a
//! view borrows the raw bytes.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most questions are about a few kinds of type; every other kind, also a future one, is the same answer"
)]

mod describe;
mod kind;
mod lookup;
mod member;
mod module;
mod parse;
mod path;
mod path_text;
#[cfg(test)]
mod tests;
mod types;
mod write;

pub use kind::{Kind, TypeId};
pub use lookup::LookupError;
pub use parse::{Btf, ParseError};
pub use path::{Bitfield, FieldPath, Leaf, LeafKind, PathError, Step};
pub use types::{
    Alias, Array, Composite, Datasec, DeclTag, Enum, Float, Func, FuncProto, Fwd, FwdKind, Int, IntEncoding,
    Linkage, Member, Parameter, SectionVariable, Type, Var,
};
pub use write::{BtfWriter, StringOffset, WriteError, WriteMember};

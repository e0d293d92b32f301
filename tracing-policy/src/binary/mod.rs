//! Executables and libraries as files: where in them a function, a probe or an address is.
//!
//! The bytes of a file come in; offsets in it go out, which is what the kernel attaches to. Nothing here opens a file, and
//! nothing in the bytes is believed: every place is checked against the file's end, every count is bounded by its size,
//! and what is damaged is an error or is not there, never a panic.
//!
//! | question | answered by |
//! | --- | --- |
//! | where is this function? | [`Binary::function_offset`]: symbol tables, then the function table of Go |
//! | where is this address? | [`Binary::address_to_offset`]: the segments that are loaded |
//! | which function is there? | [`Functions::around`] |
//! | is it a Go program? | [`Binary::is_go`] |
//! | could a program run there? | [`Binary::offset_is_executable`] |
//! | which types has it? | [`Binary::types`] |
//! | which build is it? | [`Binary::build_id`] |
//! | where is this static probe, and what does it pass? | [`Binary::usdt`] |
//! | which functions and static probes are there? | [`Binary::functions`], [`Binary::probes`] |

mod file;
mod function;
mod go;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod image;
mod list;
mod names;
mod operand;
mod outline;
mod symbol;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
mod usdt;

pub use file::{Binary, BinaryError, FileOffset};
pub use function::Functions;
pub use go::GoError;
pub use operand::{CpuRegister, OperandError, UsdtArgument, UsdtSource};
pub(crate) use operand::{number, part_of_register};
pub use symbol::SymbolError;
pub use usdt::{UsdtError, UsdtNote};

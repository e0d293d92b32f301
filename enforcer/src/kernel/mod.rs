//! The daemon's side of the running kernel: what it needs before programs load, the base programs, and the port through which policies load theirs.
//!
//! The only folder of this crate, besides the rings' reader, that holds objects of `bpf_probes::load`.

mod base;
mod cells;
mod compiler;
mod features;
mod figures;
mod files;
mod keep;
mod known;
mod on_demand;
mod port;
mod recording;
mod setup;

pub use base::{Base, BaseError, BaseSizes};
pub use cells::{Cells, SelectorCounts};
pub use compiler::KernelCompiler;
pub use features::in_words;
pub use figures::LoadedFigures;
pub use keep::{Keep, KeepError};
pub use known::{KnownKernel, Types};
pub use port::{Body, KernelPort, Stub};
pub use setup::{KERNEL_TYPES, SetupError, prepare, types_in};

//! `tetra debug`: what programs and maps of the kernel cost. Asks the kernel, not the daemon; needs root.

mod holdings;
mod kind;
mod maps;
mod progs;
mod run;

pub(super) use kind::program_kind;
pub(super) use maps::MapReport;
pub(crate) use run::run;

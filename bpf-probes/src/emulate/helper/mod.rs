//! Helpers and kernel functions, by what they are about.
//!
//! Each takes its arguments from `R1` to `R5`, which must be set and of the right kind, and returns what goes into `R0`.

mod call;
mod control;
mod map;
mod read;
mod record;
mod stack_trace;
mod task;

use super::errno::Errno;
use super::fault::FaultKind;
use super::memory::Access;
use super::run::Run;
use super::value::{Tag, Value};
use call::{Return, status};

//! Stage 5: one [`crate::ir::Hook`] to the program of one attachment.
//!
//! Registers throughout: `R6` the entry of working memory, `R7` to `R9` whatever is at hand. All that one part of a program tells another lies in that
//! memory and not in registers, so that the verifier's states converge behind every test and verification grows linearly with the number of policies.
//!
//! A hook with a single selector leaves at the first test that fails. With more, each selector has a byte that says whether it still may match, and each argument
//! counts the selectors that still need it: tests run in phases, cheapest first, for all policies; an argument nobody needs any more is not read.

mod act;
mod address;
mod automaton;
mod buffer;
mod bytes;
mod call;
mod change;
mod chunks;
mod deny;
mod expression;
mod fault_in;
mod field;
mod hash;
mod kind;
mod limit;
mod member;
mod memory;
mod network;
mod note;
mod number;
mod object;
mod operand;
mod output;
mod overrider;
mod packet;
mod parent;
mod pending;
mod phase;
mod process;
mod program;
mod reach;
mod read;
mod report;
mod returned;
mod returner;
mod rewrite;
mod search;
mod stack;
mod state;
mod table;
mod task;
mod track;
mod workload;

pub(crate) use fault_in::fault_in;
pub(crate) use hash::take_hash;
pub(crate) use note::Notes;
pub(crate) use overrider::overrider;
pub(crate) use program::{Body, hook};
pub(crate) use returner::{forgetter, returner};
pub(crate) use rewrite::rewriter;

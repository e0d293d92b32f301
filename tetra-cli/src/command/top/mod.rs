//! `tetra top`: the busiest policies, processes, pods and programs, and the processes as a tree to drill into.
//!
//! In come the daemon's events and what the kernel counts of each program; a board counts them, a screen draws the board.
//! Invariant: however many processes and names there are, what is kept is bounded ([`tally::LIMIT`], [`tree::LIMIT`]).

mod board;
mod keys;
mod programs;
mod run;
mod screen;
mod tally;
mod tree;

pub(crate) use run::run;

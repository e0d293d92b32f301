//! The stages together, on made-up records.

mod halves;
mod lives;
mod native;
mod records;
mod running;
mod stacks;

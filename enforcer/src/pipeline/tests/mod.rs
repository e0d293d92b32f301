//! The stages together, on made-up records.

mod asks;
mod content;
mod halves;
mod lives;
mod native;
mod records;
mod running;
mod stacks;
mod throttle;

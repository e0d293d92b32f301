//! What needs a kernel and root: names start with `root_`.
//!
//! What this kernel refuses by policy is told apart from what fails: see [`attached`].

mod collection;
mod link;
mod map;
mod pin;
mod probe;
mod ring;
mod support;

//! What crosses a socket or a file: the event model, its JSON and its protobuf.
//!
//! The daemon builds [`event::Event`]s, every sink reads them, and `tetra` reads them back. This crate knows no policy,
//! no BPF and does no I/O.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`name`] | pure functions from numbers to the words the API uses, and back |
//! | [`event`] | the typed event |
//! | [`convert`] | the event to protobuf messages, and back |
//! | [`filter`] | which events a listener wants |
//! | [`json`] | the event as JSON text, and back |
//! | [`wire`] | the generated protobuf messages and gRPC services |

pub mod convert;
pub mod event;
pub mod filter;
pub mod json;
pub mod name;
pub mod wire;

//! Protobuf messages, and the client and server sides of the gRPC services, generated from `proto/tetragon/*.proto`. The server streams
//! [`EncodedEvent`](crate::convert::EncodedEvent)s, of which a client makes [`GetEventsResponse`]s.
#![expect(
    missing_docs,
    unused_qualifications,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::clone_on_ref_ptr,
    clippy::large_enum_variant,
    reason = "generated code"
)]

tonic::include_proto!("tetragon");
include!(concat!(env!("OUT_DIR"), "/server/tetragon.rs"));

//! JSON of any message of the API, by its descriptor: for answers of the service and for what people write. Slower than
//! [`super::write_event`], which is for events.

use std::sync::OnceLock;

use prost::{Message, Name};
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};

/// Why JSON text was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The text is no JSON object, or a field has a value of the wrong type.
    #[error("not an event in JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The object has no event of a known type.
    #[error(transparent)]
    UnknownEvent(#[from] crate::convert::UnknownEvent),
}

/// The descriptors compiled in.
fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        let descriptors = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
        DescriptorPool::decode(descriptors.as_slice()).expect("build.rs wrote valid descriptors")
    })
}

pub(crate) fn descriptor<M: Name>() -> MessageDescriptor {
    pool()
        .get_message_by_name(&M::full_name())
        .expect("generated messages are in the descriptors they come from")
}

/// `text` as a message. Names may be in snake or camel case; unknown fields and unknown enumeration names are passed over.
///
/// Nesting is limited to 128 levels, and memory to a small multiple of the text.
///
/// # Errors
///
/// The position and reason where the text is no JSON or a field has the wrong type.
pub fn read_message<M: Message + Name + Default>(text: &[u8]) -> Result<M, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let dynamic = DynamicMessage::deserialize_with_options(descriptor::<M>(), &mut deserializer, &options)?;
    deserializer.end()?;
    dynamic.transcode_to().map_err(serde::de::Error::custom)
}

/// `message` as JSON with proto names; what has its default is left out.
///
/// # Errors
///
/// Where the message holds an `Any` of an unknown type.
pub fn write_message<M: Message + Name>(message: &M) -> Result<String, serde_json::Error> {
    let mut dynamic = DynamicMessage::new(descriptor::<M>());
    dynamic.transcode_from(message).map_err(serde::ser::Error::custom)?;
    let mut out = serde_json::Serializer::new(Vec::new());
    dynamic.serialize_with_options(&mut out, &SerializeOptions::new().use_proto_field_name(true))?;
    String::from_utf8(out.into_inner()).map_err(serde::ser::Error::custom)
}

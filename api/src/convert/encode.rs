//! Events as the bytes of their messages. A process is encoded once and copied into each of its events.

use prost::bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{self, DecodeContext, WireType};
use prost::{DecodeError, Message};

use super::event::{shown_properties, split_to_wire, to_wire};
use super::process::fields_to_wire;
use crate::event::{Event, EventKind, Process, ProcessRef};
use crate::wire::get_events_response::Event as Kind;
use crate::wire::{self, EventType};

/// Fields of every event that has processes, but of a loader's.
const PROCESS: u32 = 1;
const PARENT: u32 = 2;
/// Fields of a process that belong to the event.
const REFCNT: u32 = 13;
const TID: u32 = 16;
const BINARY_PROPERTIES: u32 = 18;

/// Bytes of events that are allocated at once.
const BLOCK: usize = 32 << 10;

/// A `GetEventsResponse`, encoded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EncodedEvent(Bytes);

impl EncodedEvent {
    /// The bytes of the message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&wire::GetEventsResponse> for EncodedEvent {
    fn from(message: &wire::GetEventsResponse) -> Self {
        Self(message.encode_to_vec().into())
    }
}

/// It is written only: of what is read nothing is kept.
impl Message for EncodedEvent {
    fn encode_raw(&self, out: &mut impl BufMut) {
        out.put_slice(&self.0);
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        bytes: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        encoding::skip_field(wire_type, tag, bytes, context)
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// Encodes events, one after the other into the same blocks of memory.
#[derive(Debug)]
pub struct Encoder {
    block: BytesMut,
    /// What an event says besides its processes.
    rest: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { block: BytesMut::with_capacity(BLOCK), rest: Vec::new() }
    }
}

impl Encoder {
    /// What [`to_wire`] makes of `event`, encoded.
    pub fn event(&mut self, event: &Event) -> EncodedEvent {
        // The parent of a loader's event is another field, behind its own.
        let in_front = event.process().filter(|_| !matches!(event.kind, EventKind::Loader(_)));
        let Some(who) = in_front else { return self.message(&to_wire(event)) };
        let (kind, envelope) = split_to_wire(event);
        self.rest.clear();
        let field = encode_kind(&kind, &mut self.rest);
        let rest = self.rest.as_slice();
        let process = Shown { who, properties: shown_properties(event) };
        let parent = event.parent().map(|who| Shown { who, properties: None });
        let parent_len = parent.as_ref().map_or(0, |parent| parent.field_len(PARENT));
        let len = process.field_len(PROCESS) + parent_len + rest.len();
        let key_len = encoding::key_len(field) + encoding::encoded_len_varint(len as u64);
        self.block.reserve(key_len + len + envelope.encoded_len());
        encoding::encode_key(field, WireType::LengthDelimited, &mut self.block);
        encoding::encode_varint(len as u64, &mut self.block);
        process.put(PROCESS, &mut self.block);
        if let Some(parent) = parent {
            parent.put(PARENT, &mut self.block);
        }
        self.block.put_slice(rest);
        envelope.encode_raw(&mut self.block);
        EncodedEvent(self.block.split().freeze())
    }

    /// The message, encoded.
    pub fn message(&mut self, message: &wire::GetEventsResponse) -> EncodedEvent {
        self.block.reserve(message.encoded_len());
        message.encode_raw(&mut self.block);
        EncodedEvent(self.block.split().freeze())
    }
}

/// Encodes the message of an event. Returns the number of its field, which is that of the event's type.
fn encode_kind(kind: &Kind, out: &mut Vec<u8>) -> u32 {
    fn message(kind: EventType, message: &impl Message, out: &mut Vec<u8>) -> u32 {
        message.encode_raw(out);
        kind as u32
    }
    match kind {
        Kind::ProcessExec(event) => message(EventType::ProcessExec, event, out),
        Kind::ProcessExit(event) => message(EventType::ProcessExit, event, out),
        Kind::ProcessKprobe(event) => message(EventType::ProcessKprobe, event, out),
        Kind::ProcessTracepoint(event) => message(EventType::ProcessTracepoint, event, out),
        Kind::ProcessLoader(event) => message(EventType::ProcessLoader, event, out),
        Kind::ProcessUprobe(event) => message(EventType::ProcessUprobe, event, out),
        Kind::ProcessThrottle(event) => message(EventType::ProcessThrottle, event, out),
        Kind::ProcessLsm(event) => message(EventType::ProcessLsm, event, out),
        Kind::ProcessUsdt(event) => message(EventType::ProcessUsdt, event, out),
        Kind::Test(event) => message(EventType::Test, event, out),
        Kind::RateLimitInfo(event) => message(EventType::RateLimitInfo, event, out),
    }
}

/// The encoded fields of a process, with the places where an event puts its own in between.
#[derive(Debug)]
pub(crate) struct ProcessFields {
    bytes: Box<[u8]>,
    /// Where `refcnt`, `tid` and `binary_properties` go, ascending offsets into `bytes`.
    splits: [usize; 3],
}

impl ProcessFields {
    /// Encodes `process`.
    pub(crate) fn encode(process: &Process) -> Self {
        let mut first = fields_to_wire(process);
        let behind_refcnt =
            wire::Process { cap: first.cap.take(), ns: first.ns.take(), ..wire::Process::default() };
        let process_credentials = first.process_credentials.take();
        let behind_tid = wire::Process { process_credentials, ..wire::Process::default() };
        let behind_properties = wire::Process {
            user: first.user.take(),
            in_init_tree: first.in_init_tree.take(),
            environment_variables: std::mem::take(&mut first.environment_variables),
            ..wire::Process::default()
        };
        let mut bytes = Vec::new();
        let splits = [first, behind_refcnt, behind_tid].map(|fields| {
            fields.encode_raw(&mut bytes);
            bytes.len()
        });
        behind_properties.encode_raw(&mut bytes);
        Self { bytes: bytes.into_boxed_slice(), splits }
    }
}

/// A process as one event shows it.
struct Shown<'e> {
    who: &'e ProcessRef,
    properties: Option<wire::BinaryProperties>,
}

impl Shown<'_> {
    fn len(&self) -> usize {
        let ProcessRef { process, refcnt, tid } = self.who;
        let refcnt = if *refcnt == 0 { 0 } else { encoding::uint32::encoded_len(REFCNT, refcnt) };
        let tid = tid.as_ref().map_or(0, |tid| encoding::message::encoded_len(TID, tid));
        let properties = &self.properties;
        let properties =
            properties.as_ref().map_or(0, |binary| encoding::message::encoded_len(BINARY_PROPERTIES, binary));
        process.encoded().bytes.len() + refcnt + tid + properties
    }

    /// Bytes as field number `field`.
    fn field_len(&self, field: u32) -> usize {
        let len = self.len();
        encoding::key_len(field) + encoding::encoded_len_varint(len as u64) + len
    }

    fn put(&self, field: u32, out: &mut impl BufMut) {
        let ProcessRef { process, refcnt, tid } = self.who;
        let ProcessFields { bytes, splits: [before_refcnt, before_tid, before_properties] } =
            process.encoded();
        encoding::encode_key(field, WireType::LengthDelimited, out);
        encoding::encode_varint(self.len() as u64, out);
        out.put_slice(&bytes[..*before_refcnt]);
        if *refcnt != 0 {
            encoding::uint32::encode(REFCNT, refcnt, out);
        }
        out.put_slice(&bytes[*before_refcnt..*before_tid]);
        if let Some(tid) = tid {
            encoding::message::encode(TID, tid, out);
        }
        out.put_slice(&bytes[*before_tid..*before_properties]);
        if let Some(properties) = &self.properties {
            encoding::message::encode(BINARY_PROPERTIES, properties, out);
        }
        out.put_slice(&bytes[*before_properties..]);
    }
}

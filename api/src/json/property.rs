//! Made-up events: what this crate writes equals what protobuf's own mapping writes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use proptest::prelude::{ProptestConfig, any, proptest};
use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use super::message::{read_message, write_message};
use super::{read_event, write_event};
use crate::convert::{Encoder, from_wire, to_wire};
use crate::wire;
use crate::wire::get_events_response::Event as EventKind;

/// Makes messages up from a seed, field by field, by their descriptors.
struct Maker(u64);

impl Maker {
    /// A number below `bound` (splitmix64).
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Any bits, with the ends of the range often.
    fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => u64::MAX,
            2 => self.below(300),
            _ => self.next(),
        }
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 12] =
            ["", "a", "/usr/bin/x", " ", "\"", "\\", "\n", "\u{1}", "\u{9b}", "é", "🚀", "\u{fffd}"];
        let count = self.below(4);
        (0..count).map(|_| PIECES[usize::try_from(self.below(12)).unwrap()]).collect()
    }

    fn message(&mut self, descriptor: &MessageDescriptor, depth: u32) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        if descriptor.full_name() == "google.protobuf.Timestamp" {
            // What 64 bits of nanoseconds hold, after the year 1 of protobuf.
            let seconds = i64::try_from(self.below(9_000_000_000)).unwrap() - 1_000_000;
            let nanos = [0, 5_000_000, 7_000, 9][usize::try_from(self.below(4)).unwrap()];
            message.set_field_by_name("seconds", Value::I64(seconds));
            message.set_field_by_name("nanos", Value::I32(nanos));
            return message;
        }
        for field in descriptor.fields() {
            let leaf = !matches!(field.kind(), Kind::Message(_));
            // Oneof members replace each other, so the last one made wins.
            if self.below(3) == 0 || (depth == 0 && !leaf) {
                continue;
            }
            let value = self.field(&field, depth);
            message.set_field(&field, value);
        }
        message
    }

    fn field(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        if field.is_map() {
            let count = self.below(3);
            let entries = (0..count).map(|_| (MapKey::String(self.text()), Value::String(self.text())));
            return Value::Map(entries.collect());
        }
        if let (Kind::Enum(descriptor), true) = (field.kind(), field.is_list()) {
            // The model keeps these lists as sets: ascending, without the zero that means none (a capability is no bit).
            let zero_is_a_member = descriptor.name() == "CapabilitiesType";
            let numbers = descriptor.values().map(|value| value.number());
            let kept = numbers.filter(|number| (*number != 0 || zero_is_a_member) && self.below(2) == 0);
            return Value::List(kept.map(Value::EnumNumber).collect());
        }
        if field.is_list() {
            let count = self.below(3);
            return Value::List((0..count).map(|_| self.value(field, depth)).collect());
        }
        self.value(field, depth)
    }

    fn value(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        let number = self.number();
        let low = u32::try_from(number & 0xffff_ffff).unwrap();
        match field.kind() {
            Kind::Message(descriptor) => Value::Message(self.message(&descriptor, depth.saturating_sub(1))),
            Kind::Enum(descriptor) => {
                let index = usize::try_from(number % descriptor.values().len() as u64).unwrap();
                Value::EnumNumber(descriptor.values().nth(index).unwrap().number())
            }
            Kind::String if field.full_name() == "tetragon.Process.flags" => Value::String(
                ["", "procFS", "execve rootcwd clone", "unknown"][usize::from(low % 4 == 1)].to_owned(),
            ),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes(self.text().into_bytes().into()),
            Kind::Bool => Value::Bool(low % 2 == 0),
            Kind::Int32 => Value::I32(low.cast_signed()),
            Kind::Int64 => Value::I64(number.cast_signed()),
            Kind::Uint32 => Value::U32(low),
            Kind::Uint64 => Value::U64(number),
            Kind::Double
            | Kind::Float
            | Kind::Sint32
            | Kind::Sint64
            | Kind::Fixed32
            | Kind::Fixed64
            | Kind::Sfixed32
            | Kind::Sfixed64 => panic!("the API has no field of this kind"),
        }
    }
}

/// Makes an event up whose shape the model can hold: a process in it, `binary_properties` only in an exec's process.
fn made_up(seed: u64) -> wire::GetEventsResponse {
    let descriptor = super::message::descriptor::<wire::GetEventsResponse>();
    let mut maker = Maker(seed);
    let mut message = maker.message(&descriptor, 5);
    let kinds = descriptor.oneofs().next().unwrap().fields().collect::<Vec<_>>();
    let kind = &kinds[usize::try_from(maker.below(kinds.len() as u64)).unwrap()];
    let value = maker.field(kind, 5);
    message.set_field(kind, value);
    let mut message = wire::GetEventsResponse::decode(message.encode_to_vec().as_slice()).unwrap();
    tidy(message.event.as_mut().unwrap());
    message
}

fn tidy(kind: &mut EventKind) {
    let mut others: Vec<&mut wire::Process> = Vec::new();
    macro_rules! tidy {
        ($event:expr, $keep:expr) => {{
            let process = $event.process.get_or_insert_default();
            if !$keep {
                process.binary_properties = None;
            }
            others.extend($event.parent.iter_mut().chain(&mut $event.ancestors));
        }};
    }
    match kind {
        EventKind::ProcessExec(event) => tidy!(event, true),
        EventKind::ProcessExit(event) => tidy!(event, false),
        EventKind::ProcessKprobe(event) => tidy!(event, false),
        EventKind::ProcessTracepoint(event) => tidy!(event, false),
        EventKind::ProcessLoader(event) => tidy!(event, false),
        EventKind::ProcessUprobe(event) => tidy!(event, false),
        EventKind::ProcessLsm(event) => tidy!(event, false),
        EventKind::ProcessUsdt(event) => tidy!(event, false),
        EventKind::ProcessThrottle(_) | EventKind::Test(_) | EventKind::RateLimitInfo(_) => {}
    }
    for process in others {
        process.binary_properties = None;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // proves: EVT-24
    #[test]
    fn our_json_equals_the_json_of_the_protobuf_mapping(seed in any::<u64>()) {
        let message = made_up(seed);
        let expected: serde_json::Value = serde_json::from_str(&write_message(&message).unwrap()).unwrap();
        let event = from_wire(message.clone()).unwrap();
        let mut written = Vec::new();
        write_event(&event, &mut written);
        let actual: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(actual, expected);
        assert_eq!(to_wire(&event), message);
        let encoded = Encoder::default().event(&event);
        let decoded = wire::GetEventsResponse::decode(encoded.as_bytes()).unwrap();
        assert_eq!((decoded, encoded.as_bytes().len()), (message.clone(), message.encoded_len()));
        assert_eq!(read_event(&written).unwrap(), event);
    }

    #[test]
    fn foreign_bytes_never_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        // Whatever comes out, it comes out.
        drop(read_event(&bytes));
    }
}

#[test]
fn unknown_fields_and_names_are_passed_over() {
    let line = br#"{"process_exec":{"process":{"pid":7,"novel":[{"x":1}],"cap":{"permitted":["CAP_NOVEL","CAP_KILL"]}},
        "processNovel":null},"nodeName":"n","novel":{}}"#;
    let event = read_event(line).unwrap();
    assert_eq!(&*event.node.name, "n");
    let process = event.process().unwrap();
    assert_eq!((process.pid, process.cap.unwrap().permitted.bits()), (Some(7), 1 << 5));
}

#[test]
fn a_line_without_an_event_is_refused() {
    for line in ["", "{}", "[]", "{\"process_novel\":{}}", "{\"process_exec\":{}} x", "{\"process_exec\":7}"]
    {
        assert!(read_event(line.as_bytes()).is_err(), "{line}");
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_exhaust_the_stack() {
    let line = format!("{{\"novel\":{}", "[".repeat(1_000_000));
    assert!(read_event(line.as_bytes()).is_err());
}

// proves: FLT-13
#[test]
fn a_filter_reads_in_snake_and_camel_case() {
    for text in [
        "{\"event_set\":[\"PROCESS_EXEC\"],\"binary_regex\":[\"x\"]}",
        "{\"eventSet\":[1],\"binaryRegex\":[\"x\"]}",
    ] {
        let filter: wire::Filter = read_message(text.as_bytes()).unwrap();
        assert_eq!((filter.event_set, filter.binary_regex), (vec![1], vec!["x".to_owned()]));
    }
}

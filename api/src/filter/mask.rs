//! Field filters: which fields of an event a listener or a file gets.
//!
//! A filter names fields by their path in the message of the event (`process.binary`); of a list it means each element.
//! What stands around the event (`node_name`, `time` …) stays. Filters apply one after the other.

use prost::{Message, Name};
use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage as _, Value};

use super::{FilterError, compile};
use crate::json::descriptor;
use crate::name::EventType;
use crate::wire;

/// Most levels of a path.
const DEPTH: usize = 32;

/// Field filters, compiled.
#[derive(Debug, Clone, Default)]
pub struct FieldFilters {
    filters: Vec<FieldFilter>,
}

#[derive(Debug, Clone)]
struct FieldFilter {
    /// Which events it is for; `None`: all.
    events: Option<Vec<EventType>>,
    /// It is for all but those.
    inverted: bool,
    keep: Keep,
    fields: Node,
}

/// What happens to the fields that a filter names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// Nothing else stays.
    Named,
    /// Everything else stays.
    Others,
}

/// Fields of a message; none: the whole message.
#[derive(Debug, Clone, Default)]
struct Node {
    fields: Vec<(Box<str>, Node)>,
}

/// What becomes of one field.
enum Fate<'n> {
    Stays,
    Goes,
    /// Parts of it go.
    Divided(&'n Node),
}

impl Node {
    fn insert(&mut self, path: &str) {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let at = self.fields.iter().position(|(name, _)| same_name(name, first));
        let is_new = at.is_none();
        let at = at.unwrap_or_else(|| {
            self.fields.push((first.into(), Self::default()));
            self.fields.len() - 1
        });
        let (_, node) = &mut self.fields[at];
        match rest {
            // The whole field is named, and a part of it adds nothing.
            Some(rest) if is_new || !node.fields.is_empty() => node.insert(rest),
            Some(_) => {}
            None => node.fields.clear(),
        }
    }

    fn fate(&self, name: &str, keep: Keep) -> Fate<'_> {
        let named = self.fields.iter().find(|(known, _)| same_name(known, name)).map(|(_, node)| node);
        match (named, keep) {
            (Some(node), _) if !node.fields.is_empty() => Fate::Divided(node),
            (Some(_), Keep::Named) | (None, Keep::Others) => Fate::Stays,
            (Some(_), Keep::Others) | (None, Keep::Named) => Fate::Goes,
        }
    }
}

/// Whether both name the same field: `exec_id` and `execId` do.
fn same_name(one: &str, other: &str) -> bool {
    letters(one).eq(letters(other))
}

fn letters(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase())
}

impl FieldFilters {
    /// Lets every field pass.
    pub fn none() -> Self {
        Self::default()
    }

    /// The filters of a request.
    ///
    /// # Errors
    ///
    /// Where an event type or an action is none, or no event has a field of that path.
    pub fn compile(filters: &[wire::FieldFilter]) -> Result<Self, FilterError> {
        let mut filters = filters.iter().map(FieldFilter::compile).collect::<Result<Vec<_>, _>>()?;
        // One that names no field keeps them all.
        filters.retain(|filter| !filter.fields.fields.is_empty());
        Ok(Self { filters })
    }

    /// Whether every field passes.
    pub const fn is_none(&self) -> bool {
        self.filters.is_empty()
    }

    /// Takes from `message` the fields that are not wanted.
    pub fn apply(&self, mut message: wire::GetEventsResponse) -> wire::GetEventsResponse {
        use wire::get_events_response::Event as Kind;
        message.event = message.event.map(|event| match event {
            Kind::ProcessExec(event) => Kind::ProcessExec(self.masked(event, EventType::ProcessExec)),
            Kind::ProcessExit(event) => Kind::ProcessExit(self.masked(event, EventType::ProcessExit)),
            Kind::ProcessKprobe(event) => Kind::ProcessKprobe(self.masked(event, EventType::ProcessKprobe)),
            Kind::ProcessTracepoint(event) => {
                Kind::ProcessTracepoint(self.masked(event, EventType::ProcessTracepoint))
            }
            Kind::ProcessLoader(event) => Kind::ProcessLoader(self.masked(event, EventType::ProcessLoader)),
            Kind::ProcessUprobe(event) => Kind::ProcessUprobe(self.masked(event, EventType::ProcessUprobe)),
            Kind::ProcessThrottle(event) => {
                Kind::ProcessThrottle(self.masked(event, EventType::ProcessThrottle))
            }
            Kind::ProcessLsm(event) => Kind::ProcessLsm(self.masked(event, EventType::ProcessLsm)),
            Kind::ProcessUsdt(event) => Kind::ProcessUsdt(self.masked(event, EventType::ProcessUsdt)),
            Kind::Test(event) => Kind::Test(self.masked(event, EventType::Test)),
            Kind::RateLimitInfo(event) => Kind::RateLimitInfo(self.masked(event, EventType::RateLimitInfo)),
        });
        message
    }

    fn masked<M: Message + Name + Default>(&self, event: M, kind: EventType) -> M {
        if !self.filters.iter().any(|filter| filter.is_for(kind)) {
            return event;
        }
        let mut dynamic = DynamicMessage::new(descriptor::<M>());
        let read = dynamic.transcode_from(&event);
        for filter in self.filters.iter().filter(|filter| filter.is_for(kind)) {
            mask_message(&mut dynamic, &filter.fields, filter.keep);
        }
        // Both are the same message; where one could not be read as the other, nothing is better than too much.
        read.and_then(|()| dynamic.transcode_to()).unwrap_or_default()
    }

    /// Appends `line`, an event of type `kind` as [`crate::json::write_event`] writes it, to `out` without the fields that are not
    /// wanted.
    pub fn copy_json(&self, line: &[u8], kind: EventType, out: &mut Vec<u8>) {
        let mut filters = self.filters.iter().filter(|filter| filter.is_for(kind));
        let Some(first) = filters.next() else { return out.extend_from_slice(line) };
        let start = out.len();
        copy_event(line, first, out);
        for filter in filters {
            let before = out.split_off(start);
            copy_event(&before, filter, out);
        }
    }
}

impl FieldFilter {
    fn compile(filter: &wire::FieldFilter) -> Result<Self, FilterError> {
        let keep = match wire::FieldFilterAction::try_from(filter.action) {
            Ok(wire::FieldFilterAction::Include) => Keep::Named,
            Ok(wire::FieldFilterAction::Exclude) => Keep::Others,
            Err(_) => return Err(FilterError::FieldAction { number: filter.action }),
        };
        let types = compile::event_types(&filter.event_set)?;
        let mut fields = Node::default();
        for path in filter.fields.iter().flat_map(|mask| &mask.paths) {
            if path.split('.').count() > DEPTH || !is_field(path) {
                return Err(FilterError::Field { path: path.clone() });
            }
            fields.insert(path);
        }
        Ok(Self {
            events: Some(types).filter(|types| !types.is_empty()),
            inverted: filter.invert_event_set.unwrap_or(false),
            keep,
            fields,
        })
    }

    fn is_for(&self, kind: EventType) -> bool {
        self.events.as_ref().is_none_or(|types| types.contains(&kind) != self.inverted)
    }
}

/// Whether any event has a field of this path.
fn is_field(path: &str) -> bool {
    let events = descriptor::<wire::GetEventsResponse>();
    let Some(event) = events.oneofs().next() else { return false };
    event.fields().any(|field| {
        let message = field.kind().as_message().cloned();
        message.is_some_and(|message| has_field(&message, path))
    })
}

fn has_field(message: &MessageDescriptor, path: &str) -> bool {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let Some(field) = message.fields().find(|field| same_name(field.name(), first)) else { return false };
    match (rest, field.kind().as_message()) {
        (None, _) => true,
        // The names of entries are whatever labels are called.
        (Some(_), Some(_)) if field.is_map() => true,
        (Some(rest), Some(inner)) => has_field(inner, rest),
        (Some(_), None) => false,
    }
}

fn mask_message(message: &mut DynamicMessage, node: &Node, keep: Keep) {
    let descriptor = message.descriptor();
    let fields: Vec<_> = descriptor.fields().filter(|field| message.has_field(field)).collect();
    for field in fields {
        match node.fate(field.name(), keep) {
            Fate::Stays => {}
            Fate::Goes => message.clear_field(&field),
            Fate::Divided(inner) => mask_value(message.get_field_mut(&field), inner, keep),
        }
    }
}

fn mask_value(value: &mut Value, node: &Node, keep: Keep) {
    if let Value::Message(message) = value {
        mask_message(message, node, keep);
    } else if let Value::List(elements) = value {
        for element in elements {
            mask_value(element, node, keep);
        }
    } else if let Value::Map(entries) = value {
        entries.retain(|key, _| key.as_str().is_none_or(|key| !matches!(node.fate(key, keep), Fate::Goes)));
    }
}

/// Copies the outermost object; the mask is for the value of its first field, the event.
fn copy_event(line: &[u8], filter: &FieldFilter, out: &mut Vec<u8>) {
    let mut reader = Text { text: line, at: 1 };
    out.push(b'{');
    out.extend_from_slice(reader.key());
    out.push(b':');
    copy_value(&mut reader, &filter.fields, filter.keep, out);
    out.extend_from_slice(&line[reader.at..]);
}

fn copy_value(reader: &mut Text<'_>, node: &Node, keep: Keep, out: &mut Vec<u8>) {
    match reader.peek() {
        b'{' => copy_object(reader, node, keep, out),
        b'[' => {
            out.push(reader.next());
            while reader.peek() != b']' && !reader.is_over() {
                if reader.peek() == b',' {
                    out.push(reader.next());
                }
                copy_value(reader, node, keep, out);
            }
            out.push(reader.next());
        }
        _ => out.extend_from_slice(reader.value()),
    }
}

fn copy_object(reader: &mut Text<'_>, node: &Node, keep: Keep, out: &mut Vec<u8>) {
    out.push(reader.next());
    let mut is_first = true;
    while reader.peek() != b'}' && !reader.is_over() {
        if reader.peek() == b',' {
            reader.next();
        }
        let key = reader.key();
        let name = std::str::from_utf8(&key[1..key.len() - 1]).unwrap_or_default();
        let fate = node.fate(name, keep);
        if matches!(fate, Fate::Goes) {
            reader.value();
            continue;
        }
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        out.extend_from_slice(key);
        out.push(b':');
        match fate {
            Fate::Divided(inner) => copy_value(reader, inner, keep, out),
            Fate::Stays | Fate::Goes => out.extend_from_slice(reader.value()),
        }
    }
    out.push(reader.next());
}

/// JSON text without blanks between its parts, as this crate writes it.
struct Text<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Text<'t> {
    fn is_over(&self) -> bool {
        self.at >= self.text.len()
    }

    /// The next byte; 0 at the end.
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or_default()
    }

    fn next(&mut self) -> u8 {
        let byte = self.peek();
        self.at = (self.at + 1).min(self.text.len());
        byte
    }

    /// A name with its quotes; the colon behind it is passed.
    fn key(&mut self) -> &'t [u8] {
        let key = self.value();
        self.next();
        if key.len() < 2 { b"\"\"" } else { key }
    }

    /// A whole value.
    fn value(&mut self) -> &'t [u8] {
        let start = self.at;
        let mut depth = 0_usize;
        while !self.is_over() {
            match self.peek() {
                b'"' => self.pass_string(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b'}' | b']' | b',' | b':' if depth == 0 => break,
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            if depth == 0 {
                break;
            }
        }
        &self.text[start..self.at]
    }

    fn pass_string(&mut self) {
        self.at += 1;
        while !self.is_over() {
            match self.next() {
                b'"' => return,
                b'\\' => {
                    self.next();
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::FieldFilters;
    use crate::convert::to_wire;
    use crate::json::{read_event, write_event, write_message};
    use crate::wire::FieldFilter;

    const KPROBE: &str = r#"{"process_kprobe":{"process":{"exec_id":"x","pid":8,"binary":"/bin/c\"a,t}","pod":{"namespace":"n","pod_labels":{"a":"1","b":"2"}},"refcnt":1,"tid":9},"parent":{"pid":1},"function_name":"f","args":[{"int_arg":1},{"file_arg":{"path":"/x[","permission":"r"}},{}],"action":"KPROBE_ACTION_POST","tags":["t","u"]},"node_name":"n","time":"2026-11-23T15:37:49Z"}"#;
    const EXIT: &str = r#"{"process_exit":{"process":{"pid":8},"signal":"SIGKILL"},"node_name":"n"}"#;

    fn filters(texts: &[&str]) -> FieldFilters {
        let filters: Vec<FieldFilter> =
            texts.iter().flat_map(|text| super::super::read_field_filters(text).unwrap()).collect();
        FieldFilters::compile(&filters).unwrap()
    }

    /// The event `text` as a file gets it; a stream gets the same.
    fn filtered(texts: &[&str], text: &str) -> String {
        let filters = filters(texts);
        let event = read_event(text.as_bytes()).unwrap();
        let (mut line, mut out) = (Vec::new(), Vec::new());
        write_event(&event, &mut line);
        assert_eq!(String::from_utf8_lossy(&line), text, "the test is written as the writer writes");
        filters.copy_json(&line, event.event_type(), &mut out);
        let on_stream = write_message(&filters.apply(to_wire(&event))).unwrap();
        let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        assert_eq!(value(on_stream.as_bytes()), value(&out), "{texts:?}");
        String::from_utf8(out).unwrap()
    }

    // proves: FLT-12
    #[test]
    fn named_fields_stay_or_go_and_what_is_around_the_event_stays() {
        let around = r#""node_name":"n","time":"2026-11-23T15:37:49Z"}"#;
        for (filter, expected) in [
            (
                r#"{"fields":"process.exec_id,process.pid,functionName"}"#,
                r#"{"process":{"exec_id":"x","pid":8},"function_name":"f"}"#,
            ),
            (
                r#"{"fields":"process,parent,args,tags","action":"EXCLUDE"}"#,
                r#"{"function_name":"f","action":"KPROBE_ACTION_POST"}"#,
            ),
            (
                r#"{"fields":"args.file_arg.path","action":"INCLUDE"}"#,
                r#"{"args":[{},{"file_arg":{"path":"/x["}},{}]}"#,
            ),
            (
                r#"{"fields":"process.pod.pod_labels.a,process.pod,process.binary","event_set":["PROCESS_KPROBE"]}"#,
                r#"{"process":{"binary":"/bin/c\"a,t}","pod":{"namespace":"n","pod_labels":{"a":"1","b":"2"}}}}"#,
            ),
            (
                r#"{"fields":"process.pod.pod_labels.a","action":"INCLUDE"}"#,
                r#"{"process":{"pod":{"pod_labels":{"a":"1"}}}}"#,
            ),
            (r#"{"fields":"signal"}"#, "{}"),
        ] {
            assert_eq!(
                filtered(&[filter], KPROBE),
                format!("{{\"process_kprobe\":{expected},{around}"),
                "{filter}"
            );
        }
    }

    // proves: FLT-12
    #[test]
    fn a_filter_is_for_the_events_it_names_or_for_all_others() {
        for filter in [
            r#"{"fields":"signal","event_set":["PROCESS_KPROBE"]}"#,
            r#"{"fields":"signal","event_set":["PROCESS_EXIT"],"invert_event_set":true}"#,
        ] {
            assert_eq!(filtered(&[filter], EXIT), EXIT);
        }
        let only_signal = r#"{"process_exit":{"signal":"SIGKILL"},"node_name":"n"}"#;
        for filter in [
            r#"{"fields":"signal","event_set":["PROCESS_EXIT"]}"#,
            r#"{"fields":"signal","event_set":["PROCESS_EXEC"],"invert_event_set":true}"#,
        ] {
            assert_eq!(filtered(&[filter], EXIT), only_signal);
        }
        let two = [r#"{"fields":"signal,process"}"#, r#"{"fields":"process","action":"EXCLUDE"}"#];
        assert_eq!(filtered(&two, EXIT), only_signal, "one after the other");
    }

    #[test]
    fn what_no_event_has_is_refused() {
        for (filter, expected) in [
            (r#"{"fields":"process.binry"}"#, "process.binry"),
            (r#"{"fields":"process.pid.x"}"#, "process.pid.x"),
            (r#"{"fields":"node_name"}"#, "node_name"),
        ] {
            let filter = super::super::read_field_filters(filter).unwrap();
            let error = FieldFilters::compile(&filter).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}

//! The memory of delivered events, for the next ones: so that an event of a hook takes none of its own.
//!
//! Whoever lets go of a batch last puts it down whole, and the event path takes its events apart: what events share is counted by one thread then, and two CPUs
//! do not contend for the counts. No more than some batches' worth is kept, and nothing large.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::event::{Argument, Event, EventKind, Node, Origin, Skb, Sock, Value, text};

use super::publish::BATCH;

/// Most lists of arguments that are kept, and sockets, packets, buffers and references to what events share.
const KEPT: usize = 8 * BATCH;
/// Most texts, of which an event has some.
const KEPT_TEXTS: usize = 4 * KEPT;
/// Most batches: those that are empty, and those not yet taken apart.
const KEPT_BATCHES: usize = 8;
/// Room in bytes that a text or buffer has at first, and most that one may have to be kept.
const TEXT: usize = 64;
const LARGEST_TEXT: usize = 256;
/// The same in arguments, of a list.
const LIST: usize = 5;
const LARGEST_LIST: usize = 8;

/// Empty lists and texts that have room, and references to what events share.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "what is kept are the boxes")]
struct Pieces {
    lists: Vec<Vec<Argument>>,
    texts: Vec<String>,
    buffers: Vec<Vec<u8>>,
    sockets: Vec<Box<Sock>>,
    packets: Vec<Box<Skb>>,
    nodes: Vec<Arc<Node>>,
    names: Vec<Arc<str>>,
    origins: Vec<Arc<Origin>>,
}

#[derive(Debug, Default)]
struct Batches {
    /// Not yet taken apart.
    whole: Vec<Vec<Event>>,
    /// Taken apart.
    empty: Vec<Vec<Event>>,
}

/// Where those who let go of events put them. Clones are the same place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Returned(Arc<Mutex<Batches>>);

impl Returned {
    fn lock(&self) -> MutexGuard<'_, Batches> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for [`BATCH`] events.
    pub(crate) fn batch(&self) -> Vec<Event> {
        let empty = self.lock().empty.pop();
        empty.unwrap_or_else(|| Vec::with_capacity(BATCH))
    }

    /// Takes the events of a batch back.
    pub(crate) fn take(&self, events: Vec<Event>) {
        // What is not kept is dropped behind the lock.
        let _rest = keep(&mut self.lock().whole, events, KEPT_BATCHES);
    }
}

/// The event path's end: what it makes events of.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    own: Pieces,
    returned: Returned,
    /// Being taken apart.
    batches: Vec<Vec<Event>>,
}

impl Spare {
    /// What was put into `returned`.
    pub(crate) fn new(returned: Returned) -> Self {
        Self { own: Pieces::default(), returned, batches: Vec::new() }
    }

    /// Takes apart what came back.
    pub(crate) fn collect(&mut self) {
        std::mem::swap(&mut self.batches, &mut self.returned.lock().whole);
        for events in &mut self.batches {
            events.drain(..).for_each(|event| self.own.take_apart(event));
        }
        let mut returned = self.returned.lock();
        for events in self.batches.drain(..).filter(|events| events.capacity() >= BATCH) {
            let _rest = keep(&mut returned.empty, events, KEPT_BATCHES);
        }
    }

    fn take<T>(&mut self, kind: impl Fn(&mut Pieces) -> &mut Vec<T>) -> Option<T> {
        if kind(&mut self.own).is_empty() {
            self.collect();
        }
        kind(&mut self.own).pop()
    }

    /// Another reference to a node: one that came back, if it is to the same.
    pub(crate) fn node(&mut self, node: &Arc<Node>) -> Arc<Node> {
        again(self.own.nodes.pop(), node)
    }

    /// The same for the name of a function.
    pub(crate) fn name(&mut self, name: &Arc<str>) -> Arc<str> {
        again(self.own.names.pop(), name)
    }

    /// The same for a policy.
    pub(crate) fn origin(&mut self, origin: &Arc<Origin>) -> Arc<Origin> {
        again(self.own.origins.pop(), origin)
    }

    /// An empty list.
    pub(crate) fn list(&mut self) -> Vec<Argument> {
        self.take(|pieces| &mut pieces.lists).unwrap_or_else(|| Vec::with_capacity(LIST))
    }

    fn empty_text(&mut self) -> String {
        self.take(|pieces| &mut pieces.texts).unwrap_or_else(|| String::with_capacity(TEXT))
    }

    /// `bytes` as text, as [`text`] makes it.
    pub(crate) fn text(&mut self, bytes: &[u8]) -> String {
        let mut made = self.empty_text();
        made.push_str(&text(bytes));
        made
    }

    /// A text as `shown` prints itself.
    pub(crate) fn display(&mut self, shown: impl fmt::Display) -> String {
        let mut made = self.empty_text();
        write!(made, "{shown}").expect("a string takes everything");
        made
    }

    /// A buffer that holds `bytes`.
    pub(crate) fn buffer(&mut self, bytes: &[u8]) -> Vec<u8> {
        let empty = self.take(|pieces| &mut pieces.buffers);
        let mut made = empty.unwrap_or_else(|| Vec::with_capacity(TEXT));
        made.extend_from_slice(bytes);
        made
    }

    /// A socket.
    pub(crate) fn socket(&mut self, socket: Sock) -> Box<Sock> {
        boxed(self.take(|pieces| &mut pieces.sockets), socket)
    }

    /// A packet.
    pub(crate) fn packet(&mut self, packet: Skb) -> Box<Skb> {
        boxed(self.take(|pieces| &mut pieces.packets), packet)
    }
}

fn boxed<T>(place: Option<Box<T>>, value: T) -> Box<T> {
    let Some(mut place) = place else { return Box::new(value) };
    *place = value;
    place
}

/// `kept` if it refers to `shared`, else a new reference.
fn again<T: ?Sized>(kept: Option<Arc<T>>, shared: &Arc<T>) -> Arc<T> {
    kept.filter(|kept| Arc::ptr_eq(kept, shared)).unwrap_or_else(|| Arc::clone(shared))
}

/// Keeps one if there is room, else returns it.
fn keep<T>(kept: &mut Vec<T>, one: T, most: usize) -> Option<T> {
    if kept.len() < most {
        kept.push(one);
        return None;
    }
    Some(one)
}

impl Pieces {
    fn take_apart(&mut self, event: Event) {
        keep(&mut self.nodes, event.node, KEPT);
        match event.kind {
            EventKind::Kprobe(event) => {
                self.take_shared(event.function_name, event.origin);
                self.take_lists([event.args, event.data]);
            }
            EventKind::Tracepoint(event) => {
                self.take_shared(event.event, event.origin);
                self.take_lists([event.args]);
            }
            EventKind::Uprobe(event) => {
                self.take_shared(event.symbol, event.origin);
                self.take_lists([event.args, event.data]);
            }
            EventKind::Lsm(event) => {
                self.take_shared(event.function_name, event.origin);
                self.take_lists([event.args]);
            }
            EventKind::Usdt(event) => {
                self.take_shared(event.name, event.origin);
                self.take_lists([event.args]);
            }
            EventKind::Exec(_)
            | EventKind::Exit(_)
            | EventKind::Loader(_)
            | EventKind::Throttle(_)
            | EventKind::Test(_)
            | EventKind::RateLimit(_) => {}
        }
    }

    fn take_shared(&mut self, name: Arc<str>, origin: Arc<Origin>) {
        keep(&mut self.names, name, KEPT);
        keep(&mut self.origins, origin, KEPT);
    }

    fn take_lists<const N: usize>(&mut self, lists: [Vec<Argument>; N]) {
        for mut list in lists {
            list.drain(..).filter_map(|argument| argument.value).for_each(|value| self.take_value(value));
            if (LIST..=LARGEST_LIST).contains(&list.capacity()) {
                keep(&mut self.lists, list, KEPT);
            }
        }
    }

    fn take_value(&mut self, value: Value) {
        match value {
            Value::String(text)
            | Value::KernelCap(text)
            | Value::CapInheritable(text)
            | Value::CapPermitted(text)
            | Value::CapEffective(text)
            | Value::NetDevice(text)
            | Value::Error(text) => self.take_text(text),
            Value::Path(file) | Value::File(file) => self.take_path(file.path, file.permission),
            Value::LinuxBinprm(program) => self.take_path(program.path, program.permission),
            Value::Bytes(bytes) => self.take_buffer(bytes),
            Value::TruncatedBytes(part) => self.take_buffer(part.bytes),
            Value::Sockaddr(address) => self.take_text(address.addr),
            Value::SockaddrUn(address) => self.take_text(address.path),
            Value::Sock(mut socket) => {
                self.take_text(std::mem::take(&mut socket.saddr));
                self.take_text(std::mem::take(&mut socket.daddr));
                keep(&mut self.sockets, socket, KEPT);
            }
            Value::Skb(mut packet) => {
                self.take_text(std::mem::take(&mut packet.saddr));
                self.take_text(std::mem::take(&mut packet.daddr));
                keep(&mut self.packets, packet, KEPT);
            }
            Value::BpfAttr(attr) => self.take_text(attr.prog_name),
            Value::BpfProg(program) => self.take_text(program.prog_name),
            Value::BpfMap(map) => self.take_text(map.map_name),
            Value::PerfEvent(event) => self.take_text(event.kprobe_func),
            Value::Module(module) => self.take_text(module.name),
            // these own nothing, or what few events have
            Value::Int(_)
            | Value::Size(_)
            | Value::Cred(_)
            | Value::Long(_)
            | Value::Uint(_)
            | Value::UserNamespace(_)
            | Value::Capability(_)
            | Value::Credentials(_)
            | Value::UserNs(_)
            | Value::BpfCmd(_)
            | Value::SyscallId(_) => {}
        }
    }

    fn take_path(&mut self, path: String, permission: Cow<'static, str>) {
        self.take_text(path);
        if let Cow::Owned(text) = permission {
            self.take_text(text);
        }
    }

    fn take_text(&mut self, mut text: String) {
        if (TEXT..=LARGEST_TEXT).contains(&text.capacity()) {
            text.clear();
            keep(&mut self.texts, text, KEPT_TEXTS);
        }
    }

    fn take_buffer(&mut self, mut bytes: Vec<u8>) {
        if (TEXT..=LARGEST_TEXT).contains(&bytes.capacity()) {
            bytes.clear();
            keep(&mut self.buffers, bytes, KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use api::event::{Argument, Event, EventKind, Kprobe, Node, Timestamp, Value};

    use super::{KEPT, KEPT_BATCHES, LARGEST_TEXT, Returned, Spare};

    fn event(args: Vec<Argument>) -> Event {
        let kind = EventKind::Kprobe(Kprobe { args, ..Kprobe::default() });
        Event::new(kind, Timestamp::default(), Arc::new(Node::default()))
    }

    #[test]
    fn what_an_event_was_made_of_comes_again_and_is_empty() {
        let returned = Returned::default();
        let mut spare = Spare::new(returned.clone());
        let (mut args, text, buffer) = (spare.list(), spare.text(b"first"), spare.buffer(b"bytes"));
        let places = (args.as_ptr(), text.as_ptr(), buffer.as_ptr());
        args.extend([Value::String(text), Value::Bytes(buffer)].map(Argument::from));
        returned.take(vec![event(args)]);
        let (args, text, buffer) = (spare.list(), spare.text(b"\xff"), spare.buffer(b""));
        assert_eq!((args.as_ptr(), text.as_ptr(), buffer.as_ptr()), places);
        assert_eq!((args.len(), &*text, buffer.len()), (0, "\u{fffd}", 0));
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_size() {
        let returned = Returned::default();
        let mut spare = Spare::new(returned.clone());
        let large = spare.text(&[b'x'; LARGEST_TEXT + 1]);
        returned.take(vec![event(vec![Value::String(large).into()])]);
        spare.collect();
        assert!(spare.own.texts.is_empty(), "a large text");
        let lists: Vec<_> = (0..=KEPT).map(|_| spare.list()).collect();
        returned.take(lists.into_iter().map(event).collect());
        spare.collect();
        assert_eq!((spare.own.lists.len(), spare.own.nodes.len()), (KEPT, KEPT));
        (0..=KEPT_BATCHES).for_each(|_| returned.take(vec![event(Vec::new())]));
        assert_eq!(returned.lock().whole.len(), KEPT_BATCHES);
    }
}

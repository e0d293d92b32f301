//! Objects and lists under construction.

use super::scalar;
use crate::event::Timestamp;

/// A JSON object being appended to a buffer.
///
/// Each field is appended with a comma before it; [`Object::end`] turns the first comma into the opening brace. So a field
/// needs not know whether it is the first, and ready-made text of fields can be copied in.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Object<'a> {
    /// An object that begins at the end of `out`.
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }

    /// Ends the object.
    pub(super) fn end(self) {
        match self.out.get_mut(self.start) {
            Some(first) => *first = b'{',
            None => self.out.push(b'{'),
        }
        self.out.push(b'}');
    }

    /// Appends the name of a field and lends the buffer for its value.
    pub(super) fn field(&mut self, name: &str) -> &mut Vec<u8> {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Appends fields that were written before, each with its comma.
    pub(super) fn ready(&mut self, fields: &[u8]) {
        self.out.extend_from_slice(fields);
    }

    /// A string, if not empty.
    pub(super) fn string(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            scalar::string(self.field(name), value);
        }
    }

    /// A string, even if empty: a member of a oneof, or a map entry, whose name is foreign.
    pub(super) fn string_always(&mut self, name: &str, value: &str) {
        scalar::string(self.field(name), value);
    }

    /// A 32-bit number, if not 0.
    pub(super) fn u32(&mut self, name: &str, value: u32) {
        if value != 0 {
            scalar::unsigned(self.field(name), value.into());
        }
    }

    /// A wrapped 32-bit number, if there is one.
    pub(super) fn optional_u32(&mut self, name: &str, value: Option<u32>) {
        if let Some(value) = value {
            scalar::unsigned(self.field(name), value.into());
        }
    }

    /// A wrapped 32-bit number, if there is one.
    pub(super) fn optional_i32(&mut self, name: &str, value: Option<i32>) {
        if let Some(value) = value {
            scalar::signed(self.field(name), value.into());
        }
    }

    /// A 64-bit number as a string, if not 0.
    pub(super) fn u64(&mut self, name: &str, value: u64) {
        if value != 0 {
            self.u64_always(name, value);
        }
    }

    /// A 64-bit number as a string.
    pub(super) fn u64_always(&mut self, name: &str, value: u64) {
        let out = self.field(name);
        out.push(b'"');
        scalar::unsigned(out, value);
        out.push(b'"');
    }

    /// A 64-bit number as a string.
    pub(super) fn i64_always(&mut self, name: &str, value: i64) {
        let out = self.field(name);
        out.push(b'"');
        scalar::signed(out, value);
        out.push(b'"');
    }

    /// A wrapped truth value, if there is one.
    pub(super) fn optional_bool(&mut self, name: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.field(name).extend_from_slice(if value { b"true" } else { b"false" });
        }
    }

    /// A truth value, if true.
    pub(super) fn bool(&mut self, name: &str, value: bool) {
        self.optional_bool(name, value.then_some(true));
    }

    /// Bytes, if any.
    pub(super) fn bytes(&mut self, name: &str, value: &[u8]) {
        if !value.is_empty() {
            scalar::base64(self.field(name), value);
        }
    }

    /// A time, if there is one.
    pub(super) fn time(&mut self, name: &str, value: Option<Timestamp>) {
        if let Some(value) = value {
            let out = self.field(name);
            out.push(b'"');
            scalar::write_timestamp(out, value, false);
            out.push(b'"');
        }
    }

    /// A message, if there is one.
    pub(super) fn message<T>(
        &mut self,
        name: &str,
        value: Option<T>,
        write: impl FnOnce(T, &mut Object<'_>),
    ) {
        if let Some(value) = value {
            write_message(self.field(name), value, write);
        }
    }

    /// A list of messages, if not empty.
    pub(super) fn messages<T>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut Object<'_>),
    ) {
        self.list(name, values, |value, out| write_message(out, value, &mut write));
    }

    /// A list of strings, if not empty.
    pub(super) fn strings<'s>(&mut self, name: &str, values: impl IntoIterator<Item = &'s str>) {
        self.list(name, values, |value, out| scalar::string(out, value));
    }

    /// An object from strings to strings, if not empty.
    pub(super) fn map<'s, S: AsRef<str> + 's>(
        &mut self,
        name: &str,
        entries: impl IntoIterator<Item = (&'s S, &'s S)>,
    ) {
        let mut entries = entries.into_iter().peekable();
        if entries.peek().is_none() {
            return;
        }
        let mut separator = b'{';
        let out = self.field(name);
        for (key, value) in entries {
            out.push(separator);
            scalar::string(out, key.as_ref());
            out.push(b':');
            scalar::string(out, value.as_ref());
            separator = b',';
        }
        out.push(b'}');
    }

    fn list<T>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut Vec<u8>),
    ) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return;
        }
        let mut separator = b'[';
        let out = self.field(name);
        for value in values {
            out.push(separator);
            write(value, out);
            separator = b',';
        }
        out.push(b']');
    }
}

fn write_message<T>(out: &mut Vec<u8>, value: T, write: impl FnOnce(T, &mut Object<'_>)) {
    let mut object = Object::begin(out);
    write(value, &mut object);
    object.end();
}

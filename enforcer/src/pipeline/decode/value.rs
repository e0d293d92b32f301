//! The values of a hook record.

use bpf_probes::abi::{FileHash, ValueHeader, hook_flag, value_flag};
use tracing_policy::ir::ValueKind;
use zerocopy::FromBytes;

use super::DecodeError;
use super::object::{RawObject, object};
use super::stack::Frames;
use crate::pipeline::layout::{HookLayout, ValueLayout};
use crate::pipeline::record::{Hook, Return};

/// One value, checked against its layout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RawValue<'ring> {
    /// A signed integer of 32 bits.
    Int32(i32),
    /// An unsigned integer of 32 bits.
    Uint32(u32),
    /// A signed integer of 64 bits.
    Int64(i64),
    /// An unsigned integer of 64 bits.
    Uint64(u64),
    /// Text, without NUL at its end.
    String(&'ring [u8]),
    /// Bytes of a buffer.
    Bytes {
        /// Those that were read.
        bytes: &'ring [u8],
        /// How many there were, where not all were read.
        cut_from: Option<u64>,
    },
    /// A buffer that came in pieces.
    Long(LongValue),
    /// The path of a file or of a `struct path`.
    Path {
        /// `i_mode`
        mode: u16,
        /// The path does not begin at the root.
        incomplete: bool,
        /// The path, without NUL at its end.
        path: &'ring [u8],
    },
    /// Fields of an object of the kernel.
    Object(RawObject<'ring>),
    /// A socket address of the Unix family.
    UnixAddress {
        /// `AF_*`
        family: u16,
        /// Path, or `@` and the abstract name.
        path: &'ring [u8],
    },
    /// It could not be read.
    Error {
        /// Why.
        errno: u16,
    },
}

/// Where the pieces of a buffer are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LongValue {
    /// How many bytes there were.
    pub(crate) whole: u64,
    /// The time in the pieces' key.
    pub(crate) stamp: u64,
    /// How many bytes were sent.
    pub(crate) sent: u32,
}

/// The values of `hook`, one a value of `layout`.
///
/// # Errors
/// When the number of values is another; the iterator, when a value does not fit. Nothing follows an error.
pub(crate) fn values<'ring, 'layout>(
    hook: &Hook<'ring>,
    layout: &'layout HookLayout,
) -> Result<Values<'ring, 'layout>, DecodeError> {
    let (have, need) = (hook.fixed.values, layout.values.len());
    if usize::try_from(have).ok() != Some(need) {
        return Err(DecodeError::ValueCount { have, need });
    }
    Ok(Values { rest: hook.values, layouts: &layout.values, index: 0 })
}

/// What the record of a return holds.
#[derive(Clone, Debug)]
pub(crate) struct Returned<'ring> {
    /// What the call returned, where that is asked for.
    pub(crate) value: Option<RawValue<'ring>>,
    /// The buffers that it filled, in the order of [`HookLayout::copied`].
    pub(crate) copied: Vec<RawValue<'ring>>,
    /// The stacks of the kernel and the program.
    pub(crate) stacks: [Frames<'ring>; 2],
}

/// What a return's record holds.
///
/// # Errors
/// When the number of values is another than the layout's, or one does not fit it.
pub(crate) fn returned<'ring>(
    record: &Return<'ring>,
    layout: &HookLayout,
) -> Result<Returned<'ring>, DecodeError> {
    let (have, need) = (record.fixed.values, usize::from(layout.returned.is_some()) + layout.copied.len());
    if usize::try_from(have).ok() != Some(need) {
        return Err(DecodeError::ValueCount { have, need });
    }
    let mut values = Values { rest: record.values, layouts: &[], index: 0 };
    let value = layout.returned.as_ref().map(|layout| values.value(layout.kind)).transpose()?;
    let mut copied = Vec::with_capacity(layout.copied.len());
    for (index, (_, layout)) in layout.copied.iter().enumerate() {
        values.index = index + usize::from(value.is_some());
        copied.push(values.value(layout.kind)?);
    }
    Ok(Returned { value, copied, stacks: values.stacks(record.fixed.flags)? })
}

/// What [`values`] returns.
#[derive(Clone, Debug)]
pub(crate) struct Values<'ring, 'layout> {
    rest: &'ring [u8],
    layouts: &'layout [ValueLayout],
    index: usize,
}

impl<'ring> Iterator for Values<'ring, '_> {
    type Item = Result<RawValue<'ring>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let kind = self.layouts.get(self.index)?.kind;
        let value = self.value(kind);
        self.index = if value.is_ok() { self.index + 1 } else { self.layouts.len() };
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.layouts.len() - self.index;
        (0, Some(left))
    }
}

impl<'ring> Values<'ring, '_> {
    /// The stacks behind the values, which have all been read: the kernel's and the program's, each empty where the record has none. `flags` are those of
    /// the record.
    ///
    /// # Errors
    /// When one ends outside the record.
    pub(crate) fn stacks(&mut self, flags: u8) -> Result<[Frames<'ring>; 2], DecodeError> {
        let mut stacks = [Frames::default(); 2];
        for (stack, flag) in stacks.iter_mut().zip([hook_flag::KERNEL_STACK, hook_flag::USER_STACK]) {
            if flags & flag != 0 {
                let (header, bytes) = self.next_bytes(self.index)?;
                // why there is none is nobody's concern: a kernel thread has no program
                let is_there = header.flags & value_flag::ERROR == 0;
                *stack = Frames::new(if is_there { bytes } else { &[] });
            }
        }
        Ok(stacks)
    }

    /// The hash of the file behind the stacks, where the record's flags say that there is one and it could be had.
    ///
    /// # Errors
    /// When it ends outside the record, or has another size.
    pub(crate) fn hash(&mut self, flags: u8) -> Result<Option<&'ring FileHash>, DecodeError> {
        if flags & hook_flag::FILE_HASH == 0 {
            return Ok(None);
        }
        let index = self.index;
        let (header, bytes) = self.next_bytes(index)?;
        if header.flags & value_flag::ERROR != 0 {
            return Ok(None);
        }
        let other_size = DecodeError::ValueSize { index, have: bytes.len() };
        FileHash::ref_from_bytes(bytes).map(Some).map_err(|_wrong_size| other_size)
    }

    fn next_bytes(&mut self, index: usize) -> Result<(ValueHeader, &'ring [u8]), DecodeError> {
        let Ok((header, rest)) = ValueHeader::read_from_prefix(self.rest) else {
            return Err(DecodeError::ValueLength { index, stated: 0, have: self.rest.len() });
        };
        let short = DecodeError::ValueLength { index, stated: header.len, have: rest.len() };
        let len = usize::try_from(header.len).map_err(|_too_large| short)?;
        let bytes = rest.get(..len).ok_or(short)?;
        // The last value's padding may be missing: its bytes end the record.
        let padded = len.checked_next_multiple_of(8).ok_or(short)?;
        self.rest = rest.get(padded..).unwrap_or_default();
        Ok((header, bytes))
    }

    fn value(&mut self, kind: ValueKind) -> Result<RawValue<'ring>, DecodeError> {
        let index = self.index;
        let (header, bytes) = self.next_bytes(index)?;
        if header.flags & value_flag::ERROR != 0 {
            return Ok(RawValue::Error { errno: header.status });
        }
        let no_integer = DecodeError::ValueInteger { index };
        let word = || bytes.try_into().map(u64::from_ne_bytes).map_err(|_wrong_length| no_integer);
        let signed = || word().map(u64::cast_signed);
        Ok(match kind {
            ValueKind::Int32 | ValueKind::Capability | ValueKind::BpfCmd => {
                RawValue::Int32(i32::try_from(signed()?).map_err(|_too_large| no_integer)?)
            }
            ValueKind::Uint32 => RawValue::Uint32(u32::try_from(word()?).map_err(|_too_large| no_integer)?),
            ValueKind::Int64 => RawValue::Int64(signed()?),
            ValueKind::Uint64 | ValueKind::Syscall | ValueKind::Capabilities(_) => RawValue::Uint64(word()?),
            ValueKind::Object(kind) => {
                let other_size = DecodeError::ValueSize { index, have: bytes.len() };
                RawValue::Object(object(kind, bytes).ok_or(other_size)?)
            }
            ValueKind::String => RawValue::String(bytes.strip_suffix(b"\0").unwrap_or(bytes)),
            ValueKind::Bytes if header.flags & value_flag::PIECES != 0 => {
                let words = <[u64; 3]>::read_from_bytes(bytes).map_err(|_wrong_length| no_integer)?;
                let [whole, stamp, sent] = words;
                let sent = u32::try_from(sent).map_err(|_too_large| no_integer)?;
                RawValue::Long(LongValue { whole, stamp, sent })
            }
            ValueKind::Bytes => {
                let (whole, bytes) = u64::read_from_prefix(bytes).map_err(|_too_short| no_integer)?;
                let is_cut = header.flags & value_flag::TRUNCATED != 0;
                RawValue::Bytes { bytes, cut_from: is_cut.then_some(whole) }
            }
            ValueKind::File | ValueKind::Path | ValueKind::LinuxBinprm => RawValue::Path {
                mode: header.status,
                incomplete: header.flags & (value_flag::UNRESOLVED_COMPONENTS | value_flag::TRUNCATED) != 0,
                path: bytes.strip_suffix(b"\0").unwrap_or(bytes),
            },
            ValueKind::SockaddrUn => RawValue::UnixAddress { family: header.status, path: bytes },
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use bpf_probes::abi::{
        AddressValue, Endpoints, Header, HookRecord, PacketValue, SocketValue, ValueHeader, value_flag,
    };
    use tracing_policy::ir::{NetworkType, ObjectKind, ValueKind};
    use zerocopy::IntoBytes;

    use super::{LongValue, RawValue, values};
    use crate::pipeline::decode::{DecodeError, RawObject, decode};
    use crate::pipeline::read::record_bytes;
    use crate::pipeline::record::Record;
    use crate::pipeline::{HookLayout, ValueLayout};

    fn value(len: usize, flags: u16, status: u16, bytes: &[u8]) -> Vec<u8> {
        let header = ValueHeader { len: u32::try_from(len).unwrap(), flags, status };
        let mut value = header.as_bytes().to_vec();
        value.extend_from_slice(bytes);
        value.resize(value.len().next_multiple_of(8), 0);
        value
    }

    fn read<'a>(words: &'a [u64], kinds: &[ValueKind]) -> Result<Vec<RawValue<'a>>, DecodeError> {
        let layouts = kinds.iter().map(|kind| ValueLayout { kind: *kind, label: "".into() });
        let layout = HookLayout { values: layouts.collect(), ..HookLayout::default() };
        let Record::Hook(hook) = decode(words.as_bytes())? else { panic!("no hook") };
        values(&hook, &layout)?.collect()
    }

    fn hook(count: u32, tail: &[u8]) -> Box<[u64]> {
        let header = Header { kind: 4, ..Header::default() };
        record_bytes(&HookRecord { header, values: count, ..HookRecord::default() }, tail)
    }

    #[test]
    fn each_kind_is_read_as_its_type() {
        let tail = [
            value(8, 0, 0, &(-5_i64).to_ne_bytes()),
            value(8, 0, 0, &7_u64.to_ne_bytes()),
            value(8, 0, 0, &i64::MIN.to_ne_bytes()),
            value(8, 0, 0, &u64::MAX.to_ne_bytes()),
            value(3, 0, 0, b"abc"),
            value(6, value_flag::UNRESOLVED_COMPONENTS, 0o100_644, b"/etc/\0"),
            value(0, value_flag::ERROR, 14, b""),
        ]
        .concat();
        let kinds = [
            ValueKind::Int32,
            ValueKind::Uint32,
            ValueKind::Int64,
            ValueKind::Uint64,
            ValueKind::String,
            ValueKind::File,
            ValueKind::Path,
        ];
        let words = hook(7, &tail);
        let expected = [
            RawValue::Int32(-5),
            RawValue::Uint32(7),
            RawValue::Int64(i64::MIN),
            RawValue::Uint64(u64::MAX),
            RawValue::String(b"abc"),
            RawValue::Path { mode: 0o100_644, incomplete: true, path: b"/etc/" },
            RawValue::Error { errno: 14 },
        ];
        assert_eq!(read(&words, &kinds).unwrap(), expected);
    }

    #[test]
    fn a_buffer_says_how_much_there_was_of_it() {
        let bytes = |whole: u64, text: &[u8]| [&whole.to_ne_bytes(), text].concat();
        let tail = [
            value(11, 0, 0, &bytes(3, b"a\0b")),
            value(10, value_flag::TRUNCATED, 0, &bytes(5000, b"ab")),
            value(8, 0, 0, &bytes(0, b"")),
            value(
                24,
                value_flag::PIECES,
                0,
                &bytes(20_000, &[7_u64.to_ne_bytes(), 9000_u64.to_ne_bytes()].concat()),
            ),
        ]
        .concat();
        let expected = [
            RawValue::Bytes { bytes: b"a\0b", cut_from: None },
            RawValue::Bytes { bytes: b"ab", cut_from: Some(5000) },
            RawValue::Bytes { bytes: b"", cut_from: None },
            RawValue::Long(LongValue { whole: 20_000, stamp: 7, sent: 9000 }),
        ];
        assert_eq!(read(&hook(4, &tail), &[ValueKind::Bytes; 4]).unwrap(), expected);
        let short = value(7, 0, 0, b"1234567");
        let refused = DecodeError::ValueInteger { index: 0 };
        assert_eq!(read(&hook(1, &short), &[ValueKind::Bytes]), Err(refused));
    }

    #[test]
    fn values_of_fixed_size_are_read_whole_or_refused() {
        let socket = SocketValue { cookie: 9, state: 2, ..SocketValue::default() };
        let packet = PacketValue { len: 60, ..PacketValue::default() };
        let address = Endpoints { family: 2, source_port: 80, ..Endpoints::default() };
        let bytes = address.as_bytes();
        let tail = [
            value(64, 0, 0, socket.as_bytes()),
            value(56, 0, 0, packet.as_bytes()),
            value(40, 0, 0, bytes),
            value(4, 0, 1, b"@abs"),
            value(0, value_flag::ERROR, 14, b""),
        ]
        .concat();
        let object = |ty| ValueKind::Object(ObjectKind::Network(ty));
        let kinds = [
            object(NetworkType::Sock),
            object(NetworkType::Skb),
            object(NetworkType::Sockaddr),
            ValueKind::SockaddrUn,
            object(NetworkType::Socket),
        ];
        let words = hook(5, &tail);
        let expected = [
            RawValue::Object(RawObject::Socket(&socket)),
            RawValue::Object(RawObject::Packet(&packet)),
            RawValue::Object(RawObject::Address(&AddressValue { endpoints: address })),
            RawValue::UnixAddress { family: 1, path: b"@abs" },
            RawValue::Error { errno: 14 },
        ];
        assert_eq!(read(&words, &kinds).unwrap(), expected);
        let words = hook(1, &value(40, 0, 0, bytes));
        assert_eq!(read(&words, &kinds[..1]), Err(DecodeError::ValueSize { index: 0, have: 40 }));
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        let words = hook(1, &value(8, 0, 0, &(1_u64 << 40).to_ne_bytes()));
        let int = [ValueKind::Int32];
        assert_eq!(read(&words, &int), Err(DecodeError::ValueInteger { index: 0 }));
        assert_eq!(read(&words, &[]), Err(DecodeError::ValueCount { have: 1, need: 0 }));
        let words = hook(1, &value(9, 0, 0, &[0; 8]));
        assert_eq!(
            read(&words, &[ValueKind::String]),
            Err(DecodeError::ValueLength { index: 0, stated: 9, have: 8 })
        );
        let words = hook(2, &value(8, 0, 0, &[0; 8]));
        let two = [ValueKind::Int32, ValueKind::Int32];
        assert_eq!(read(&words, &two), Err(DecodeError::ValueLength { index: 1, stated: 0, have: 0 }));
    }
}

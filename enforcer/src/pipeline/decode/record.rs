//! The record itself.

use bpf_probes::abi::{
    DataRecord, ExecRecord, ExitRecord, ForkRecord, Header, HookRecord, RecordKind, ReturnRecord,
    ThrottleRecord,
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::pipeline::record::{Data, Exec, Hook, Record, Return};

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// Fewer bytes than the fixed part of the record.
    #[error("a record has {have} bytes where its fixed part has {need}")]
    Short {
        /// Bytes there are.
        have: usize,
        /// Bytes of the fixed part.
        need: usize,
    },
    /// The bytes do not lie at a multiple of eight.
    #[error("a record does not lie at a multiple of eight bytes")]
    Misaligned,
    /// No such kind.
    #[error("a record has the unknown kind {kind}")]
    Kind {
        /// The number.
        kind: u8,
    },
    /// The size in the header is beyond the bytes.
    #[error("a record says that it has {stated} bytes, and there are {have}")]
    Size {
        /// What the header says.
        stated: u32,
        /// Bytes there are.
        have: usize,
    },
    /// The variable parts are longer than the record.
    #[error("the variable parts of a record have {stated} bytes where {have} are left")]
    Parts {
        /// Their sum.
        stated: u64,
        /// Bytes behind the fixed part.
        have: usize,
    },
    /// Not as many values as the layout has.
    #[error("a hook record has {have} values where its layout has {need}")]
    ValueCount {
        /// Values stated.
        have: u32,
        /// Values of the layout.
        need: usize,
    },
    /// A value ends outside the record.
    #[error("value {index} of a hook record has {stated} bytes where {have} are left")]
    ValueLength {
        /// Which.
        index: usize,
        /// Its length.
        stated: u32,
        /// Bytes left.
        have: usize,
    },
    /// An integer that is none, or does not fit its type.
    #[error("value {index} of a hook record is no integer of its type")]
    ValueInteger {
        /// Which.
        index: usize,
    },
    /// A value of fixed size has another.
    #[error("value {index} of a hook record has {have} bytes, another size than its type")]
    ValueSize {
        /// Which.
        index: usize,
        /// Its bytes.
        have: usize,
    },
}

/// [`DecodeError`] by kind, for counting.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum DecodeErrorKind {
    /// Too short, misaligned, or a size beyond the bytes.
    Size,
    /// An unknown kind.
    Kind,
    /// Variable parts beyond the record.
    Parts,
    /// Values that do not fit the layout.
    Values,
}

impl DecodeErrorKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Size, Self::Kind, Self::Parts, Self::Values];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Kind => "kind",
            Self::Parts => "parts",
            Self::Values => "values",
        }
    }
}

impl DecodeError {
    /// What kind of error it is.
    pub(crate) const fn kind(self) -> DecodeErrorKind {
        match self {
            Self::Short { .. } | Self::Misaligned | Self::Size { .. } => DecodeErrorKind::Size,
            Self::Kind { .. } => DecodeErrorKind::Kind,
            Self::Parts { .. } => DecodeErrorKind::Parts,
            Self::ValueCount { .. }
            | Self::ValueLength { .. }
            | Self::ValueInteger { .. }
            | Self::ValueSize { .. } => DecodeErrorKind::Values,
        }
    }
}

/// The record in `bytes`. What lies behind the size in its header is ignored.
///
/// # Errors
/// When a length does not fit; see [`DecodeError`].
pub(crate) fn decode(bytes: &[u8]) -> Result<Record<'_>, DecodeError> {
    let (header, _) = fixed::<Header>(bytes)?;
    let size = usize::try_from(header.size).unwrap_or(usize::MAX);
    let bytes = bytes.get(..size).ok_or(DecodeError::Size { stated: header.size, have: bytes.len() })?;
    let kind = RecordKind::from_number(header.kind).ok_or(DecodeError::Kind { kind: header.kind })?;
    Ok(match kind {
        RecordKind::Exec => Record::Exec(exec(bytes)?),
        RecordKind::Fork => Record::Fork(fixed::<ForkRecord>(bytes)?.0),
        RecordKind::Exit => Record::Exit(fixed::<ExitRecord>(bytes)?.0),
        RecordKind::Hook => {
            let (fixed, values) = fixed::<HookRecord>(bytes)?;
            Record::Hook(Hook { fixed, values })
        }
        RecordKind::Data => {
            let (fixed, rest) = fixed::<DataRecord>(bytes)?;
            let [payload] = parts(rest, [fixed.len])?;
            Record::Data(Data { fixed, payload })
        }
        RecordKind::Return => {
            let (fixed, values) = fixed::<ReturnRecord>(bytes)?;
            Record::Return(Return { fixed, values })
        }
        RecordKind::Throttle => Record::Throttle(fixed::<ThrottleRecord>(bytes)?.0),
        RecordKind::Gone => Record::Gone(fixed::<ExitRecord>(bytes)?.0),
    })
}

fn exec(bytes: &[u8]) -> Result<Exec<'_>, DecodeError> {
    let (fixed, rest) = fixed::<ExecRecord>(bytes)?;
    let lengths = [fixed.filename_len, fixed.path_len, fixed.cwd_len, fixed.cgroup_len, fixed.arguments_len];
    let [filename, path, cwd, cgroup, arguments] = parts(rest, lengths)?;
    Ok(Exec {
        fixed,
        filename: until_nul(filename),
        path: until_nul(path),
        cwd: until_nul(cwd),
        cgroup: until_nul(cgroup),
        arguments,
    })
}

/// The fixed part, and what lies behind it.
fn fixed<T: FromBytes + Immutable + KnownLayout>(bytes: &[u8]) -> Result<(&T, &[u8]), DecodeError> {
    if bytes.len() < size_of::<T>() {
        return Err(DecodeError::Short { have: bytes.len(), need: size_of::<T>() });
    }
    T::ref_from_prefix(bytes).map_err(|_not_aligned| DecodeError::Misaligned)
}

/// Parts of these lengths that follow each other without gaps.
fn parts<const N: usize>(bytes: &[u8], lengths: [u32; N]) -> Result<[&[u8]; N], DecodeError> {
    let stated = lengths.iter().map(|len| u64::from(*len)).sum::<u64>();
    let error = DecodeError::Parts { stated, have: bytes.len() };
    let mut rest = bytes;
    let mut parts = [&bytes[..0]; N];
    for (part, len) in parts.iter_mut().zip(lengths) {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        (*part, rest) = rest.split_at_checked(len).ok_or(error)?;
    }
    Ok(parts)
}

/// What stands before the first NUL.
fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.iter().position(|byte| *byte == 0).map_or(bytes, |end| &bytes[..end])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use bpf_probes::abi::{DataRecord, ExecRecord, Header};
    use proptest::prelude::*;
    use tracing_policy::ir::ValueKind;
    use zerocopy::IntoBytes;

    use super::{DecodeError, decode};
    use crate::pipeline::read::record_bytes;
    use crate::pipeline::record::Record;
    use crate::pipeline::{HookLayout, ValueLayout, decode::values};

    fn header(kind: u8) -> Header {
        Header { kind, ..Header::default() }
    }

    #[test]
    fn an_exec_record_is_taken_apart() {
        let fixed = ExecRecord {
            header: header(1),
            filename_len: 4,
            path_len: 8,
            cwd_len: 2,
            cgroup_len: 3,
            arguments_len: 5,
            ..ExecRecord::default()
        };
        let words = record_bytes(&fixed, b"./ls/bin/ls\0/rcg\0ls\0a\0");
        let Record::Exec(exec) = decode(words.as_bytes()).unwrap() else { panic!("no exec") };
        assert_eq!(exec.filename, b"./ls");
        assert_eq!(exec.path, b"/bin/ls");
        assert_eq!(exec.cwd, b"/r");
        assert_eq!(exec.cgroup, b"cg");
        assert_eq!(exec.arguments, b"ls\0a\0");
    }

    #[test]
    fn parts_that_end_outside_the_record_are_refused_even_if_bytes_follow() {
        let fixed =
            ExecRecord { header: header(1), filename_len: u32::MAX, path_len: 1, ..ExecRecord::default() };
        let words = record_bytes(&fixed, b"abc");
        let expected = DecodeError::Parts { stated: u64::from(u32::MAX) + 1, have: 3 };
        assert_eq!(decode(words.as_bytes()).unwrap_err(), expected);

        let fixed = DataRecord { header: header(5), len: 4, ..DataRecord::default() };
        // Three bytes of payload; the fourth is padding behind the record.
        let words = record_bytes(&fixed, b"abc");
        assert!(words.as_bytes().len() > size_of::<DataRecord>() + 3);
        assert_eq!(decode(words.as_bytes()).unwrap_err(), DecodeError::Parts { stated: 4, have: 3 });
    }

    #[test]
    fn headers_that_lie_are_refused() {
        let good = record_bytes(&DataRecord { header: header(5), ..DataRecord::default() }, b"");
        let bytes = good.as_bytes();
        assert!(matches!(decode(&bytes[..8]), Err(DecodeError::Short { have: 8, need: 16 })));
        assert!(matches!(decode(&bytes[..24]), Err(DecodeError::Size { stated: 40, have: 24 })));
        let mut bad = good.clone();
        bad.as_mut_bytes()[0] = 99;
        assert_eq!(decode(bad.as_bytes()).unwrap_err(), DecodeError::Kind { kind: 99 });
        let mut bad = good.clone();
        bad.as_mut_bytes()[4] = 20;
        assert_eq!(decode(bad.as_bytes()).unwrap_err(), DecodeError::Short { have: 20, need: 40 });
        let shifted: Vec<u64> = [0].into_iter().chain(good.iter().copied()).collect();
        assert_eq!(decode(&shifted.as_bytes()[4..]).unwrap_err(), DecodeError::Misaligned);
    }

    fn layout() -> HookLayout {
        let kinds = [ValueKind::Int32, ValueKind::String, ValueKind::File, ValueKind::Uint64];
        let values = kinds.map(|kind| ValueLayout { kind, label: "".into() });
        HookLayout { values: values.to_vec(), ..HookLayout::default() }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// Half of the inputs begin with a plausible header, so that the code behind it is reached.
        #[test]
        fn no_bytes_make_the_decoder_panic(
            mut words in prop::collection::vec(any::<u64>(), 0..80),
            kind in 0_u8..9,
            cut in 0_usize..8,
            small in any::<bool>(),
        ) {
            if small {
                for word in &mut words {
                    *word &= 0x0000_001f_0000_001f;
                }
            }
            if let Some(first) = words.first_mut() && kind < 8 {
                *first = u64::from(kind);
                let size = u32::try_from(words.len() * 8 - cut).unwrap();
                words.as_mut_slice().as_mut_bytes()[4..8].copy_from_slice(&size.to_ne_bytes());
            }
            if let Ok(Record::Hook(hook)) = decode(words.as_slice().as_bytes()) {
                let read = values(&hook, &layout()).into_iter().flatten().count();
                prop_assert!(read <= layout().values.len());
            }
        }
    }
}

//! From foreign bytes to a [`Btf`]: everything is bounds-checked once here, so that reading cannot fail later.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::kind::{Kind, TypeId};
use super::lookup::LookupError;
use super::types::{
    Alias, Array, Composite, Datasec, DeclTag, Enum, Float, Func, FuncProto, Fwd, FwdKind, Int, IntEncoding,
    KindFlag, Linkage, Type, Var, Width, word,
};

/// Size of the header that this parser understands; longer ones are accepted, their tail ignored.
const HEADER: usize = 24;
/// `BTF_MAGIC` as read on a little-endian machine.
const MAGIC: u16 = 0xeb9f;
/// Size of `struct btf_type`.
pub(super) const TYPE_HEADER: usize = 12;

/// Type information of one kernel or module: the raw bytes, and four bytes more for each type.
///
/// Names are looked up through a table that is built when the first name is asked for (four bytes a named type).
/// A `Btf` is meant to be shared as `Arc<Btf>` and dropped when nothing compiles.
pub struct Btf {
    bytes: Arc<[u8]>,
    types: Range<usize>,
    strings: Range<usize>,
    /// Where each own type starts, from the start of the type section.
    offsets: Box<[u32]>,
    /// Number of the first own type: 1, or for a module what follows its base.
    first_id: u32,
    /// Offset at which own strings start: 0, or for a module the length of the base's strings.
    first_string: u32,
    base: Option<Arc<Self>>,
    pub(super) names: OnceLock<Box<[u32]>>,
}

/// Why bytes are not BTF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Shorter than a header.
    #[error("BTF of {len} bytes is shorter than its header of {HEADER} bytes")]
    TooShort {
        /// Bytes given.
        len: usize,
    },
    /// Wrong first bytes.
    #[error("not BTF: it starts with {magic:#06x} instead of {MAGIC:#06x}")]
    Magic {
        /// What was found.
        magic: u16,
    },
    /// BTF of a machine with the other byte order.
    #[error("BTF is big-endian; only little-endian machines are supported")]
    BigEndian,
    /// Unknown version.
    #[error("BTF version {version} is not supported, only version 1")]
    Version {
        /// What was found.
        version: u8,
    },
    /// A section does not lie within the bytes.
    #[error("BTF {section} section at {offset} of {len} bytes exceeds the file of {file} bytes")]
    Section {
        /// `type` or `string`.
        section: &'static str,
        /// Offset from the end of the header.
        offset: u32,
        /// Length the header announces.
        len: u32,
        /// Bytes given.
        file: usize,
    },
    /// The strings are not terminated, not UTF-8, or do not start with the empty one.
    #[error("BTF string section {problem}")]
    Strings {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A type runs over the end of its section.
    #[error("BTF type {id} is cut off at byte {offset} of the type section")]
    Truncated {
        /// The type.
        id: TypeId,
        /// Where it starts.
        offset: usize,
    },
    /// A kind that this parser does not know.
    #[error("BTF type {id} has kind {kind}, which is unknown; this kernel is newer than this program")]
    Kind {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: u32,
    },
    /// A name lies outside the string section.
    #[error("BTF type {id} has its name at {name}, outside the strings")]
    Name {
        /// The type.
        id: TypeId,
        /// Offset of its name.
        name: u32,
    },
    /// More types than 32 bits can number.
    #[error("BTF has more types than can be numbered")]
    TooMany,
}

impl Btf {
    /// Reads the BTF of a kernel (`/sys/kernel/btf/vmlinux`), or any that stands alone.
    ///
    /// To avoid a second copy of some five megabytes, collect zeros into an `Arc<[u8]>` of the file's size and
    /// read the file into `Arc::get_mut`.
    ///
    /// # Errors
    /// [`ParseError`], when the bytes are not BTF or contradict themselves.
    pub fn parse(bytes: Arc<[u8]>) -> Result<Self, ParseError> {
        Self::parse_on(bytes, None)
    }

    /// Reads BTF that continues `base`; see [`super::module`].
    pub(super) fn parse_on(bytes: Arc<[u8]>, base: Option<Arc<Self>>) -> Result<Self, ParseError> {
        let (types, strings) = sections(&bytes)?;
        let (first_id, first_string) = match &base {
            None => (1, 0),
            Some(base) => (base.end_id(), base.end_string()),
        };
        let own = bytes.get(strings.clone()).unwrap_or_default();
        check_strings(own, base.is_some())?;
        let string_end = u32::try_from(own.len())
            .ok()
            .and_then(|len| first_string.checked_add(len))
            .ok_or(ParseError::TooMany)?;
        let offsets = index(bytes.get(types.clone()).unwrap_or_default(), first_id, string_end)?;
        Ok(Self { bytes, types, strings, offsets, first_id, first_string, base, names: OnceLock::new() })
    }

    /// The bytes this was read from.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The BTF this one continues, for a module.
    pub fn base(&self) -> Option<&Arc<Self>> {
        self.base.as_ref()
    }

    /// One more than the highest type number.
    pub fn end_id(&self) -> u32 {
        // `index` has checked that the sum fits.
        self.first_id.saturating_add(u32::try_from(self.offsets.len()).unwrap_or(u32::MAX))
    }

    /// Own types in order; those of a base are not among them.
    pub fn own_types(&self) -> impl Iterator<Item = (TypeId, Type<'_>)> {
        (self.first_id..self.end_id()).filter_map(|id| {
            let id = TypeId::new(id);
            self.get(id).ok().map(|found| (id, found))
        })
    }

    /// The type with that number.
    ///
    /// # Errors
    /// [`LookupError::NoSuchType`], when there are not that many types.
    pub fn get(&self, id: TypeId) -> Result<Type<'_>, LookupError> {
        if id == TypeId::VOID {
            return Ok(Type::Void);
        }
        match self.own(id) {
            Some((kind, raw)) => Ok(self.decode(kind, raw)),
            None if id.get() < self.first_id => match &self.base {
                Some(base) => base.get(id),
                None => Err(LookupError::NoSuchType { id }),
            },
            None => Err(LookupError::NoSuchType { id }),
        }
    }

    /// Kind and bytes (from its header on) of an own type.
    pub(super) fn own(&self, id: TypeId) -> Option<(Kind, &[u8])> {
        let at = *self.offsets.get(id.get().checked_sub(self.first_id)? as usize)? as usize;
        let raw = self.bytes.get(self.types.clone())?.get(at..)?;
        let kind = Kind::from_number(word(raw, 4) >> 24 & 0x1f)?;
        Some((kind, raw))
    }

    /// Numbers of own types.
    pub(super) fn own_ids(&self) -> Range<u32> {
        self.first_id..self.end_id()
    }

    /// The string at that offset; empty when it lies outside.
    pub(super) fn string(&self, offset: u32) -> &str {
        let Some(own) = offset.checked_sub(self.first_string) else {
            return self.base.as_ref().map_or("", |base| base.string(offset));
        };
        let bytes = self.bytes.get(self.strings.clone()).unwrap_or_default();
        let rest = bytes.get(own as usize..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == 0).unwrap_or(0);
        // Offsets into the middle of a character are possible in hostile input only.
        rest.get(..end).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }

    fn end_string(&self) -> u32 {
        self.first_string.saturating_add(u32::try_from(self.strings.len()).unwrap_or(u32::MAX))
    }

    /// Decodes a type whose bytes `index` has checked.
    fn decode<'b>(&'b self, kind: Kind, raw: &'b [u8]) -> Type<'b> {
        let name = self.string(word(raw, 0));
        let info = word(raw, 4);
        let kind_flag = if info >> 31 == 0 { KindFlag::Clear } else { KindFlag::Set };
        let vlen = info & 0xffff;
        let tail = word(raw, 8);
        let type_id = TypeId::new(tail);
        let data = raw.get(TYPE_HEADER..TYPE_HEADER + kind.trailer(vlen)).unwrap_or_default();
        let composite = || Composite { name, size: tail, kind_flag, data, btf: self };
        let alias = || Alias { name, type_id };
        let enumeration = |wide| Enum { name, size: tail, kind_flag, wide, data, btf: self };
        match kind {
            Kind::Void => Type::Void,
            Kind::Int => Type::Int(decode_int(name, tail, word(data, 0))),
            Kind::Ptr => Type::Ptr(type_id),
            Kind::Array => Type::Array(Array {
                element: TypeId::new(word(data, 0)),
                index: TypeId::new(word(data, 4)),
                count: word(data, 8),
            }),
            Kind::Struct => Type::Struct(composite()),
            Kind::Union => Type::Union(composite()),
            Kind::Enum => Type::Enum(enumeration(Width::Bits32)),
            Kind::Enum64 => Type::Enum(enumeration(Width::Bits64)),
            Kind::Fwd => {
                let declares = match kind_flag {
                    KindFlag::Clear => FwdKind::Struct,
                    KindFlag::Set => FwdKind::Union,
                };
                Type::Fwd(Fwd { name, declares })
            }
            Kind::Typedef => Type::Typedef(alias()),
            Kind::Volatile => Type::Volatile(type_id),
            Kind::Const => Type::Const(type_id),
            Kind::Restrict => Type::Restrict(type_id),
            Kind::Func => Type::Func(Func { name, prototype: type_id, linkage: Linkage::from_number(vlen) }),
            Kind::FuncProto => Type::FuncProto(FuncProto { returns: type_id, data, btf: self }),
            Kind::Var => Type::Var(Var { name, type_id, linkage: Linkage::from_number(word(data, 0)) }),
            Kind::Datasec => Type::Datasec(Datasec { name, size: tail, data }),
            Kind::Float => Type::Float(Float { name, size: tail }),
            Kind::DeclTag => {
                let component = word(data, 0);
                let component = if component == u32::MAX { None } else { Some(component) };
                Type::DeclTag(DeclTag { name, type_id, component })
            }
            Kind::TypeTag => Type::TypeTag(alias()),
        }
    }
}

impl fmt::Debug for Btf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Btf")
            .field("bytes", &self.bytes.len())
            .field("types", &self.offsets.len())
            .field("first_id", &self.first_id)
            .finish_non_exhaustive()
    }
}

/// The type and the string section, within the bytes.
fn sections(bytes: &[u8]) -> Result<(Range<usize>, Range<usize>), ParseError> {
    if bytes.len() < HEADER {
        return Err(ParseError::TooShort { len: bytes.len() });
    }
    // magic:u16 version:u8 flags:u8 hdr_len:u32 type_off:u32 type_len:u32 str_off:u32 str_len:u32
    let first = word(bytes, 0);
    let magic = (first & 0xffff) as u16;
    if magic == MAGIC.swap_bytes() {
        return Err(ParseError::BigEndian);
    }
    if magic != MAGIC {
        return Err(ParseError::Magic { magic });
    }
    let version = (first >> 16 & 0xff) as u8;
    if version != 1 {
        return Err(ParseError::Version { version });
    }
    let header = word(bytes, 4) as usize;
    let section = |name, offset: u32, len: u32| {
        header
            .checked_add(offset as usize)
            .filter(|_| header >= HEADER)
            .and_then(|start| Some(start..start.checked_add(len as usize)?))
            .filter(|range| range.end <= bytes.len())
            .ok_or(ParseError::Section { section: name, offset, len, file: bytes.len() })
    };
    let types = section("type", word(bytes, 8), word(bytes, 12))?;
    let strings = section("string", word(bytes, 16), word(bytes, 20))?;
    Ok((types, strings))
}

fn check_strings(strings: &[u8], is_split: bool) -> Result<(), ParseError> {
    if strings.is_empty() && is_split {
        return Ok(());
    }
    if !is_split && strings.first() != Some(&0) {
        return Err(ParseError::Strings { problem: "does not start with the empty string" });
    }
    if strings.last() != Some(&0) {
        return Err(ParseError::Strings { problem: "does not end with a zero byte" });
    }
    match std::str::from_utf8(strings) {
        Ok(_) => Ok(()),
        Err(_not_utf8) => Err(ParseError::Strings { problem: "is not UTF-8" }),
    }
}

/// Where each type starts, after checking that it lies within the section and its name within the strings.
fn index(types: &[u8], first_id: u32, string_end: u32) -> Result<Box<[u32]>, ParseError> {
    // A type takes 12 to 40 bytes mostly; the guess saves growing by doubling.
    let mut offsets = Vec::with_capacity(types.len() / 28);
    let mut at = 0_usize;
    while at < types.len() {
        let count = u32::try_from(offsets.len()).ok().and_then(|count| first_id.checked_add(count));
        let id = TypeId::new(count.filter(|&id| id < u32::MAX).ok_or(ParseError::TooMany)?);
        let truncated = ParseError::Truncated { id, offset: at };
        let Some(head) = types.get(at..at + TYPE_HEADER) else { return Err(truncated) };
        let info = word(head, 4);
        let number = info >> 24 & 0x1f;
        let kind = match Kind::from_number(number) {
            Some(Kind::Void) | None => return Err(ParseError::Kind { id, kind: number }),
            Some(kind) => kind,
        };
        let name = word(head, 0);
        if name >= string_end && name != 0 {
            return Err(ParseError::Name { id, name });
        }
        let Ok(offset) = u32::try_from(at) else { return Err(ParseError::TooMany) };
        offsets.push(offset);
        at += TYPE_HEADER + kind.trailer(info & 0xffff);
        if at > types.len() {
            return Err(truncated);
        }
    }
    Ok(offsets.into_boxed_slice())
}

/// `encoding` is the word after the header: `0000eeee oooooooo 00000000 bbbbbbbb`, e encoding, o bit offset, b bits.
fn decode_int(name: &str, size: u32, encoding: u32) -> Int<'_> {
    let kind = match encoding >> 24 & 0x0f {
        1 => IntEncoding::Signed,
        2 => IntEncoding::Char,
        4 => IntEncoding::Bool,
        _ => IntEncoding::Unsigned,
    };
    let byte = |shift: u32| (encoding >> shift & 0xff) as u8;
    Int { name, size, bits: byte(0), bit_offset: byte(16), encoding: kind }
}

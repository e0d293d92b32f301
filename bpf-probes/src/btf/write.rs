//! BTF of our own: types of map keys and values, functions for `func_info`, file names and lines for `line_info`.
//!
//! Equal types and strings are written once, so callers need not remember what they have already added.

use std::collections::HashMap;

use super::kind::{Kind, TypeId};
use super::types::{IntEncoding, Linkage};

/// Elements that 16 bits can count.
const MAX_ELEMENTS: usize = 0xffff;
/// The kernel takes 16 MB of types and strings together (`kernel/bpf/btf.c: BTF_MAX_SIZE`, 5.10).
const MAX_SECTION: usize = 1 << 23;

/// Offset of a string in the BTF being written: what `line_info` refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StringOffset(u32);

impl StringOffset {
    /// The number as the kernel expects it in `file_name_off` and `line_off`.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Why something cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A string with a zero byte inside.
    #[error("string {text:?} has a zero byte inside, which BTF cannot hold")]
    ZeroByte {
        /// The string.
        text: String,
    },
    /// More members or parameters than 16 bits can count.
    #[error("{name:?} has {count} members, more than the {MAX_ELEMENTS} that BTF can count")]
    TooManyMembers {
        /// Name of the struct, or of a function's prototype: empty.
        name: String,
        /// Members given.
        count: usize,
    },
    /// A member beyond what 32 bits of bits can address.
    #[error("member {name:?} at byte {offset} is beyond what BTF can address")]
    Offset {
        /// Name of the member.
        name: String,
        /// Its offset in bytes.
        offset: u32,
    },
    /// More than the kernel takes.
    #[error("BTF grew beyond the {MAX_SECTION} bytes a section may have")]
    TooLarge,
}

/// One member of a struct to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteMember<'a> {
    /// Name; a C identifier.
    pub name: &'a str,
    /// Its type.
    pub type_id: TypeId,
    /// Bytes from the start of the struct.
    pub offset: u32,
}

/// Collects types and strings; [`BtfWriter::finish`] gives the bytes for `BPF_BTF_LOAD`.
#[derive(Debug, Clone)]
pub struct BtfWriter {
    types: Vec<u8>,
    count: u32,
    seen: HashMap<Vec<u8>, TypeId>,
    strings: Vec<u8>,
    offsets: HashMap<String, StringOffset>,
}

impl Default for BtfWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl BtfWriter {
    /// An empty one, which knows `void` and the empty string.
    pub fn new() -> Self {
        Self {
            types: Vec::new(),
            count: 0,
            seen: HashMap::new(),
            strings: vec![0],
            offsets: HashMap::from([(String::new(), StringOffset(0))]),
        }
    }

    /// Adds a string.
    ///
    /// # Errors
    /// [`WriteError::ZeroByte`], [`WriteError::TooLarge`].
    pub fn string(&mut self, text: &str) -> Result<StringOffset, WriteError> {
        if let Some(&known) = self.offsets.get(text) {
            return Ok(known);
        }
        if text.contains('\0') {
            return Err(WriteError::ZeroByte { text: text.to_owned() });
        }
        if self.strings.len() + text.len() >= MAX_SECTION {
            return Err(WriteError::TooLarge);
        }
        let offset =
            u32::try_from(self.strings.len()).map(StringOffset).map_err(|_too_large| WriteError::TooLarge)?;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        self.offsets.insert(text.to_owned(), offset);
        Ok(offset)
    }

    /// Adds an integer of `size` bytes (1, 2, 4, 8 or 16).
    ///
    /// # Errors
    /// As [`BtfWriter::string`].
    pub fn int(&mut self, name: &str, size: u32, encoding: IntEncoding) -> Result<TypeId, WriteError> {
        let code: u32 = match encoding {
            IntEncoding::Unsigned => 0,
            IntEncoding::Signed => 1,
            IntEncoding::Char => 2,
            IntEncoding::Bool => 4,
        };
        // 0000eeee 00000000 00000000 bbbbbbbb: encoding, bits
        self.push(Kind::Int, name, 0, size, &[code << 24 | size.saturating_mul(8) & 0xff])
    }

    /// Adds a pointer; `to` may be [`TypeId::VOID`].
    ///
    /// # Errors
    /// [`WriteError::TooLarge`].
    pub fn pointer(&mut self, to: TypeId) -> Result<TypeId, WriteError> {
        self.push(Kind::Ptr, "", 0, to.get(), &[])
    }

    /// Adds an array; `index` is the integer type of its index.
    ///
    /// # Errors
    /// [`WriteError::TooLarge`].
    pub fn array(&mut self, element: TypeId, index: TypeId, count: u32) -> Result<TypeId, WriteError> {
        self.push(Kind::Array, "", 0, 0, &[element.get(), index.get(), count])
    }

    /// Adds a struct; members must stand in the order of their offsets, as the kernel checks.
    ///
    /// # Errors
    /// [`WriteError::TooManyMembers`], [`WriteError::Offset`], and as [`BtfWriter::string`].
    pub fn structure(
        &mut self,
        name: &str,
        size: u32,
        members: &[WriteMember<'_>],
    ) -> Result<TypeId, WriteError> {
        let vlen = elements(name, members.len())?;
        let mut words = Vec::with_capacity(members.len() * 3);
        for member in members {
            let WriteMember { name, type_id, offset } = *member;
            let bits =
                offset.checked_mul(8).ok_or_else(|| WriteError::Offset { name: name.to_owned(), offset })?;
            words.extend([self.string(name)?.get(), type_id.get(), bits]);
        }
        self.push(Kind::Struct, name, vlen, size, &words)
    }

    /// Adds a prototype; parameters are names (may be empty) and types.
    ///
    /// # Errors
    /// [`WriteError::TooManyMembers`], and as [`BtfWriter::string`].
    pub fn prototype(
        &mut self,
        returns: TypeId,
        parameters: &[(&str, TypeId)],
    ) -> Result<TypeId, WriteError> {
        let vlen = elements("", parameters.len())?;
        let mut words = Vec::with_capacity(parameters.len() * 2);
        for &(name, type_id) in parameters {
            words.extend([self.string(name)?.get(), type_id.get()]);
        }
        self.push(Kind::FuncProto, "", vlen, returns.get(), &words)
    }

    /// Adds a function: what `func_info` refers to. The verifier checks global functions apart from their callers.
    ///
    /// # Errors
    /// As [`BtfWriter::string`].
    pub fn function(
        &mut self,
        name: &str,
        prototype: TypeId,
        linkage: Linkage,
    ) -> Result<TypeId, WriteError> {
        let linkage = match linkage {
            Linkage::Static => 0,
            Linkage::Global => 1,
            Linkage::Extern => 2,
        };
        self.push(Kind::Func, name, linkage, prototype.get(), &[])
    }

    /// Whether nothing has been added.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty() && self.strings.len() == 1
    }

    /// The finished BTF: header, types, strings.
    pub fn finish(self) -> Vec<u8> {
        let Self { types, strings, .. } = self;
        // `push` and `string` keep each section below MAX_SECTION.
        let len = |section: &[u8]| u32::try_from(section.len()).unwrap_or(u32::MAX).to_le_bytes();
        let mut bytes = Vec::with_capacity(24 + types.len() + strings.len());
        bytes.extend([0x9f, 0xeb, 1, 0]);
        bytes.extend(24_u32.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(len(&types));
        bytes.extend(len(&types));
        bytes.extend(len(&strings));
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    fn push(
        &mut self,
        kind: Kind,
        name: &str,
        vlen: u16,
        tail: u32,
        words: &[u32],
    ) -> Result<TypeId, WriteError> {
        let name = self.string(name)?.get();
        let info = u32::from(kind as u8) << 24 | u32::from(vlen);
        let record: Vec<u8> = [name, info, tail].iter().chain(words).flat_map(|w| w.to_le_bytes()).collect();
        if let Some(&known) = self.seen.get(&record) {
            return Ok(known);
        }
        if self.types.len() + record.len() > MAX_SECTION {
            return Err(WriteError::TooLarge);
        }
        self.types.extend_from_slice(&record);
        self.count += 1;
        let id = TypeId::new(self.count);
        self.seen.insert(record, id);
        Ok(id)
    }
}

fn elements(name: &str, count: usize) -> Result<u16, WriteError> {
    u16::try_from(count).map_err(|_too_many| WriteError::TooManyMembers { name: name.to_owned(), count })
}

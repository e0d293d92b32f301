//! The typed model: one small borrowed view for each kind of BTF type.
//!
//! Source: `include/uapi/linux/btf.h`. A view borrows the raw bytes, so reading a type allocates nothing.

use std::fmt;

use super::kind::{Kind, TypeId};
use super::parse::Btf;

/// One type, decoded. Everything inside borrows from the [`Btf`] it came from.
#[derive(Debug, Clone, Copy)]
pub enum Type<'b> {
    /// `void`.
    Void,
    /// Integer, `bool` or `char`.
    Int(Int<'b>),
    /// Pointer to that type.
    Ptr(TypeId),
    /// Array.
    Array(Array),
    /// `struct`.
    Struct(Composite<'b>),
    /// `union`.
    Union(Composite<'b>),
    /// `enum`, of 32 or 64 bits a value.
    Enum(Enum<'b>),
    /// Declared, not defined.
    Fwd(Fwd<'b>),
    /// `typedef`.
    Typedef(Alias<'b>),
    /// `volatile` of that type.
    Volatile(TypeId),
    /// `const` of that type.
    Const(TypeId),
    /// `restrict` of that type.
    Restrict(TypeId),
    /// Function.
    Func(Func<'b>),
    /// Prototype.
    FuncProto(FuncProto<'b>),
    /// Variable.
    Var(Var<'b>),
    /// Section of variables.
    Datasec(Datasec<'b>),
    /// Floating point number.
    Float(Float<'b>),
    /// Tag on a declaration.
    DeclTag(DeclTag<'b>),
    /// Tag on a type.
    TypeTag(Alias<'b>),
}

impl<'b> Type<'b> {
    /// Kind of this type. Enums of both widths answer [`Kind::Enum`].
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Void => Kind::Void,
            Self::Int(_) => Kind::Int,
            Self::Ptr(_) => Kind::Ptr,
            Self::Array(_) => Kind::Array,
            Self::Struct(_) => Kind::Struct,
            Self::Union(_) => Kind::Union,
            Self::Enum(_) => Kind::Enum,
            Self::Fwd(_) => Kind::Fwd,
            Self::Typedef(_) => Kind::Typedef,
            Self::Volatile(_) => Kind::Volatile,
            Self::Const(_) => Kind::Const,
            Self::Restrict(_) => Kind::Restrict,
            Self::Func(_) => Kind::Func,
            Self::FuncProto(_) => Kind::FuncProto,
            Self::Var(_) => Kind::Var,
            Self::Datasec(_) => Kind::Datasec,
            Self::Float(_) => Kind::Float,
            Self::DeclTag(_) => Kind::DeclTag,
            Self::TypeTag(_) => Kind::TypeTag,
        }
    }

    /// Name of this type; empty when it has none.
    pub const fn name(&self) -> &'b str {
        match self {
            Self::Int(it) => it.name,
            Self::Struct(it) | Self::Union(it) => it.name,
            Self::Enum(it) => it.name,
            Self::Fwd(it) => it.name,
            Self::Typedef(it) | Self::TypeTag(it) => it.name,
            Self::Func(it) => it.name,
            Self::Var(it) => it.name,
            Self::Datasec(it) => it.name,
            Self::Float(it) => it.name,
            Self::DeclTag(it) => it.name,
            Self::Void
            | Self::Ptr(_)
            | Self::Array(_)
            | Self::Volatile(_)
            | Self::Const(_)
            | Self::Restrict(_)
            | Self::FuncProto(_) => "",
        }
    }
}

/// How an integer is meant to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IntEncoding {
    /// No sign.
    Unsigned,
    /// Two's complement.
    Signed,
    /// `char` (recent compilers mark it as signed or unsigned instead).
    Char,
    /// `bool`.
    Bool,
}

/// Integer, `bool` or `char`.
#[derive(Debug, Clone, Copy)]
pub struct Int<'b> {
    /// Name, for example `unsigned int`.
    pub name: &'b str,
    /// Storage in bytes.
    pub size: u32,
    /// Bits in use; less than the storage only for bit-fields in BTF of old compilers.
    pub bits: u8,
    /// First bit in use, from the least significant.
    pub bit_offset: u8,
    /// How to read it.
    pub encoding: IntEncoding,
}

/// Array of a fixed number of elements; zero for a flexible one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Array {
    /// Type of one element.
    pub element: TypeId,
    /// Type of the index, as the compiler wrote it.
    pub index: TypeId,
    /// Number of elements.
    pub count: u32,
}

/// A `struct` or `union`.
#[derive(Clone, Copy)]
pub struct Composite<'b> {
    /// Name; empty when anonymous.
    pub name: &'b str,
    /// Size in bytes.
    pub size: u32,
    pub(super) kind_flag: KindFlag,
    pub(super) data: &'b [u8],
    pub(super) btf: &'b Btf,
}

impl<'b> Composite<'b> {
    /// Members in declaration order.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'b>> + use<'b> {
        let Self { kind_flag, data, btf, .. } = *self;
        data.chunks_exact(12).map(move |raw| {
            let place = word(raw, 8);
            let (bit_offset, bits) = match kind_flag {
                KindFlag::Clear => (place, 0),
                KindFlag::Set => (place & 0x00ff_ffff, (place >> 24) as u8),
            };
            let bitfield = if bits == 0 { None } else { Some(bits) };
            Member {
                name: btf.string(word(raw, 0)),
                type_id: TypeId::new(word(raw, 4)),
                bit_offset,
                bitfield,
            }
        })
    }
}

impl fmt::Debug for Composite<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composite")
            .field("name", &self.name)
            .field("size", &self.size)
            .field("members", &(self.data.len() / 12))
            .finish_non_exhaustive()
    }
}

/// One member of a `struct` or `union`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'b> {
    /// Name; empty for an anonymous struct or union inside.
    pub name: &'b str,
    /// Its type.
    pub type_id: TypeId,
    /// Bits from the start of the struct.
    pub bit_offset: u32,
    /// Width in bits when the member is a bit-field.
    pub bitfield: Option<u8>,
}

/// An `enum`.
#[derive(Clone, Copy)]
pub struct Enum<'b> {
    /// Name; empty when anonymous.
    pub name: &'b str,
    /// Storage in bytes.
    pub size: u32,
    pub(super) kind_flag: KindFlag,
    pub(super) wide: Width,
    pub(super) data: &'b [u8],
    pub(super) btf: &'b Btf,
}

impl<'b> Enum<'b> {
    /// Whether the compiler gave the enum a signed type.
    pub const fn is_signed(&self) -> bool {
        matches!(self.kind_flag, KindFlag::Set)
    }

    /// Names and values in declaration order. Values of unsigned 64-bit enums above `i64::MAX` wrap.
    pub fn values(&self) -> impl ExactSizeIterator<Item = (&'b str, i64)> + use<'b> {
        let Self { kind_flag, wide, data, btf, .. } = *self;
        let size = match wide {
            Width::Bits32 => 8,
            Width::Bits64 => 12,
        };
        data.chunks_exact(size).map(move |raw| {
            let low = word(raw, 4);
            let value = match (wide, kind_flag) {
                (Width::Bits64, _) => (u64::from(word(raw, 8)) << 32 | u64::from(low)).cast_signed(),
                (Width::Bits32, KindFlag::Set) => i64::from(low.cast_signed()),
                // Compilers before LLVM 16 and pahole 1.25 never set the flag, so that -1 arrives as u32::MAX.
                (Width::Bits32, KindFlag::Clear) => i64::from(low),
            };
            (btf.string(word(raw, 0)), value)
        })
    }

    /// Value of the enumerator with that name.
    pub fn value(&self, name: &str) -> Option<i64> {
        self.values().find_map(|(found, value)| (found == name).then_some(value))
    }
}

impl fmt::Debug for Enum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enum")
            .field("name", &self.name)
            .field("size", &self.size)
            .field("values", &self.values().len())
            .finish_non_exhaustive()
    }
}

/// What a forward declaration declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FwdKind {
    /// `struct name;`
    Struct,
    /// `union name;`
    Union,
}

/// A type declared but not defined in this BTF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fwd<'b> {
    /// Name.
    pub name: &'b str,
    /// `struct` or `union`.
    pub declares: FwdKind,
}

/// A name for another type: `typedef`, or a type tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alias<'b> {
    /// The name.
    pub name: &'b str,
    /// The type it stands for.
    pub type_id: TypeId,
}

/// Linkage of a function or variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linkage {
    /// Visible in its file only.
    Static,
    /// Visible everywhere.
    Global,
    /// Defined elsewhere.
    Extern,
}

impl Linkage {
    pub(super) const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Static,
            2 => Self::Extern,
            _ => Self::Global,
        }
    }
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Func<'b> {
    /// Name.
    pub name: &'b str,
    /// Its [`FuncProto`].
    pub prototype: TypeId,
    /// Linkage.
    pub linkage: Linkage,
}

/// Prototype of a function.
#[derive(Clone, Copy)]
pub struct FuncProto<'b> {
    /// What it returns; [`TypeId::VOID`] for nothing.
    pub returns: TypeId,
    pub(super) data: &'b [u8],
    pub(super) btf: &'b Btf,
}

impl<'b> FuncProto<'b> {
    /// Parameters in order. A last one of type `void` stands for `...`.
    pub fn parameters(&self) -> impl ExactSizeIterator<Item = Parameter<'b>> + use<'b> {
        let Self { data, btf, .. } = *self;
        data.chunks_exact(8)
            .map(move |raw| Parameter { name: btf.string(word(raw, 0)), type_id: TypeId::new(word(raw, 4)) })
    }
}

impl fmt::Debug for FuncProto<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FuncProto")
            .field("returns", &self.returns)
            .field("parameters", &(self.data.len() / 8))
            .finish_non_exhaustive()
    }
}

/// One parameter of a prototype.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter<'b> {
    /// Name; empty in prototypes of pointers.
    pub name: &'b str,
    /// Its type.
    pub type_id: TypeId,
}

/// A variable. Kernels list their per-CPU variables only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Var<'b> {
    /// Name.
    pub name: &'b str,
    /// Its type.
    pub type_id: TypeId,
    /// Linkage.
    pub linkage: Linkage,
}

/// A section of variables.
#[derive(Clone, Copy)]
pub struct Datasec<'b> {
    /// Name, for example `.data..percpu`.
    pub name: &'b str,
    /// Size in bytes.
    pub size: u32,
    pub(super) data: &'b [u8],
}

impl<'b> Datasec<'b> {
    /// The variables in it.
    pub fn variables(&self) -> impl ExactSizeIterator<Item = SectionVariable> + use<'b> {
        self.data.chunks_exact(12).map(|raw| SectionVariable {
            type_id: TypeId::new(word(raw, 0)),
            offset: word(raw, 4),
            size: word(raw, 8),
        })
    }
}

impl fmt::Debug for Datasec<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datasec")
            .field("name", &self.name)
            .field("size", &self.size)
            .field("variables", &(self.data.len() / 12))
            .finish()
    }
}

/// One variable of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectionVariable {
    /// The [`Var`].
    pub type_id: TypeId,
    /// Bytes from the start of the section.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
}

/// A floating point number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Float<'b> {
    /// Name.
    pub name: &'b str,
    /// Size in bytes.
    pub size: u32,
}

/// A tag on a declaration, for example `bpf_kfunc` on a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclTag<'b> {
    /// The tag.
    pub name: &'b str,
    /// What is tagged.
    pub type_id: TypeId,
    /// Member or parameter that is tagged; `None` for the declaration itself.
    pub component: Option<u32>,
}

/// The `kind_flag` bit of a type header; its meaning depends on the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KindFlag {
    Clear,
    Set,
}

/// Width of an enum's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Bits32,
    Bits64,
}

/// Little-endian word at byte `at`; zero beyond the end, which parsing has ruled out.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|raw| raw.try_into().ok()).map_or(0, u32::from_le_bytes)
}

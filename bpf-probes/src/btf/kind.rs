//! Number and kind of a type.

use std::fmt;

/// Number of a type within one kernel's BTF (modules continue the numbers of their base). Zero is `void`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(u32);

impl TypeId {
    /// The type `void`, which every BTF has without writing it down.
    pub const VOID: Self = Self(0);

    /// Wraps a number taken from BTF.
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number as the kernel expects it in `btf_id` fields.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Kind of a BTF type, with the numbers of `BTF_KIND_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// `void`.
    Void = 0,
    /// Integer, `bool` or `char`.
    Int = 1,
    /// Pointer.
    Ptr = 2,
    /// Array.
    Array = 3,
    /// `struct`.
    Struct = 4,
    /// `union`.
    Union = 5,
    /// `enum` with values of 32 bits.
    Enum = 6,
    /// Declared, not defined.
    Fwd = 7,
    /// `typedef`.
    Typedef = 8,
    /// `volatile`.
    Volatile = 9,
    /// `const`.
    Const = 10,
    /// `restrict`.
    Restrict = 11,
    /// Function.
    Func = 12,
    /// Prototype of a function.
    FuncProto = 13,
    /// Variable.
    Var = 14,
    /// Section of variables.
    Datasec = 15,
    /// Floating point number.
    Float = 16,
    /// Tag on a declaration, 5.16.
    DeclTag = 17,
    /// Tag on a type, 5.17.
    TypeTag = 18,
    /// `enum` with values of 64 bits, 6.0.
    Enum64 = 19,
}

impl Kind {
    /// The kind with that number, if there is one.
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Void,
            1 => Self::Int,
            2 => Self::Ptr,
            3 => Self::Array,
            4 => Self::Struct,
            5 => Self::Union,
            6 => Self::Enum,
            7 => Self::Fwd,
            8 => Self::Typedef,
            9 => Self::Volatile,
            10 => Self::Const,
            11 => Self::Restrict,
            12 => Self::Func,
            13 => Self::FuncProto,
            14 => Self::Var,
            15 => Self::Datasec,
            16 => Self::Float,
            17 => Self::DeclTag,
            18 => Self::TypeTag,
            19 => Self::Enum64,
            _ => return None,
        })
    }

    /// Bytes that follow the 12-byte type header when `vlen` elements are announced.
    pub(super) const fn trailer(self, vlen: u32) -> usize {
        let vlen = vlen as usize;
        match self {
            Self::Int | Self::Var | Self::DeclTag => 4,
            Self::Array => 12,
            Self::Struct | Self::Union | Self::Datasec | Self::Enum64 => 12 * vlen,
            Self::Enum | Self::FuncProto => 8 * vlen,
            Self::Void
            | Self::Ptr
            | Self::Fwd
            | Self::Typedef
            | Self::Volatile
            | Self::Const
            | Self::Restrict
            | Self::Func
            | Self::Float
            | Self::TypeTag => 0,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Void => "void",
            Self::Int => "integer",
            Self::Ptr => "pointer",
            Self::Array => "array",
            Self::Struct => "struct",
            Self::Union => "union",
            Self::Enum | Self::Enum64 => "enum",
            Self::Fwd => "forward declaration",
            Self::Typedef => "typedef",
            Self::Volatile => "volatile",
            Self::Const => "const",
            Self::Restrict => "restrict",
            Self::Func => "function",
            Self::FuncProto => "function prototype",
            Self::Var => "variable",
            Self::Datasec => "data section",
            Self::Float => "float",
            Self::DeclTag => "declaration tag",
            Self::TypeTag => "type tag",
        })
    }
}

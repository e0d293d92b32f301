//! Field paths as people write them, resolved against a kernel: `"cred->uid.val"`, `"fdt->fd[3]"`.
//!
//! `.` follows a pointer by itself where one is in the way; `->` insists on one, so that a builder's path says what it
//! costs. Members of anonymous structs and unions are found as C finds them.

use super::kind::TypeId;
use super::lookup::LookupError;
use super::parse::Btf;
use super::path_text::{Access, Token, tokens};
use super::types::{IntEncoding, Type};

/// How to get from the address of a value to a field reachable from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    /// In order; never empty. Only the last one has `deref: false`.
    pub steps: Vec<Step>,
    /// What lies at the address after the last step.
    pub leaf: Leaf,
}

impl FieldPath {
    /// Bytes from the start when no pointer is followed on the way.
    pub fn flat_offset(&self) -> Option<u32> {
        match self.steps.as_slice() {
            [only] => Some(only.offset),
            _ => None,
        }
    }
}

/// One step: add `offset` to the address; with `deref`, read the 8-byte pointer there and go on from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    /// Bytes to add.
    pub offset: u32,
    /// Whether a pointer is read here.
    pub deref: bool,
}

/// What a path ends at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// The type without typedefs and qualifiers.
    pub type_id: TypeId,
    /// The type as declared.
    pub declared: TypeId,
    /// Bytes to read. For a bit-field: of the word that holds it. Zero for a flexible array.
    pub size: u32,
    /// Whether the value has a sign.
    pub signed: bool,
    /// Where in the word the value lies, for a bit-field.
    pub bitfield: Option<Bitfield>,
    /// What it is.
    pub kind: LeafKind,
}

/// Place of a bit-field in the little-endian word read for it: `(word >> shift) & ((1 << bits) - 1)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bitfield {
    /// Bits below the value.
    pub shift: u8,
    /// Bits of the value.
    pub bits: u8,
}

/// What kind of value a path ends at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafKind {
    /// Integer.
    Int,
    /// `char`.
    Char,
    /// `bool`.
    Bool,
    /// `enum`; its names are in the type.
    Enum,
    /// Floating point number.
    Float,
    /// Pointer.
    Pointer {
        /// What it points to, as declared.
        to: TypeId,
    },
    /// `struct`.
    Struct,
    /// `union`.
    Union,
    /// Array.
    Array {
        /// Type of one element, as declared.
        element: TypeId,
        /// Number of elements; zero for a flexible array.
        count: u32,
    },
}

/// Why a path leads nowhere in this kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not a path.
    #[error("field path {path:?}: {problem} at byte {at}")]
    Syntax {
        /// The path.
        path: String,
        /// Where in it.
        at: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The type has no such field.
    #[error("{container} has no field {field:?} in this kernel{}", suggestion(near))]
    NoField {
        /// The field.
        field: String,
        /// The type that was searched.
        container: String,
        /// Names much like it.
        near: Vec<String>,
    },
    /// A field was asked of something without fields.
    #[error("{container} has no fields, so no {field:?}")]
    NotAStruct {
        /// The field.
        field: String,
        /// The type.
        container: String,
    },
    /// The type is declared but not defined here.
    #[error("{container} is only declared in this kernel's BTF, so field {field:?} cannot be found")]
    Incomplete {
        /// The field.
        field: String,
        /// The type.
        container: String,
    },
    /// `->` where there is no pointer.
    #[error("`->{field}` needs a pointer on its left, and {container} is none")]
    NotAPointer {
        /// The field.
        field: String,
        /// The type.
        container: String,
    },
    /// `[n]` on something else than an array or pointer.
    #[error("`[{index}]` needs an array or pointer on its left, and {container} is neither")]
    NotAnArray {
        /// The index.
        index: u32,
        /// The type.
        container: String,
    },
    /// `[n]` beyond the end.
    #[error("`[{index}]` is beyond the end of {container}")]
    Index {
        /// The index.
        index: u32,
        /// The type.
        container: String,
    },
    /// Something follows a bit-field.
    #[error("a bit-field has no parts, so no {field:?}")]
    InBitfield {
        /// What follows.
        field: String,
    },
    /// An offset beyond 32 bits.
    #[error("field path {path:?} leads further than 32 bits can say")]
    TooFar {
        /// The path.
        path: String,
    },
    /// The type itself cannot be read.
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

fn suggestion(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; it has {}", near.join(", ")) }
}

impl Btf {
    /// Resolves `path` from a value of type `from`, whose address is at hand.
    ///
    /// `from` may also be a pointer type (an argument's, say): the pointer is then what is at hand, and the path starts at
    /// what it points to; `[n]` first counts from there. The empty path is the value itself.
    ///
    /// # Errors
    /// [`PathError`], naming the part that does not exist and names like it.
    pub fn resolve(&self, from: TypeId, path: &str) -> Result<FieldPath, PathError> {
        let mut walk = Walk::start(self, from, path)?;
        for token in tokens(path)? {
            walk.follow(&token)?;
        }
        walk.finish()
    }

    /// The first of several spellings that this kernel has, for fields that were renamed: `["__state", "state"]`.
    ///
    /// # Errors
    /// The error of the last spelling, when none resolves. An empty list is [`PathError::Syntax`].
    pub fn resolve_any(&self, from: TypeId, paths: &[&str]) -> Result<FieldPath, PathError> {
        let mut error = PathError::Syntax { path: String::new(), at: 0, problem: "no spelling was given" };
        for path in paths {
            match self.resolve(from, path) {
                Ok(found) => return Ok(found),
                Err(why) => error = why,
            }
        }
        Err(error)
    }
}

/// State while a path is followed.
struct Walk<'a> {
    btf: &'a Btf,
    path: &'a str,
    steps: Vec<Step>,
    /// Bits since the last pointer that was followed.
    bits: u64,
    /// Where we are: as declared.
    declared: TypeId,
    /// Where we are: without typedefs and qualifiers.
    at: TypeId,
    bitfield: Option<u8>,
    /// The caller's own pointer, until the first part of the path has used it.
    at_hand: Option<TypeId>,
}

impl<'a> Walk<'a> {
    fn start(btf: &'a Btf, from: TypeId, path: &'a str) -> Result<Self, PathError> {
        let outer = btf.peel(from)?;
        let (declared, at_hand) = match btf.get(outer)? {
            Type::Ptr(to) => (to, Some(to)),
            _ => (from, None),
        };
        let at = btf.peel(declared)?;
        Ok(Self { btf, path, steps: Vec::new(), bits: 0, declared, at, bitfield: None, at_hand })
    }

    fn follow(&mut self, token: &Token<'_>) -> Result<(), PathError> {
        if self.bitfield.is_some() {
            return Err(PathError::InBitfield { field: token.to_string() });
        }
        let at_hand = self.at_hand.take();
        match *token {
            Token::Field { name, access } => self.field(name, access),
            Token::Index(index) => match at_hand {
                Some(element) => self.index_by(index, element),
                None => self.index(index),
            },
        }
    }

    fn field(&mut self, name: &str, access: Access) -> Result<(), PathError> {
        let found = self.btf.get(self.at)?;
        match (found, access) {
            (Type::Ptr(to), _) => self.dereference(to)?,
            (_, Access::Arrow) => {
                return Err(PathError::NotAPointer { field: name.to_owned(), container: self.here() });
            }
            (_, Access::Dot | Access::First) => {}
        }
        let (Type::Struct(within) | Type::Union(within)) = self.btf.get(self.at)? else {
            let (field, container) = (name.to_owned(), self.here());
            return Err(match self.btf.get(self.at)? {
                Type::Fwd(_) => PathError::Incomplete { field, container },
                _ => PathError::NotAStruct { field, container },
            });
        };
        let Some((offset, type_id, bitfield)) = self.btf.member(&within, name) else {
            return Err(PathError::NoField {
                field: name.to_owned(),
                container: self.btf.describe(self.at),
                near: self.btf.near(&within, name),
            });
        };
        self.bits += u64::from(offset);
        self.bitfield = bitfield;
        self.enter(type_id)?;
        if let Type::Int(int) = self.btf.get(self.at)?
            && bitfield.is_none()
            && u32::from(int.bits) != int.size.saturating_mul(8)
        {
            // BTF of old compilers: the width is in a type of its own.
            self.bits += u64::from(int.bit_offset);
            self.bitfield = Some(int.bits);
        }
        Ok(())
    }

    fn index(&mut self, index: u32) -> Result<(), PathError> {
        match self.btf.get(self.at)? {
            Type::Array(array) => {
                if array.count != 0 && index >= array.count {
                    return Err(PathError::Index { index, container: self.here() });
                }
                self.index_by(index, array.element)
            }
            Type::Ptr(to) => {
                self.dereference(to)?;
                self.index_by(index, to)
            }
            _ => Err(PathError::NotAnArray { index, container: self.here() }),
        }
    }

    fn index_by(&mut self, index: u32, element: TypeId) -> Result<(), PathError> {
        let size = self.btf.size_of(element)?;
        self.bits = (u64::from(size) * u64::from(index))
            .checked_mul(8)
            .and_then(|more| self.bits.checked_add(more))
            .ok_or_else(|| self.too_far())?;
        self.enter(element)
    }

    fn dereference(&mut self, to: TypeId) -> Result<(), PathError> {
        self.steps.push(Step { offset: self.bytes()?, deref: true });
        self.bits = 0;
        self.enter(to)
    }

    fn enter(&mut self, declared: TypeId) -> Result<(), PathError> {
        self.declared = declared;
        self.at = self.btf.peel(declared)?;
        Ok(())
    }

    fn bytes(&self) -> Result<u32, PathError> {
        u32::try_from(self.bits / 8)
            .ok()
            .filter(|&bytes| i32::try_from(bytes).is_ok())
            .ok_or_else(|| self.too_far())
    }

    fn too_far(&self) -> PathError {
        PathError::TooFar { path: self.path.to_owned() }
    }

    fn here(&self) -> String {
        self.btf.describe(self.declared)
    }

    fn finish(mut self) -> Result<FieldPath, PathError> {
        let found = self.btf.get(self.at)?;
        let mut size = self.btf.size_of(self.at)?;
        let mut bitfield = None;
        if let Some(bits) = self.bitfield {
            let (first, word) = storage(self.bits, bits, size).ok_or_else(|| self.too_far())?;
            bitfield = Some(Bitfield { shift: u8::try_from(self.bits - first * 8).unwrap_or(0), bits });
            self.bits = first * 8;
            size = word;
        }
        self.steps.push(Step { offset: self.bytes()?, deref: false });
        let (kind, signed) =
            classify(&found).ok_or(LookupError::NoSize { id: self.at, kind: found.kind() })?;
        let leaf = Leaf { type_id: self.at, declared: self.declared, size, signed, bitfield, kind };
        Ok(FieldPath { steps: self.steps, leaf })
    }
}

/// First byte and size of the word to read for a bit-field: the declared one, or where a packed struct lets the field
/// cross it, the smallest that covers it.
fn storage(bit: u64, bits: u8, declared: u32) -> Option<(u64, u32)> {
    let end = bit + u64::from(bits);
    let covers = |first: u64, size: u32| end <= first * 8 + u64::from(size) * 8;
    if matches!(declared, 1 | 2 | 4 | 8) {
        let first = bit / 8 / u64::from(declared) * u64::from(declared);
        if covers(first, declared) {
            return Some((first, declared));
        }
    }
    [1, 2, 4, 8].into_iter().find(|&size| covers(bit / 8, size)).map(|size| (bit / 8, size))
}

fn classify(found: &Type<'_>) -> Option<(LeafKind, bool)> {
    Some(match found {
        // Compilers write `char` as a plain integer; whether it has a sign is in the encoding.
        Type::Int(int) if int.name == "char" => (LeafKind::Char, int.encoding == IntEncoding::Signed),
        Type::Int(int) => match int.encoding {
            IntEncoding::Signed => (LeafKind::Int, true),
            IntEncoding::Unsigned => (LeafKind::Int, false),
            IntEncoding::Char => (LeafKind::Char, false),
            IntEncoding::Bool => (LeafKind::Bool, false),
        },
        Type::Enum(it) => (LeafKind::Enum, it.is_signed()),
        Type::Float(_) => (LeafKind::Float, true),
        Type::Ptr(to) => (LeafKind::Pointer { to: *to }, false),
        Type::Struct(_) => (LeafKind::Struct, false),
        Type::Union(_) => (LeafKind::Union, false),
        Type::Array(array) => (LeafKind::Array { element: array.element, count: array.count }, false),
        _ => return None,
    })
}

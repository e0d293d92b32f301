//! Values that are not in the argument itself but are reached from it, or lie elsewhere.

use bpf_probes::btf::{Bitfield, Step};

use super::argument::Field;
use crate::source::Spanned;

/// What the text asks to be resolved; which types it goes through, only a kernel can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolve {
    /// The path, or the name of a register.
    pub path: Spanned<String>,
    /// The type that the path starts at, instead of the argument's own.
    pub btf_type: Option<Spanned<String>>,
    /// The module whose type that is.
    pub module: Option<Spanned<String>>,
}

/// How a value is reached from what is at hand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ValuePath {
    /// In order, never empty; all but the last follow a pointer.
    pub steps: Vec<Step>,
    /// What is there.
    pub end: PathEnd,
}

/// What a path ends at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathEnd {
    /// A number or pointer.
    Number {
        /// Bytes to read: 1, 2, 4 or 8.
        bytes: u8,
        /// Where in them it is, if it is a bit-field.
        bits: Option<Bitfield>,
        /// Whether its type has a sign.
        signed: bool,
    },
    /// Something that is not read at once: its address is the value.
    Inside {
        /// The bytes it takes; zero when that is not known.
        bytes: u32,
    },
}

/// A register of x86-64, or the low part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RegisterPart {
    /// The field of `struct pt_regs`.
    pub field: &'static str,
    /// Bytes of it.
    pub bytes: u8,
}

/// Names of each register with 8, 4, 2 and 1 bytes, and its field of `struct pt_regs`.
const REGISTERS: [(&str, [&str; 4]); 21] = [
    ("ax", ["rax", "eax", "ax", "al"]),
    ("bx", ["rbx", "ebx", "bx", "bl"]),
    ("cx", ["rcx", "ecx", "cx", "cl"]),
    ("dx", ["rdx", "edx", "dx", "dl"]),
    ("si", ["rsi", "esi", "si", "sil"]),
    ("di", ["rdi", "edi", "di", "dil"]),
    ("bp", ["rbp", "ebp", "bp", "bpl"]),
    ("sp", ["rsp", "esp", "sp", "spl"]),
    ("r8", ["r8", "r8d", "r8w", "r8b"]),
    ("r9", ["r9", "r9d", "r9w", "r9b"]),
    ("r10", ["r10", "r10d", "r10w", "r10b"]),
    ("r11", ["r11", "r11d", "r11w", "r11b"]),
    ("r12", ["r12", "r12d", "r12w", "r12b"]),
    ("r13", ["r13", "r13d", "r13w", "r13b"]),
    ("r14", ["r14", "r14d", "r14w", "r14b"]),
    ("r15", ["r15", "r15d", "r15w", "r15b"]),
    ("ip", ["rip", "eip", "ip", ""]),
    ("flags", ["rflags", "eflags", "flags", ""]),
    ("orig_ax", ["orig_rax", "", "", ""]),
    ("cs", ["", "", "cs", ""]),
    ("ss", ["", "", "ss", ""]),
];

impl RegisterPart {
    /// The register of that name.
    pub fn named(name: &str) -> Option<Self> {
        REGISTERS.iter().filter(|_| !name.is_empty()).find_map(|(field, names)| {
            let sizes = names.iter().zip([8, 4, 2, 1]);
            let (_, bytes) = sizes.into_iter().find(|(known, _)| **known == name)?;
            Some(Self { field, bytes })
        })
    }

    /// All names, the whole registers first.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        let of_size = |at: usize| REGISTERS.iter().filter_map(move |(_, names)| names.get(at).copied());
        (0..4).flat_map(of_size).filter(|name| !name.is_empty())
    }
}

/// Where the size of a buffer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BufferSize {
    /// In a parameter.
    Parameter {
        /// Its index.
        index: u8,
        /// The bits of its type.
        bits: u8,
        /// Whether its type has a sign.
        signed: bool,
    },
    /// In the record of a tracepoint.
    Field(Field),
    /// It is always the same.
    Fixed(u32),
    /// The object says it.
    Inside,
    /// What the call returns.
    Returned,
}

/// How a call says with what it returns how much of a buffer it has filled; nothing where that is below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReturnedSize {
    /// The bits of the type that it returns.
    pub bits: u8,
    /// Whether that has a sign.
    pub signed: bool,
}

impl ReturnedSize {
    /// What system calls return, and functions of which no more is known.
    pub const LONG: Self = Self { bits: 64, signed: true };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_have_a_name_for_each_of_their_parts() {
        let part = |name| RegisterPart::named(name).map(|part| (part.field, part.bytes));
        assert_eq!(part("rax"), Some(("ax", 8)));
        assert_eq!(part("eax"), Some(("ax", 4)));
        assert_eq!(part("dil"), Some(("di", 1)));
        assert_eq!(part("r10w"), Some(("r10", 2)));
        assert_eq!((part(""), part("xmm0")), (None, None));
        assert!(RegisterPart::names().all(|name| RegisterPart::named(name).is_some()));
    }
}

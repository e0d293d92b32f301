//! The opcode byte: its classes and the bits of each (`include/uapi/linux/bpf.h`, `bpf_common.h`).
//!
//! ```text
//! arithmetic and jumps        loads and stores
//!   7   4   3   2   0          7   5 4   3 2   0
//! +-------+---+-------+      +------+-----+-------+
//! |  op   | S | class |      | mode | size| class |
//! +-------+---+-------+      +------+-----+-------+
//! S = 1: the operand is a register, 0: the immediate
//! ```

/// The lowest three bits of an opcode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub enum Class {
    Ld = 0,
    Ldx = 1,
    St = 2,
    Stx = 3,
    Alu32 = 4,
    Jmp = 5,
    Jmp32 = 6,
    Alu64 = 7,
}

impl Class {
    /// The class of an opcode byte.
    pub const fn of(opcode: u8) -> Self {
        match opcode & 7 {
            0 => Self::Ld,
            1 => Self::Ldx,
            2 => Self::St,
            3 => Self::Stx,
            4 => Self::Alu32,
            5 => Self::Jmp,
            6 => Self::Jmp32,
            _ => Self::Alu64,
        }
    }
}

/// Bit 3: the second operand is a register.
pub const SOURCE_REGISTER: u8 = 0x08;

/// Mode bits of loads and stores.
pub mod mode {
    /// 64-bit immediate in two slots.
    pub const IMM: u8 = 0x00;
    /// Memory at register + offset.
    pub const MEM: u8 = 0x60;
    /// Sign-extending load (6.6 on).
    pub const MEMSX: u8 = 0x80;
    /// Atomic read-modify-write.
    pub const ATOMIC: u8 = 0xc0;
}

/// How many bytes a load or store moves.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Size {
    /// One byte.
    Byte,
    /// Two bytes.
    Half,
    /// Four bytes.
    Word,
    /// Eight bytes.
    Double,
}

impl Size {
    /// The size's bits (3 and 4) in an opcode.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Word => 0x00,
            Self::Half => 0x08,
            Self::Byte => 0x10,
            Self::Double => 0x18,
        }
    }

    /// The size of an opcode byte of a load or store.
    pub const fn of(opcode: u8) -> Self {
        match opcode & 0x18 {
            0x00 => Self::Word,
            0x08 => Self::Half,
            0x10 => Self::Byte,
            _ => Self::Double,
        }
    }

    /// Bytes moved: 1, 2, 4 or 8.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
            Self::Double => 8,
        }
    }

    /// The size that moves `bytes` bytes, `None` unless 1, 2, 4 or 8.
    pub const fn from_bytes(bytes: u32) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Half),
            4 => Some(Self::Word),
            8 => Some(Self::Double),
            _ => None,
        }
    }
}

/// The operation of an arithmetic instruction: the upper four bits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub enum AluOp {
    Add = 0x00,
    Sub = 0x10,
    Mul = 0x20,
    Div = 0x30,
    Or = 0x40,
    And = 0x50,
    Lsh = 0x60,
    Rsh = 0x70,
    Neg = 0x80,
    Mod = 0x90,
    Xor = 0xa0,
    Mov = 0xb0,
    Arsh = 0xc0,
    /// Byte order conversion; the immediate is the width in bits.
    End = 0xd0,
}

impl AluOp {
    /// The operation of an opcode byte, `None` for the two unassigned values.
    pub const fn of(opcode: u8) -> Option<Self> {
        Some(match opcode & 0xf0 {
            0x00 => Self::Add,
            0x10 => Self::Sub,
            0x20 => Self::Mul,
            0x30 => Self::Div,
            0x40 => Self::Or,
            0x50 => Self::And,
            0x60 => Self::Lsh,
            0x70 => Self::Rsh,
            0x80 => Self::Neg,
            0x90 => Self::Mod,
            0xa0 => Self::Xor,
            0xb0 => Self::Mov,
            0xc0 => Self::Arsh,
            0xd0 => Self::End,
            _ => return None,
        })
    }
}

/// The comparison of a conditional jump: the upper four bits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the kernel's; the S prefix means signed")]
pub enum Condition {
    Eq = 0x10,
    Gt = 0x20,
    Ge = 0x30,
    /// Some bit of the operand is set in the register.
    Set = 0x40,
    Ne = 0x50,
    SGt = 0x60,
    SGe = 0x70,
    Lt = 0xa0,
    Le = 0xb0,
    SLt = 0xc0,
    SLe = 0xd0,
}

impl Condition {
    /// The comparison of an opcode byte; `None` for jump-always, call, exit and unassigned values.
    pub const fn of(opcode: u8) -> Option<Self> {
        Some(match opcode & 0xf0 {
            0x10 => Self::Eq,
            0x20 => Self::Gt,
            0x30 => Self::Ge,
            0x40 => Self::Set,
            0x50 => Self::Ne,
            0x60 => Self::SGt,
            0x70 => Self::SGe,
            0xa0 => Self::Lt,
            0xb0 => Self::Le,
            0xc0 => Self::SLt,
            0xd0 => Self::SLe,
            _ => return None,
        })
    }

    /// The comparison that holds exactly when this one does not; `None` for `Set`, which has no opposite.
    pub const fn negated(self) -> Option<Self> {
        Some(match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Gt => Self::Le,
            Self::Le => Self::Gt,
            Self::Ge => Self::Lt,
            Self::Lt => Self::Ge,
            Self::SGt => Self::SLe,
            Self::SLe => Self::SGt,
            Self::SGe => Self::SLt,
            Self::SLt => Self::SGe,
            Self::Set => return None,
        })
    }
}

/// Jump-always in class `Jmp`.
pub const JUMP_ALWAYS: u8 = 0x05;
/// Call in class `Jmp`.
pub const CALL: u8 = 0x85;
/// Exit in class `Jmp`.
pub const EXIT: u8 = 0x95;
/// First slot of the 16-byte immediate load.
pub const LOAD_IMM64: u8 = 0x18;

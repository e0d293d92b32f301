//! Arguments and their types.

use super::found::{BufferSize, RegisterPart, Resolve, ReturnedSize, ValuePath};
use super::network::NetworkType;
use crate::binary::UsdtArgument;
use crate::source::{Span, Spanned};

/// An argument of a hook that events carry and filters may test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Position in the prototype, from 0 to 5; of a tracepoint, among the fields of its record.
    pub index: Spanned<u8>,
    /// How its register is read.
    pub ty: Spanned<ArgumentType>,
    /// Where it is found: a parameter until `resolve` knows better.
    pub place: Place,
    /// Whether the number is a system call's (`syscall64`); 32-bit programs' calls have bit 31 set.
    pub is_syscall: bool,
    /// What is to be reached from there, as the text says it.
    pub resolve: Option<Resolve>,
    /// The same on one kernel: `None` until `resolve` has found it.
    pub path: Option<ValuePath>,
    /// The index of the parameter with the size of a buffer, as the text says it.
    pub size_index: Option<Spanned<u8>>,
    /// Where its size is: `None` until `resolve` has found it, and for what is no buffer.
    pub size: Option<BufferSize>,
    /// Whether a buffer is read as far as it goes (`maxData`).
    pub max_data: bool,
    /// For a buffer that the call fills: it is read when the call returns, which says how much of it there is (`returnCopy`).
    pub at_return: Option<ReturnedSize>,
    /// Whether it is an entry of `data`; those follow all arguments.
    pub is_data: bool,
    /// Label that the event carries.
    pub label: Option<Spanned<String>>,
    /// The whole argument in the text.
    pub span: Span,
}

/// Where an argument is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the parameter of its index.
    Parameter,
    /// In the record of a tracepoint.
    Field(Field),
    /// Where a static probe says it is.
    Operand(UsdtArgument),
    /// It is what the call returns.
    Return,
    /// It was found at the entry, and is looked at when the call returns.
    Left {
        /// Whether it is an entry of `data`, which may lie in anybody's memory.
        is_data: bool,
    },
    /// It is the current task.
    Task,
    /// In a register at the hook.
    Register(RegisterPart),
}

/// A field of a tracepoint's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Field {
    /// Bytes from the start of the record.
    pub offset: u16,
    /// What is there.
    pub form: FieldForm,
}

/// What is at the place of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldForm {
    /// A number or pointer.
    Value {
        /// Its width.
        width: Width,
        /// Whether it has a sign.
        signedness: Signedness,
    },
    /// Text of at most so many bytes.
    Text {
        /// The bytes.
        bytes: u16,
    },
    /// Offset (low half) and length (high half) of text elsewhere in the record (`__data_loc`).
    DynamicText,
}

/// The position of an argument in the `args` of its hook (not in the prototype).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArgumentId(u16);

impl ArgumentId {
    /// The `position`-th argument of a hook.
    pub fn new(position: usize) -> Option<Self> {
        u16::try_from(position).ok().map(Self)
    }

    /// The position.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArgumentType {
    /// A number.
    Integer(IntegerType),
    /// A NUL-terminated string, in user memory for system calls, in kernel memory else.
    String,
    /// A `struct file *`, read as its path.
    File,
    /// A `struct path *`.
    Path,
    /// A file descriptor, read as the path of its file. Where the process has no such descriptor, there is nothing to report.
    Fd,
    /// A `struct kiocb *`, read as the path of its file.
    Kiocb,
    /// A `struct dentry *`, read as its path within its file system.
    Dentry,
    /// A `struct linux_binprm *`, read as the path of the file to run.
    LinuxBinprm,
    /// A `struct filename *`, read as its text.
    Filename,
    /// A `struct net_device *`, read as its name.
    NetDevice,
    /// The number of a capability.
    Capability,
    /// The number of a command of bpf(2).
    BpfCmd,
    /// A pointer to a set of capabilities.
    Capabilities(CapabilitySetKind),
    /// A pointer to an object of the kernel of which some fields are read.
    Object(ObjectKind),
    /// A `struct sockaddr_un *`, read as its path: in user memory for system calls, in kernel memory else.
    SockaddrUn,
    /// A pointer to bytes, with their number elsewhere.
    CharBuf,
    /// A pointer to `struct iovec`s, with their number elsewhere, read as the bytes that they name.
    CharIovec,
    /// A `struct iov_iter *`, read as the bytes it goes over.
    IovIter,
    /// Declared and not read.
    Nop,
}

/// What a set of capabilities is; the kernel's type is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CapabilitySetKind {
    /// `kernel_cap_t`
    Any,
    /// `cap_inheritable`
    Inheritable,
    /// `cap_permitted`
    Permitted,
    /// `cap_effective`
    Effective,
}

/// Objects of the kernel of which some fields are read; each has a type in `bpf_probes::abi` for what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// `struct cred`
    Credentials,
    /// `struct user_namespace`
    UserNamespace,
    /// `union bpf_attr` of a program load; in user memory for system calls.
    BpfAttr,
    /// `struct bpf_prog`
    BpfProg,
    /// `struct bpf_map`
    BpfMap,
    /// `struct perf_event`
    PerfEvent,
    /// `struct module`
    Module,
    /// `struct load_info`
    LoadInfo,
    /// Something of the network; filters look into it.
    Network(NetworkType),
}

/// How values of a type are read, kept and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// A number of 64 bits.
    Number(IntegerType),
    /// Bytes that end with NUL.
    String,
    /// A path, which has its end at a fixed place.
    Path,
    /// A structure of fixed size.
    Object(ObjectKind),
    /// Nothing is read.
    Nothing,
}

impl ArgumentType {
    /// How its values are read, kept and compared.
    pub const fn family(self) -> Family {
        const INT: IntegerType =
            IntegerType { width: Width::W32, signedness: Signedness::Signed, is_size: false };
        const SET: IntegerType =
            IntegerType { width: Width::W64, signedness: Signedness::Unsigned, is_size: false };
        match self {
            Self::Integer(ty) => Family::Number(ty),
            Self::Capability | Self::BpfCmd => Family::Number(INT),
            Self::Capabilities(_) => Family::Number(SET),
            Self::String
            | Self::Filename
            | Self::NetDevice
            | Self::SockaddrUn
            | Self::CharBuf
            | Self::CharIovec
            | Self::IovIter => Family::String,
            Self::File | Self::Path | Self::Fd | Self::Kiocb | Self::Dentry | Self::LinuxBinprm => {
                Family::Path
            }
            Self::Object(kind) => Family::Object(kind),
            Self::Nop => Family::Nothing,
        }
    }

    /// Whether it is bytes with a length, which may hold NUL.
    pub const fn is_buffer(self) -> bool {
        matches!(self, Self::CharBuf | Self::CharIovec | Self::IovIter)
    }

    /// Whether it is read as a path.
    pub const fn is_path(self) -> bool {
        matches!(self.family(), Family::Path)
    }
}

/// How wide a number is and whether it has a sign, and the word the policy used for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IntegerType {
    /// Width.
    pub width: Width,
    /// Sign.
    pub signedness: Signedness,
    /// Whether the policy says `size_t`, which is `uint64` in all but the name.
    pub is_size: bool,
}

/// Width of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Width {
    /// 8 bits.
    W8,
    /// 16 bits.
    W16,
    /// 32 bits.
    W32,
    /// 64 bits.
    W64,
}

impl Width {
    /// The width in bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::W8 => 8,
            Self::W16 => 16,
            Self::W32 => 32,
            Self::W64 => 64,
        }
    }
}

/// Whether a number has a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signedness {
    /// Two's complement.
    Signed,
    /// Never below zero.
    Unsigned,
}

impl IntegerType {
    /// An address.
    pub const ADDRESS: Self = Self { width: Width::W64, signedness: Signedness::Unsigned, is_size: false };

    /// A number of so many bits, 64 where there is none of so many.
    pub const fn of_bits(bits: u8, signed: bool) -> Self {
        let width = match bits {
            8 => Width::W8,
            16 => Width::W16,
            32 => Width::W32,
            _ => Width::W64,
        };
        let signedness = if signed { Signedness::Signed } else { Signedness::Unsigned };
        Self { width, signedness, is_size: false }
    }

    /// The smallest and the largest number.
    pub fn bounds(self) -> (i128, i128) {
        let bits = self.width.bits();
        match self.signedness {
            Signedness::Signed => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
            Signedness::Unsigned => (0, (1_i128 << bits) - 1),
        }
    }

    /// The number that a 64-bit register holds, cut to the width and extended by the sign.
    pub fn from_register(self, register: u64) -> i128 {
        let unused = 64 - self.width.bits();
        match self.signedness {
            Signedness::Signed => i128::from((register << unused).cast_signed() >> unused),
            Signedness::Unsigned => i128::from((register << unused) >> unused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: ARG-01
    #[test]
    fn a_register_is_cut_and_extended_to_the_type() {
        let ty = |width, signedness| IntegerType { width, signedness, is_size: false };
        assert_eq!(ty(Width::W8, Signedness::Signed).from_register(0x1ff), -1);
        assert_eq!(ty(Width::W8, Signedness::Unsigned).from_register(0x1ff), 255);
        assert_eq!(ty(Width::W32, Signedness::Signed).from_register(0xffff_ff9c), -100);
        assert_eq!(ty(Width::W64, Signedness::Unsigned).from_register(u64::MAX), i128::from(u64::MAX));
        assert_eq!(ty(Width::W64, Signedness::Signed).bounds(), (i128::from(i64::MIN), i128::from(i64::MAX)));
    }
}

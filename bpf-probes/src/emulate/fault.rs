//! What a program must not do, and where it did.

use std::fmt;

use crate::asm::Origin;
use crate::insn::Register;

/// A program did what the kernel would refuse, or what would go wrong there unseen.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{at}: {kind}")]
pub struct Fault {
    /// The instruction.
    pub at: Box<Place>,
    /// What happened.
    #[source]
    pub kind: FaultKind,
}

/// An instruction of a program.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// The program's name.
    pub program: String,
    /// The function's name; empty where there is none.
    pub function: String,
    /// The slot, counted from the start of the program.
    pub slot: usize,
    /// Where the instruction came from.
    pub origin: Origin,
    /// The instruction as text.
    pub instruction: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, function, slot, origin, instruction } = self;
        write!(f, "{program}, {function}, slot {slot} (origin {}), `{instruction}`", origin.0)
    }
}

/// What a program did wrong.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it; addresses are the first byte that was asked for")]
pub enum FaultKind {
    #[error("there is no program {name}")]
    UnknownProgram { name: String },
    #[error("control leaves the code at slot {slot}")]
    NoInstruction { slot: usize },
    #[error("no such instruction")]
    BadInstruction,
    #[error("{register} is read before it is set")]
    UnsetRegister { register: Register },
    #[error("the frame pointer is written")]
    WritesFramePointer,
    #[error("byte {offset} of the stack is read before it is written")]
    UnsetStack { offset: i64 },
    #[error("byte {offset} of a reserved record is read before it is written")]
    UnsetRecord { offset: usize },
    #[error("memory is reached through {value:#x}, which is a number and no pointer")]
    NotAPointer { value: u64 },
    #[error("memory is reached through the null pointer (+{offset})")]
    Null { offset: u64 },
    #[error("{size} bytes at offset {offset} of {region} ({length} bytes) are not all inside")]
    OutOfBounds { region: String, length: usize, offset: i64, size: usize },
    #[error("nothing is mapped at {address:#x}")]
    Unmapped { address: u64 },
    #[error("{region} is written, which is read-only")]
    ReadOnly { region: String },
    #[error("an access of {size} bytes at offset {offset} of {region} is misaligned")]
    Misaligned { region: String, offset: i64, size: usize },
    #[error("the functions on the stack use {bytes} bytes together, the kernel gives 512")]
    StackDepth { bytes: usize },
    #[error("more than 8 functions call each other")]
    CallDepth,
    #[error("the run took more than {steps} instructions")]
    Budget { steps: u64 },
    #[error("helper {number} does not exist")]
    UnknownHelper { number: i32 },
    #[error("{call} cannot be called here: {reason}")]
    Forbidden { call: String, reason: &'static str },
    #[error("the kernel function {name} is not known")]
    UnknownKfunc { name: String },
    #[error("argument {argument} of {call}: {reason}")]
    Argument { call: &'static str, argument: u8, reason: &'static str },
    #[error("the program ends with a record of ring {ring} neither submitted nor discarded")]
    UnreleasedRecord { ring: String },
    #[error("more records are reserved in one run than the machine counts")]
    TooManyRecords,
    #[error("the program ends inside {call}")]
    UnbalancedSection { call: &'static str },
    #[error("a callback returned {value}, only 0 and 1 are allowed")]
    CallbackResult { value: u64 },
    #[error("the program tail-calls {callee}, which is of another type")]
    TailCallKind { callee: String },
}

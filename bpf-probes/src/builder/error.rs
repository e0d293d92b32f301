//! Why a program could not be built for a kernel.

use crate::asm::{AssembleError, LinkError};
use crate::btf::{LookupError, PathError};

/// Why a program could not be built for a kernel.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BuildError {
    /// A type is missing.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// A field is missing.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A field cannot be read in one load.
    #[error("field {path:?} of struct {container} is {size} bytes, not 1, 2, 4 or 8")]
    FieldSize {
        /// The struct.
        container: String,
        /// The field.
        path: String,
        /// Its bytes.
        size: u32,
    },
    /// More callee-saved registers asked for than there are.
    #[error("{function}: all callee-saved registers are taken")]
    Registers {
        /// The subprogram.
        function: String,
    },
    /// More stack asked for than a frame has.
    #[error("{function}: {bytes} bytes of stack do not fit the frame")]
    Stack {
        /// The subprogram.
        function: String,
        /// Asked for in all.
        bytes: u32,
    },
    /// An offset does not fit an instruction.
    #[error("{function}: offset {offset} does not fit 16 bits")]
    Offset {
        /// The subprogram.
        function: String,
        /// The offset.
        offset: i64,
    },
    /// Emitted code is malformed.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// Subprograms do not fit together.
    #[error(transparent)]
    Link(#[from] LinkError),
}

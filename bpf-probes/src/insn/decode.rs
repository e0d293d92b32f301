//! Bytes to instructions.

use super::{Insn, Register};

/// Why bytes are not instructions.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// The destination nibble names no register.
    #[error("instruction {slot} names register {number}, the highest is 10")]
    Register {
        /// Slot of the instruction.
        slot: usize,
        /// What the nibble says.
        number: u8,
    },
    /// The byte count is no multiple of eight.
    #[error("{length} bytes are no whole number of 8-byte instructions")]
    Length {
        /// How many bytes there were.
        length: usize,
    },
}

/// The instructions in `bytes` (eight each, little endian).
///
/// # Errors
/// [`DecodeError::Length`] for a ragged end, [`DecodeError::Register`] for a register above 10.
pub fn decode(bytes: &[u8]) -> Result<Vec<Insn>, DecodeError> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(DecodeError::Length { length: bytes.len() });
    }
    chunks
        .iter()
        .enumerate()
        .map(|(slot, &[opcode, registers, o0, o1, i0, i1, i2, i3])| {
            let number = registers & 0xf;
            let dst = Register::from_number(number).ok_or(DecodeError::Register { slot, number })?;
            Ok(Insn {
                opcode,
                dst,
                src: registers >> 4,
                offset: i16::from_le_bytes([o0, o1]),
                imm: i32::from_le_bytes([i0, i1, i2, i3]),
            })
        })
        .collect()
}

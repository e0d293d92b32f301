//! Instructions to bytes.

use super::Insn;

/// The little-endian bytes of `struct bpf_insn`: opcode, registers (destination in the low nibble), offset, immediate.
pub fn encode(insn: Insn) -> [u8; 8] {
    let [o0, o1] = insn.offset.to_le_bytes();
    let [i0, i1, i2, i3] = insn.imm.to_le_bytes();
    [insn.opcode, insn.dst.number() | insn.src << 4, o0, o1, i0, i1, i2, i3]
}

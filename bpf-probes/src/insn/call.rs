//! Calls: kernel helpers, subprograms of the same program, kernel functions (kfuncs).

use super::{Helper, Insn, Register, opcode};

/// Pseudo source values of a call (`BPF_PSEUDO_CALL`, `BPF_PSEUDO_KFUNC_CALL`).
pub mod pseudo {
    /// A helper by number.
    pub const HELPER: u8 = 0;
    /// A subprogram, `imm` slots after the next instruction.
    pub const SUBPROGRAM: u8 = 1;
    /// A kernel function by BTF id.
    pub const KFUNC: u8 = 2;
}

/// Call a kernel helper.
pub const fn helper(helper: Helper) -> Insn {
    Insn { opcode: opcode::CALL, dst: Register::R0, src: pseudo::HELPER, offset: 0, imm: helper as i32 }
}

/// Call the subprogram that begins `imm` slots after the next instruction.
pub const fn subprogram(imm: i32) -> Insn {
    Insn { opcode: opcode::CALL, dst: Register::R0, src: pseudo::SUBPROGRAM, offset: 0, imm }
}

/// Call the kernel function with this BTF id (of vmlinux).
pub const fn kfunc(btf_id: i32) -> Insn {
    Insn { opcode: opcode::CALL, dst: Register::R0, src: pseudo::KFUNC, offset: 0, imm: btf_id }
}

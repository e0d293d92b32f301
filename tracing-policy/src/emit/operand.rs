//! Arguments of static probes: from constants, registers and memory of user space, as the probe's note says. The context, a
//! `struct pt_regs`, is in `R9`.

use Register::{R0, R1, R2, R3, R9, R10};
use bpf_probes::abi::hook_flag;
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};

use super::memory::{address, load, store, store_imm};
use super::program::Emitter;
use crate::binary::{CpuRegister, UsdtArgument, UsdtSource};
use crate::ir::ReadId;
use crate::policy::SetValue;

impl Emitter<'_> {
    /// `R1 = the value of an operand`, extended to 64 bits; 0 where its memory cannot be read, which is noted.
    pub(super) fn operand(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        operand: UsdtArgument,
    ) -> Result<(), BuildError> {
        let state = self.state().reads[id.index()];
        match operand.source {
            UsdtSource::Constant(value) => f.constant(R1, value),
            UsdtSource::Register { register, shift, width } => {
                context_register(f, R1, register)?;
                if shift != 0 {
                    f.alu(AluOp::Rsh, R1, shift.into());
                }
                f.extend(R1, 8 * u32::from(operand.size.min(width)), operand.signed);
            }
            UsdtSource::Memory { .. } => {
                f.comment("an argument in memory");
                operand_address(f, operand.source)?;
                store_imm(f, Size::Double, state.raw, 0)?;
                address(f, R1, state.raw);
                f.constant(R2, operand.size.into());
                f.call(Helper::ProbeReadUser);
                if let Some(error) = state.error {
                    store(f, Size::Double, error, R0)?;
                }
                load(f, Size::Double, R1, state.raw)?;
                f.extend(R1, 8 * u32::from(operand.size), operand.signed);
            }
        }
        Ok(())
    }

    /// Notes the addresses of arguments that actions write.
    pub(super) fn note_written(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        for (source, at) in &self.state().written {
            operand_address(f, *source)?;
            store(f, Size::Double, *at, R3)?;
        }
        Ok(())
    }

    /// Writes an argument, or notes that it could not be.
    pub(super) fn set(&self, f: &mut Function<'_>, set: SetValue) -> Result<(), BuildError> {
        let written = self.state().written.iter();
        let Some((_, at)) = written.clone().find(|(source, _)| Some(*source) == set.operand) else {
            return Ok(());
        };
        let done = f.label();
        f.scope(|f| {
            let value = f.slot(8)?;
            f.store_imm(Size::Word, R10, value.offset(), set.value.cast_signed());
            load(f, Size::Double, R1, *at)?;
            f.slot_address(R2, value);
            f.constant(R3, 4);
            f.call(Helper::ProbeWriteUser);
            Ok(())
        })?;
        f.jump_if(Condition::Eq, R0, 0, done);
        let flag = i32::from_le_bytes([0, 0, 0, hook_flag::ACTION_FAILED]);
        store_imm(f, Size::Word, self.state().failed, flag)?;
        f.bind(done);
        Ok(())
    }
}

/// `R3 = the address of an operand in memory`. Uses `R1`.
fn operand_address(f: &mut Function<'_>, source: UsdtSource) -> Result<(), BuildError> {
    let UsdtSource::Memory { base, index, scale, displacement } = source else { return Ok(()) };
    f.constant(R3, displacement.cast_unsigned());
    if let Some(base) = base {
        context_register(f, R1, base)?;
        f.alu_reg(AluOp::Add, R3, R1);
    }
    if let Some(index) = index {
        context_register(f, R1, index)?;
        f.alu(AluOp::Lsh, R1, scale.trailing_zeros().cast_signed());
        f.alu_reg(AluOp::Add, R3, R1);
    }
    Ok(())
}

pub(super) fn context_register(
    f: &mut Function<'_>,
    dst: Register,
    register: CpuRegister,
) -> Result<(), BuildError> {
    let offset = f.facts().offset_of("pt_regs", field(register))?;
    let offset = f.offset(offset)?;
    f.load(Size::Double, dst, R9, offset);
    Ok(())
}

/// The field of `struct pt_regs` that a register is saved in.
pub(super) const fn field(register: CpuRegister) -> &'static str {
    match register {
        CpuRegister::Rax => "ax",
        CpuRegister::Rbx => "bx",
        CpuRegister::Rcx => "cx",
        CpuRegister::Rdx => "dx",
        CpuRegister::Rsi => "si",
        CpuRegister::Rdi => "di",
        CpuRegister::Rbp => "bp",
        CpuRegister::Rsp => "sp",
        CpuRegister::R8 => "r8",
        CpuRegister::R9 => "r9",
        CpuRegister::R10 => "r10",
        CpuRegister::R11 => "r11",
        CpuRegister::R12 => "r12",
        CpuRegister::R13 => "r13",
        CpuRegister::R14 => "r14",
        CpuRegister::R15 => "r15",
        CpuRegister::Rip => "ip",
    }
}

//! One instruction.

use super::address;
use super::alu::{self, Order, Sign, low32};
use super::fault::FaultKind;
use super::frame::Resume;
use super::machine::Target;
use super::memory::{Access, aligned, exact};
use super::run::{Flow, Run};
use super::value::{Tag, Value};
use crate::insn::atomic::AtomicOp;
use crate::insn::opcode::{self, SOURCE_REGISTER, mode};
use crate::insn::{AluOp, Class, Condition, Helper, Insn, Register, Size, call, memory};

/// Jump-always of class `Jmp32`, whose distance is the immediate (6.6).
const JUMP_ALWAYS_LONG: u8 = 0x06;

impl Run<'_> {
    /// Executes one instruction, with [`Run::next`] already behind it.
    pub(super) fn step(&mut self, insn: Insn) -> Result<Flow, FaultKind> {
        match insn.class() {
            Class::Alu64 => self.alu64(insn),
            Class::Alu32 => self.alu32(insn),
            Class::Jmp | Class::Jmp32 => return self.jump(insn),
            Class::Ld => self.wide(insn),
            Class::Ldx => self.ldx(insn),
            Class::St => self.st(insn),
            Class::Stx => self.stx(insn),
        }?;
        Ok(Flow::On)
    }

    fn source(&self, insn: Insn) -> Result<Value, FaultKind> {
        self.get(insn.src_register().ok_or(FaultKind::BadInstruction)?)
    }

    fn operand(&self, insn: Insn) -> Result<Value, FaultKind> {
        if insn.opcode & SOURCE_REGISTER != 0 {
            self.source(insn)
        } else {
            Ok(Value::number(i64::from(insn.imm).cast_unsigned()))
        }
    }

    fn alu64(&mut self, insn: Insn) -> Result<(), FaultKind> {
        let op = AluOp::of(insn.opcode).ok_or(FaultKind::BadInstruction)?;
        let value = match (op, insn.offset) {
            (AluOp::End, 0) if insn.opcode & SOURCE_REGISTER == 0 => {
                let bits = self.get(insn.dst)?.bits;
                Value::number(alu::convert(Order::Big, insn.imm, bits).ok_or(FaultKind::BadInstruction)?)
            }
            (AluOp::Mov, 0) => self.operand(insn)?,
            (AluOp::Mov, 8 | 16 | 32) if insn.opcode & SOURCE_REGISTER != 0 => {
                let bits = self.source(insn)?.bits;
                let width = u32::from(insn.offset.unsigned_abs());
                Value::number(alu::sign_extend(width, bits).ok_or(FaultKind::BadInstruction)?)
            }
            (AluOp::Neg, 0) => Value::number(self.get(insn.dst)?.bits.wrapping_neg()),
            (AluOp::Add | AluOp::Sub, 0) => {
                let (dst, src) = (self.get(insn.dst)?, self.operand(insn)?);
                Value {
                    bits: alu::wide(op, Sign::Unsigned, dst.bits, src.bits),
                    tag: sum_tag(op, dst.tag, src.tag),
                }
            }
            (AluOp::End | AluOp::Mov, _) => return Err(FaultKind::BadInstruction),
            _ => {
                let (dst, src) = (self.get(insn.dst)?.bits, self.operand(insn)?.bits);
                Value::number(alu::wide(op, sign(op, insn.offset)?, dst, src))
            }
        };
        self.set(insn.dst, value)
    }

    fn alu32(&mut self, insn: Insn) -> Result<(), FaultKind> {
        let op = AluOp::of(insn.opcode).ok_or(FaultKind::BadInstruction)?;
        let bits = match (op, insn.offset) {
            (AluOp::End, 0) => {
                let order = if insn.opcode & SOURCE_REGISTER == 0 { Order::Little } else { Order::Big };
                alu::convert(order, insn.imm, self.get(insn.dst)?.bits).ok_or(FaultKind::BadInstruction)?
            }
            (AluOp::Mov, 0) => u64::from(low32(self.operand(insn)?.bits)),
            (AluOp::Mov, 8 | 16) if insn.opcode & SOURCE_REGISTER != 0 => {
                let width = u32::from(insn.offset.unsigned_abs());
                let bits = alu::sign_extend(width, self.source(insn)?.bits);
                u64::from(low32(bits.ok_or(FaultKind::BadInstruction)?))
            }
            (AluOp::Neg, 0) => u64::from(low32(self.get(insn.dst)?.bits).wrapping_neg()),
            (AluOp::End | AluOp::Mov, _) => return Err(FaultKind::BadInstruction),
            _ => {
                let (dst, src) = (self.get(insn.dst)?.bits, self.operand(insn)?.bits);
                u64::from(alu::narrow(op, sign(op, insn.offset)?, low32(dst), low32(src)))
            }
        };
        self.set(insn.dst, Value::number(bits))
    }

    fn jump(&mut self, insn: Insn) -> Result<Flow, FaultKind> {
        match insn.opcode {
            opcode::EXIT => return self.leave(),
            opcode::CALL => {
                self.call_anything(insn)?;
                return Ok(Flow::On);
            }
            opcode::JUMP_ALWAYS => self.go(i64::from(insn.offset))?,
            JUMP_ALWAYS_LONG => self.go(i64::from(insn.imm))?,
            _ => {
                let condition = Condition::of(insn.opcode).ok_or(FaultKind::BadInstruction)?;
                let (dst, src) = (self.get(insn.dst)?.bits, self.operand(insn)?.bits);
                let holds = if insn.class() == Class::Jmp32 {
                    alu::holds_narrow(condition, dst, src)
                } else {
                    alu::holds(condition, dst, src)
                };
                if holds {
                    self.go(i64::from(insn.offset))?;
                }
            }
        }
        Ok(Flow::On)
    }

    fn relative(&self, distance: i64) -> Result<usize, FaultKind> {
        let slot = i64::try_from(self.at).ok().and_then(|at| (at + 1).checked_add(distance));
        slot.and_then(|slot| usize::try_from(slot).ok()).ok_or(FaultKind::BadInstruction)
    }

    fn go(&mut self, distance: i64) -> Result<(), FaultKind> {
        self.next = self.relative(distance)?;
        Ok(())
    }

    fn call_anything(&mut self, insn: Insn) -> Result<(), FaultKind> {
        match insn.src {
            call::pseudo::HELPER => {
                let helper =
                    Helper::from_number(insn.imm).ok_or(FaultKind::UnknownHelper { number: insn.imm })?;
                self.outcome.calls += 1;
                self.helper(helper)
            }
            call::pseudo::SUBPROGRAM => {
                let function = self.relative(i64::from(insn.imm))?;
                self.call(function, Resume::Call { slot: self.next })
            }
            call::pseudo::KFUNC => {
                let Some(Target::Kfunc(name)) = self.program().and_then(|program| program.target(self.at))
                else {
                    return Err(FaultKind::UnknownKfunc { name: insn.imm.to_string() });
                };
                let name = name.clone();
                self.outcome.calls += 1;
                self.kfunc(&name)
            }
            _ => Err(FaultKind::BadInstruction),
        }
    }

    fn wide(&mut self, insn: Insn) -> Result<(), FaultKind> {
        if !insn.is_wide() {
            return Err(FaultKind::BadInstruction);
        }
        let high = self.insn(self.at + 1).ok_or(FaultKind::BadInstruction)?.imm;
        self.next = self.at + 2;
        let target = self.program().and_then(|program| program.target(self.at));
        let value = match (insn.src, target) {
            (memory::pseudo::NONE, None) => {
                let (low, high) = (insn.imm.cast_unsigned(), high.cast_unsigned());
                Value::number(u64::from(high) << 32 | u64::from(low))
            }
            (memory::pseudo::MAP_FD, Some(Target::Map(map))) => Value::pointer(address::handle(*map)),
            (memory::pseudo::MAP_VALUE, Some(Target::MapValue { map, offset })) => {
                Value::pointer(address::map_value(*map, u64::from(*offset)))
            }
            (memory::pseudo::FUNC, _) => Value::pointer(address::code(self.relative(i64::from(insn.imm))?)),
            _ => return Err(FaultKind::BadInstruction),
        };
        self.set(insn.dst, value)
    }

    fn ldx(&mut self, insn: Insn) -> Result<(), FaultKind> {
        let size = Size::of(insn.opcode);
        let base = self.source(insn)?;
        let value = match insn.opcode & 0xe0 {
            mode::MEM => self.load(base, insn.offset, size)?,
            mode::MEMSX => {
                let bits = self.load(base, insn.offset, size)?.bits;
                let width = size.bytes() * 8;
                Value::number(alu::sign_extend(width, bits).ok_or(FaultKind::BadInstruction)?)
            }
            _ => return Err(FaultKind::BadInstruction),
        };
        self.set(insn.dst, value)
    }

    fn st(&mut self, insn: Insn) -> Result<(), FaultKind> {
        if insn.opcode & 0xe0 != mode::MEM {
            return Err(FaultKind::BadInstruction);
        }
        let value = Value::number(i64::from(insn.imm).cast_unsigned());
        self.store(self.get(insn.dst)?, insn.offset, Size::of(insn.opcode), value)
    }

    fn stx(&mut self, insn: Insn) -> Result<(), FaultKind> {
        let (base, value) = (self.get(insn.dst)?, self.source(insn)?);
        match insn.opcode & 0xe0 {
            mode::MEM => self.store(base, insn.offset, Size::of(insn.opcode), value),
            mode::ATOMIC => self.atomic(insn, base, value.bits),
            _ => Err(FaultKind::BadInstruction),
        }
    }

    fn atomic(&mut self, insn: Insn, base: Value, operand: u64) -> Result<(), FaultKind> {
        let size = Size::of(insn.opcode);
        let bytes = size.bytes() as usize;
        let op = AtomicOp::of(insn.imm).ok_or(FaultKind::BadInstruction)?;
        if bytes < 4 {
            return Err(FaultKind::BadInstruction);
        }
        let region = self.region(exact(base, insn.offset)?, bytes, Access::Write)?;
        aligned(region, bytes)?;
        let mut number = [0; 8];
        number[..bytes].copy_from_slice(self.read(region, bytes)?);
        let old = u64::from_le_bytes(number);
        let expected = if op == AtomicOp::CompareExchange { self.get(Register::R0)?.bits } else { 0 };
        let expected = if bytes == 4 { u64::from(low32(expected)) } else { expected };
        let new = match op {
            AtomicOp::Add | AtomicOp::FetchAdd => old.wrapping_add(operand),
            AtomicOp::Or | AtomicOp::FetchOr => old | operand,
            AtomicOp::And | AtomicOp::FetchAnd => old & operand,
            AtomicOp::Xor | AtomicOp::FetchXor => old ^ operand,
            AtomicOp::Exchange => operand,
            AtomicOp::CompareExchange if old == expected => operand,
            AtomicOp::CompareExchange => old,
        };
        self.write(region, &new.to_le_bytes()[..bytes], Tag::Number)?;
        match op {
            AtomicOp::Add | AtomicOp::Or | AtomicOp::And | AtomicOp::Xor => Ok(()),
            AtomicOp::CompareExchange => self.set(Register::R0, Value::number(old)),
            AtomicOp::FetchAdd
            | AtomicOp::FetchOr
            | AtomicOp::FetchAnd
            | AtomicOp::FetchXor
            | AtomicOp::Exchange => {
                self.set(insn.src_register().ok_or(FaultKind::BadInstruction)?, Value::number(old))
            }
        }
    }
}

fn sign(op: AluOp, offset: i16) -> Result<Sign, FaultKind> {
    match (op, offset) {
        (_, 0) => Ok(Sign::Unsigned),
        (AluOp::Div | AluOp::Mod, 1) => Ok(Sign::Signed),
        _ => Err(FaultKind::BadInstruction),
    }
}

/// What a sum or difference of values from two places is.
fn sum_tag(op: AluOp, dst: Tag, src: Tag) -> Tag {
    match (dst, src) {
        // a field that is a number came through a typed pointer too, so `Kernel` may be either
        (Tag::Pointer | Tag::Kernel, Tag::Number | Tag::Kernel) => dst,
        (Tag::Number | Tag::Kernel, Tag::Pointer) | (Tag::Number, Tag::Kernel) if op == AluOp::Add => src,
        _ => Tag::Number,
    }
}

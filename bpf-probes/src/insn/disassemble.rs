//! One instruction to text, in the notation of the kernel's verifier log.

use super::opcode::{self, SOURCE_REGISTER, mode};
use super::{AluOp, Class, Condition, Helper, Insn, Size, atomic::AtomicOp, call, memory};

/// The instruction as text; `high` is the immediate of the second slot of a 16-byte load. Jumps and calls show numbers: who
/// knows labels and names replaces them ([`crate::asm::Code::disassemble`]).
pub fn text(insn: Insn, high: Option<i32>) -> String {
    match insn.class() {
        Class::Alu64 | Class::Alu32 => alu(insn),
        Class::Jmp | Class::Jmp32 => jump(insn),
        Class::Ld => wide(insn, high.unwrap_or(0)),
        Class::Ldx => {
            format!("{} = *({} *)({} {:+})", insn.dst, size_name(insn.opcode), source(insn), insn.offset)
        }
        Class::St => {
            format!("*({} *)({} {:+}) = {}", size_name(insn.opcode), insn.dst, insn.offset, insn.imm)
        }
        Class::Stx => stx(insn),
    }
}

fn source(insn: Insn) -> String {
    format!("r{}", insn.src)
}

fn size_name(opcode: u8) -> &'static str {
    match Size::of(opcode) {
        Size::Byte => "u8",
        Size::Half => "u16",
        Size::Word => "u32",
        Size::Double => "u64",
    }
}

fn alu(insn: Insn) -> String {
    let dst =
        if insn.class() == Class::Alu32 { format!("w{}", insn.dst.number()) } else { insn.dst.to_string() };
    let operand = match (insn.opcode & SOURCE_REGISTER != 0, insn.class() == Class::Alu32) {
        (true, true) => format!("w{}", insn.src),
        (true, false) => source(insn),
        (false, _) => insn.imm.to_string(),
    };
    let sign = match AluOp::of(insn.opcode) {
        Some(AluOp::Mov) => return format!("{dst} = {operand}"),
        Some(AluOp::Neg) => return format!("{dst} = -{dst}"),
        Some(AluOp::End) => {
            let name = if insn.opcode & SOURCE_REGISTER != 0 { "be" } else { "le" };
            return format!("{} = {name}{} {}", insn.dst, insn.imm, insn.dst);
        }
        Some(AluOp::Add) => "+",
        Some(AluOp::Sub) => "-",
        Some(AluOp::Mul) => "*",
        Some(AluOp::Div) => "/",
        Some(AluOp::Or) => "|",
        Some(AluOp::And) => "&",
        Some(AluOp::Lsh) => "<<",
        Some(AluOp::Rsh) => ">>",
        Some(AluOp::Mod) => "%",
        Some(AluOp::Xor) => "^",
        Some(AluOp::Arsh) => "s>>",
        None => return format!("unknown opcode {:#04x}", insn.opcode),
    };
    format!("{dst} {sign}= {operand}")
}

fn jump(insn: Insn) -> String {
    match insn.opcode {
        opcode::JUMP_ALWAYS => return format!("goto {:+}", insn.offset),
        opcode::EXIT => return "exit".to_owned(),
        opcode::CALL => return call_text(insn),
        _ => {}
    }
    let narrow = insn.class() == Class::Jmp32;
    let prefix = if narrow { 'w' } else { 'r' };
    let operand = if insn.opcode & SOURCE_REGISTER != 0 {
        format!("{prefix}{}", insn.src)
    } else {
        insn.imm.to_string()
    };
    let sign = match Condition::of(insn.opcode) {
        Some(Condition::Eq) => "==",
        Some(Condition::Ne) => "!=",
        Some(Condition::Gt) => ">",
        Some(Condition::Ge) => ">=",
        Some(Condition::Lt) => "<",
        Some(Condition::Le) => "<=",
        Some(Condition::SGt) => "s>",
        Some(Condition::SGe) => "s>=",
        Some(Condition::SLt) => "s<",
        Some(Condition::SLe) => "s<=",
        Some(Condition::Set) => "&",
        None => return format!("unknown opcode {:#04x}", insn.opcode),
    };
    format!("if {prefix}{} {sign} {operand} goto {:+}", insn.dst.number(), insn.offset)
}

fn call_text(insn: Insn) -> String {
    match insn.src {
        call::pseudo::HELPER => match Helper::from_number(insn.imm) {
            Some(helper) => format!("call {}", helper.name()),
            None => format!("call helper {}", insn.imm),
        },
        call::pseudo::SUBPROGRAM => format!("call {:+}", insn.imm),
        _ => format!("call kfunc {}", insn.imm),
    }
}

fn wide(insn: Insn, high: i32) -> String {
    let value = u64::from(high.cast_unsigned()) << 32 | u64::from(insn.imm.cast_unsigned());
    match insn.src {
        memory::pseudo::NONE => format!("{} = {value:#x} ll", insn.dst),
        memory::pseudo::MAP_FD => format!("{} = map[{}]", insn.dst, insn.imm),
        memory::pseudo::MAP_VALUE => format!("{} = map[{}] value{high:+}", insn.dst, insn.imm),
        memory::pseudo::FUNC => format!("{} = subprogram {:+}", insn.dst, insn.imm),
        _ => format!("{} = btf {}", insn.dst, insn.imm),
    }
}

fn stx(insn: Insn) -> String {
    let place = format!("*({} *)({} {:+})", size_name(insn.opcode), insn.dst, insn.offset);
    if insn.opcode & 0xe0 != mode::ATOMIC {
        return format!("{place} = {}", source(insn));
    }
    let src = source(insn);
    match AtomicOp::of(insn.imm) {
        Some(AtomicOp::Add) => format!("lock {place} += {src}"),
        Some(AtomicOp::Or) => format!("lock {place} |= {src}"),
        Some(AtomicOp::And) => format!("lock {place} &= {src}"),
        Some(AtomicOp::Xor) => format!("lock {place} ^= {src}"),
        Some(AtomicOp::FetchAdd) => format!("{src} = fetch_add({place}, {src})"),
        Some(AtomicOp::FetchOr) => format!("{src} = fetch_or({place}, {src})"),
        Some(AtomicOp::FetchAnd) => format!("{src} = fetch_and({place}, {src})"),
        Some(AtomicOp::FetchXor) => format!("{src} = fetch_xor({place}, {src})"),
        Some(AtomicOp::Exchange) => format!("{src} = xchg({place}, {src})"),
        Some(AtomicOp::CompareExchange) => format!("r0 = cmpxchg({place}, r0, {src})"),
        None => format!("unknown atomic {:#x}", insn.imm),
    }
}

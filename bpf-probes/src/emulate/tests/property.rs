//! Random arithmetic against plain Rust: an evaluator written apart from the machine's.

use proptest::prelude::*;

use super::*;
use crate::insn::jump::Width;
use crate::insn::{AluOp, Condition, Insn};
use Register::{R1, R2, R3, R4};

const OPS: [AluOp; 12] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Or,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Mod,
    AluOp::Xor,
    AluOp::Mov,
    AluOp::Arsh,
];

/// One step on four registers.
#[derive(Clone, Copy, Debug)]
struct Step {
    op: AluOp,
    wide: bool,
    dst: usize,
    src: Result<usize, i32>,
}

const REGISTERS: [Register; 4] = [R1, R2, R3, R4];

impl Step {
    fn insn(self) -> Insn {
        let dst = REGISTERS[self.dst];
        match (self.src, self.wide) {
            (Ok(src), true) => alu::reg(self.op, dst, REGISTERS[src]),
            (Ok(src), false) => alu::reg32(self.op, dst, REGISTERS[src]),
            (Err(imm), true) => alu::imm(self.op, dst, imm),
            (Err(imm), false) => alu::imm32(self.op, dst, imm),
        }
    }

    /// In 128 bits and by the words of the instruction set's document.
    fn evaluate(self, registers: &mut [u64; 4]) {
        let bits = if self.wide { 64 } else { 32 };
        let modulus = 1_u128 << bits;
        let cut = |value: u64| u128::from(value) % modulus;
        let x = cut(registers[self.dst]);
        let y = cut(self.src.map_or_else(|imm| i64::from(imm).cast_unsigned(), |src| registers[src]));
        let shift = y % bits;
        let result = match self.op {
            AluOp::Add => (x + y) % modulus,
            AluOp::Sub => (x + modulus - y) % modulus,
            AluOp::Mul => x.wrapping_mul(y) % modulus,
            AluOp::Div if y == 0 => 0,
            AluOp::Div => x / y,
            AluOp::Mod if y == 0 => x,
            AluOp::Mod => x % y,
            AluOp::Or => x | y,
            AluOp::And => x & y,
            AluOp::Xor => x ^ y,
            AluOp::Mov => y,
            AluOp::Lsh => (x << shift) % modulus,
            AluOp::Rsh => x >> shift,
            AluOp::Arsh if x >= modulus / 2 => {
                // ones come in from above
                (x >> shift) | (modulus - (modulus >> shift))
            }
            AluOp::Arsh => x >> shift,
            AluOp::Neg | AluOp::End => x,
        };
        registers[self.dst] = u64::try_from(result).unwrap();
    }
}

fn interesting() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0_u64..70,
        any::<u32>().prop_map(u64::from),
        prop::sample::select(vec![u64::MAX, 1 << 63, 1 << 31, 1 << 32, 0xffff_ffff, 0x8000_0001]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let imm = prop_oneof![any::<i32>(), -2_i32..70];
    let src = prop_oneof![(0_usize..4).prop_map(Ok), imm.prop_map(Err)];
    (prop::sample::select(OPS.to_vec()), any::<bool>(), 0_usize..4, src)
        .prop_map(|(op, wide, dst, src)| Step { op, wide, dst, src })
}

/// A program that does the steps and returns the sum of the registers, each turned by a different amount so that none cancels another.
fn steps_code(start: [u64; 4], steps: &[Step]) -> Code {
    code(|asm| {
        for (register, value) in REGISTERS.into_iter().zip(start) {
            asm.load_constant(register, value);
        }
        for step in steps {
            asm.emit(step.insn());
        }
        asm.emit(alu::mov_imm(R0, 0));
        for register in REGISTERS {
            asm.emit(alu::imm(AluOp::Mul, R0, 1_000_003));
            asm.emit(alu::add_reg(R0, register));
        }
        asm.emit(jump::exit());
    })
}

fn expected(start: [u64; 4], steps: &[Step]) -> u64 {
    let mut registers = start;
    for step in steps {
        step.evaluate(&mut registers);
    }
    registers.iter().fold(0, |sum: u64, value| sum.wrapping_mul(1_000_003).wrapping_add(*value))
}

const CONDITIONS: [Condition; 11] = [
    Condition::Eq,
    Condition::Gt,
    Condition::Ge,
    Condition::Set,
    Condition::Ne,
    Condition::SGt,
    Condition::SGe,
    Condition::Lt,
    Condition::Le,
    Condition::SLt,
    Condition::SLe,
];

/// By subtraction in 128 bits.
fn holds(condition: Condition, width: Width, x: u64, y: u64) -> bool {
    let bits = if width == Width::Bits64 { 64 } else { 32 };
    let modulus = 1_i128 << bits;
    let unsigned = |value: u64| i128::from(value) % modulus;
    let signed = |value: u64| {
        let value = unsigned(value);
        if value >= modulus / 2 { value - modulus } else { value }
    };
    let (difference, signed_difference) = (unsigned(x) - unsigned(y), signed(x) - signed(y));
    match condition {
        Condition::Eq => difference == 0,
        Condition::Ne => difference != 0,
        Condition::Gt => difference > 0,
        Condition::Ge => difference >= 0,
        Condition::Lt => difference < 0,
        Condition::Le => difference <= 0,
        Condition::SGt => signed_difference > 0,
        Condition::SGe => signed_difference >= 0,
        Condition::SLt => signed_difference < 0,
        Condition::SLe => signed_difference <= 0,
        Condition::Set => unsigned(x) & unsigned(y) != 0,
    }
}

proptest! {
    #[test]
    fn arithmetic_is_what_the_document_says(
        start in prop::array::uniform4(interesting()),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let spec = collection(ProgramKind::RawTracepoint, Vec::new(), steps_code(start, &steps));
        let outcome = Machine::new(&spec).unwrap().run("main", Context::default()).unwrap();
        prop_assert_eq!(outcome.r0, expected(start, &steps));
    }

    #[test]
    fn comparisons_are_what_the_document_says(
        x in interesting(),
        y in interesting(),
        condition in prop::sample::select(CONDITIONS.to_vec()),
        narrow in any::<bool>(),
    ) {
        let width = if narrow { Width::Bits32 } else { Width::Bits64 };
        let taken = result(|asm| {
            let end = asm.label();
            asm.load_constant(R1, x);
            asm.load_constant(R2, y);
            asm.emit(alu::mov_imm(R0, 1));
            asm.jump_if_reg(width, condition, R1, R2, end);
            asm.emit(alu::mov_imm(R0, 0));
            asm.bind(end);
            asm.emit(jump::exit());
        });
        prop_assert_eq!(taken == 1, holds(condition, width, x, y));
    }
}

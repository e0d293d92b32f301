//! Arithmetic, moves, jumps and byte orders.

use super::*;
use crate::asm::Assembler;
use crate::insn::jump::Width;
use crate::insn::{AluOp, Class, Condition, Insn};
use Register::{R1, R2, R10};

const MIN: u64 = 1 << 63;

#[test]
fn sixty_four_bit_operations_follow_the_instruction_set() {
    #[rustfmt::skip]
    let table: &[(AluOp, u64, u64, u64)] = &[
        (AluOp::Add, u64::MAX, 2, 1),
        (AluOp::Sub, 1, 2, u64::MAX),
        (AluOp::Mul, 1 << 63, 2, 0),
        (AluOp::Div, 7, 2, 3),
        (AluOp::Div, u64::MAX, 2, u64::MAX / 2),
        (AluOp::Div, 7, 0, 0),
        (AluOp::Mod, 7, 4, 3),
        (AluOp::Mod, 7, 0, 7),
        (AluOp::Or, 0xf0, 0x0f, 0xff),
        (AluOp::And, 0xf0, 0x3c, 0x30),
        (AluOp::Xor, 0xff, 0x0f, 0xf0),
        (AluOp::Lsh, 1, 63, MIN),
        (AluOp::Lsh, 1, 65, 2),
        (AluOp::Rsh, MIN, 63, 1),
        (AluOp::Rsh, 4, 66, 1),
        (AluOp::Arsh, MIN, 63, u64::MAX),
        (AluOp::Arsh, MIN, 64, MIN),
        (AluOp::Mov, 1, 9, 9),
    ];
    for &(op, dst, src, expected) in table {
        let got = result(|asm| {
            asm.load_constant(R0, dst);
            asm.load_constant(R1, src);
            asm.emit(alu::reg(op, R0, R1));
            asm.emit(jump::exit());
        });
        assert_eq!(got, expected, "{op:?} {dst:#x} {src:#x}");
    }
}

#[test]
fn thirty_two_bit_operations_clear_the_upper_half() {
    let high = 0xffff_ffff_0000_0000_u64;
    #[rustfmt::skip]
    let table: &[(AluOp, u64, u64, u64)] = &[
        (AluOp::Add, high | 0xffff_ffff, high | 1, 0),
        (AluOp::Sub, 0, 1, 0xffff_ffff),
        (AluOp::Mul, 1 << 31, 2, 0),
        (AluOp::Div, high | 9, high | 2, 4),
        (AluOp::Div, high | 9, high, 0),
        (AluOp::Mod, high | 9, high | 4, 1),
        (AluOp::Mod, high | 9, high, 9),
        (AluOp::Lsh, 1, 33, 2),
        (AluOp::Rsh, high | 0x8000_0000, 31, 1),
        (AluOp::Arsh, 0x8000_0000, 31, 0xffff_ffff),
        (AluOp::Or, high | 1, high | 2, 3),
        (AluOp::And, u64::MAX, u64::MAX, 0xffff_ffff),
        (AluOp::Xor, u64::MAX, 1, 0xffff_fffe),
        (AluOp::Mov, 0, u64::MAX, 0xffff_ffff),
    ];
    for &(op, dst, src, expected) in table {
        let got = result(|asm| {
            asm.load_constant(R0, dst);
            asm.load_constant(R1, src);
            asm.emit(alu::reg32(op, R0, R1));
            asm.emit(jump::exit());
        });
        assert_eq!(got, expected, "{op:?} {dst:#x} {src:#x}");
    }
}

#[test]
fn immediates_carry_their_sign_to_sixty_four_bits_and_not_to_thirty_two() {
    let wide = |asm: &mut Assembler| {
        asm.emit(alu::mov_imm(R0, 0));
        asm.emit(alu::imm(AluOp::Or, R0, -1));
        asm.emit(jump::exit());
    };
    let narrow = |asm: &mut Assembler| {
        asm.emit(alu::mov_imm(R0, -1));
        asm.emit(alu::imm32(AluOp::Mov, R0, -1));
        asm.emit(jump::exit());
    };
    assert_eq!(result(wide), u64::MAX);
    assert_eq!(result(narrow), 0xffff_ffff);
}

#[test]
fn negation_sign_extending_moves_and_signed_division_work() {
    let neg = Insn { opcode: AluOp::Neg as u8 | Class::Alu64 as u8, ..alu::mov_imm(R0, 0) };
    let neg32 = Insn { opcode: AluOp::Neg as u8 | Class::Alu32 as u8, ..neg };
    let movsx = |offset| Insn { offset, ..alu::mov_reg(R0, R1) };
    let movsx32 = |offset| Insn { offset, ..alu::reg32(AluOp::Mov, R0, R1) };
    let sdiv = Insn { offset: 1, ..alu::reg(AluOp::Div, R0, R1) };
    let smod = Insn { offset: 1, ..alu::reg(AluOp::Mod, R0, R1) };
    let sdiv32 = Insn { offset: 1, ..alu::reg32(AluOp::Div, R0, R1) };
    let minus = |value: i64| value.cast_unsigned();
    #[rustfmt::skip]
    let table: &[(Insn, u64, u64, u64)] = &[
        (neg, 5, 0, minus(-5)),
        (neg32, 5, 0, 0xffff_fffb),
        (movsx(8), 0, 0x1_80, minus(-128)),
        (movsx(16), 0, 0x7fff, 0x7fff),
        (movsx(32), 0, 0x8000_0000, minus(-0x8000_0000)),
        (movsx32(8), 0, 0x80, 0xffff_ff80),
        (sdiv, minus(-7), 2, minus(-3)),
        (sdiv, MIN, u64::MAX, MIN),
        (sdiv, minus(-7), 0, 0),
        (smod, minus(-7), 2, minus(-1)),
        (smod, MIN, u64::MAX, 0),
        (sdiv32, 0xffff_fff9, 2, 0xffff_fffd),
    ];
    for &(insn, dst, src, expected) in table {
        let got = result(|asm| {
            asm.load_constant(R0, dst);
            asm.load_constant(R1, src);
            asm.emit(insn);
            asm.emit(jump::exit());
        });
        assert_eq!(got, expected, "{insn:?}");
    }
}

#[test]
fn byte_orders_are_swapped_and_cut() {
    let value = 0x1122_3344_5566_7788;
    let little = |bits| Insn { opcode: 0xd4, ..alu::to_big_endian(R0, bits) };
    let swap = |bits| Insn { opcode: 0xd7, ..alu::to_big_endian(R0, bits) };
    let table = [
        (alu::to_big_endian(R0, 16), 0x8877),
        (alu::to_big_endian(R0, 32), 0x8877_6655),
        (alu::to_big_endian(R0, 64), 0x8877_6655_4433_2211),
        (little(16), 0x7788),
        (little(32), 0x5566_7788),
        (little(64), value),
        (swap(16), 0x8877),
        (swap(64), 0x8877_6655_4433_2211),
    ];
    for (insn, expected) in table {
        let got = result(|asm| {
            asm.load_constant(R0, value);
            asm.emit(insn);
            asm.emit(jump::exit());
        });
        assert_eq!(got, expected, "{insn:?}");
    }
    let odd = fault(|asm| {
        asm.load_constant(R0, value);
        asm.emit(alu::to_big_endian(R0, 24));
        asm.emit(jump::exit());
    });
    assert_eq!(odd, FaultKind::BadInstruction);
}

#[test]
fn conditions_compare_what_their_width_and_sign_say() {
    let minus = u64::MAX;
    #[rustfmt::skip]
    let table: &[(Width, Condition, u64, u64, bool)] = &[
        (Width::Bits64, Condition::Eq, 5, 5, true),
        (Width::Bits64, Condition::Eq, 1 << 32, 0, false),
        (Width::Bits32, Condition::Eq, 1 << 32, 0, true),
        (Width::Bits64, Condition::Ne, 5, 5, false),
        (Width::Bits64, Condition::Gt, minus, 1, true),
        (Width::Bits64, Condition::SGt, minus, 1, false),
        (Width::Bits64, Condition::Ge, 1, 1, true),
        (Width::Bits64, Condition::SGe, minus, 0, false),
        (Width::Bits64, Condition::Lt, 1, minus, true),
        (Width::Bits64, Condition::SLt, minus, 1, true),
        (Width::Bits64, Condition::Le, 2, 1, false),
        (Width::Bits64, Condition::SLe, minus, minus, true),
        (Width::Bits64, Condition::Set, 6, 2, true),
        (Width::Bits64, Condition::Set, 6, 1, false),
        (Width::Bits32, Condition::Set, 1 << 40, 1 << 40, false),
        (Width::Bits32, Condition::SLt, 0x8000_0000, 0, true),
        (Width::Bits32, Condition::Lt, 0x8000_0000, 1, false),
        (Width::Bits32, Condition::Gt, 0x8000_0000, 0x7fff_ffff, true),
        (Width::Bits64, Condition::SLt, 0x8000_0000, 0, false),
    ];
    for &(width, condition, dst, src, expected) in table {
        let taken = result(|asm| {
            let end = asm.label();
            asm.load_constant(R1, dst);
            asm.load_constant(R2, src);
            asm.emit(alu::mov_imm(R0, 1));
            asm.jump_if_reg(width, condition, R1, R2, end);
            asm.emit(alu::mov_imm(R0, 0));
            asm.bind(end);
            asm.emit(jump::exit());
        });
        assert_eq!(taken == 1, expected, "{width:?} {condition:?} {dst:#x} {src:#x}");
    }
}

#[test]
fn an_immediate_of_a_comparison_carries_its_sign() {
    let got = result(|asm| {
        let end = asm.label();
        asm.load_constant(R1, u64::MAX);
        asm.emit(alu::mov_imm(R0, 1));
        asm.jump_if(Width::Bits64, Condition::Eq, R1, -1, end);
        asm.emit(alu::mov_imm(R0, 0));
        asm.bind(end);
        asm.emit(jump::exit());
    });
    assert_eq!(got, 1);
}

#[test]
fn each_instruction_counts_one_and_the_budget_ends_a_loop() {
    let outcome = run(|asm| {
        asm.load_constant(R1, 1 << 40);
        return_constant(asm, 0);
    });
    assert_eq!(outcome.unwrap().steps, 3);
    let endless = code(|asm| {
        let start = asm.label();
        asm.bind(start);
        asm.emit(alu::mov_imm(R0, 0));
        asm.jump(start);
    });
    let mut machine = Machine::new(&collection(ProgramKind::RawTracepoint, Vec::new(), endless)).unwrap();
    machine.set_budget(100);
    let fault = machine.run("main", Context::default()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Budget { steps: 100 });
}

#[test]
fn a_register_must_be_set_before_it_is_read() {
    let unset = |register| FaultKind::UnsetRegister { register };
    // the assembler refuses most of these, so they are put together by hand
    let bare = |insns: &[Insn]| {
        let mut code = code(|asm| return_constant(asm, 0));
        code.insns = insns.to_vec();
        let mut machine = Machine::new(&collection(ProgramKind::RawTracepoint, Vec::new(), code)).unwrap();
        machine.run("main", Context::default()).unwrap_err().kind
    };
    assert_eq!(bare(&[jump::exit()]), unset(R0));
    assert_eq!(bare(&[alu::add_imm(R2, 1)]), unset(R2));
    assert_eq!(bare(&[alu::mov_reg(R0, R2)]), unset(R2));
    assert_eq!(bare(&[alu::mov_imm(R10, 0)]), FaultKind::WritesFramePointer);
    assert_eq!(bare(&[alu::mov_imm(R0, 0)]), FaultKind::NoInstruction { slot: 1 });
    let unknown = Insn { opcode: 0xf7, ..alu::mov_imm(R0, 0) };
    assert_eq!(bare(&[unknown]), FaultKind::BadInstruction);
}

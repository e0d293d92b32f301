//! Every constructor against its bytes, as `Documentation/bpf/standardization/instruction-set.rst` gives them, and against its text.

use proptest::prelude::*;

use super::atomic::{AtomicOp, atomic};
use super::jump::Width;
use super::{
    AluOp, Condition, DecodeError, Helper, Insn, Register, Size, alu, call, decode, encode, jump, memory,
    text,
};
use Register::{R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10};

/// Bytes as the document writes them: opcode, registers, offset, immediate.
fn bytes(opcode: u8, dst: u8, src: u8, offset: i16, imm: i32) -> [u8; 8] {
    let [o0, o1] = offset.to_le_bytes();
    let [i0, i1, i2, i3] = imm.to_le_bytes();
    [opcode, src << 4 | dst, o0, o1, i0, i1, i2, i3]
}

fn check(insn: Insn, expected: [u8; 8], expected_text: &str) {
    assert_eq!(encode(insn), expected, "{expected_text}");
    assert_eq!(text(insn, None), expected_text);
    assert_eq!(decode(&expected), Ok(vec![insn]), "{expected_text}");
}

#[test]
fn arithmetic_has_its_bytes_in_both_widths_and_with_both_operands() {
    let table = [
        (AluOp::Add, 0x00, "+="),
        (AluOp::Sub, 0x10, "-="),
        (AluOp::Mul, 0x20, "*="),
        (AluOp::Div, 0x30, "/="),
        (AluOp::Or, 0x40, "|="),
        (AluOp::And, 0x50, "&="),
        (AluOp::Lsh, 0x60, "<<="),
        (AluOp::Rsh, 0x70, ">>="),
        (AluOp::Mod, 0x90, "%="),
        (AluOp::Xor, 0xa0, "^="),
        (AluOp::Mov, 0xb0, "="),
        (AluOp::Arsh, 0xc0, "s>>="),
    ];
    for (op, code, sign) in table {
        check(alu::imm(op, R1, 22), bytes(code | 7, 1, 0, 0, 22), &format!("r1 {sign} 22"));
        check(alu::reg(op, R1, R9), bytes(code | 0xf, 1, 9, 0, 0), &format!("r1 {sign} r9"));
        check(alu::imm32(op, R8, -1), bytes(code | 4, 8, 0, 0, -1), &format!("w8 {sign} -1"));
        check(alu::reg32(op, R8, R0), bytes(code | 0xc, 8, 0, 0, 0), &format!("w8 {sign} w0"));
        assert_eq!(AluOp::of(code), Some(op));
    }
    check(alu::mov_imm(R2, 7), bytes(0xb7, 2, 0, 0, 7), "r2 = 7");
    check(alu::mov_reg(R2, R10), bytes(0xbf, 2, 10, 0, 0), "r2 = r10");
    check(alu::add_imm(R2, -16), bytes(0x07, 2, 0, 0, -16), "r2 += -16");
    check(alu::add_reg(R2, R3), bytes(0x0f, 2, 3, 0, 0), "r2 += r3");
    let negated = Insn { opcode: 0x87, ..alu::mov_imm(R3, 0) };
    check(negated, bytes(0x87, 3, 0, 0, 0), "r3 = -r3");
    for bits in [16, 32, 64] {
        check(alu::to_big_endian(R3, bits), bytes(0xdc, 3, 0, 0, bits), &format!("r3 = be{bits} r3"));
    }
    assert_eq!((AluOp::of(0xe7), AluOp::of(0xf7)), (None, None));
}

#[test]
fn loads_and_stores_have_their_bytes_in_each_size() {
    let table = [
        (Size::Byte, 0x10, "u8", 1),
        (Size::Half, 0x08, "u16", 2),
        (Size::Word, 0x00, "u32", 4),
        (Size::Double, 0x18, "u64", 8),
    ];
    for (size, code, name, count) in table {
        let loaded = memory::load(size, R1, R6, -8);
        check(loaded, bytes(0x61 | code, 1, 6, -8, 0), &format!("r1 = *({name} *)(r6 -8)"));
        let stored = memory::store(size, R10, -16, R7);
        check(stored, bytes(0x63 | code, 10, 7, -16, 0), &format!("*({name} *)(r10 -16) = r7"));
        let constant = memory::store_imm(size, R2, 24, -5);
        check(constant, bytes(0x62 | code, 2, 0, 24, -5), &format!("*({name} *)(r2 +24) = -5"));
        assert_eq!((size.bytes(), Size::from_bytes(count), Size::of(code)), (count, Some(size), size));
    }
    assert_eq!(Size::from_bytes(3), None);
}

#[test]
fn wide_immediates_take_two_slots() {
    let [low, high] = memory::load_imm64(R4, memory::pseudo::NONE, 0x1122_3344_8566_7788);
    assert_eq!(encode(low), bytes(0x18, 4, 0, 0, 0x8566_7788_u32.cast_signed()));
    assert_eq!(encode(high), bytes(0, 0, 0, 0, 0x1122_3344));
    assert!(low.is_wide() && !high.is_wide());
    assert_eq!(text(low, Some(high.imm)), "r4 = 0x1122334485667788 ll");
    let [map, offset] = memory::load_imm64(R4, memory::pseudo::MAP_VALUE, 12 << 32 | 5);
    assert_eq!(encode(map), bytes(0x18, 4, 2, 0, 5));
    assert_eq!(text(map, Some(offset.imm)), "r4 = map[5] value+12");
    let [map, _] = memory::load_imm64(R4, memory::pseudo::MAP_FD, 6);
    assert_eq!((encode(map), text(map, Some(0))), (bytes(0x18, 4, 1, 0, 6), "r4 = map[6]".to_owned()));
    let [function, _] = memory::load_imm64(R4, memory::pseudo::FUNC, 9);
    assert_eq!(encode(function), bytes(0x18, 4, 4, 0, 9));
    assert_eq!(text(function, Some(0)), "r4 = subprogram +9");
}

#[test]
fn jumps_have_their_bytes_in_both_widths_and_with_both_operands() {
    let table = [
        (Condition::Eq, 0x10, "=="),
        (Condition::Gt, 0x20, ">"),
        (Condition::Ge, 0x30, ">="),
        (Condition::Set, 0x40, "&"),
        (Condition::Ne, 0x50, "!="),
        (Condition::SGt, 0x60, "s>"),
        (Condition::SGe, 0x70, "s>="),
        (Condition::Lt, 0xa0, "<"),
        (Condition::Le, 0xb0, "<="),
        (Condition::SLt, 0xc0, "s<"),
        (Condition::SLe, 0xd0, "s<="),
    ];
    for (condition, code, sign) in table {
        for (width, class, letter) in [(Width::Bits64, 5, 'r'), (Width::Bits32, 6, 'w')] {
            let imm = jump::if_imm(width, condition, R3, -7, 12);
            let expected = format!("if {letter}3 {sign} -7 goto +12");
            check(imm, bytes(code | class, 3, 0, 12, -7), &expected);
            let reg = jump::if_reg(width, condition, R3, R5, -2);
            let expected = format!("if {letter}3 {sign} {letter}5 goto -2");
            check(reg, bytes(code | class | 8, 3, 5, -2, 0), &expected);
        }
        assert_eq!(Condition::of(code), Some(condition));
        let twice = condition.negated().and_then(Condition::negated);
        assert_eq!(twice, (condition != Condition::Set).then_some(condition));
    }
    check(jump::always(-3), bytes(0x05, 0, 0, -3, 0), "goto -3");
    check(jump::exit(), bytes(0x95, 0, 0, 0, 0), "exit");
    assert_eq!([0x05, 0x85, 0x95, 0xe5].map(Condition::of), [None; 4]);
}

#[test]
fn atomics_have_their_bytes_in_both_sizes() {
    let table = [
        (AtomicOp::Add, 0x00, "lock P += r2"),
        (AtomicOp::Or, 0x40, "lock P |= r2"),
        (AtomicOp::And, 0x50, "lock P &= r2"),
        (AtomicOp::Xor, 0xa0, "lock P ^= r2"),
        (AtomicOp::FetchAdd, 0x01, "r2 = fetch_add(P, r2)"),
        (AtomicOp::FetchOr, 0x41, "r2 = fetch_or(P, r2)"),
        (AtomicOp::FetchAnd, 0x51, "r2 = fetch_and(P, r2)"),
        (AtomicOp::FetchXor, 0xa1, "r2 = fetch_xor(P, r2)"),
        (AtomicOp::Exchange, 0xe1, "r2 = xchg(P, r2)"),
        (AtomicOp::CompareExchange, 0xf1, "r0 = cmpxchg(P, r0, r2)"),
    ];
    for (op, imm, pattern) in table {
        let word = pattern.replace('P', "*(u32 *)(r1 +4)");
        check(atomic(op, Size::Word, R1, 4, R2), bytes(0xc3, 1, 2, 4, imm), &word);
        let double = pattern.replace('P', "*(u64 *)(r1 -8)");
        check(atomic(op, Size::Double, R1, -8, R2), bytes(0xdb, 1, 2, -8, imm), &double);
        assert_eq!(AtomicOp::of(imm), Some(op));
    }
    assert_eq!(AtomicOp::of(2), None);
}

#[test]
fn calls_have_their_bytes_and_names() {
    check(call::helper(Helper::MapLookupElem), bytes(0x85, 0, 0, 0, 1), "call map_lookup_elem");
    check(call::helper(Helper::Loop), bytes(0x85, 0, 0, 0, 181), "call loop");
    check(call::subprogram(-4), bytes(0x85, 0, 1, 0, -4), "call -4");
    check(call::kfunc(12_345), bytes(0x85, 0, 2, 0, 12_345), "call kfunc 12345");
}

#[test]
fn helpers_are_known_by_their_numbers_which_are_in_order() {
    // include/uapi/linux/bpf.h
    let table = [
        (Helper::KtimeGetNs, 5, "ktime_get_ns"),
        (Helper::TailCall, 12, "tail_call"),
        (Helper::GetCurrentPidTgid, 14, "get_current_pid_tgid"),
        (Helper::GetCurrentTask, 35, "get_current_task"),
        (Helper::ProbeWriteUser, 36, "probe_write_user"),
        (Helper::OverrideReturn, 58, "override_return"),
        (Helper::SendSignal, 109, "send_signal"),
        (Helper::ProbeReadUser, 112, "probe_read_user"),
        (Helper::ProbeReadKernel, 113, "probe_read_kernel"),
        (Helper::ProbeReadUserStr, 114, "probe_read_user_str"),
        (Helper::ProbeReadKernelStr, 115, "probe_read_kernel_str"),
        (Helper::KtimeGetBootNs, 125, "ktime_get_boot_ns"),
        (Helper::RingbufOutput, 130, "ringbuf_output"),
        (Helper::DPath, 147, "d_path"),
        (Helper::TaskStorageGet, 156, "task_storage_get"),
        (Helper::GetCurrentTaskBtf, 158, "get_current_task_btf"),
        (Helper::Strncmp, 182, "strncmp"),
    ];
    for (helper, number, name) in table {
        assert_eq!((helper as i32, helper.name()), (number, name));
        assert_eq!(Helper::from_number(number), Some(helper));
    }
    assert!(Helper::ALL.is_sorted());
    assert_eq!((Helper::from_number(0), Helper::from_number(-1)), (None, None));
}

#[test]
fn ragged_bytes_and_registers_above_ten_are_refused() {
    assert_eq!(decode(&[0x95, 0, 0]), Err(DecodeError::Length { length: 3 }));
    let mut code = bytes(0xb7, 0, 0, 0, 0).to_vec();
    code.extend(bytes(0xb7, 11, 0, 0, 0));
    assert_eq!(decode(&code), Err(DecodeError::Register { slot: 1, number: 11 }));
    assert_eq!(decode(&[]), Ok(Vec::new()));
}

#[test]
fn registers_know_their_numbers_and_what_calls_leave() {
    for (number, register) in (0_u8..).zip(Register::ALL) {
        assert_eq!((register.number(), Register::from_number(number)), (number, Some(register)));
        assert_eq!(register.survives_calls(), number >= 6);
    }
    assert_eq!(Register::from_number(11), None);
    assert_eq!(R10.to_string(), "r10");
}

fn any_insn() -> impl Strategy<Value = Insn> {
    (any::<u8>(), 0_usize..11, 0_u8..16, any::<i16>(), any::<i32>()).prop_map(
        |(opcode, dst, src, offset, imm)| Insn { opcode, dst: Register::ALL[dst], src, offset, imm },
    )
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(insns in prop::collection::vec(any_insn(), 0..20)) {
        let code: Vec<u8> = insns.iter().flat_map(|insn| encode(*insn)).collect();
        prop_assert_eq!(decode(&code), Ok(insns));
    }

    #[test]
    fn any_bytes_decode_or_are_refused_and_any_instruction_has_a_text(code in prop::collection::vec(any::<u8>(), 0..64)) {
        match decode(&code) {
            Ok(insns) => {
                let again: Vec<u8> = insns.iter().flat_map(|insn| encode(*insn)).collect();
                prop_assert_eq!(again, code);
                prop_assert!(insns.iter().all(|insn| !text(*insn, Some(1)).is_empty()));
            }
            Err(DecodeError::Length { length }) => prop_assert!(length % 8 != 0),
            Err(DecodeError::Register { number, .. }) => prop_assert!(number > 10),
        }
    }
}

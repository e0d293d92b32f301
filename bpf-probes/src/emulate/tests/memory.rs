//! Stack, context, kernel pointers, atomics: bounds to the byte.

use super::*;
use crate::insn::atomic::{AtomicOp, atomic};
use crate::insn::opcode::mode;
use crate::insn::{Class, Helper, Insn, Size, memory};
use Register::{R1, R2, R3, R6, R10};

#[test]
fn the_stack_reads_back_what_was_stored_in_each_size() {
    let value = 0x8877_6655_4433_2211_u64;
    for (size, expected) in
        [(Size::Byte, 0x11), (Size::Half, 0x2211), (Size::Word, 0x4433_2211), (Size::Double, value)]
    {
        let got = result(|asm| {
            asm.load_constant(R1, value);
            asm.emit(memory::store_imm(Size::Double, R10, -8, 0));
            asm.emit(memory::store(size, R10, -8, R1));
            asm.emit(memory::load(Size::Double, R0, R10, -8));
            asm.emit(jump::exit());
        });
        assert_eq!(got, expected, "{size:?}");
    }
    let loaded = result(|asm| {
        asm.emit(memory::store_imm(Size::Double, R10, -512, -2));
        asm.emit(memory::load(Size::Half, R0, R10, -510));
        asm.emit(jump::exit());
    });
    assert_eq!(loaded, 0xffff);
}

#[test]
fn sign_extending_loads_carry_the_sign() {
    let memsx = |size: Size| Insn {
        opcode: Class::Ldx as u8 | mode::MEMSX | size.bits(),
        ..memory::load(size, R0, R10, -8)
    };
    for (size, expected) in [(Size::Byte, -128_i64), (Size::Half, -0x7f80), (Size::Word, 0x0080_8080)] {
        let got = result(|asm| {
            asm.load_constant(R1, 0x0080_8080);
            asm.emit(memory::store(Size::Double, R10, -8, R1));
            asm.emit(memsx(size));
            asm.emit(jump::exit());
        });
        assert_eq!(got.cast_signed(), expected, "{size:?}");
    }
}

#[test]
fn stack_bytes_are_read_only_after_they_are_written() {
    let kind = fault(|asm| {
        asm.emit(memory::store_imm(Size::Word, R10, -8, 1));
        asm.emit(memory::load(Size::Double, R0, R10, -8));
        asm.emit(jump::exit());
    });
    assert_eq!(kind, FaultKind::UnsetStack { offset: -4 });
}

#[test]
fn an_address_outside_the_frame_is_a_fault_with_its_place() {
    let fault = run(|asm| {
        asm.emit(alu::mov_reg(R1, R10));
        asm.emit(alu::add_imm(R1, -8));
        asm.set_origin(crate::asm::Origin(42));
        asm.emit(memory::load(Size::Double, R0, R1, 8));
        asm.emit(jump::exit());
    })
    .unwrap_err();
    let kind = FaultKind::OutOfBounds { region: "the stack".to_owned(), length: 512, offset: 512, size: 8 };
    assert_eq!(fault.kind, kind);
    assert_eq!((fault.at.slot, fault.at.origin.0, fault.at.function.as_str()), (2, 42, "main"));
    assert_eq!(
        fault.to_string(),
        "main, main, slot 2 (origin 42), `r0 = *(u64 *)(r1 +8)`: 8 bytes at offset 512 of the stack (512 bytes) are not all inside"
    );
}

#[test]
fn misaligned_stack_accesses_are_refused_as_the_verifier_does() {
    let kind = fault(|asm| {
        asm.emit(alu::mov_reg(R2, R10));
        asm.emit(memory::store_imm(Size::Word, R2, -6, 1));
        return_constant(asm, 0);
    });
    assert_eq!(kind, FaultKind::Misaligned { region: "the stack".to_owned(), offset: 506, size: 4 });
}

#[test]
fn the_context_is_read_only_and_ends_with_its_bytes() {
    let read = |offset| {
        machine(ProgramKind::Kprobe, Vec::new(), move |asm| {
            asm.emit(memory::load(Size::Double, R0, R1, offset));
            asm.emit(jump::exit());
        })
        .run("main", Context::kprobe([11, 12, 13, 14, 15, 16]))
    };
    let registers = [112, 104, 96, 88, 72, 64].map(|offset| read(offset).unwrap().r0);
    assert_eq!(registers, [11, 12, 13, 14, 15, 16]);
    assert!(matches!(read(168).unwrap_err().kind, FaultKind::OutOfBounds { length: 168, offset: 168, .. }));
    let write = machine(ProgramKind::Kprobe, Vec::new(), |asm| {
        asm.emit(memory::store_imm(Size::Double, R1, 0, 1));
        return_constant(asm, 0);
    })
    .run("main", Context::kprobe([0; 6]));
    assert!(matches!(write.unwrap_err().kind, FaultKind::ReadOnly { .. }));
    let returned = machine(ProgramKind::Kprobe, Vec::new(), |asm| {
        asm.emit(memory::load(Size::Double, R0, R1, 80));
        asm.emit(jump::exit());
    })
    .run("main", Context::kretprobe(77));
    assert_eq!(returned.unwrap().r0, 77);
}

/// `*(*(context + 8 * index) + 8)`.
fn follow(kind: ProgramKind) -> Machine {
    machine(kind, Vec::new(), |asm| {
        asm.emit(memory::load(Size::Double, R1, R1, 8));
        asm.emit(memory::load(Size::Double, R1, R1, 0));
        asm.emit(memory::load(Size::Word, R0, R1, 4));
        asm.emit(jump::exit());
    })
}

#[test]
fn arguments_of_typed_programs_can_be_followed_and_of_others_not() {
    let mut typed = follow(ProgramKind::BtfTracepoint);
    let inner = typed.world_mut().kernel.object("inner", 8);
    let outer = typed.world_mut().kernel.object("outer", 8);
    typed.world_mut().kernel.write_u32(inner + 4, 99).unwrap();
    typed.world_mut().kernel.write_u64(outer, inner).unwrap();
    let outcome = typed.run("main", Context::arguments(&[0, outer])).unwrap();
    assert_eq!((outcome.r0, outcome.unmapped_loads), (99, 0));
    let outcome = typed.run("main", Context::arguments(&[0, outer + 0x10_0000])).unwrap();
    assert_eq!((outcome.r0, outcome.unmapped_loads), (0, 2), "a bad pointer reads 0");
    let fault = follow(ProgramKind::Kprobe).run("main", Context::arguments(&[0, outer])).unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotAPointer { value: outer });
}

#[test]
fn a_cast_pointer_loads_safely_also_after_a_spill_and_is_never_stored_through() {
    let cast = |store: bool| {
        machine(ProgramKind::Kprobe, Vec::new(), move |asm| {
            asm.emit(memory::load(Size::Double, R1, R1, 112));
            asm.emit(alu::mov_imm(R2, 1));
            asm.call_kfunc("bpf_rdonly_cast");
            asm.emit(memory::store(Size::Double, R10, -8, R0));
            asm.emit(memory::load(Size::Double, R6, R10, -8));
            asm.emit(alu::add_imm(R6, 2));
            if store {
                asm.emit(memory::store_imm(Size::Byte, R6, 0, 1));
            }
            asm.emit(memory::load(Size::Half, R0, R6, 1));
            asm.emit(jump::exit());
        })
    };
    let mut loads = cast(false);
    let object = loads.world_mut().kernel.bytes("object", &[1, 2, 3, 4, 5]);
    assert_eq!(loads.run("main", Context::kprobe([object, 0, 0, 0, 0, 0])).unwrap().r0, 0x0504);
    let null = loads.run("main", Context::kprobe([0; 6])).unwrap();
    assert_eq!((null.r0, null.unmapped_loads), (0, 1));
    loads.world_mut().faults.fail_addresses(object + 4..object + 5);
    let marked = loads.run("main", Context::kprobe([object, 0, 0, 0, 0, 0])).unwrap();
    assert_eq!((marked.r0, marked.unmapped_loads), (0, 1));
    let fault = cast(true).run("main", Context::kprobe([object, 0, 0, 0, 0, 0])).unwrap_err();
    assert_eq!(fault.kind, FaultKind::ReadOnly { region: "kernel memory".to_owned() });
}

#[test]
fn the_current_task_is_a_number_or_a_typed_pointer() {
    let load = |helper| {
        let mut machine = machine(ProgramKind::Kprobe, Vec::new(), |asm| {
            asm.call(helper);
            asm.emit(memory::load(Size::Word, R0, R0, 4));
            asm.emit(jump::exit());
        });
        let task = machine.world_mut().kernel.bytes("task", &[0, 0, 0, 0, 7, 0, 0, 0]);
        machine.world_mut().task.address = task;
        machine.run("main", Context::kprobe([0; 6]))
    };
    assert_eq!(load(Helper::GetCurrentTaskBtf).unwrap().r0, 7);
    assert!(matches!(load(Helper::GetCurrentTask).unwrap_err().kind, FaultKind::NotAPointer { .. }));
}

#[test]
fn atomics_change_memory_and_return_the_old_value() {
    let on_stack = |size: Size, op: AtomicOp, memory_value: u64, operand: u64, r0: u64| {
        let emit = |asm: &mut Assembler, memory_result: bool| {
            asm.load_constant(R1, memory_value);
            asm.emit(memory::store(Size::Double, R10, -8, R1));
            asm.load_constant(R2, operand);
            asm.load_constant(R0, r0);
            asm.emit(atomic(op, size, R10, -8, R2));
            match (memory_result, op) {
                (true, _) => asm.emit(memory::load(Size::Double, R0, R10, -8)),
                (false, AtomicOp::CompareExchange) => {}
                (false, _) => asm.emit(alu::mov_reg(R0, R2)),
            }
            asm.emit(jump::exit());
        };
        (result(|asm| emit(asm, true)), result(|asm| emit(asm, false)))
    };
    let (double, word) = (Size::Double, Size::Word);
    assert_eq!(on_stack(double, AtomicOp::Add, 5, 7, 0), (12, 7), "nothing is returned");
    assert_eq!(on_stack(double, AtomicOp::FetchAdd, 5, 7, 0), (12, 5));
    assert_eq!(on_stack(double, AtomicOp::Or, 5, 8, 0).0, 13);
    assert_eq!(on_stack(double, AtomicOp::FetchOr, 5, 8, 0), (13, 5));
    assert_eq!(on_stack(double, AtomicOp::And, 5, 4, 0).0, 4);
    assert_eq!(on_stack(double, AtomicOp::FetchAnd, 5, 4, 0), (4, 5));
    assert_eq!(on_stack(double, AtomicOp::Xor, 5, 1, 0).0, 4);
    assert_eq!(on_stack(double, AtomicOp::FetchXor, 5, 1, 0), (4, 5));
    assert_eq!(on_stack(double, AtomicOp::Exchange, 5, 7, 0), (7, 5));
    assert_eq!(on_stack(double, AtomicOp::CompareExchange, 5, 7, 5), (7, 5));
    assert_eq!(on_stack(double, AtomicOp::CompareExchange, 5, 7, 6), (5, 5));
    let high = 0xaaaa_aaaa_0000_0000;
    assert_eq!(on_stack(word, AtomicOp::FetchAdd, high | 0xffff_ffff, 1, 0), (high, 0xffff_ffff));
    assert_eq!(on_stack(word, AtomicOp::CompareExchange, high | 5, 7, high | 5), (high | 7, 5));
    let narrow = fault(|asm| {
        asm.emit(memory::store_imm(Size::Double, R10, -8, 0));
        asm.emit(alu::mov_imm(R1, 1));
        asm.emit(atomic(AtomicOp::Add, Size::Half, R10, -8, R1));
        return_constant(asm, 0);
    });
    assert_eq!(narrow, FaultKind::BadInstruction);
}

#[test]
fn wide_constants_are_whole_and_numbers_are_no_addresses() {
    let constant = result(|asm| {
        asm.load_constant(R0, 0xfedc_ba98_7654_3210);
        asm.emit(jump::exit());
    });
    assert_eq!(constant, 0xfedc_ba98_7654_3210);
    let number = fault(|asm| {
        asm.load_constant(R3, 0xffff_8880_0000_1000);
        asm.emit(memory::load(Size::Byte, R0, R3, 0));
        asm.emit(jump::exit());
    });
    assert_eq!(number, FaultKind::NotAPointer { value: 0xffff_8880_0000_1000 });
    let product = fault(|asm| {
        asm.emit(alu::mov_reg(R3, R10));
        asm.emit(alu::imm(crate::insn::AluOp::Or, R3, 8));
        asm.emit(memory::load(Size::Byte, R0, R3, 0));
        asm.emit(jump::exit());
    });
    assert!(matches!(product, FaultKind::NotAPointer { .. }), "only sums of pointers are pointers");
}

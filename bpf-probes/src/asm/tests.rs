//! Labels, linking, and what the structural check lets through and refuses.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::insn::atomic::{AtomicOp, atomic};
use crate::insn::jump::Width;
use crate::insn::{Condition, Helper, Register, Size, alu, jump, memory};
use Register::{R0, R1, R2, R3, R4, R6, R7, R10};

#[test]
fn jumps_find_labels_bound_before_and_after_them() {
    let mut asm = Assembler::new("main", Prototype::Main);
    let (back, end) = (asm.label(), asm.label());
    asm.bind(back);
    asm.load_constant(R1, 1 << 40);
    asm.jump_if(Width::Bits64, Condition::Eq, R1, 0, end);
    asm.jump(back);
    asm.bind(end);
    asm.emit(alu::mov_imm(R0, 0));
    asm.emit(jump::exit());
    let subprogram = asm.finish().unwrap();
    assert_eq!(subprogram.instructions[1].insn.offset, 1);
    assert_eq!(subprogram.instructions[2].insn.offset, -4);
}

#[test]
fn a_jump_over_more_than_sixteen_bits_is_an_error_with_its_origin() {
    let mut asm = Assembler::new("main", Prototype::Main);
    let end = asm.label();
    asm.set_origin(Origin(7));
    asm.jump(end);
    asm.set_origin(Origin(8));
    for _ in 0..40_000 {
        asm.emit(alu::mov_imm(R0, 0));
    }
    asm.bind(end);
    asm.emit(jump::exit());
    let error = asm.finish().unwrap_err();
    assert!(matches!(error, AssembleError::TooFar { distance: 40_000, origin: Origin(7), .. }));
}

#[test]
fn code_that_runs_past_its_end_is_refused() {
    let mut asm = Assembler::new("main", Prototype::Main);
    asm.emit(alu::mov_imm(R0, 0));
    let error = asm.finish().unwrap_err();
    assert!(matches!(error, AssembleError::Structure { fault: StructureError::FallsOffEnd, .. }));
}

#[test]
fn calls_of_subprograms_become_relative_and_read_as_names() {
    let mut main = Assembler::new("main", Prototype::Main);
    main.call_subprogram("twice");
    main.load_map(R1, "scratch");
    main.emit(jump::exit());
    let mut twice = Assembler::new("twice", Prototype::Static { arguments: 1 });
    twice.emit(alu::mov_imm(R0, 2));
    twice.emit(jump::exit());
    let code = link(vec![main.finish().unwrap(), twice.finish().unwrap()]).unwrap();
    assert_eq!(code.insns[0].imm, 3);
    let text = code.disassemble();
    assert_eq!(text, "main:\n    call twice\n    r1 = map scratch\n    exit\ntwice:\n    r0 = 2\n    exit\n");
}

fn finish(prototype: Prototype, emit: impl FnOnce(&mut Assembler)) -> Result<Subprogram, AssembleError> {
    let mut asm = Assembler::new("main", prototype);
    emit(&mut asm);
    asm.finish()
}

/// What the structural check says.
fn refusal(emit: impl FnOnce(&mut Assembler)) -> StructureError {
    structure_fault(finish(Prototype::Main, emit)).unwrap_err()
}

fn structure_fault(finished: Result<Subprogram, AssembleError>) -> Result<(), StructureError> {
    match finished {
        Ok(_) => Ok(()),
        Err(AssembleError::Structure { fault, .. }) => Err(fault),
        Err(other) => panic!("{other}"),
    }
}

fn end(asm: &mut Assembler) {
    asm.emit(alu::mov_imm(R0, 0));
    asm.emit(jump::exit());
}

#[test]
fn a_label_is_bound_once_and_only_once() {
    let unbound = finish(Prototype::Main, |asm| {
        let label = asm.label();
        asm.set_origin(Origin(3));
        asm.jump(label);
    });
    assert!(matches!(unbound.unwrap_err(), AssembleError::Unbound { origin: Origin(3), .. }));
    let twice = finish(Prototype::Main, |asm| {
        let label = asm.label();
        asm.bind(label);
        asm.emit(alu::mov_imm(R0, 0));
        asm.bind(label);
        asm.emit(jump::exit());
    });
    assert_eq!(twice.unwrap_err(), AssembleError::BoundTwice { subprogram: "main".to_owned() });
}

#[test]
fn a_jump_lands_on_an_instruction_of_its_subprogram() {
    let inside_wide = refusal(|asm| {
        asm.emit(jump::always(1));
        asm.load_constant(R1, 1 << 40);
        end(asm);
    });
    assert_eq!(inside_wide, StructureError::BadTarget { slot: 0, target: 2 });
    let before = refusal(|asm| {
        asm.emit(jump::always(-2));
        end(asm);
    });
    assert_eq!(before, StructureError::BadTarget { slot: 0, target: -1 });
    assert_eq!(refusal(|_| {}), StructureError::Empty);
}

#[test]
fn the_frame_is_bounded_aligned_and_its_pointer_constant() {
    let store = |size, offset| {
        structure_fault(finish(Prototype::Main, move |asm| {
            asm.emit(memory::store_imm(size, R10, offset, 0));
            end(asm);
        }))
    };
    assert_eq!(store(Size::Double, -512), Ok(()));
    assert_eq!(store(Size::Byte, -1), Ok(()));
    assert_eq!(store(Size::Double, -520), Err(StructureError::StackBounds { slot: 0, offset: -520 }));
    assert_eq!(store(Size::Double, -4), Err(StructureError::StackBounds { slot: 0, offset: -4 }));
    assert_eq!(store(Size::Word, -6), Err(StructureError::StackAlignment { slot: 0, offset: -6 }));
    let written = refusal(|asm| {
        asm.emit(alu::add_imm(R10, -8));
        end(asm);
    });
    assert_eq!(written, StructureError::WritesFramePointer { slot: 0 });
}

#[test]
fn calls_lose_arguments_and_keep_the_rest() {
    for register in [R1, R2, R3, R4] {
        let read = refusal(|asm| {
            asm.emit(alu::mov_imm(register, 1));
            asm.call(Helper::KtimeGetNs);
            asm.emit(alu::mov_reg(R6, register));
            end(asm);
        });
        assert_eq!(read, StructureError::UnsetRegister { slot: 2, register });
    }
    let kept = finish(Prototype::Main, |asm| {
        asm.emit(alu::mov_reg(R6, R1));
        asm.call(Helper::KtimeGetNs);
        asm.emit(alu::add_reg(R0, R6));
        asm.emit(jump::exit());
    });
    assert!(kept.is_ok());
}

#[test]
fn a_helper_wants_its_arguments_and_may_return_nothing() {
    let without_key = refusal(|asm| {
        asm.load_map(R1, "map");
        asm.call(Helper::MapLookupElem);
        asm.emit(jump::exit());
    });
    assert_eq!(without_key, StructureError::UnsetRegister { slot: 2, register: R2 });
    let submitted = refusal(|asm| {
        asm.emit(alu::mov_imm(R2, 0));
        asm.call(Helper::RingbufSubmit);
        asm.emit(jump::exit());
    });
    assert_eq!(submitted, StructureError::UnsetRegister { slot: 2, register: R0 });
}

#[test]
fn every_kind_of_operand_counts_as_read() {
    let unset = |slot, register| StructureError::UnsetRegister { slot, register };
    assert_eq!(refusal(|asm| asm.emit(jump::exit())), unset(0, R0));
    let read = |insn| {
        refusal(move |asm| {
            asm.emit(insn);
            end(asm);
        })
    };
    assert_eq!(read(alu::add_imm(R7, 1)), unset(0, R7));
    assert_eq!(read(alu::mov_reg(R6, R7)), unset(0, R7));
    assert_eq!(read(alu::reg32(crate::insn::AluOp::Add, R1, R7)), unset(0, R7));
    assert_eq!(read(alu::to_big_endian(R7, 16)), unset(0, R7));
    assert_eq!(read(memory::load(Size::Byte, R6, R7, 0)), unset(0, R7));
    assert_eq!(read(memory::store(Size::Byte, R10, -1, R7)), unset(0, R7));
    assert_eq!(read(memory::store_imm(Size::Byte, R7, 0, 1)), unset(0, R7));
    assert_eq!(read(atomic(AtomicOp::CompareExchange, Size::Double, R10, -8, R1)), unset(0, R0));
    assert_eq!(read(jump::if_imm(Width::Bits64, Condition::Eq, R7, 0, 0)), unset(0, R7));
    assert_eq!(read(jump::if_reg(Width::Bits64, Condition::Eq, R1, R7, 0)), unset(0, R7));
}

#[test]
fn a_register_set_on_one_of_two_ways_is_not_refused() {
    let finished = finish(Prototype::Main, |asm| {
        let skip = asm.label();
        asm.jump_if(Width::Bits64, Condition::Eq, R1, 0, skip);
        asm.emit(alu::mov_imm(R6, 0));
        asm.bind(skip);
        asm.emit(alu::mov_reg(R0, R6));
        asm.emit(jump::exit());
    });
    assert!(finished.is_ok());
}

#[test]
fn a_loop_carries_back_what_it_sets() {
    let finished = finish(Prototype::Main, |asm| {
        let (again, first) = (asm.label(), asm.label());
        asm.jump(first);
        asm.bind(again);
        asm.emit(alu::add_imm(R6, 1));
        asm.bind(first);
        asm.emit(alu::mov_imm(R6, 0));
        asm.emit(alu::mov_imm(R0, 0));
        asm.jump_if(Width::Bits64, Condition::Ne, R1, 0, again);
        asm.emit(jump::exit());
    });
    assert!(finished.is_ok());
}

#[test]
fn a_function_starts_with_its_arguments_only() {
    let sum = |prototype| {
        finish(prototype, |asm| {
            asm.emit(alu::mov_reg(R0, R1));
            asm.emit(alu::add_reg(R0, R2));
            asm.emit(jump::exit());
        })
    };
    assert!(sum(Prototype::LoopCallback).is_ok());
    assert!(sum(Prototype::Static { arguments: 2 }).is_ok());
    assert!(sum(Prototype::Global { arguments: 2 }).is_ok());
    assert!(sum(Prototype::Main).is_err());
    assert!(sum(Prototype::Static { arguments: 1 }).is_err());
}

#[test]
fn code_that_no_way_leads_to_is_refused_as_the_verifier_does() {
    let dead = refusal(|asm| {
        end(asm);
        end(asm);
    });
    assert_eq!(dead, StructureError::Unreachable { slot: 2 });
}

#[test]
fn linking_refuses_unknown_and_double_names() {
    let calls = || {
        finish(Prototype::Main, |asm| {
            asm.set_origin(Origin(5));
            asm.call_subprogram("nobody");
            asm.emit(jump::exit());
        })
        .unwrap()
    };
    let unknown = LinkError::UnknownSubprogram { name: "nobody".to_owned(), origin: Origin(5) };
    assert_eq!(link(vec![calls()]).unwrap_err(), unknown);
    let double = LinkError::Duplicate { name: "main".to_owned() };
    assert_eq!(link(vec![calls(), calls()]).unwrap_err(), double);
    let long = finish(Prototype::Main, |asm| {
        for _ in 0..MAX_SLOTS {
            asm.emit(alu::mov_imm(R0, 0));
        }
        asm.emit(jump::exit());
    });
    assert_eq!(link(vec![long.unwrap()]).unwrap_err(), LinkError::TooLong { slots: MAX_SLOTS + 1 });
}

#[test]
fn origins_comments_and_references_keep_their_slots() {
    let main = finish(Prototype::Main, |asm| {
        asm.set_origin(Origin(1));
        asm.load_map(R1, "first");
        asm.set_origin(Origin(2));
        asm.comment("the second");
        asm.load_map_value(R2, "second", 8);
        asm.call_kfunc("bpf_preempt_disable");
        end(asm);
    })
    .unwrap();
    let code = link(vec![main]).unwrap();
    assert_eq!(code.origins.iter().map(|origin| origin.0).collect::<Vec<_>>(), [1, 1, 2, 2, 2, 2, 2]);
    assert_eq!(code.comments, [(2, "the second".to_owned())]);
    let references: Vec<_> = code.relocations.iter().map(|relocation| relocation.slot).collect();
    assert_eq!(references, [0, 2, 4]);
    assert_eq!(
        code.disassemble(),
        "main:\n    r1 = map first\n    ; the second\n    r2 = value of map second +8\n    call kernel bpf_preempt_disable\n    r0 = 0\n    exit\n"
    );
    assert_eq!(code.function_at(6).unwrap().name, "main");
}

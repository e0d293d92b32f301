//! Ring buffers as programs use them.

use super::*;
use crate::insn::jump::Width;
use crate::insn::{Condition, Helper, Size, memory};
use Register::{R1, R2, R3, R4, R6, R10};

const KIND: ProgramKind = ProgramKind::RawTracepoint;

/// `ringbuf_output` of 8 bytes.
fn output(flags: i32) -> Machine {
    machine(KIND, vec![MapSpec::ring("events", 4096)], move |asm| {
        asm.emit(memory::store_imm(Size::Double, R10, -8, 5));
        asm.load_map(R1, "events");
        asm.emit(alu::mov_reg(R2, R10));
        asm.emit(alu::add_imm(R2, -8));
        asm.emit(alu::mov_imm(R3, 8));
        asm.emit(alu::mov_imm(R4, flags));
        asm.call(Helper::RingbufOutput);
        asm.emit(jump::exit());
    })
}

#[test]
fn output_arrives_in_order_until_the_ring_is_full() {
    let mut machine = output(0);
    for _ in 0..255 {
        assert_eq!(machine.run("main", Context::default()).unwrap().result(), 0);
    }
    assert_eq!(machine.run("main", Context::default()).unwrap().result(), -11, "255 records of 16 bytes");
    let ring = machine.ring_mut("events").unwrap();
    assert_eq!((ring.records().len(), ring.refused()), (255, 1));
    let taken = ring.drain();
    assert_eq!((taken.len(), taken[0].bytes.as_slice()), (255, 5_u64.to_le_bytes().as_slice()));
    assert_eq!(machine.run("main", Context::default()).unwrap().result(), 0);
    assert_eq!(machine.ring("events").unwrap().records().len(), 1);
    assert_eq!(output(1).run("main", Context::default()).unwrap().result(), 0);
    assert_eq!(output(4).run("main", Context::default()).unwrap().result(), -22);
}

#[test]
fn output_of_unset_stack_is_a_fault() {
    let mut machine = machine(KIND, vec![MapSpec::ring("events", 4096)], |asm| {
        asm.emit(memory::store_imm(Size::Word, R10, -8, 5));
        asm.load_map(R1, "events");
        asm.emit(alu::mov_reg(R2, R10));
        asm.emit(alu::add_imm(R2, -8));
        asm.emit(alu::mov_imm(R3, 8));
        asm.emit(alu::mov_imm(R4, 0));
        asm.call(Helper::RingbufOutput);
        asm.emit(jump::exit());
    });
    let fault = machine.run("main", Context::default()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::UnsetStack { offset: -4 });
}

/// Reserves 16 bytes, writes 12 of them, and does `end` with the record in `R6`.
fn reserving(end: impl FnOnce(&mut Assembler)) -> Machine {
    machine(KIND, vec![MapSpec::ring("events", 4096)], |asm| {
        let full = asm.label();
        asm.load_map(R1, "events");
        asm.emit(alu::mov_imm(R2, 16));
        asm.emit(alu::mov_imm(R3, 0));
        asm.call(Helper::RingbufReserve);
        asm.jump_if(Width::Bits64, Condition::Eq, R0, 0, full);
        asm.emit(alu::mov_reg(R6, R0));
        asm.emit(memory::store_imm(Size::Double, R6, 0, 1));
        asm.emit(memory::store_imm(Size::Word, R6, 8, 2));
        end(asm);
        return_constant(asm, 0);
        asm.bind(full);
        return_constant(asm, -1);
    })
}

fn release(asm: &mut Assembler, helper: Helper) {
    asm.emit(alu::mov_reg(R1, R6));
    asm.emit(alu::mov_imm(R2, 0));
    asm.call(helper);
}

#[test]
fn a_submitted_record_arrives_and_tells_what_was_not_written() {
    let mut machine = reserving(|asm| release(asm, Helper::RingbufSubmit));
    machine.run("main", Context::default()).unwrap();
    let record = machine.ring("events").unwrap().records().remove(0);
    assert_eq!(record.bytes, [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0xa5, 0xa5, 0xa5, 0xa5]);
    assert_eq!(record.unwritten, 4);
}

#[test]
fn a_discarded_record_does_not_arrive_and_takes_room() {
    let mut machine = reserving(|asm| release(asm, Helper::RingbufDiscard));
    for _ in 0..170 {
        assert_eq!(machine.run("main", Context::default()).unwrap().result(), 0);
    }
    assert_eq!(machine.run("main", Context::default()).unwrap().result(), -1);
    assert!(machine.ring("events").unwrap().records().is_empty());
}

#[test]
fn a_record_must_be_released_once_and_not_used_after() {
    let kind = |end: &dyn Fn(&mut Assembler)| {
        reserving(|asm| end(asm)).run("main", Context::default()).unwrap_err().kind
    };
    assert_eq!(kind(&|_| {}), FaultKind::UnreleasedRecord { ring: "events".to_owned() });
    let twice = kind(&|asm| {
        release(asm, Helper::RingbufSubmit);
        release(asm, Helper::RingbufDiscard);
    });
    assert!(matches!(twice, FaultKind::Argument { argument: 1, .. }));
    let inside = kind(&|asm| {
        asm.emit(alu::add_imm(R6, 8));
        release(asm, Helper::RingbufSubmit);
    });
    assert!(matches!(inside, FaultKind::Argument { argument: 1, .. }));
    let after = kind(&|asm| {
        release(asm, Helper::RingbufSubmit);
        asm.emit(memory::store_imm(Size::Byte, R6, 0, 1));
    });
    assert!(matches!(after, FaultKind::Unmapped { .. }));
    let unset = kind(&|asm| asm.emit(memory::load(Size::Byte, R0, R6, 12)));
    assert_eq!(unset, FaultKind::UnsetRecord { offset: 12 });
    let behind = kind(&|asm| asm.emit(memory::store_imm(Size::Double, R6, 9, 1)));
    assert!(matches!(behind, FaultKind::OutOfBounds { length: 16, offset: 9, size: 8, .. }));
}

#[test]
fn a_fault_leaves_no_busy_record_behind() {
    let mut machine = reserving(|asm| asm.emit(memory::load(Size::Byte, R0, R6, 15)));
    machine.run("main", Context::default()).unwrap_err();
    assert!(machine.ring("events").unwrap().records().is_empty());
    assert!(machine.ring_mut("events").unwrap().drain().is_empty());
}

#[test]
fn a_query_tells_size_and_fill() {
    for (what, expected) in [(0, 16), (1, 4096), (2, 0), (3, 16), (4, 0)] {
        let mut machine = machine(KIND, vec![MapSpec::ring("events", 4096)], move |asm| {
            asm.emit(memory::store_imm(Size::Double, R10, -8, 5));
            asm.load_map(R1, "events");
            asm.emit(alu::mov_reg(R2, R10));
            asm.emit(alu::add_imm(R2, -8));
            asm.emit(alu::mov_imm(R3, 8));
            asm.emit(alu::mov_imm(R4, 0));
            asm.call(Helper::RingbufOutput);
            asm.load_map(R1, "events");
            asm.emit(alu::mov_imm(R2, what));
            asm.call(Helper::RingbufQuery);
            asm.emit(jump::exit());
        });
        assert_eq!(machine.run("main", Context::default()).unwrap().r0, expected);
    }
}

//! The programs of a few instructions that are tried.

use crate::asm::{Assembler, Prototype, link};
use crate::insn::atomic::{AtomicOp, atomic};
use crate::insn::{Helper, Insn, Register, Size, alu, call, jump, memory};
use crate::spec::{AttachSpec, CollectionSpec, Entries, MapKind, MapSpec, ProgramKind, ProgramSpec, Reach};
use Register::{R0, R1, R2, R10};

/// Does nothing and returns 0.
pub(super) fn empty() -> Vec<Insn> {
    vec![alu::mov_imm(R0, 0), jump::exit()]
}

/// Calls a helper with whatever is in the registers.
pub(super) fn helper(number: i32) -> Vec<Insn> {
    let call = Insn { imm: number, ..call::helper(Helper::KtimeGetNs) };
    vec![call, alu::mov_imm(R0, 0), jump::exit()]
}

/// Calls a kernel function with whatever is in the registers.
pub(super) fn kfunc(btf_id: u32) -> Vec<Insn> {
    vec![call::kfunc(btf_id.cast_signed()), alu::mov_imm(R0, 0), jump::exit()]
}

/// Reads the first word of the current task through `bpf_rdonly_cast`.
pub(super) fn rdonly_cast(btf_id: u32, task_struct: u32) -> Vec<Insn> {
    vec![
        call::helper(Helper::GetCurrentTask),
        alu::mov_reg(R1, R0),
        alu::mov_imm(R2, task_struct.cast_signed()),
        call::kfunc(btf_id.cast_signed()),
        memory::load(Size::Double, R0, R0, 0),
        alu::mov_imm(R0, 0),
        jump::exit(),
    ]
}

/// Adds on the stack and takes the old value.
pub(super) fn atomic_fetch() -> Vec<Insn> {
    vec![
        memory::store_imm(Size::Double, R10, -8, 1),
        alu::mov_imm(R1, 1),
        atomic(AtomicOp::FetchAdd, Size::Double, R10, -8, R1),
        alu::mov_imm(R0, 0),
        atomic(AtomicOp::CompareExchange, Size::Double, R10, -8, R1),
        alu::mov_imm(R0, 0),
        jump::exit(),
    ]
}

/// Longer than the 4096 instructions that old kernels took.
pub(super) fn large() -> Vec<Insn> {
    let mut insns = vec![alu::mov_imm(R0, 0); 4200];
    insns.push(jump::exit());
    insns
}

/// Writes the first register of its context.
pub(super) fn writes_register() -> Vec<Insn> {
    vec![alu::mov_imm(R2, 0), memory::store(Size::Double, R1, 0, R2), alu::mov_imm(R0, 0), jump::exit()]
}

/// Reads a word of user space, and sleeps until it is there.
pub(super) fn copies_from_user() -> Vec<Insn> {
    vec![
        memory::store_imm(Size::Double, R10, -8, 0),
        alu::mov_reg(R1, R10),
        alu::add_imm(R1, -8),
        alu::mov_imm(R2, 8),
        alu::mov_imm(Register::R3, 0),
        call::helper(Helper::CopyFromUser),
        alu::mov_imm(R0, 0),
        jump::exit(),
    ]
}

/// A subprogram that tail-calls, called by the main one.
pub(super) fn mixed_calls() -> Option<CollectionSpec> {
    let mut main = Assembler::new("main", Prototype::Main);
    main.call_subprogram("jumps");
    main.emit(jump::exit());
    let mut jumps = Assembler::new("jumps", Prototype::Static { arguments: 1 });
    jumps.load_map(R2, "slots");
    jumps.emit(alu::mov_imm(Register::R3, 0));
    jumps.call(Helper::TailCall);
    jumps.emit(alu::mov_imm(R0, 0));
    jumps.emit(jump::exit());
    let mut slots = MapSpec::array("slots", 4, Entries::Fixed(1));
    slots.kind = MapKind::ProgArray;
    one_program(vec![main, jumps], vec![slots])
}

/// A global function, called.
pub(super) fn global_function() -> Option<CollectionSpec> {
    let mut main = Assembler::new("main", Prototype::Main);
    main.emit(alu::mov_imm(R1, 1));
    main.call_subprogram("apart");
    main.emit(jump::exit());
    let mut apart = Assembler::new("apart", Prototype::Global { arguments: 1 });
    apart.emit(alu::mov_reg(R0, R1));
    apart.emit(jump::exit());
    one_program(vec![main, apart], Vec::new())
}

fn one_program(parts: Vec<Assembler>, maps: Vec<MapSpec>) -> Option<CollectionSpec> {
    let parts = parts.into_iter().map(|part| part.finish().ok()).collect::<Option<Vec<_>>>()?;
    let program = ProgramSpec {
        name: "probe".to_owned(),
        kind: ProgramKind::RawTracepoint,
        target: AttachSpec::None,
        reach: Reach::TailCalled,
        code: link(parts).ok()?,
    };
    Some(CollectionSpec { maps, imports: Vec::new(), programs: vec![program] })
}

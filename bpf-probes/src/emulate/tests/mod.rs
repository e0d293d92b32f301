//! Whole programs on the machine.
#![expect(clippy::unwrap_used, reason = "tests")]

mod arithmetic;
mod calls;
mod maps;
mod memory;
mod property;
mod reads;
mod rings;
mod tasks;

use super::{Context, Fault, FaultKind, Machine, Outcome};
use crate::asm::{Assembler, Code, Prototype, link};
use crate::insn::{Register, alu, jump};
use crate::spec::{AttachSpec, CollectionSpec, Entries, MapKind, MapSpec, ProgramKind, ProgramSpec, Reach};
use Register::R0;

/// One function.
fn function(name: &str, prototype: Prototype, emit: impl FnOnce(&mut Assembler)) -> crate::asm::Subprogram {
    let mut asm = Assembler::new(name, prototype);
    emit(&mut asm);
    asm.finish().unwrap()
}

/// A program of one function.
fn code(emit: impl FnOnce(&mut Assembler)) -> Code {
    link(vec![function("main", Prototype::Main, emit)]).unwrap()
}

fn program(name: &str, kind: ProgramKind, code: Code) -> ProgramSpec {
    ProgramSpec { name: name.to_owned(), kind, target: AttachSpec::None, reach: Reach::Attached, code }
}

/// A program called `main` with maps.
fn collection(kind: ProgramKind, maps: Vec<MapSpec>, code: Code) -> CollectionSpec {
    CollectionSpec { maps, imports: Vec::new(), programs: vec![program("main", kind, code)] }
}

fn machine(kind: ProgramKind, maps: Vec<MapSpec>, emit: impl FnOnce(&mut Assembler)) -> Machine {
    Machine::new(&collection(kind, maps, code(emit))).unwrap()
}

/// Runs the instructions of a raw tracepoint's program without maps and arguments.
fn run(emit: impl FnOnce(&mut Assembler)) -> Result<Outcome, Fault> {
    machine(ProgramKind::RawTracepoint, Vec::new(), emit).run("main", Context::default())
}

/// What `run` ends with.
fn result(emit: impl FnOnce(&mut Assembler)) -> u64 {
    run(emit).unwrap().r0
}

fn fault(emit: impl FnOnce(&mut Assembler)) -> FaultKind {
    run(emit).unwrap_err().kind
}

fn return_constant(asm: &mut Assembler, value: i32) {
    asm.emit(alu::mov_imm(R0, value));
    asm.emit(jump::exit());
}

/// A map of any kind.
fn map(name: &str, kind: MapKind, key_size: u32, value_size: u32, entries: u32) -> MapSpec {
    MapSpec {
        name: name.to_owned(),
        kind,
        key_size,
        value_size,
        entries: Entries::Fixed(entries),
        flags: 0,
        contents: Vec::new(),
    }
}

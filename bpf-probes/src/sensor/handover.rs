//! The stub that stays attached while the program behind it is exchanged.
//!
//! It tail-calls slot `i` of a program array of two, `i` read from the hook's cell in `control`: the next program goes into the free slot, and one store to the
//! cell hands over. The index stays a value: a constant one makes the JIT patch code at each swap.

use std::mem::offset_of;

use super::SensorError;
use crate::abi::{Control, HANDOVER_CELLS, map_name};
use crate::asm::{Assembler, Prototype, link};
use crate::builder::BuildError;
use crate::insn::{Helper, Register, Size, alu, jump, memory};
use crate::spec::{AttachSpec, CollectionSpec, Entries, MapKind, MapSpec, ProgramSpec, Reach};
use Register::{R0, R1, R2, R3, R6};

/// Name of the program array of a stub.
pub const SLOTS: &str = "slots";
/// Name of the stub's program.
pub const STUB: &str = "stub";

/// How often the cell is read: a stub that was preempted between reading it and the tail call finds its slot emptied when a hand-over came
/// between, and looks again. To pass unjudged, a call would have to meet this many hand-overs in as many attempts.
const TRIES: usize = 4;

/// The stub at `target`, for the hook with this number (its index in [`Control::live_slot`]).
///
/// # Errors
/// [`SensorError::HookNumber`] beyond the cells; [`SensorError::Target`] where nothing attaches.
pub fn stub(target: &AttachSpec, hook_number: u32) -> Result<CollectionSpec, SensorError> {
    if hook_number as usize >= HANDOVER_CELLS {
        return Err(SensorError::HookNumber { number: hook_number });
    }
    let kind = target.program_kind().ok_or(SensorError::Target)?;
    let cell = offset_of!(Control, live_slot) + 4 * hook_number as usize;
    let mut asm = Assembler::new(target.program_name(), Prototype::Main);
    asm.emit(alu::mov_reg(R6, R1));
    for _ in 0..TRIES {
        asm.load_map_value(R3, map_name::CONTROL, u32::try_from(cell).expect("the cells are small"));
        asm.emit(memory::load(Size::Word, R3, R3, 0));
        asm.load_map(R2, SLOTS);
        asm.emit(alu::mov_reg(R1, R6));
        asm.call(Helper::TailCall);
    }
    asm.emit(alu::mov_imm(R0, 0));
    asm.emit(jump::exit());
    let code = link(vec![asm.finish().map_err(BuildError::from)?]).map_err(BuildError::from)?;
    Ok(CollectionSpec {
        maps: vec![MapSpec {
            name: SLOTS.to_owned(),
            kind: MapKind::ProgArray,
            key_size: 4,
            value_size: 4,
            entries: Entries::Fixed(2),
            flags: 0,
            contents: Vec::new(),
        }],
        imports: vec![super::shared::control()],
        programs: vec![ProgramSpec {
            name: STUB.to_owned(),
            kind,
            target: target.clone(),
            reach: Reach::Attached,
            code,
        }],
    })
}

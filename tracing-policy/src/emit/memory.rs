//! Which working memory a program has.
//!
//! A program that cannot be preempted uses the CPU's entry of `scratch`. One that can (LSM and `fmod_ret`, which on a preemptible kernel leave the CPU in their midst)
//! claims an entry of `claimed`. A hook that needs more than these hold has a map of its own with entries of the same kind.

use bpf_probes::abi::HookRecord;
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Register, Size};
use bpf_probes::routine::layout::{
    AREA_BYTES, CLAIMED_AREA, CLAIMED_AREAS, CLAIMED_STATE, CLAIMS, RECORD, RECORD_BYTES, SCRATCH_AREAS,
    STATE, STATE_BYTES,
};
use bpf_probes::sensor::shared;
use bpf_probes::spec::{Entries, MapSpec};

use super::state::State;
use crate::ir::{Hook, ReadId, Rider};
use crate::lower::Purpose;
use crate::policy::Family;

/// Bytes of a value's header in a record.
const HEADER_BYTES: u32 = 8;
/// Bytes of a number in a record, its header included.
const NUMBER_BYTES: u32 = HEADER_BYTES + 8;
/// Name of a hook's own working memory.
const OWN: &str = "memory";

/// Working memory of one program.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// Its map.
    pub(super) map: MapSpec,
    /// Whether the map is made with the program.
    pub(super) is_own: bool,
    /// Whether an entry is claimed and released; else there is one a CPU.
    pub(super) is_claimed: bool,
    /// The state's offsets, from the beginning of an entry.
    pub(super) state: State,
    /// The areas' offsets.
    pub(super) areas: Vec<u32>,
    /// The record's offset.
    pub(super) record: u32,
    /// The offset of a data record, where buffers are sent in pieces.
    pub(super) chunk: Option<u32>,
}

impl Memory {
    /// The memory that a hook's program needs; `can_be_preempted` says whether another may run on the CPU in its midst.
    pub(super) fn of(hook: &Hook, purpose: Purpose, can_be_preempted: bool) -> Self {
        let state = State::of(hook);
        let areas = state.areas();
        let fits = |most: u32| areas <= most && state.bytes <= STATE_BYTES;
        let at = |first: u32| (0..areas).map(|area| first + area * AREA_BYTES).collect();
        let chunk_bytes = if purpose == Purpose::Report { super::chunks::memory(hook) } else { 0 };
        if !can_be_preempted && fits(SCRATCH_AREAS) && chunk_bytes == 0 {
            return Self {
                map: shared::scratch(),
                is_own: false,
                is_claimed: false,
                areas: at(0),
                state: state.moved(STATE),
                record: RECORD,
                chunk: None,
            };
        }
        if can_be_preempted && purpose.only_filters() && fits(CLAIMED_AREAS) {
            return Self {
                map: shared::claimed(),
                is_own: false,
                is_claimed: true,
                areas: at(CLAIMED_AREA),
                state: state.moved(CLAIMED_STATE),
                record: 0,
                chunk: None,
            };
        }
        let first = CLAIMED_STATE + state.bytes;
        let record = first + areas * AREA_BYTES;
        let bytes = match purpose {
            Purpose::Report | Purpose::Return => record + longest_record(hook) + chunk_bytes,
            Purpose::Deny | Purpose::Ask => record,
        };
        let entries = if can_be_preempted { CLAIMS } else { 1 };
        Self {
            map: MapSpec::array(OWN, bytes, Entries::PerCpu(entries)),
            is_own: true,
            is_claimed: can_be_preempted,
            areas: at(first),
            state: state.moved(CLAIMED_STATE),
            record,
            chunk: (chunk_bytes > 0).then(|| bytes - chunk_bytes),
        }
    }
}

/// Room for the longest record of the hook, and for one more value: an entry of its own is claimed a thread, not one a CPU, so that each byte counts often.
fn longest_record(hook: &Hook) -> u32 {
    let value = |id: &ReadId| match hook.read(*id).ty.family() {
        Family::Number(_) => NUMBER_BYTES,
        Family::String | Family::Path => AREA_BYTES,
        Family::Object(kind) => HEADER_BYTES + super::object::size(kind),
        Family::Nothing => 0,
    };
    let record = |rider: &Rider| rider.values.iter().map(value).sum::<u32>();
    let longest = hook.riders.iter().map(record).max().unwrap_or(0);
    let fixed = u32::try_from(size_of::<HookRecord>()).unwrap_or(0);
    let hash = super::hash::record_bytes(hook);
    (fixed + longest + super::stack::record_bytes(hook) + hash + AREA_BYTES)
        .next_multiple_of(8)
        .min(RECORD_BYTES)
}

/// `dst = *(size *)(R6 + offset)`.
pub(super) fn load(f: &mut Function<'_>, size: Size, dst: Register, offset: u32) -> Result<(), BuildError> {
    let offset = f.offset(offset)?;
    f.load(size, dst, Register::R6, offset);
    Ok(())
}

/// `*(size *)(R6 + offset) = src`.
pub(super) fn store(f: &mut Function<'_>, size: Size, offset: u32, src: Register) -> Result<(), BuildError> {
    let offset = f.offset(offset)?;
    f.store(size, Register::R6, offset, src);
    Ok(())
}

/// `*(size *)(R6 + offset) = imm`.
pub(super) fn store_imm(f: &mut Function<'_>, size: Size, offset: u32, imm: i32) -> Result<(), BuildError> {
    let offset = f.offset(offset)?;
    f.store_imm(size, Register::R6, offset, imm);
    Ok(())
}

/// `dst = R6 + offset`.
pub(super) fn address(f: &mut Function<'_>, dst: Register, offset: u32) {
    f.copy(dst, Register::R6);
    if offset != 0 {
        f.alu(AluOp::Add, dst, offset.cast_signed());
    }
}

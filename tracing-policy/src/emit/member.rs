//! Programs that serve many places: which of them a call is at, and what its records are to be read by.

use Register::{R0, R1, R9, R10};
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::spec::{Entries, Entry, MapSpec, flag};

use super::memory::{load, store};
use super::program::Emitter;
use crate::ir::{Members, Rider};

/// Name of the map from numbers of system calls to members.
const MAP: &str = "members";
/// Numbers of system calls are below this; what is beyond is no member.
const MAX_NUMBER: u32 = 4096;

/// `R0 = number of the member` that the system call in `R9`'s context is, and one more; goes to `other` when it is none.
pub(super) fn look_up_member(f: &mut Function<'_>, other: Label) -> Result<(), BuildError> {
    f.comment("only these system calls");
    f.scope(|f| {
        let key = f.slot(8)?;
        f.load(Size::Double, R1, R9, 8);
        f.jump_if(Condition::Gt, R1, MAX_NUMBER.cast_signed(), other);
        f.store(Size::Word, R10, key.offset(), R1);
        f.lookup(MAP, key, other);
        f.load(Size::Word, R0, R0, 0);
        f.jump_if(Condition::Eq, R0, 0, other);
        Ok(())
    })
}

impl Emitter<'_> {
    /// Keeps the number of the member that the call is at. The context is in `R9`.
    pub(super) fn note_member(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        match &self.hook.members {
            Members::One => Ok(()),
            Members::Cookie => {
                f.copy(R1, R9);
                f.call(Helper::GetAttachCookie);
                store(f, Size::Double, self.state().member, R0)
            }
            Members::Syscalls(_) => {
                let (none, out) = (f.label(), f.label());
                look_up_member(f, none)?;
                f.alu(AluOp::Sub, R0, 1);
                f.jump(out);
                f.bind(none);
                f.constant(R0, 0);
                f.bind(out);
                store(f, Size::Double, self.state().member, R0)
            }
        }
    }

    /// `R1 = number of the layout` of a policy's record about this call.
    pub(super) fn layout_of_member(&self, f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
        load(f, Size::Double, R1, self.state().member)?;
        f.alu(AluOp::Add, R1, rider.layout_number.cast_signed());
        Ok(())
    }

    /// The map by which members are found.
    pub(super) fn member_map(&self) -> Option<MapSpec> {
        let Members::Syscalls(numbers) = &self.hook.members else { return None };
        let known = numbers.iter().zip(1_u32..).filter(|(number, _)| **number <= MAX_NUMBER);
        let contents: Vec<Entry> = known
            .map(|(number, member)| Entry {
                key: number.to_ne_bytes().to_vec(),
                value: member.to_ne_bytes().to_vec(),
            })
            .collect();
        let last = numbers.iter().copied().filter(|number| *number <= MAX_NUMBER).max().unwrap_or(0);
        let map = MapSpec::array(MAP, 4, Entries::Fixed(last + 1));
        Some(MapSpec { flags: flag::RDONLY_PROG, contents, ..map })
    }
}

//! The program that overrides what the hooked function returns, behind the one that decides at the same entry.

use std::mem::offset_of;

use Register::{R0, R1, R2, R8, R9};
use bpf_probes::abi::{Note, map_name};
use bpf_probes::asm::Prototype;
use bpf_probes::builder::{BuildError, Facts, Function};
use bpf_probes::insn::{Helper, Register, Size, alu};
use bpf_probes::kernel::KernelView;
use bpf_probes::sensor::{STUB, shared};
use bpf_probes::spec::{CollectionSpec, Reach};

use super::note::{KEY_BYTES, only_if_killed, remove};
use super::program::Body;
use super::returner::collection;

/// `-EPERM`
const EPERM: i32 = -1;

/// The program. It takes the place of a stub, for the kernel attaches but does not tail-call such programs.
///
/// # Errors
/// When the kernel's types lack something.
pub(crate) fn overrider(body: Body<'_>, kernel: &KernelView) -> Result<CollectionSpec, BuildError> {
    let facts = Facts::of(kernel);
    let name = format!("{}_override", body.target.program_name());
    let mut f = Function::new(&name, Prototype::Main, &facts).with_frame(128);
    let (absent, override_return, out) = (f.label(), f.label(), f.label());
    f.copy(R9, R1);
    let key = f.slot(KEY_BYTES)?;
    body.notes.key(&mut f, key);
    f.lookup(map_name::NOTES, key, absent);
    f.load(Size::Word, R8, R0, i16::try_from(offset_of!(Note, errno)).expect("a note is small"));
    f.extend(R8, 32, true);
    remove(&mut f, key);
    f.jump(override_return);
    f.bind(absent);
    only_if_killed(&mut f, out)?;
    f.emit(alu::mov_imm(R8, EPERM));
    f.bind(override_return);
    f.copy(R1, R9);
    f.copy(R2, R8);
    f.call(Helper::OverrideReturn);
    f.bind(out);
    f.return_constant(0);
    collection(f, body, (STUB, Reach::Attached), vec![shared::counters(), shared::notes()])
}

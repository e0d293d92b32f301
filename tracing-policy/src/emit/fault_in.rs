//! The program that has the text of arguments brought into memory, before the one that looks at it at the same place.
//!
//! A program that filters is not put to sleep, so that it cannot read a page that is on disk still, or that the thread has never touched (a literal of the
//! program, for one). This one sleeps until the page is there. It takes no stub: programs that sleep may not be tail-called (`kernel/bpf/verifier.c:
//! check_map_prog_compatibility`), and it is the same for all policies that ask for the same arguments.

use Register::{R0, R1, R2, R3, R7, R8, R9, R10};
use bpf_probes::asm::{Label, Prototype};
use bpf_probes::builder::{BuildError, Facts, Function, Slot};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::kernel::KernelView;
use bpf_probes::sensor::{STUB, argument};
use bpf_probes::spec::{CollectionSpec, ProgramKind, Reach};

use super::program::Body;
use super::returner::collection;

/// Last byte of a page, as a mask. Larger pages hold whole pages of this size.
const IN_PAGE: i32 = 4095;

/// The program for the arguments whose bits are set.
///
/// # Errors
/// When the kernel's types lack the registers.
pub(crate) fn fault_in(
    body: Body<'_>,
    arguments: u8,
    kernel: &KernelView,
) -> Result<CollectionSpec, BuildError> {
    let facts = Facts::of(kernel);
    let name = format!("{}_fault_in", body.target.program_name());
    let mut f = Function::new(&name, Prototype::Main, &facts).with_frame(64);
    f.copy(R9, R1);
    let byte = f.slot(8)?;
    for index in (0..6).filter(|index| arguments & 1 << index != 0) {
        argument(&mut f, body.kind, R7, R9, index)?;
        let next = f.label();
        touch(&mut f, byte, next);
        // a text of 4096 bytes lies in two pages at most; it goes on in the second unless the first one ends with its NUL, or behind it
        f.copy(R8, R7);
        f.alu(AluOp::Or, R8, IN_PAGE);
        f.copy(R7, R8);
        touch(&mut f, byte, next);
        f.load(Size::Byte, R1, R10, byte.offset());
        f.jump_if(Condition::Eq, R1, 0, next);
        f.alu(AluOp::Add, R7, 1);
        touch(&mut f, byte, next);
        f.bind(next);
    }
    f.return_constant(0);
    let kind = if body.kind == ProgramKind::UprobeMulti {
        ProgramKind::UprobeMultiSleepable
    } else {
        ProgramKind::UprobeSleepable
    };
    collection(f, Body { kind, ..body }, (STUB, Reach::Attached), Vec::new())
}

/// Reads the byte at `R7` into `byte`, sleeping only where it is not there; goes to `nowhere` when there is none.
fn touch(f: &mut Function<'_>, byte: Slot, nowhere: Label) {
    let there = f.label();
    for read in [Helper::ProbeReadUser, Helper::CopyFromUser] {
        f.slot_address(R1, byte);
        f.constant(R2, 1);
        f.copy(R3, R7);
        f.call(read);
        f.jump_if(Condition::Eq, R0, 0, there);
    }
    f.jump(nowhere);
    f.bind(there);
}

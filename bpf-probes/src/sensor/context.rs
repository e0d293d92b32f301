//! Arguments from the context of a program.

use crate::builder::{BuildError, Function};
use crate::insn::{Register, Size};
use crate::spec::ProgramKind;

/// Fields of `struct pt_regs` that carry arguments 0 to 5 of a kernel function (System V AMD64).
const ARGUMENT_REGISTERS: [&str; 6] = ["di", "si", "dx", "cx", "r8", "r9"];

/// `dst = argument `index` of the traced function or tracepoint`, from the context in `context` of a program of this kind.
///
/// # Errors
/// When the kernel's types lack `struct pt_regs`, or the index is beyond what registers carry.
pub fn argument(
    f: &mut Function<'_>,
    kind: ProgramKind,
    dst: Register,
    context: Register,
    index: u8,
) -> Result<(), BuildError> {
    let offset = match kind {
        ProgramKind::Kprobe
        | ProgramKind::KprobeMulti
        | ProgramKind::Uprobe
        | ProgramKind::UprobeMulti
        | ProgramKind::UprobeSleepable
        | ProgramKind::UprobeMultiSleepable => {
            let field = ARGUMENT_REGISTERS.get(usize::from(index)).copied().unwrap_or("beyond six");
            f.facts().offset_of("pt_regs", field)?
        }
        ProgramKind::Tracepoint
        | ProgramKind::RawTracepoint
        | ProgramKind::BtfTracepoint
        | ProgramKind::Fentry
        | ProgramKind::Fexit
        | ProgramKind::FmodRet
        | ProgramKind::Lsm
        | ProgramKind::LsmSleepable
        | ProgramKind::SocketFilter => 8 * u32::from(index),
    };
    let offset = f.offset(offset)?;
    f.load(Size::Double, dst, context, offset);
    Ok(())
}

//! Tests of what a value is rather than what it says: the type of a file, capabilities gained, whether it is there at all.

use Register::{R1, R2, R7, R8};
use bpf_probes::abi::value_flag;
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition, Register, Size};

use super::memory::{load, store};
use super::program::Emitter;
use crate::ir::ReadId;
use crate::policy::{ArgumentType, FileTypeTest, Sense};

impl Emitter<'_> {
    /// Notes the mode of a file.
    pub(super) fn note_kind(&self, f: &mut Function<'_>, id: ReadId, mode: u32) -> Result<(), BuildError> {
        f.comment("the type of the file");
        load(f, Size::Double, R8, self.state().reads[id.index()].raw)?;
        if self.hook.read(id).ty == ArgumentType::File {
            f.read(R7, R8, "file", "f_inode")?;
        } else {
            f.read(R7, R8, "path", "dentry")?;
            f.read(R7, R7, "dentry", "d_inode")?;
        }
        f.read(R1, R7, "inode", "i_mode")?;
        store(f, Size::Word, mode, R1)
    }

    /// The test of a file's type.
    pub(super) fn file_type(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        test: FileTypeTest,
        fail: Label,
    ) -> Result<(), BuildError> {
        let Some(mode) = self.state().bytes(id).and_then(|bytes| bytes.mode) else { return Ok(()) };
        load(f, Size::Word, R1, mode)?;
        f.jump_if(Condition::Eq, R1, 0, fail);
        f.alu(AluOp::Rsh, R1, 12);
        f.alu(AluOp::And, R1, 15);
        f.constant(R2, 1);
        f.alu_reg(AluOp::Lsh, R2, R1);
        f.alu(AluOp::And, R2, i32::from(test.types));
        match test.sense {
            Sense::Plain => f.jump_if(Condition::Eq, R2, 0, fail),
            Sense::Negated => f.jump_if(Condition::Ne, R2, 0, fail),
        }
        Ok(())
    }

    /// The test for a capability in one set that is not in another.
    pub(super) fn gained(
        &self,
        f: &mut Function<'_>,
        before: ReadId,
        after: ReadId,
        fail: Label,
    ) -> Result<(), BuildError> {
        self.leave_unread(f, before, fail)?;
        self.leave_unread(f, after, fail)?;
        load(f, Size::Double, R1, self.state().reads[before.index()].raw)?;
        load(f, Size::Double, R2, self.state().reads[after.index()].raw)?;
        f.alu(AluOp::Xor, R1, -1);
        f.alu_reg(AluOp::And, R2, R1);
        f.jump_if(Condition::Eq, R2, 0, fail);
        Ok(())
    }

    /// The test that an argument could be read.
    pub(super) fn readable(&self, f: &mut Function<'_>, id: ReadId, fail: Label) -> Result<(), BuildError> {
        let Some(bytes) = self.state().bytes(id) else { return Ok(()) };
        load(f, Size::Half, R1, bytes.header + 4)?;
        f.jump_if(Condition::Set, R1, i32::from(value_flag::ERROR), fail);
        Ok(())
    }
}

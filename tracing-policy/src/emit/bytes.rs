//! Tests of paths and strings.

use Register::{R1, R2, R3, R6, R7, R8};
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::jump::Width;
use bpf_probes::insn::{AluOp, Condition, Register, Size};
use bpf_probes::routine::layout::{PATH_END, PATH_START, SLACK_BYTES};

use super::memory::{load, store, store_imm};
use super::number::always;
use super::program::Emitter;
use super::state::BytesState;
use crate::ir::{BytesTest, Check, Leaf, ReadId};
use crate::policy::{Sense, StringForm};

/// Longest name of a directory entry (`NAME_MAX`).
const NAME_MAX: i32 = 255;

/// Where the bytes of a subject lie: `base + offset`.
#[derive(Clone, Copy)]
struct Place {
    base: Register,
    offset: u32,
}

impl Emitter<'_> {
    /// Whether an argument's last component is looked at before its path is formed.
    pub(super) fn has_leaf_phase(&self, id: ReadId) -> bool {
        let tests = self.hook.selectors().flat_map(|selector| &selector.tests);
        tests.into_iter().any(|test| matches!(test.check, Check::Leaf { read, .. } if read == id))
    }

    fn is_path(&self, id: ReadId) -> bool {
        self.hook.read(id).ty.is_path()
    }

    /// Notes the last component of a path, unless it says nothing about the path's end: the name of a mount's root is that of the mount point, and behind
    /// that of an unlinked file stands ` (deleted)`.
    pub(super) fn note_leaf(&self, f: &mut Function<'_>, id: ReadId) -> Result<(), BuildError> {
        let Some(bytes) = self.state().bytes(id) else { return Ok(()) };
        let out = f.label();
        f.comment("the last component");
        self.resolve_path(f, id, bytes)?;
        store_imm(f, Size::Word, bytes.leaf_length, 0)?;
        f.read(R1, R8, "vfsmount", "mnt_root")?;
        f.jump_if_reg(Condition::Eq, R1, R7, out);
        let fields = [(R1, "d_hash.pprev"), (R2, "d_parent"), (R8, "d_name.len"), (R3, "d_name.name")];
        f.read_many(R7, "dentry", &fields)?;
        f.jump_if(Condition::Eq, R1, 0, out);
        f.jump_if_reg(Condition::Eq, R2, R7, out);
        f.jump_if(Condition::Gt, R8, NAME_MAX, out);
        store(f, Size::Word, bytes.leaf_length, R8)?;
        // before a short name lies what belongs to the dentry or to the name's own allocation
        f.copy(R7, R3);
        f.alu_reg(AluOp::Add, R7, R8);
        f.alu(AluOp::Sub, R7, 8);
        f.read(R1, R7, "list_head", "next")?;
        store(f, Size::Double, bytes.leaf_tail, R1)?;
        f.bind(out);
        Ok(())
    }

    /// Falls through when one of the leaves may be the path's last component.
    pub(super) fn leaf(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        leaves: &[Leaf],
        fail: Label,
    ) -> Result<(), BuildError> {
        let Some(bytes) = self.state().bytes(id) else { return Ok(()) };
        let pass = f.label();
        load(f, Size::Word, R1, bytes.leaf_length)?;
        f.jump_if(Condition::Eq, R1, 0, pass);
        load(f, Size::Double, R2, bytes.leaf_tail)?;
        for leaf in leaves {
            let next = f.label();
            let (name, unfit) = match leaf {
                Leaf::Whole(name) => (name, Condition::Ne),
                Leaf::End(end) => (end, Condition::Lt),
            };
            let length = i32::try_from(name.len()).unwrap_or(i32::MAX);
            f.jump_if(unfit, R1, length, next);
            compare_tail(f, name, pass);
            f.bind(next);
        }
        always(f, fail);
        f.bind(pass);
        Ok(())
    }

    /// `R7 = R6 + where the path begins in its area`, going to `none` where that is nowhere (never).
    pub(super) fn locate(&self, f: &mut Function<'_>, id: ReadId, none: Label) -> Result<(), BuildError> {
        let Some(bytes) = self.state().bytes(id).filter(|_| self.is_path(id)) else { return Ok(()) };
        load(f, Size::Word, R7, bytes.start)?;
        f.jump_if(Condition::Gt, R7, PATH_END.cast_signed(), none);
        f.jump_if(Condition::Lt, R7, PATH_START.cast_signed(), none);
        f.alu_reg(AluOp::Add, R7, R6);
        Ok(())
    }

    /// Where the subject begins; for a path after [`Self::locate`].
    fn place(&self, id: ReadId, bytes: BytesState) -> Place {
        let area = self.memory.areas[bytes.area];
        if self.is_path(id) {
            Place { base: R7, offset: area }
        } else {
            Place { base: R6, offset: area + PATH_START }
        }
    }

    /// `dst = address `back` bytes before the subject's first`.
    pub(super) fn subject_address(&self, f: &mut Function<'_>, dst: Register, id: ReadId, back: u32) {
        let Some(bytes) = self.state().bytes(id) else { return };
        let place = self.place(id, bytes);
        f.copy(dst, place.base);
        f.alu(AluOp::Add, dst, place.offset.cast_signed() - back.cast_signed());
    }

    /// The test of a path or string; for a path after [`Self::locate`].
    pub(super) fn bytes(
        &self,
        f: &mut Function<'_>,
        test: &BytesTest,
        fail: Label,
    ) -> Result<(), BuildError> {
        let Some(bytes) = self.state().bytes(test.read) else { return Ok(()) };
        let pass = f.label();
        let is_plain = test.sense == Sense::Plain;
        let hit = if is_plain { pass } else { fail };
        // what cannot be tested has no bytes, so that no value fits but the empty one
        if !is_plain || test.values.iter().any(Vec::is_empty) || test.values.is_empty() {
            load(f, Size::Word, R1, bytes.testable)?;
            f.jump_if(Condition::Eq, R1, 0, fail);
        }
        if let Some(bit) = test.table {
            let answer = self.state().tables[bit.table.index()];
            load(f, Size::Byte, R1, answer + bit.bit / 8)?;
            f.jump_if(Condition::Set, R1, 1 << (bit.bit % 8), hit);
        }
        let Some((last, others)) = test.values.split_last() else {
            if is_plain {
                always(f, fail);
            }
            f.bind(pass);
            return Ok(());
        };
        for value in others {
            let next = f.label();
            self.value(f, test, bytes, value, next)?;
            go(f, test.form, value, hit);
            f.bind(next);
        }
        if is_plain {
            self.value(f, test, bytes, last, fail)?;
        } else {
            self.value(f, test, bytes, last, pass)?;
            go(f, test.form, last, fail);
        }
        f.bind(pass);
        Ok(())
    }

    /// Falls through when the value fits, else goes to `miss`.
    fn value(
        &self,
        f: &mut Function<'_>,
        test: &BytesTest,
        bytes: BytesState,
        value: &[u8],
        miss: Label,
    ) -> Result<(), BuildError> {
        let length = i32::try_from(value.len()).unwrap_or(i32::MAX);
        match test.form {
            StringForm::Exact => {
                load(f, Size::Word, R1, bytes.header)?;
                f.jump_if(Condition::Ne, R1, length, miss);
            }
            StringForm::Prefix if value.contains(&0) => {
                // what lies behind a short subject is NUL too
                load(f, Size::Word, R1, bytes.header)?;
                f.jump_if(Condition::Lt, R1, length, miss);
            }
            StringForm::Prefix => {}
            StringForm::Postfix => {
                load(f, Size::Word, R1, bytes.header)?;
                f.jump_if(Condition::Lt, R1, length, miss);
            }
        }
        let place = match test.form {
            StringForm::Exact | StringForm::Prefix => self.start_of_long(f, test.read, bytes, value, miss)?,
            StringForm::Postfix => self.end_of(f, test.read, bytes, value, miss),
        };
        compare(f, place, value, miss)
    }

    /// Where the subject begins; for a value longer than what may be read behind any path, with what the verifier must know.
    fn start_of_long(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        bytes: BytesState,
        value: &[u8],
        miss: Label,
    ) -> Result<Place, BuildError> {
        let place = self.place(id, bytes);
        let longest = usize::try_from(SLACK_BYTES).unwrap_or(0);
        if !self.is_path(id) || value.len() <= longest {
            return Ok(place);
        }
        let last = PATH_END.saturating_sub(u32::try_from(value.len()).unwrap_or(u32::MAX));
        load(f, Size::Word, R1, bytes.start)?;
        f.jump_if(Condition::Gt, R1, last.cast_signed(), miss);
        f.alu_reg(AluOp::Add, R1, R6);
        Ok(Place { base: R1, offset: place.offset })
    }

    /// Where the last bytes of the subject begin, as many as the value has; its length is in `R1` and large enough.
    fn end_of(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        bytes: BytesState,
        value: &[u8],
        miss: Label,
    ) -> Place {
        let area = self.memory.areas[bytes.area];
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        if self.is_path(id) {
            return Place { base: R6, offset: area + PATH_END - length };
        }
        f.jump_if(Condition::Gt, R1, (PATH_END - PATH_START).cast_signed(), miss);
        f.alu(AluOp::Sub, R1, length.cast_signed());
        f.alu_reg(AluOp::Add, R1, R6);
        Place { base: R1, offset: area + PATH_START }
    }
}

/// Goes to `hit` behind a value that fits; what follows is reached by those that do not.
fn go(f: &mut Function<'_>, form: StringForm, value: &[u8], hit: Label) {
    if value.is_empty() && form == StringForm::Prefix {
        // everything begins with nothing
        f.constant(R1, 0);
        always(f, hit);
    } else {
        f.jump(hit);
    }
}

/// Goes to `hit` when the last bytes of a name, the last one highest in `R2`, are those of `name`; as far as eight bytes tell. Uses `R3` and `R4`.
fn compare_tail(f: &mut Function<'_>, name: &[u8], hit: Label) {
    let tail = name.get(name.len().saturating_sub(8)..).unwrap_or_default();
    let mut word = [0; 8];
    word[..tail.len()].copy_from_slice(tail);
    f.constant(Register::R4, u64::from_le_bytes(word));
    f.copy(R3, R2);
    let missing = 8 - tail.len();
    if missing == 8 {
        f.constant(R3, 0);
    } else if missing > 0 {
        f.alu(AluOp::Rsh, R3, i32::try_from(8 * missing).unwrap_or(0));
    }
    f.jump_if_reg(Condition::Eq, R3, Register::R4, hit);
}

/// Falls through when the bytes at the place are those of the value. Uses `R2` and `R3`.
fn compare(f: &mut Function<'_>, place: Place, value: &[u8], miss: Label) -> Result<(), BuildError> {
    let mut at = 0;
    while at < value.len() {
        let left = value.len() - at;
        // the last words may overlap what was compared before
        let (start, bytes) = match left {
            8.. => (at, 8),
            5..=7 if at > 0 => (value.len() - 8, 8),
            4..=7 => (at, 4),
            3 if at > 0 => (value.len() - 4, 4),
            2..=3 => (at, 2),
            _ => (at, 1),
        };
        let chunk = value.get(start..start + bytes).unwrap_or_default();
        let offset = f.offset(place.offset + u32::try_from(start).unwrap_or(u32::MAX))?;
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        match bytes {
            8 => {
                f.load(Size::Double, R2, place.base, offset);
                f.constant(R3, word);
                f.jump_if_reg(Condition::Ne, R2, R3, miss);
            }
            4 => {
                f.load(Size::Word, R2, place.base, offset);
                let low = u32::try_from(word).unwrap_or(0);
                let imm = low.cast_signed();
                f.assembler().jump_if(Width::Bits32, Condition::Ne, R2, imm, miss);
            }
            _ => {
                let size = if bytes == 2 { Size::Half } else { Size::Byte };
                f.load(size, R2, place.base, offset);
                f.jump_if(Condition::Ne, R2, i32::try_from(word).unwrap_or(0), miss);
            }
        }
        at = start + bytes;
    }
    Ok(())
}

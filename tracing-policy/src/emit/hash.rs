//! Hashes of files in reports: three programs on one LSM hook, of which the last attached runs first.
//!
//! The first filters and notes that a report will carry the hash; the second, which sleeps while the kernel reads the file, takes it where it is asked for; the third
//! filters again, acts, and reports with what was noted. So only files that are reported are read, and who is denied is reported with the hash, too. A hash
//! that is not there (no IMA, no room for the note) is reported as such.

use std::mem::{offset_of, size_of};

use Register::{R0, R1, R2, R3, R7, R8, R9, R10};
use bpf_probes::abi::{FileHash, HashKey, HookRecord, hook_flag, map_name};
use bpf_probes::asm::{Label, Prototype, Subprogram};
use bpf_probes::builder::{BuildError, Facts, Function, Program, Slot};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::kernel::KernelView;
use bpf_probes::sensor::{STUB, shared};
use bpf_probes::spec::{AttachSpec, CollectionSpec, ProgramKind, ProgramSpec, Reach};

use super::memory::load;
use super::output::append_error;
use super::program::{Body, Emitter};
use crate::ir::{Hook, Rider, Selector};
use crate::lower::Purpose;

/// Bytes of a value's header in a record.
const HEADER_BYTES: i32 = 8;
/// `ENODATA`
const NO_HASH: i32 = 61;
/// Beginning and factor of the hash that tells hooks apart (FNV-1a, 64 bits).
const FNV: (u64, u64) = (0xcbf2_9ce4_8422_2325, 0x0100_0000_01b3);

fn bytes<T>() -> u32 {
    u32::try_from(size_of::<T>()).expect("hashes are small")
}

fn field(offset: usize) -> i16 {
    i16::try_from(offset).expect("hashes are small")
}

/// Whether a report of the hook carries a hash.
pub(super) fn are_reported(hook: &Hook) -> bool {
    hook.selectors().any(Selector::reports_hash)
}

/// Bytes that a hash adds to the records of a hook.
pub(super) fn record_bytes(hook: &Hook) -> u32 {
    if are_reported(hook) { HEADER_BYTES.unsigned_abs() + bytes::<FileHash>() } else { 0 }
}

/// Tells an LSM hook from others.
fn number(target: &AttachSpec) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(FNV.1);
    target.to_string().bytes().fold(FNV.0, mix)
}

/// `key` = the current thread in this hook. Loses `R0` to `R5`.
fn note_key(f: &mut Function<'_>, key: Slot, target: &AttachSpec) {
    f.current_task();
    f.store(Size::Double, R10, key.offset(), R0);
    f.constant(R1, number(target));
    f.store(Size::Double, R10, key.at(8), R1);
}

fn offset(offset: usize) -> u32 {
    u32::try_from(offset).expect("hashes are small")
}

/// Fills the slot with zeros.
fn clear(f: &mut Function<'_>, hash: Slot) {
    for word in (0..bytes::<FileHash>()).step_by(8) {
        f.store_imm(Size::Double, R10, hash.at(word), 0);
    }
}

impl Emitter<'_> {
    /// Emits the program that filters and asks for the hash.
    pub(super) fn ask(&self, program: &mut Program) -> Result<Subprogram, BuildError> {
        self.add_routines(program)?;
        let mut f = self.entry();
        let (out, wanted, none) = (f.label(), f.label(), f.label());
        self.working_memory(&mut f, none)?;
        self.note_registers(&mut f)?;
        self.note_process(&mut f)?;
        self.begin_phases(&mut f)?;
        self.phases(&mut f, program, out)?;
        self.find_asking(&mut f, wanted, out)?;
        f.bind(wanted);
        f.comment("the hash is asked for");
        f.scope(|f| {
            let (key, hash) = (f.slot(bytes::<HashKey>())?, f.slot(bytes::<FileHash>())?);
            note_key(f, key, self.body.target);
            clear(f, hash);
            f.update(map_name::HASHES, key, hash);
            Ok(())
        })?;
        f.bind(out);
        f.constant(R8, 0);
        self.finish(&mut f);
        f.bind(none);
        self.without_memory(&mut f);
        f.finish()
    }

    /// Goes to `wanted` where the selector that matches, of any policy, reports the hash; else to `out`.
    fn find_asking(&self, f: &mut Function<'_>, wanted: Label, out: Label) -> Result<(), BuildError> {
        let all: Vec<_> = self.numbered().collect();
        for selectors in all.chunk_by(|left, right| std::ptr::eq(left.rider, right.rider)) {
            let end = f.label();
            for it in selectors {
                let next = f.label();
                f.set_origin(it.selector.origin);
                // the only one has matched
                f.constant(R1, 1);
                if !self.single {
                    load(f, Size::Byte, R1, self.state().alive + it.index)?;
                }
                f.jump_if(Condition::Eq, R1, 0, next);
                f.jump(if it.selector.reports_hash() { wanted } else { end });
                f.bind(next);
            }
            f.bind(end);
        }
        f.jump(out);
        Ok(())
    }

    /// Appends the hash at `R7 + R8`, where the selector that matched reports it.
    pub(super) fn append_hash(&self, f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
        if !rider.selectors.iter().any(Selector::reports_hash) {
            return Ok(());
        }
        let (behind, absent) = (f.label(), f.label());
        f.comment("the hash of the file");
        f.load(Size::Byte, R1, R7, field(offset_of!(HookRecord, flags)));
        f.alu(AluOp::And, R1, i32::from(hook_flag::FILE_HASH));
        f.jump_if(Condition::Eq, R1, 0, behind);
        f.scope(|f| {
            let key = f.slot(bytes::<HashKey>())?;
            note_key(f, key, self.body.target);
            f.lookup(map_name::HASHES, key, absent);
            f.load(Size::Word, R1, R0, field(offset_of!(FileHash, answered)));
            f.jump_if(Condition::Eq, R1, 0, absent);
            f.copy(R1, R7);
            f.alu_reg(AluOp::Add, R1, R8);
            f.store_imm(Size::Double, R1, 0, bytes::<FileHash>().cast_signed());
            for word in (0..bytes::<FileHash>()).step_by(8) {
                let (from, to) = (f.offset(word)?, f.offset(word + 8)?);
                f.load(Size::Double, R2, R0, from);
                f.store(Size::Double, R1, to, R2);
            }
            f.alu(AluOp::Add, R8, HEADER_BYTES + bytes::<FileHash>().cast_signed());
            Ok(())
        })?;
        f.jump(behind);
        f.bind(absent);
        f.constant(R0, 0);
        f.alu(AluOp::Sub, R0, NO_HASH);
        append_error(f);
        f.bind(behind);
        Ok(())
    }

    /// All policies have reported: the hash is nobody's any more.
    pub(super) fn forget_hash(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        if self.body.purpose != Purpose::Report || !are_reported(self.hook) {
            return Ok(());
        }
        f.scope(|f| {
            let key = f.slot(bytes::<HashKey>())?;
            note_key(f, key, self.body.target);
            f.slot_address(R2, key);
            f.assembler().load_map(R1, map_name::HASHES);
            f.call(Helper::MapDeleteElem);
            Ok(())
        })
    }
}

/// The program that takes the hash where it is asked for. It sleeps, so that it takes no stub; it is the same for all policies.
///
/// # Errors
/// When the kernel's types lack `struct linux_binprm` or `struct file`.
pub(crate) fn take_hash(body: Body<'_>, kernel: &KernelView) -> Result<CollectionSpec, BuildError> {
    let facts = Facts::of(kernel);
    let mut f = Function::new(STUB, Prototype::Main, &facts).with_frame(128);
    f.copy(R9, R1);
    let out = f.label();
    let (key, hash) = (f.slot(bytes::<HashKey>())?, f.slot(bytes::<FileHash>())?);
    note_key(&mut f, key, body.target);
    f.lookup(map_name::HASHES, key, out);
    f.load(Size::Double, R7, R9, 0);
    let is_hook = |name: &str| matches!(body.target, AttachSpec::Lsm { hook } if hook.starts_with(name));
    let mut helper = Helper::ImaFileHash;
    if is_hook("bprm_") {
        follow(&mut f, "linux_binprm", "file")?;
    } else if is_hook("file_open") {
        // It is about to be opened, and the kernel warns who reads it (`fs/read_write.c: __kernel_read`): what IMA has measured before is all there is.
        follow(&mut f, "file", "f_inode")?;
        helper = Helper::ImaInodeHash;
    }
    f.jump_if(Condition::Eq, R7, 0, out);
    clear(&mut f, hash);
    f.copy(R1, R7);
    f.slot_address(R2, hash);
    f.alu(AluOp::Add, R2, i32::from(field(offset_of!(FileHash, digest))));
    f.constant(R3, bpf_probes::abi::DIGEST_BYTES as u64);
    f.call(helper);
    f.store(Size::Word, R10, hash.at(offset(offset_of!(FileHash, algorithm))), R0);
    f.store_imm(Size::Word, R10, hash.at(offset(offset_of!(FileHash, answered))), 1);
    f.update(map_name::HASHES, key, hash);
    f.bind(out);
    f.return_constant(0);
    let code = Program::new().link(f.finish()?)?;
    let program = ProgramSpec {
        name: STUB.to_owned(),
        kind: ProgramKind::LsmSleepable,
        target: body.target.clone(),
        reach: Reach::Attached,
        code,
    };
    Ok(CollectionSpec { maps: Vec::new(), imports: vec![shared::hashes()], programs: vec![program] })
}

/// `R7 = a field of the object at R7`, by a load that keeps the type for the verifier.
fn follow(f: &mut Function<'_>, container: &str, name: &str) -> Result<(), BuildError> {
    let at = f.facts().offset_of(container, name)?;
    let at = f.offset(at)?;
    f.load(Size::Double, R7, R7, at);
    Ok(())
}

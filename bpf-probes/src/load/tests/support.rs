//! Blueprints and helpers of the tests beside.

use std::fs;
use std::sync::{Mutex, MutexGuard, OnceLock};

use crate::asm::{Assembler, Code, Prototype, link};
use crate::btf::Btf;
use crate::insn::{AluOp, Condition, Helper, Register, Size, alu, atomic, jump, memory};
use crate::kernel::{Answer, Feature};
use crate::load::LoadContext;
use crate::load::probe::{Prober, kernel_btf};
use crate::spec::{AttachSpec, CollectionSpec, Entries, MapSpec, ProgramKind, ProgramSpec, Reach, flag};

/// One root test at a time, so that descriptors can be counted.
static ALONE: Mutex<()> = Mutex::new(());

pub(super) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(super) fn context() -> LoadContext<'static> {
    LoadContext::new(None).unwrap()
}

/// How many kernel objects this process has open: programs, maps, links, BTF, perf events. Other tests may open files meanwhile.
pub(super) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("anon_inode:"))
        .count()
}

pub(super) fn main_of(emit: impl FnOnce(&mut Assembler)) -> Code {
    let mut asm = Assembler::new("main", Prototype::Main);
    emit(&mut asm);
    asm.emit(alu::mov_imm(Register::R0, 0));
    asm.emit(jump::exit());
    link(vec![asm.finish().unwrap()]).unwrap()
}

pub(super) fn program(name: &str, target: AttachSpec, code: Code) -> ProgramSpec {
    let kind = target.program_kind().unwrap_or(ProgramKind::SocketFilter);
    ProgramSpec { name: name.to_owned(), kind, target, reach: Reach::Attached, code }
}

/// A program that sends `len` bytes beginning with pid and a number into ring `events`.
pub(super) fn sends_pid() -> Code {
    main_of(|asm| {
        asm.load_map(Register::R1, "events");
        asm.emit(alu::mov_imm(Register::R2, 16));
        asm.emit(alu::mov_imm(Register::R3, 0));
        asm.call(Helper::RingbufReserve);
        let full = asm.label();
        asm.jump_if(jump::Width::Bits64, Condition::Eq, Register::R0, 0, full);
        asm.emit(alu::mov_reg(Register::R6, Register::R0));
        asm.call(Helper::GetCurrentPidTgid);
        asm.emit(memory::store(Size::Double, Register::R6, 0, Register::R0));
        asm.emit(memory::store_imm(Size::Double, Register::R6, 8, 7));
        asm.emit(alu::mov_reg(Register::R1, Register::R6));
        asm.emit(alu::mov_imm(Register::R2, 0));
        asm.call(Helper::RingbufSubmit);
        asm.bind(full);
    })
}

/// A program that adds 1 to cell 0 of array `counts`.
pub(super) fn counts() -> Code {
    main_of(|asm| {
        asm.load_map_value(Register::R1, "counts", 0);
        asm.emit(alu::mov_imm(Register::R2, 1));
        asm.emit(atomic::atomic(atomic::AtomicOp::Add, Size::Double, Register::R1, 0, Register::R2));
    })
}

pub(super) fn cell(name: &str) -> MapSpec {
    MapSpec::array(name, 8, Entries::Fixed(1)).with_flags(flag::MMAPABLE)
}

pub(super) fn collection(maps: Vec<MapSpec>, programs: Vec<ProgramSpec>) -> CollectionSpec {
    CollectionSpec { maps, imports: Vec::new(), programs }
}

/// The kernel's types, read once.
pub(super) fn kernel_types() -> &'static Btf {
    static BTF: OnceLock<Btf> = OnceLock::new();
    BTF.get_or_init(|| kernel_btf().unwrap())
}

pub(super) fn kernel_context() -> LoadContext<'static> {
    LoadContext::new(Some(kernel_types())).unwrap()
}

/// Whether the kernel says that it can. Says aloud when it cannot, and why; a kernel that claims to can must.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(super) fn can(feature: Feature) -> bool {
    match Prober::new(kernel_types()).unwrap().answer(feature) {
        Answer::Yes => true,
        Answer::Refused { error } => {
            eprintln!("REFUSED by this host: {feature}: {error}");
            false
        }
        Answer::No { .. } => {
            eprintln!("LACKS: {feature}");
            false
        }
        Answer::Unknown { error } => panic!("{feature}: {error}"),
    }
}

/// A program that returns `result` to this process and 0 to all others.
pub(super) fn denies(result: i32) -> Code {
    let mut asm = Assembler::new("main", Prototype::Main);
    asm.call(Helper::GetCurrentPidTgid);
    asm.emit(alu::imm(AluOp::Rsh, Register::R0, 32));
    let other = asm.label();
    let pid = std::process::id().cast_signed();
    asm.jump_if(jump::Width::Bits64, Condition::Ne, Register::R0, pid, other);
    asm.emit(alu::mov_imm(Register::R0, result));
    asm.emit(jump::exit());
    asm.bind(other);
    asm.emit(alu::mov_imm(Register::R0, 0));
    asm.emit(jump::exit());
    link(vec![asm.finish().unwrap()]).unwrap()
}

/// A program that tail-calls the slot of `slots` whose number stands in `live`.
pub(super) fn stub() -> Code {
    main_of(|asm| {
        asm.emit(alu::mov_reg(Register::R6, Register::R1));
        asm.load_map_value(Register::R7, "live", 0);
        asm.emit(memory::load(Size::Word, Register::R3, Register::R7, 0));
        asm.load_map(Register::R2, "slots");
        asm.emit(alu::mov_reg(Register::R1, Register::R6));
        asm.call(Helper::TailCall);
    })
}

/// Opens a file; the errno, 0 when it succeeds.
pub(super) fn opens() -> i32 {
    match fs::File::open("/proc/self/stat") {
        Ok(_file) => 0,
        Err(error) => error.raw_os_error().unwrap(),
    }
}

/// Whether `fd` becomes readable within `time`.
#[expect(unsafe_code, reason = "poll(2) has no safe wrapper in std")]
pub(super) fn poll(fd: i32, time: std::time::Duration) -> bool {
    let mut one = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let time = i32::try_from(time.as_millis()).unwrap();
    // SAFETY: one live pollfd.
    let result = unsafe { libc::poll(&raw mut one, 1, time) };
    result == 1 && one.revents & libc::POLLIN != 0
}

//! Loading programs and BTF, asking about programs, and the links that bpf(2) makes itself.

#![expect(unsafe_code, reason = "bpf(2)")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use libbpf_sys as ffi;

use super::SysError;
use super::object::{info, info_len, own};
use crate::spec::ProgramKind;

/// One record of `func_info`: where a function begins and its BTF type (`struct bpf_func_info`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub(in crate::load) struct FuncInfo {
    /// Slot of the function's first instruction.
    pub(in crate::load) slot: u32,
    /// Id of its `BTF_KIND_FUNC`.
    pub(in crate::load) type_id: u32,
}

/// What `BPF_PROG_LOAD` takes.
#[derive(Debug)]
pub(in crate::load) struct LoadRequest<'a> {
    pub(in crate::load) kind: ProgramType,
    /// `BPF_F_*` of loading.
    pub(in crate::load) flags: u32,
    pub(in crate::load) name: &'a CStr,
    /// Whole instructions of eight bytes.
    pub(in crate::load) code: &'a [[u8; 8]],
    /// Id in the kernel's BTF of what a tracing or LSM program is bound to; 0 for none.
    pub(in crate::load) attach_btf_id: u32,
    /// BTF of the program itself and its functions.
    pub(in crate::load) functions: Option<(BorrowedFd<'a>, &'a [FuncInfo])>,
}

/// Program type and expected attach type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::load) struct ProgramType {
    program: ffi::bpf_prog_type,
    attach: ffi::bpf_attach_type,
}

impl ProgramType {
    /// For probes: programs on control groups.
    pub(in crate::load) const CGROUP: Self = Self::new(ffi::BPF_PROG_TYPE_CGROUP_SKB, 0);
    /// For probes: uprobes of several places under one link.
    pub(in crate::load) const UPROBE_MULTI: Self =
        Self::new(ffi::BPF_PROG_TYPE_KPROBE, ffi::BPF_TRACE_UPROBE_MULTI);

    const fn new(program: ffi::bpf_prog_type, attach: ffi::bpf_attach_type) -> Self {
        Self { program, attach }
    }

    pub(in crate::load) const fn of(kind: ProgramKind) -> Self {
        match kind {
            ProgramKind::Kprobe => Self::new(ffi::BPF_PROG_TYPE_KPROBE, 0),
            ProgramKind::KprobeMulti => Self::new(ffi::BPF_PROG_TYPE_KPROBE, ffi::BPF_TRACE_KPROBE_MULTI),
            ProgramKind::Tracepoint => Self::new(ffi::BPF_PROG_TYPE_TRACEPOINT, 0),
            ProgramKind::RawTracepoint => Self::new(ffi::BPF_PROG_TYPE_RAW_TRACEPOINT, 0),
            ProgramKind::BtfTracepoint => Self::new(ffi::BPF_PROG_TYPE_TRACING, ffi::BPF_TRACE_RAW_TP),
            ProgramKind::Fentry => Self::new(ffi::BPF_PROG_TYPE_TRACING, ffi::BPF_TRACE_FENTRY),
            ProgramKind::Fexit => Self::new(ffi::BPF_PROG_TYPE_TRACING, ffi::BPF_TRACE_FEXIT),
            ProgramKind::FmodRet => Self::new(ffi::BPF_PROG_TYPE_TRACING, ffi::BPF_MODIFY_RETURN),
            ProgramKind::Lsm | ProgramKind::LsmSleepable => {
                Self::new(ffi::BPF_PROG_TYPE_LSM, ffi::BPF_LSM_MAC)
            }
            ProgramKind::SocketFilter => Self::new(ffi::BPF_PROG_TYPE_SOCKET_FILTER, 0),
            ProgramKind::Uprobe | ProgramKind::UprobeSleepable => Self::new(ffi::BPF_PROG_TYPE_KPROBE, 0),
            ProgramKind::UprobeMulti | ProgramKind::UprobeMultiSleepable => Self::UPROBE_MULTI,
        }
    }
}

/// Verifies a program. With `log`, the verifier writes what it did there, NUL-terminated; on kernels before 6.4 a log that does not
/// fit makes the call fail with `ENOSPC`.
pub(in crate::load) fn program_load(
    request: &LoadRequest<'_>,
    log: Option<&mut [u8]>,
) -> Result<OwnedFd, SysError> {
    load(request, log.map(|log| (LOG_WALK, log)))
}

/// The same, with what the verifier says at the end about the program as a whole.
pub(in crate::load) fn program_load_counted(
    request: &LoadRequest<'_>,
    log: &mut [u8],
) -> Result<OwnedFd, SysError> {
    load(request, Some((LOG_STATS, log)))
}

/// Levels of the verifier's log: each instruction that is walked (`BPF_LOG_LEVEL1`), sums (`BPF_LOG_STATS`, 5.2).
const LOG_WALK: u32 = 1;
const LOG_STATS: u32 = 4;

fn load(request: &LoadRequest<'_>, log: Option<(u32, &mut [u8])>) -> Result<OwnedFd, SysError> {
    const CALL: &str = "bpf(BPF_PROG_LOAD)";
    let mut opts = ffi::bpf_prog_load_opts {
        sz: size_of::<ffi::bpf_prog_load_opts>() as u64,
        expected_attach_type: request.kind.attach,
        prog_flags: request.flags,
        attach_btf_id: request.attach_btf_id,
        ..Default::default()
    };
    if let Some((btf, functions)) = request.functions {
        opts.prog_btf_fd = btf.as_raw_fd().cast_unsigned();
        opts.func_info = functions.as_ptr().cast();
        opts.func_info_cnt =
            u32::try_from(functions.len()).map_err(|_many| SysError::new(CALL, libc::E2BIG))?;
        opts.func_info_rec_size = info_len::<FuncInfo>();
    }
    if let Some((level, log)) = log {
        opts.log_level = level;
        opts.log_size = u32::try_from(log.len()).map_err(|_long| SysError::new(CALL, libc::E2BIG))?;
        opts.log_buf = log.as_mut_ptr().cast();
    }
    // SAFETY: name and licence are NUL-terminated; `code` is `len` slots of eight bytes, the size of struct bpf_insn, and only read as
    // bytes by the kernel; the pointers in `opts` go to live slices of the counts beside them, of which only the log is written.
    let result = unsafe {
        ffi::bpf_prog_load(
            request.kind.program,
            request.name.as_ptr(),
            c"GPL".as_ptr(),
            request.code.as_ptr().cast(),
            request.code.len() as u64,
            &raw mut opts,
        )
    };
    own(CALL, result)
}

/// Loads a BTF object (4.18).
pub(in crate::load) fn btf_load(bytes: &[u8]) -> Result<OwnedFd, SysError> {
    let opts = std::ptr::null_mut();
    // SAFETY: the bytes are live and only read; no options.
    let result = unsafe { ffi::bpf_btf_load(bytes.as_ptr().cast(), bytes.len() as u64, opts) };
    own("bpf(BPF_BTF_LOAD)", result)
}

/// What the kernel says about a program. Fields that it does not know are 0.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::load) struct ProgramFacts {
    pub(in crate::load) id: u32,
    /// `enum bpf_prog_type`.
    pub(in crate::load) kind: u32,
    pub(in crate::load) jited_len: u32,
    pub(in crate::load) run_time_ns: u64,
    pub(in crate::load) run_count: u64,
    pub(in crate::load) recursion_misses: u64,
    pub(in crate::load) verified_insns: u32,
    /// Whether this kernel counts the runs that recursion protection skipped.
    pub(in crate::load) counts_misses: bool,
}

/// Asks about a program.
pub(in crate::load) fn program_facts(fd: BorrowedFd<'_>) -> Result<ProgramFacts, SysError> {
    let mut answer = ffi::bpf_prog_info::default();
    // SAFETY: this is what programs are asked for; all pointers in it are null with counts of 0.
    let known = unsafe { info(fd, &mut answer) }?;
    Ok(ProgramFacts {
        id: answer.id,
        kind: answer.type_,
        jited_len: answer.jited_prog_len,
        run_time_ns: answer.run_time_ns,
        run_count: answer.run_cnt,
        recursion_misses: answer.recursion_misses,
        verified_insns: answer.verified_insns,
        counts_misses: known as usize
            >= std::mem::offset_of!(ffi::bpf_prog_info, recursion_misses) + size_of::<u64>(),
    })
}

/// Runs a program by hand on `context`. Returns its result.
pub(in crate::load) fn program_run(
    fd: BorrowedFd<'_>,
    packet: &[u8],
    context: &[u8],
) -> Result<u32, SysError> {
    const CALL: &str = "bpf(BPF_PROG_TEST_RUN)";
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_long| SysError::new(CALL, libc::E2BIG));
    let mut opts = ffi::bpf_test_run_opts {
        sz: size_of::<ffi::bpf_test_run_opts>() as u64,
        data_size_in: len(packet)?,
        ctx_size_in: len(context)?,
        ..Default::default()
    };
    if !packet.is_empty() {
        opts.data_in = packet.as_ptr().cast();
    }
    if !context.is_empty() {
        opts.ctx_in = context.as_ptr().cast();
    }
    // SAFETY: both inputs are live slices of the sizes stated, and only read; there are no output buffers.
    let result = unsafe { ffi::bpf_prog_test_run_opts(fd.as_raw_fd(), &raw mut opts) };
    SysError::check(CALL, result)?;
    Ok(opts.retval)
}

/// Attaches to a raw tracepoint (4.17), or, without a name, a tracing or LSM program to what it was loaded for (5.5).
pub(in crate::load) fn raw_tracepoint_open(
    name: Option<&CStr>,
    program: BorrowedFd<'_>,
) -> Result<OwnedFd, SysError> {
    let name = name.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: the name is null or NUL-terminated and live.
    let result = unsafe { ffi::bpf_raw_tracepoint_open(name, program.as_raw_fd()) };
    own("bpf(BPF_RAW_TRACEPOINT_OPEN)", result)
}

pub(super) fn link_opts() -> ffi::bpf_link_create_opts {
    ffi::bpf_link_create_opts { sz: size_of::<ffi::bpf_link_create_opts>() as u64, ..Default::default() }
}

/// Hangs a program on a perf event by a link (5.15).
pub(in crate::load) fn perf_link(
    program: BorrowedFd<'_>,
    event: BorrowedFd<'_>,
) -> Result<OwnedFd, SysError> {
    let opts = link_opts();
    // SAFETY: descriptors by value; `opts` is live, of the size that it states, without pointers.
    let result = unsafe {
        ffi::bpf_link_create(program.as_raw_fd(), event.as_raw_fd(), ffi::BPF_PERF_EVENT, &raw const opts)
    };
    own("bpf(BPF_LINK_CREATE, perf event)", result)
}

/// Attaches to the entry of many functions at once (5.18).
pub(in crate::load) fn kprobe_multi_link(
    program: BorrowedFd<'_>,
    symbols: &[&CStr],
) -> Result<OwnedFd, SysError> {
    const CALL: &str = "bpf(BPF_LINK_CREATE, kprobe.multi)";
    let mut names: Vec<*const libc::c_char> = symbols.iter().map(|name| name.as_ptr()).collect();
    let cookies: Vec<u64> = (0..).take(names.len()).collect();
    let mut opts = link_opts();
    opts.__bindgen_anon_1.kprobe_multi = ffi::bpf_link_create_opts__bindgen_ty_1__bindgen_ty_2 {
        cnt: u32::try_from(names.len()).map_err(|_many| SysError::new(CALL, libc::E2BIG))?,
        syms: names.as_mut_ptr(),
        cookies: cookies.as_ptr(),
        ..Default::default()
    };
    // SAFETY: `opts` is live, of the size that it states; `syms` goes to `cnt` NUL-terminated live names, `cookies` to as many live numbers.
    let result =
        unsafe { ffi::bpf_link_create(program.as_raw_fd(), 0, ffi::BPF_TRACE_KPROBE_MULTI, &raw const opts) };
    own(CALL, result)
}

/// What the kernel answers to a link on a perf event that does not exist: `EBADF` where it has such links.
pub(in crate::load) fn perf_link_on_nothing(program: BorrowedFd<'_>) -> Result<OwnedFd, SysError> {
    let opts = link_opts();
    // SAFETY: numbers by value; `opts` is live, of the size that it states, without pointers.
    let result =
        unsafe { ffi::bpf_link_create(program.as_raw_fd(), -1, ffi::BPF_PERF_EVENT, &raw const opts) };
    own("bpf(BPF_LINK_CREATE, perf event)", result)
}

/// What the kernel answers to a link on functions at an address that cannot be read: `EFAULT` where it has such links.
pub(in crate::load) fn kprobe_multi_link_on_nothing(program: BorrowedFd<'_>) -> Result<OwnedFd, SysError> {
    let mut opts = link_opts();
    opts.__bindgen_anon_1.kprobe_multi = ffi::bpf_link_create_opts__bindgen_ty_1__bindgen_ty_2 {
        cnt: 1,
        addrs: std::ptr::dangling(),
        ..Default::default()
    };
    // SAFETY: `opts` is live, of the size that it states; the kernel reads `addrs` by a checked copy, which fails.
    let result =
        unsafe { ffi::bpf_link_create(program.as_raw_fd(), 0, ffi::BPF_TRACE_KPROBE_MULTI, &raw const opts) };
    own("bpf(BPF_LINK_CREATE, kprobe.multi)", result)
}

/// What the kernel answers to a uprobe link on a folder: `EBADF` where it has such links.
pub(in crate::load) fn uprobe_link_on_nothing(program: BorrowedFd<'_>) -> Result<OwnedFd, SysError> {
    let offset: libc::c_ulong = 0;
    let mut opts = link_opts();
    opts.__bindgen_anon_1.uprobe_multi = ffi::bpf_link_create_opts__bindgen_ty_1__bindgen_ty_3 {
        cnt: 1,
        path: c"/".as_ptr(),
        offsets: &raw const offset,
        ..Default::default()
    };
    // SAFETY: `opts` is live, of the size that it states; path and the one offset are live.
    let result =
        unsafe { ffi::bpf_link_create(program.as_raw_fd(), 0, ffi::BPF_TRACE_UPROBE_MULTI, &raw const opts) };
    own("bpf(BPF_LINK_CREATE, uprobe.multi)", result)
}

/// A program by its number.
pub(in crate::load) fn program_by_id(id: u32) -> Result<OwnedFd, SysError> {
    // SAFETY: a plain number; the call makes a descriptor or fails.
    own("bpf(BPF_PROG_GET_FD_BY_ID)", unsafe { ffi::bpf_prog_get_fd_by_id(id) })
}

/// A program uses at most so many maps (`kernel/bpf/verifier.c: MAX_USED_MAPS`, 64 in 5.10).
const MAX_USED_MAPS: u32 = 64;

/// The numbers of the maps that a program uses.
pub(in crate::load) fn program_maps(fd: BorrowedFd<'_>) -> Result<Vec<u32>, SysError> {
    let mut maps = vec![0_u32; MAX_USED_MAPS as usize];
    let mut answer = ffi::bpf_prog_info {
        nr_map_ids: MAX_USED_MAPS,
        map_ids: maps.as_mut_ptr() as u64,
        ..Default::default()
    };
    // SAFETY: this is what programs are asked for; `map_ids` goes to a live buffer of `nr_map_ids` numbers, and all other pointers are null with
    // counts of 0.
    unsafe { info(fd, &mut answer) }?;
    maps.truncate(answer.nr_map_ids as usize);
    Ok(maps)
}

/// Has the kernel count runs and time of all programs until the descriptor is closed (5.8).
pub(in crate::load) fn enable_run_statistics() -> Result<OwnedFd, SysError> {
    // SAFETY: a plain number; the call makes a descriptor or fails.
    own("bpf(BPF_ENABLE_STATS)", unsafe { ffi::bpf_enable_stats(ffi::BPF_STATS_RUN_TIME) })
}

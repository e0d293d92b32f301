//! A program that the kernel has verified.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::LoadContext;
use super::link::{self, AttachError, Link};
use super::map::{kernel_name, memory_of};
use super::own_btf::{FunctionTypes, OwnBtfError};
use super::sys::{self, LoadRequest, ProgramType, SysError};
use super::verifier_log::Refusal;
use crate::asm::Reference;
use crate::btf::LookupError;
use crate::insn::encode;
use crate::spec::{AttachSpec, ProgramKind, ProgramSpec, Reach};

/// Room for the verifier's log. Pages that it does not write cost nothing; kernels before 6.4 give no log when it does not fit.
const LOG_BYTES: usize = 32 << 20;

/// `BPF_F_SLEEPABLE` of `BPF_PROG_LOAD`.
pub(super) const SLEEPABLE: u32 = 1 << 4;

const fn flags(kind: ProgramKind) -> u32 {
    match kind {
        ProgramKind::UprobeSleepable | ProgramKind::UprobeMultiSleepable | ProgramKind::LsmSleepable => {
            SLEEPABLE
        }
        ProgramKind::Kprobe
        | ProgramKind::KprobeMulti
        | ProgramKind::Tracepoint
        | ProgramKind::RawTracepoint
        | ProgramKind::BtfTracepoint
        | ProgramKind::Fentry
        | ProgramKind::Fexit
        | ProgramKind::FmodRet
        | ProgramKind::Lsm
        | ProgramKind::SocketFilter
        | ProgramKind::Uprobe
        | ProgramKind::UprobeMulti => 0,
    }
}

/// Why a program could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It names a map that was not given.
    #[error("program {program} uses map {map}, which is neither made with it nor given")]
    UnknownMap {
        /// The program.
        program: String,
        /// The map.
        map: String,
    },
    /// Linked code still refers to a subprogram, or to a slot that it does not have.
    #[error("program {program} is not linked: slot {slot}")]
    NotLinked {
        /// The program.
        program: String,
        /// Where.
        slot: usize,
    },
    /// The kernel's types are needed and not known.
    #[error("program {program} needs the kernel's BTF (CONFIG_DEBUG_INFO_BTF), which is not there")]
    NoBtf {
        /// The program.
        program: String,
    },
    /// The kernel's BTF lacks a function.
    #[error("program {program}: {error}")]
    Type {
        /// The program.
        program: String,
        /// What is missing.
        error: LookupError,
    },
    /// A program bound to one function, without a target that says which.
    #[error("program {program} cannot be loaded for {target}")]
    Target {
        /// The program.
        program: String,
        /// Its target.
        target: AttachSpec,
    },
    /// Its functions could not be described to the verifier.
    #[error("program {program}: the description of its functions (BTF) {error}")]
    Functions {
        /// The program.
        program: String,
        /// Why.
        error: OwnBtfError,
    },
    /// The verifier refused it.
    #[error("the kernel's verifier refused program {program} {refusal}")]
    Refused {
        /// The program.
        program: String,
        /// What the call returned.
        error: SysError,
        /// What the verifier said.
        refusal: Box<Refusal>,
    },
    /// The kernel does not let us: a capability is missing, or the host forbids this kind of program.
    #[error("the kernel does not permit program {program} for {target}: {error}")]
    NotPermitted {
        /// The program.
        program: String,
        /// Where it is to run.
        target: AttachSpec,
        /// What the call returned.
        error: SysError,
    },
    /// The call failed without a word of the verifier.
    #[error("program {program} for {target} could not be loaded: {error}")]
    Load {
        /// The program.
        program: String,
        /// Where it is to run.
        target: AttachSpec,
        /// What the call returned.
        error: SysError,
    },
}

/// What the kernel counts about a program. What this kernel does not count is 0.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ProgramInfo {
    /// The kernel's number for it.
    pub id: u32,
    /// Time spent in it, while `kernel.bpf_stats_enabled` is 1.
    pub run_time: Duration,
    /// Runs, while `kernel.bpf_stats_enabled` is 1.
    pub run_count: u64,
    /// Runs that the kernel skipped because the program was running on that CPU already (5.12): calls that passed unseen.
    pub recursion_misses: u64,
    /// Instructions that the verifier walked (5.16).
    pub verified_insns: u32,
    /// Bytes of machine code; 0 without a JIT.
    pub jited_bytes: u32,
    /// Bytes of kernel memory for its instructions.
    pub memory: u64,
}

/// A loaded program. Dropping it closes our descriptor; links and program arrays keep it alive.
#[derive(Debug)]
pub struct Program {
    fd: OwnedFd,
    name: String,
    kind: ProgramKind,
    target: AttachSpec,
    reach: Reach,
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Finds the descriptor of a map by the name that a program uses.
pub type FindMap<'a> = dyn Fn(&str) -> Option<BorrowedFd<'a>> + 'a;

impl Program {
    /// Fills in the references of `spec` and has the kernel verify it.
    ///
    /// # Errors
    /// See [`ProgramError`].
    pub fn load(
        spec: &ProgramSpec,
        maps: &FindMap<'_>,
        context: &LoadContext<'_>,
    ) -> Result<Self, ProgramError> {
        let fd = with_request(spec, maps, context, |request| {
            sys::program_load(request, None).or_else(|error| explain(spec, request, error))
        })?;
        let name = spec.name.clone();
        Ok(Self { fd, name, kind: spec.kind, target: spec.target.clone(), reach: spec.reach })
    }

    /// Has the kernel verify `spec` and returns how many instructions the verifier walked; also where [`ProgramInfo::verified_insns`] is not counted. The program is gone
    /// afterwards.
    ///
    /// # Errors
    /// See [`ProgramError`].
    pub fn walked(
        spec: &ProgramSpec,
        maps: &FindMap<'_>,
        context: &LoadContext<'_>,
    ) -> Result<Option<u32>, ProgramError> {
        with_request(spec, maps, context, |request| {
            let mut log = vec![0_u8; LOG_BYTES];
            sys::program_load_counted(request, &mut log).or_else(|error| explain(spec, request, error))?;
            let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
            let text = String::from_utf8_lossy(log.get(..end).unwrap_or_default());
            Ok(processed(&text))
        })
    }

    /// Its name in full.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its kind.
    pub const fn kind(&self) -> ProgramKind {
        self.kind
    }

    /// Where it is to run.
    pub const fn target(&self) -> &AttachSpec {
        &self.target
    }

    /// How control gets to it.
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// Attaches it to its target.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub fn attach(&self) -> Result<Link, AttachError> {
        link::attach(self, &self.target, None)
    }

    /// Attaches it to its target in a file that is open: whatever has the file's name now.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub fn attach_in(&self, file: BorrowedFd<'_>) -> Result<Link, AttachError> {
        link::attach(self, &self.target, Some(file))
    }

    /// What the kernel counts about it.
    ///
    /// # Errors
    /// The call that failed.
    pub fn info(&self) -> Result<ProgramInfo, SysError> {
        let facts = sys::program_facts(self.as_fd())?;
        Ok(ProgramInfo {
            id: facts.id,
            run_time: Duration::from_nanos(facts.run_time_ns),
            run_count: facts.run_count,
            recursion_misses: facts.recursion_misses,
            verified_insns: facts.verified_insns,
            jited_bytes: facts.jited_len,
            memory: memory_of(self.as_fd()).unwrap_or(0),
        })
    }

    /// Runs it once by hand on `packet` (socket filters) or `context` (raw tracepoints, 5.10) and returns its result; for probes and tests.
    ///
    /// # Errors
    /// The call that failed; `ENOTSUPP` for kinds that cannot be run by hand.
    pub fn run(&self, packet: &[u8], context: &[u8]) -> Result<u32, SysError> {
        sys::program_run(self.as_fd(), packet, context)
    }
}

/// Loads again with a log, to say why it failed.
fn explain(spec: &ProgramSpec, request: &LoadRequest<'_>, error: SysError) -> Result<OwnedFd, ProgramError> {
    let mut log = vec![0_u8; LOG_BYTES];
    let second = match sys::program_load(request, Some(&mut log)) {
        // What was in the way is gone (a signal, memory).
        Ok(fd) => return Ok(fd),
        Err(second) => second,
    };
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let text = String::from_utf8_lossy(log.get(..end).unwrap_or_default());
    let program = spec.name.clone();
    if !text.trim().is_empty() {
        let refusal = Box::new(Refusal::read(&text, &spec.code, second.errno == libc::ENOSPC));
        return Err(ProgramError::Refused { program, error, refusal });
    }
    let target = spec.target.clone();
    if error.is_not_permitted() {
        return Err(ProgramError::NotPermitted { program, target, error });
    }
    Err(ProgramError::Load { program, target, error })
}

/// Fills in the references of `spec` and does something with what the kernel is to be asked.
fn with_request<T>(
    spec: &ProgramSpec,
    maps: &FindMap<'_>,
    context: &LoadContext<'_>,
    then: impl FnOnce(&LoadRequest<'_>) -> Result<T, ProgramError>,
) -> Result<T, ProgramError> {
    let code = relocate(spec, maps, context)?;
    let functions = FunctionTypes::of(&spec.code)
        .map_err(|error| ProgramError::Functions { program: spec.name.clone(), error })?;
    then(&LoadRequest {
        kind: ProgramType::of(spec.kind),
        flags: flags(spec.kind),
        name: &kernel_name(spec.code.functions.first().map_or(&spec.name, |main| &main.name)),
        code: &code,
        attach_btf_id: attach_btf_id(spec, context)?,
        functions: functions.as_ref().map(FunctionTypes::borrow),
    })
}

/// How many instructions the verifier says that it walked: `processed 1234 insns (limit …`.
fn processed(log: &str) -> Option<u32> {
    let line = log.lines().rev().find_map(|line| line.strip_prefix("processed "))?;
    line.split(' ').next()?.parse().ok()
}

/// The bytes of `spec` with descriptors and BTF ids in place of names.
fn relocate(
    spec: &ProgramSpec,
    maps: &FindMap<'_>,
    context: &LoadContext<'_>,
) -> Result<Vec<[u8; 8]>, ProgramError> {
    use std::os::fd::AsRawFd as _;
    let program = || spec.name.clone();
    let mut bytes: Vec<[u8; 8]> = spec.code.insns.iter().map(|insn| encode(*insn)).collect();
    for relocation in &spec.code.relocations {
        let slot = relocation.slot;
        let imm = match &relocation.reference {
            Reference::Map(map) | Reference::MapValue { map, .. } => maps(map)
                .ok_or_else(|| ProgramError::UnknownMap { program: program(), map: map.clone() })?
                .as_raw_fd(),
            Reference::Kfunc(name) => function_id(spec, name, context)?.cast_signed(),
            Reference::Subprogram(_) => return Err(ProgramError::NotLinked { program: program(), slot }),
        };
        let (Some(insn), Some(place)) = (spec.code.insns.get(slot), bytes.get_mut(slot)) else {
            return Err(ProgramError::NotLinked { program: program(), slot });
        };
        *place = encode(crate::insn::Insn { imm, ..*insn });
    }
    Ok(bytes)
}

fn function_id(spec: &ProgramSpec, name: &str, context: &LoadContext<'_>) -> Result<u32, ProgramError> {
    let program = || spec.name.clone();
    let btf = context.btf.ok_or_else(|| ProgramError::NoBtf { program: program() })?;
    let id = btf.func_named(name).map_err(|error| ProgramError::Type { program: program(), error })?;
    Ok(id.get())
}

/// Id of what a tracing or LSM program is bound to; 0 for kinds that are bound when they are attached.
fn attach_btf_id(spec: &ProgramSpec, context: &LoadContext<'_>) -> Result<u32, ProgramError> {
    let program = || spec.name.clone();
    match (spec.kind, &spec.target) {
        (ProgramKind::Fentry, AttachSpec::Fentry { function })
        | (ProgramKind::Fexit, AttachSpec::Fexit { function })
        | (ProgramKind::FmodRet, AttachSpec::FmodRet { function }) => function_id(spec, function, context),
        (ProgramKind::Lsm | ProgramKind::LsmSleepable, AttachSpec::Lsm { hook }) => {
            function_id(spec, &format!("bpf_lsm_{hook}"), context)
        }
        (ProgramKind::BtfTracepoint, AttachSpec::BtfTracepoint { name }) => {
            let btf = context.btf.ok_or_else(|| ProgramError::NoBtf { program: program() })?;
            let id = btf
                .typedef_named(&format!("btf_trace_{name}"))
                .map_err(|error| ProgramError::Type { program: program(), error })?;
            Ok(id.get())
        }
        (
            ProgramKind::Fentry
            | ProgramKind::Fexit
            | ProgramKind::FmodRet
            | ProgramKind::Lsm
            | ProgramKind::LsmSleepable
            | ProgramKind::BtfTracepoint,
            target,
        ) => Err(ProgramError::Target { program: program(), target: target.clone() }),
        (
            ProgramKind::Kprobe
            | ProgramKind::KprobeMulti
            | ProgramKind::Tracepoint
            | ProgramKind::RawTracepoint
            | ProgramKind::SocketFilter
            | ProgramKind::Uprobe
            | ProgramKind::UprobeMulti
            | ProgramKind::UprobeSleepable
            | ProgramKind::UprobeMultiSleepable,
            _,
        ) => Ok(0),
    }
}

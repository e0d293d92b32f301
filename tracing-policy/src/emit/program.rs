//! The program of one attachment, put together.

use Register::{R0, R1, R6, R8, R9, R10};
use bpf_probes::abi::{Loss, map_name};
use bpf_probes::asm::{Label, Prototype};
use bpf_probes::builder::{BuildError, Facts, Function, Program};
use bpf_probes::insn::{Condition, Register, Size};
use bpf_probes::kernel::{Feature, KernelView, TracepointContext};
use bpf_probes::routine::count_loss;
use bpf_probes::sensor::{DEFAULT_PROCESSES, argument, shared};
use bpf_probes::spec::{AttachSpec, CollectionSpec, Entries, MapSpec, ProgramKind, ProgramSpec, Reach};

use super::memory::{Memory, load};
use super::note::Notes;
use super::state::State;
use crate::ir::{Hook, Selector, Test};
use crate::lower::Purpose;
use crate::policy::{Convention, Kin, Role};

/// Name of the program.
pub(super) const BODY: &str = "body";
/// Kernel functions that keep a thread on its CPU and let it go again (6.10).
const PREEMPT_DISABLE: &str = "bpf_preempt_disable";
const PREEMPT_ENABLE: &str = "bpf_preempt_enable";
/// `EAGAIN`
const EAGAIN: i32 = 11;
/// Stack of the program itself; the path walk below it needs the rest.
const FRAME: u32 = 192;

/// Where the program runs and what for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    /// The attachment.
    pub(crate) target: &'a AttachSpec,
    /// Its kind of program.
    pub(crate) kind: ProgramKind,
    /// What it does.
    pub(crate) role: Role,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// Whose notes it leaves, returns or removes.
    pub(crate) notes: Notes,
}

/// What all parts of a program being emitted know.
pub(super) struct Emitter<'a> {
    pub(super) hook: &'a Hook,
    pub(super) body: Body<'a>,
    pub(super) facts: &'a Facts<'a>,
    pub(super) memory: Memory,
    /// Whether a single selector is on the hook: then a failed test leaves the program.
    pub(super) single: bool,
    /// Whether the program keeps the CPU while it has claimed memory, so that others are not kept waiting for it.
    pub(super) keeps_cpu: bool,
}

/// Emits one hook's program for one attachment.
///
/// # Errors
/// When the kernel's types lack something, or the program grows beyond what instructions can address.
pub(crate) fn hook(hook: &Hook, body: Body<'_>, kernel: &KernelView) -> Result<CollectionSpec, BuildError> {
    let facts = Facts::of(kernel);
    // a tracepoint may be passed in an interrupt, in the midst of another program that uses the CPU's memory
    let interrupts = matches!(hook.convention, Convention::Tracepoint | Convention::RawTracepoint);
    let memory = Memory::of(hook, body.purpose, interrupts || can_be_preempted(body.kind, kernel));
    let single = hook.selectors().count() == 1 && body.purpose != Purpose::Return;
    let keeps_cpu = memory.is_claimed && kernel.kfunc(Feature::PreemptDisable).is_some();
    let emitter = Emitter { hook, body, facts: &facts, memory, single, keeps_cpu };
    let mut program = Program::new();
    let entry = match body.purpose {
        Purpose::Report => emitter.report(&mut program)?,
        Purpose::Deny => emitter.deny(&mut program, kernel)?,
        Purpose::Return => emitter.report_return(&mut program, kernel)?,
        Purpose::Ask => emitter.ask(&mut program)?,
    };
    let code = program.link(entry)?;
    let mut maps = emitter.table_maps();
    maps.extend(emitter.search_maps());
    maps.extend(emitter.member_map());
    if emitter.memory.is_own {
        maps.push(emitter.memory.map.clone());
    }
    Ok(CollectionSpec {
        maps,
        imports: emitter.imports(),
        programs: vec![ProgramSpec {
            name: BODY.to_owned(),
            kind: body.kind,
            target: body.target.clone(),
            reach: Reach::TailCalled,
            code,
        }],
    })
}

/// Whether a thread may lose the CPU inside the program, or another program may run in its midst: trampolines are not kept from either. Kprobes are, and raw
/// tracepoints on kernels that call them with preemption off.
fn can_be_preempted(kind: ProgramKind, kernel: &KernelView) -> bool {
    match kind {
        ProgramKind::Kprobe | ProgramKind::KprobeMulti => false,
        ProgramKind::Tracepoint | ProgramKind::RawTracepoint | ProgramKind::BtfTracepoint => {
            kernel.tracepoint_context() == TracepointContext::Preemptible
        }
        // what runs for user space runs as any thread does (6.0)
        ProgramKind::Uprobe
        | ProgramKind::UprobeMulti
        | ProgramKind::UprobeSleepable
        | ProgramKind::UprobeMultiSleepable => true,
        ProgramKind::Fentry
        | ProgramKind::Fexit
        | ProgramKind::FmodRet
        | ProgramKind::Lsm
        | ProgramKind::LsmSleepable
        | ProgramKind::SocketFilter => true,
    }
}

impl<'a> Emitter<'a> {
    pub(super) fn state(&self) -> &State {
        &self.memory.state
    }

    /// Whether a program that reports also returns what a policy overrides.
    pub(super) fn denies_itself(&self) -> bool {
        self.body.role == Role::ReportAndDeny
            && self.hook.selectors().any(|selector| selector.denial().is_some())
    }

    /// A function of the program whose working memory is in `R6`.
    pub(super) fn part(&self, name: &str) -> Function<'a> {
        let mut f = Function::new(name, Prototype::Static { arguments: 1 }, self.facts).with_frame(64);
        f.copy(R6, R1);
        f
    }

    /// The entry of the program: the context is in `R9`.
    pub(super) fn entry(&self) -> Function<'a> {
        let mut f = Function::new(BODY, Prototype::Main, self.facts).with_frame(FRAME);
        f.copy(R9, R1);
        f
    }

    /// `R6 = working memory`, going to `none` when there is none.
    pub(super) fn working_memory(&self, f: &mut Function<'_>, none: Label) -> Result<(), BuildError> {
        if self.keeps_cpu {
            f.assembler().call_kfunc(PREEMPT_DISABLE);
        }
        if self.memory.is_claimed {
            self.claim(f, none)
        } else {
            f.cpu_entry(R6, &self.memory.map.name, none)
        }
    }

    /// Ends the program where no working memory could be had.
    pub(super) fn without_memory(&self, f: &mut Function<'_>) {
        if self.keeps_cpu {
            f.assembler().call_kfunc(PREEMPT_ENABLE);
        }
        count_loss(f, Loss::Scratch);
        match self.body.purpose {
            // one hash less
            Purpose::Return | Purpose::Ask => f.return_constant(0),
            Purpose::Report if !self.denies_itself() => f.return_constant(0),
            // what cannot be judged is not let through
            Purpose::Report | Purpose::Deny => f.return_constant(-EAGAIN),
        }
    }

    /// `dst = argument `index` of the hooked function`, from the context in `R9`.
    pub(super) fn context_argument(
        &self,
        f: &mut Function<'_>,
        dst: Register,
        index: u8,
    ) -> Result<(), BuildError> {
        argument(f, self.body.kind, dst, R9, index)
    }

    /// Emits one test: falls through when it passes, else goes to `fail`.
    pub(super) fn test(
        &self,
        f: &mut Function<'_>,
        test: &Test,
        policy: u32,
        fail: Label,
    ) -> Result<(), BuildError> {
        let before = f.set_origin(test.origin);
        self.check(f, &test.check, policy, fail)?;
        f.set_origin(before);
        Ok(())
    }

    /// Emits what is tested: falls through when it passes, else goes to `fail`.
    pub(super) fn check(
        &self,
        f: &mut Function<'_>,
        check: &crate::ir::Check,
        policy: u32,
        fail: Label,
    ) -> Result<(), BuildError> {
        use crate::ir::Check;
        match check {
            Check::Enforcing => {
                Self::mode(f, policy);
                f.jump_if(Condition::Ne, R1, 0, fail);
            }
            Check::Class { number, of: Kin::Process, sense, unknown_passes } => {
                self.class(f, *number, *sense, *unknown_passes, fail)?;
            }
            Check::Class { number, of: Kin::Parent, sense, .. } => {
                self.parent_class(f, *number, *sense, fail)?;
            }
            Check::Class { number, of: Kin::Workload, sense, .. } => {
                if let Some(word) = self.state().workload_classes.get(&(number / 64)) {
                    Self::bit(f, *word, number % 64, *sense, fail)?;
                }
            }
            Check::Number(test) => self.number(f, test, fail)?,
            Check::Leaf { read, leaves } => self.leaf(f, *read, leaves, fail)?,
            Check::Bytes(test) => self.bytes(f, test, fail)?,
            Check::FileType { read, test } => self.file_type(f, *read, *test, fail)?,
            Check::Gained { before, after } => self.gained(f, *before, *after, fail)?,
            Check::Contains(test) => self.contains(f, test, fail)?,
            Check::Readable(read) => self.readable(f, *read, fail)?,
            Check::Address(test) => self.address(f, test, fail)?,
            Check::Entered { rider, selector } => self.entered(f, *rider, *selector, fail)?,
            Check::Expression(test) => self.expression(f, test, policy, fail)?,
        }
        Ok(())
    }

    fn imports(&self) -> Vec<MapSpec> {
        let any = |map: MapSpec| MapSpec { entries: Entries::Fixed(0), ..map };
        let mut maps = vec![shared::control(), shared::counters()];
        if !self.memory.is_own {
            maps.push(self.memory.map.clone());
        }
        maps.push(any(shared::processes(self.facts, DEFAULT_PROCESSES)));
        if self.looks_at_workload() {
            maps.push(shared::workloads(self.facts));
        }
        if self.looks_at_changes() {
            maps.push(any(shared::recorded(self.facts, DEFAULT_PROCESSES)));
        }
        if self.tracks_sockets() || self.attributes() {
            maps.push(shared::sockets());
        }
        if !self.body.purpose.only_filters() && super::limit::limits(self.hook.selectors()) {
            maps.push(shared::limits());
        }
        if super::hash::are_reported(self.hook) {
            maps.push(shared::hashes());
        }
        if self.body.purpose == Purpose::Return || self.follows_calls() {
            maps.push(any(shared::calls()));
        }
        if !self.body.purpose.only_filters() {
            maps.push(any(shared::events(0)));
            maps.push(any(shared::enforcement(0)));
        }
        if self.state().rewrite.is_some() {
            maps.push(shared::registers());
        } else if self.leaves_notes() {
            maps.push(shared::notes());
        }
        if self.hook.selectors().any(Selector::is_about_enforcers) {
            maps.push(shared::pending());
        }
        maps
    }

    /// `R1 = mode of the policy`: 0 to enforce.
    pub(super) fn mode(f: &mut Function<'_>, policy: u32) {
        let base = std::mem::offset_of!(bpf_probes::abi::Control, mode);
        let offset = u32::try_from(base).unwrap_or(0) + 4 * policy;
        f.cell(Size::Word, R1, map_name::CONTROL, offset);
    }

    /// Looks the process up: `R0 = its state`, going to `unknown` when there is none.
    pub(super) fn process(&self, f: &mut Function<'_>, unknown: Label) -> Result<(), BuildError> {
        f.scope(|f| {
            let key = f.slot(8)?;
            let tgid = self.state().pid_tgid + 4;
            load(f, Size::Word, R0, tgid)?;
            f.store(Size::Double, R10, key.offset(), R0);
            f.lookup(map_name::PROCESSES, key, unknown);
            Ok(())
        })
    }

    /// Gives a claimed entry back and returns what `R8` holds.
    pub(super) fn finish(&self, f: &mut Function<'_>) {
        if self.memory.is_claimed && self.facts.fetching_atomics {
            f.store_imm(Size::Double, R6, 0, 0);
        }
        if self.keeps_cpu {
            f.assembler().call_kfunc(PREEMPT_ENABLE);
        }
        f.copy(R0, R8);
        f.return_result();
    }
}

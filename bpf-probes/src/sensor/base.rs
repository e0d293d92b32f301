//! The base collection: shared maps, and the programs that know of every process.

use super::exec::Environment;
use super::exit::ExitPoint;
use super::throttle::CgroupRate;
use super::{SensorError, exec, exit, fork, gains, shared};
use crate::asm::Code;
use crate::attach::{Exactness, Hook, Mechanism, PlanError, Sensor, plan};
use crate::builder::Facts;
use crate::kernel::{Feature, KernelView, Traceable};
use crate::spec::{AttachSpec, CollectionSpec, ProgramKind, ProgramSpec, Reach};

/// Entries of the process table unless configured.
pub const DEFAULT_PROCESSES: u32 = 32_768;

/// What can be configured of the base collection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BaseOptions {
    /// Bytes of the ring of observations; a power of two, at least a page.
    pub ring_bytes: u32,
    /// Bytes of the ring of enforcement; the same.
    pub enforcement_bytes: u32,
    /// Entries of the process table.
    pub processes: u32,
    /// Whether the environment of processes is read.
    pub environment: Environment,
    /// How often processes of a cgroup may begin and end before that is no longer reported; `None`: as often as they like.
    pub cgroup_rate: Option<CgroupRate>,
}

impl Default for BaseOptions {
    fn default() -> Self {
        Self {
            ring_bytes: 1 << 20,
            enforcement_bytes: 1 << 18,
            processes: DEFAULT_PROCESSES,
            environment: Environment::Unread,
            cgroup_rate: None,
        }
    }
}

/// Where the base programs attach.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BaseTargets {
    /// At `finalize_exec` or `sched_process_exec`.
    pub exec: AttachSpec,
    /// At `wake_up_new_task` or `sched_process_fork`.
    pub fork: AttachSpec,
    /// At `acct_process` or `sched_process_exit`.
    pub exit: AttachSpec,
    /// At `security_bprm_committing_creds`, where functions can be traced.
    pub gains: Option<AttachSpec>,
    /// Whether events can be missed under contention; `recursion_misses` counts them.
    pub exactness: Exactness,
}

/// Where the function lies whose arguments tell what an exec gains.
const GAINS_POINT: &str = "security_bprm_committing_creds";

impl BaseTargets {
    /// The targets that the attach planner chooses for a kernel.
    ///
    /// # Errors
    /// [`PlanError`] when the kernel lets nothing attach where processes begin and end.
    pub fn of(view: &KernelView) -> Result<Self, PlanError> {
        let mut exactness = Exactness::Exact;
        let mut target = |sensor| -> Result<AttachSpec, PlanError> {
            let plan = plan(&Hook::sensor(sensor), view)?;
            if plan.exactness == Exactness::MayMiss {
                exactness = Exactness::MayMiss;
            }
            let mechanism = plan.attachments.first().map(|attachment| &attachment.mechanism);
            Ok(match mechanism {
                Some(Mechanism::Kprobe { function }) => AttachSpec::Kprobe { symbol: function.clone() },
                Some(Mechanism::RawTracepoint { name }) => {
                    AttachSpec::RawTracepoint { name: (*name).to_owned() }
                }
                // the planner knows only these two for sensors
                Some(
                    Mechanism::Kretprobe { .. }
                    | Mechanism::KprobeOverride { .. }
                    | Mechanism::Fentry { .. }
                    | Mechanism::Fexit { .. }
                    | Mechanism::FmodRet { .. }
                    | Mechanism::Lsm { .. }
                    | Mechanism::Tracepoint { .. }
                    | Mechanism::Uprobe { .. }
                    | Mechanism::UprobeMulti { .. },
                )
                | None => AttachSpec::None,
            })
        };
        let (exec, fork, exit) = (target(Sensor::Exec)?, target(Sensor::Fork)?, target(Sensor::Exit)?);
        let gains = (view.has(Feature::Kprobe) && view.traceable(GAINS_POINT) != Traceable::Absent)
            .then(|| AttachSpec::Kprobe { symbol: GAINS_POINT.to_owned() });
        Ok(Self { exec, fork, exit, gains, exactness })
    }
}

/// The base collection for a kernel, attached where the planner says.
///
/// # Errors
/// [`SensorError`].
pub fn base(view: &KernelView, options: BaseOptions) -> Result<CollectionSpec, SensorError> {
    base_at(&Facts::of(view), &BaseTargets::of(view)?, options)
}

/// The base collection, attached at `targets`.
///
/// # Errors
/// [`SensorError::Build`] when the kernel's types lack something; [`SensorError::Target`] for a target that attaches nothing.
pub fn base_at(
    facts: &Facts<'_>,
    targets: &BaseTargets,
    options: BaseOptions,
) -> Result<CollectionSpec, SensorError> {
    let rate = options.cgroup_rate;
    let exec = exec::exec(facts, kind(&targets.exec)?, options.environment, rate)?;
    let mut programs = vec![
        program("fork", &targets.fork, fork::fork(facts, kind(&targets.fork)?, rate)?)?,
        program("exec", &targets.exec, exec)?,
        program("exit", &targets.exit, exit::exit(facts, exit_point(&targets.exit), rate)?)?,
    ];
    if let Some(target) = &targets.gains {
        programs.push(program("gains", target, gains::gains(facts)?)?);
    }
    let rates = rate.map(|_| shared::rates());
    let maps = vec![
        shared::control(),
        shared::counters(),
        shared::scratch(),
        shared::claimed(),
        shared::notes(),
        shared::calls(),
        shared::processes(facts, options.processes),
        shared::workloads(facts),
        shared::binaries(),
        shared::binary_ends(),
        shared::numbers(facts),
        shared::events(options.ring_bytes),
        shared::enforcement(options.enforcement_bytes),
        gains::map(),
    ];
    Ok(CollectionSpec { maps: maps.into_iter().chain(rates).collect(), imports: Vec::new(), programs })
}

/// The kind of program that a target takes.
pub(super) fn kind(target: &AttachSpec) -> Result<ProgramKind, SensorError> {
    target.program_kind().ok_or(SensorError::Target)
}

/// A program of its own at a target.
pub(super) fn program(name: &str, target: &AttachSpec, code: Code) -> Result<ProgramSpec, SensorError> {
    Ok(ProgramSpec {
        name: name.to_owned(),
        kind: kind(target)?,
        target: target.clone(),
        reach: Reach::Attached,
        code,
    })
}

pub(super) fn exit_point(target: &AttachSpec) -> ExitPoint {
    match target {
        AttachSpec::Kprobe { symbol } if symbol == "taskstats_exit" => ExitPoint::EveryThreadTold,
        AttachSpec::Kprobe { .. } => ExitPoint::LastThread,
        AttachSpec::None
        | AttachSpec::Kretprobe { .. }
        | AttachSpec::KprobeMulti { .. }
        | AttachSpec::Tracepoint { .. }
        | AttachSpec::RawTracepoint { .. }
        | AttachSpec::BtfTracepoint { .. }
        | AttachSpec::Fentry { .. }
        | AttachSpec::Fexit { .. }
        | AttachSpec::FmodRet { .. }
        | AttachSpec::Lsm { .. }
        | AttachSpec::Uprobe { .. }
        | AttachSpec::UprobeMulti { .. } => ExitPoint::EveryThread,
    }
}

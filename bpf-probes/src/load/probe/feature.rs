//! Each feature's attempt.

use std::os::fd::OwnedFd;

use super::attempt::{Attempt, no, of_error, of_load, of_map};
use super::{file, forms, link};
use crate::btf::Btf;
use crate::insn::{Helper, Insn};
use crate::kernel::{Answer, Feature, FeatureSet};
use crate::load::program::SLEEPABLE;
use crate::load::sys::{self, ProgramType};
use crate::load::{Collection, LoadContext, Map, MapSet};
use crate::spec::{CollectionSpec, Entry, MapKind, MapSpec, ProgramKind, flag};

/// A function that every supported kernel has and lets be traced and modified.
const SECURITY_FUNCTION: &str = "security_file_open";
const LSM_FUNCTION: &str = "bpf_lsm_file_open";
#[cfg(target_arch = "x86_64")]
const SYSCALL_FUNCTION: &str = "__x64_sys_openat";
#[cfg(target_arch = "aarch64")]
const SYSCALL_FUNCTION: &str = "__arm64_sys_openat";

/// Asks the running kernel about features, one attempt each, some tens of microseconds.
#[derive(Debug)]
pub struct Prober<'kernel> {
    context: LoadContext<'kernel>,
    btf: &'kernel Btf,
}

impl<'kernel> Prober<'kernel> {
    /// A prober that knows the kernel's types.
    ///
    /// # Errors
    /// [`super::super::CpusError`].
    pub fn new(btf: &'kernel Btf) -> Result<Self, crate::load::CpusError> {
        Ok(Self { context: LoadContext::new(Some(btf))?, btf })
    }

    /// The answers for these features; all others stay unknown.
    pub fn answers(&self, features: &[Feature]) -> FeatureSet {
        let mut set = FeatureSet::new();
        for feature in features {
            set.set(*feature, self.answer(*feature));
        }
        set
    }

    /// The answer for one feature.
    pub fn answer(&self, feature: Feature) -> Answer {
        match feature {
            Feature::Kprobe => link::pmu("kprobe", || self.empty(ProgramKind::Kprobe, feature), feature),
            Feature::KprobeMulti => link::kprobe_multi(feature),
            Feature::Fentry => self.empty(ProgramKind::Fentry, feature),
            Feature::FmodRet => self.empty(ProgramKind::FmodRet, feature),
            Feature::FmodRetSyscall => self.on_function(ProgramKind::FmodRet, SYSCALL_FUNCTION, feature),
            Feature::Lsm => self.empty(ProgramKind::Lsm, feature),
            Feature::LsmSleepable => self.sleepable_lsm(feature),
            Feature::Tracepoint => self.empty(ProgramKind::Tracepoint, feature),
            Feature::RawTracepoint => self.empty(ProgramKind::RawTracepoint, feature),
            Feature::TpBtf => self.empty(ProgramKind::BtfTracepoint, feature),
            Feature::Uprobe => link::pmu("uprobe", || self.empty(ProgramKind::Kprobe, feature), feature),
            Feature::UprobeMulti => link::uprobe_multi(feature),
            Feature::UprobeRegisterWrite => {
                plain(ProgramType::of(ProgramKind::Kprobe), &forms::writes_register()).accepted(feature)
            }
            Feature::UprobeSleepable => {
                let kind = ProgramType::of(ProgramKind::UprobeSleepable);
                Attempt { flags: SLEEPABLE, ..plain(kind, &forms::copies_from_user()) }.accepted(feature)
            }
            Feature::Cgroup => plain(ProgramType::CGROUP, &forms::empty()).accepted(feature),
            Feature::PerfEventLink => link::perf_event_link(feature),
            Feature::RingBuffer => self.map(&MapSpec::ring("probe", ring_bytes()), feature),
            Feature::TaskStorage => self.task_storage(feature),
            Feature::BatchUpdate => self.batch_update(feature),
            Feature::AtomicFetch => {
                plain(ProgramType::of(ProgramKind::SocketFilter), &forms::atomic_fetch()).accepted(feature)
            }
            // A million instructions came with 5.2, ring buffers with 5.8: one firm yes makes the other, and the trial of a long program costs as much
            // as all other trials together.
            Feature::LargeProgram => match self.answer(Feature::RingBuffer) {
                Answer::Yes => Answer::Yes,
                Answer::No { .. } | Answer::Refused { .. } | Answer::Unknown { .. } => {
                    plain(ProgramType::of(ProgramKind::SocketFilter), &forms::large()).accepted(feature)
                }
            },
            Feature::MixedCalls => self.collection(forms::mixed_calls(), feature),
            Feature::GlobalFunction => self.collection(forms::global_function(), feature),
            Feature::RecursionMisses => recursion_misses(feature),
            Feature::RdonlyCast => self.rdonly_cast(feature),
            Feature::PathDPath => self.kfunc(ProgramKind::Lsm, feature),
            Feature::PreemptDisable | Feature::Strnstr | Feature::Strncasestr | Feature::CopyFromUserStr => {
                self.kfunc(ProgramKind::Kprobe, feature)
            }
            Feature::DPath => self.helper(ProgramKind::Fentry, Helper::DPath as i32, feature),
            Feature::DPathLsm => self.helper(ProgramKind::Lsm, Helper::DPath as i32, feature),
            Feature::ImaFileHash => self.ima_file_hash(feature),
            Feature::ProbeWriteUser => write_user(file::lockdown().as_deref()),
            Feature::AncestorCgroupId
            | Feature::AttachCookie
            | Feature::CurrentTaskBtf
            | Feature::FuncIp
            | Feature::KtimeBoot
            | Feature::Loop
            | Feature::MapLookupPercpu
            | Feature::OverrideReturn
            | Feature::ProbeReadKernelStr
            | Feature::SendSignal
            | Feature::SendSignalThread => self.helper_of(feature),
            Feature::BuildId => Answer::Unknown { error: "nothing asks for it yet".to_owned() },
        }
    }

    fn helper_of(&self, feature: Feature) -> Answer {
        let number = helper_number(feature);
        number.map_or_else(|| no(feature), |number| self.helper(ProgramKind::Kprobe, number, feature))
    }

    /// Number of the function that a kind of program is bound to, 0 for kinds bound when attached.
    fn target(&self, kind: ProgramKind) -> Option<u32> {
        let function = |name| self.btf.func_named(name).ok().map(crate::btf::TypeId::get);
        match kind {
            ProgramKind::Fentry | ProgramKind::Fexit | ProgramKind::FmodRet => function(SECURITY_FUNCTION),
            ProgramKind::Lsm | ProgramKind::LsmSleepable => function(LSM_FUNCTION),
            ProgramKind::BtfTracepoint => {
                self.btf.typedef_named("btf_trace_sched_process_exec").ok().map(crate::btf::TypeId::get)
            }
            ProgramKind::Kprobe
            | ProgramKind::KprobeMulti
            | ProgramKind::Tracepoint
            | ProgramKind::RawTracepoint
            | ProgramKind::SocketFilter
            | ProgramKind::Uprobe
            | ProgramKind::UprobeMulti
            | ProgramKind::UprobeSleepable
            | ProgramKind::UprobeMultiSleepable => Some(0),
        }
    }

    fn empty(&self, kind: ProgramKind, feature: Feature) -> Answer {
        let Some(attach_btf_id) = self.target(kind) else { return no(feature) };
        let insns = forms::empty();
        Attempt { attach_btf_id, ..plain(ProgramType::of(kind), &insns) }.accepted(feature)
    }

    fn on_function(&self, kind: ProgramKind, function: &str, feature: Feature) -> Answer {
        let Ok(id) = self.btf.func_named(function) else { return no(feature) };
        let insns = forms::empty();
        Attempt { attach_btf_id: id.get(), ..plain(ProgramType::of(kind), &insns) }.accepted(feature)
    }

    fn sleepable_lsm(&self, feature: Feature) -> Answer {
        let Some(attach_btf_id) = self.target(ProgramKind::Lsm) else { return no(feature) };
        let insns = forms::empty();
        Attempt { attach_btf_id, flags: SLEEPABLE, ..plain(ProgramType::of(ProgramKind::Lsm), &insns) }
            .accepted(feature)
    }

    fn helper(&self, kind: ProgramKind, number: i32, feature: Feature) -> Answer {
        let Some(attach_btf_id) = self.target(kind) else { return no(feature) };
        let insns = forms::helper(number);
        Attempt { attach_btf_id, ..plain(ProgramType::of(kind), &insns) }.callable(feature)
    }

    /// The helper is there for programs that sleep.
    fn ima_file_hash(&self, feature: Feature) -> Answer {
        let Some(attach_btf_id) = self.target(ProgramKind::LsmSleepable) else { return no(feature) };
        let insns = forms::helper(Helper::ImaFileHash as i32);
        let kind = ProgramType::of(ProgramKind::LsmSleepable);
        Attempt { attach_btf_id, flags: SLEEPABLE, ..plain(kind, &insns) }.callable(feature)
    }

    fn kfunc(&self, kind: ProgramKind, feature: Feature) -> Answer {
        let function = feature.kfunc().and_then(|name| self.btf.func_named(name).ok());
        let (Some(function), Some(attach_btf_id)) = (function, self.target(kind)) else { return no(feature) };
        let insns = forms::kfunc(function.get());
        Attempt { attach_btf_id, ..plain(ProgramType::of(kind), &insns) }.callable(feature)
    }

    fn rdonly_cast(&self, feature: Feature) -> Answer {
        let function = feature.kfunc().and_then(|name| self.btf.func_named(name).ok());
        let task = self.btf.struct_named("task_struct").ok();
        let (Some(function), Some(task)) = (function, task) else { return no(feature) };
        let insns = forms::rdonly_cast(function.get(), task.get());
        plain(ProgramType::of(ProgramKind::Kprobe), &insns).accepted(feature)
    }

    fn map(&self, spec: &MapSpec, feature: Feature) -> Answer {
        of_map(Map::create(spec, self.context.cpus), feature)
    }

    fn task_storage(&self, feature: Feature) -> Answer {
        let mut spec = MapSpec::hash("probe", 4, 8, 0).with_flags(flag::NO_PREALLOC);
        spec.kind = MapKind::TaskStorage;
        match self.map(&spec, feature) {
            // First for LSM programs alone, from 5.12 for tracing ones.
            Answer::Yes => self.helper(ProgramKind::Kprobe, Helper::TaskStorageGet as i32, feature),
            answer @ (Answer::No { .. } | Answer::Refused { .. } | Answer::Unknown { .. }) => answer,
        }
    }

    fn batch_update(&self, feature: Feature) -> Answer {
        let entry = |key| Entry { key: vec![key; 4], value: vec![0; 4] };
        match Map::create(&MapSpec::hash("probe", 4, 4, 2), self.context.cpus) {
            Ok(map) => match map.takes_batches(&[entry(1), entry(2)]) {
                Ok(()) => Answer::Yes,
                Err(error) => of_error(error, feature),
            },
            Err(error) => of_map::<()>(Err(error), feature),
        }
    }

    fn collection(&self, spec: Option<CollectionSpec>, feature: Feature) -> Answer {
        match spec {
            Some(spec) => of_load(Collection::load(&spec, &MapSet::new(), &self.context), feature),
            None => Answer::Unknown { error: "the probe could not be assembled".to_owned() },
        }
    }
}

/// The helper that a feature is, for features that are one helper in kprobe programs.
fn helper_number(feature: Feature) -> Option<i32> {
    const HELPERS: [(Feature, i32); 11] = [
        (Feature::AncestorCgroupId, Helper::GetCurrentAncestorCgroupId as i32),
        (Feature::AttachCookie, Helper::GetAttachCookie as i32),
        (Feature::CurrentTaskBtf, Helper::GetCurrentTaskBtf as i32),
        (Feature::FuncIp, Helper::GetFuncIp as i32),
        (Feature::KtimeBoot, Helper::KtimeGetBootNs as i32),
        (Feature::Loop, Helper::Loop as i32),
        (Feature::MapLookupPercpu, Helper::MapLookupPercpuElem as i32),
        (Feature::OverrideReturn, Helper::OverrideReturn as i32),
        (Feature::ProbeReadKernelStr, Helper::ProbeReadKernelStr as i32),
        (Feature::SendSignal, Helper::SendSignal as i32),
        (Feature::SendSignalThread, Helper::SendSignalThread as i32),
    ];
    HELPERS.iter().find(|(known, _)| *known == feature).map(|(_, number)| *number)
}

/// `bpf_probe_write_user` is on every kernel unless lockdown forbids it (`kernel/trace/bpf_trace.c: bpf_get_probe_write_proto`). Not tried: each attempt that succeeds makes
/// the kernel's log warn of programs that may corrupt user memory.
fn write_user(lockdown: Option<&str>) -> Answer {
    match lockdown {
        None | Some("none") => Answer::Yes,
        Some(level) => Answer::Refused { error: format!("the kernel is locked down ({level})") },
    }
}

pub(super) const fn plain(kind: ProgramType, insns: &[Insn]) -> Attempt<'_> {
    Attempt { kind, flags: 0, attach_btf_id: 0, insns }
}

/// The smallest ring: one page.
fn ring_bytes() -> u32 {
    u32::try_from(sys::page_size()).unwrap_or(4096)
}

fn recursion_misses(feature: Feature) -> Answer {
    use std::os::fd::AsFd as _;
    let loaded: Result<OwnedFd, _> =
        plain(ProgramType::of(ProgramKind::SocketFilter), &forms::empty()).load();
    match loaded.map_err(|failure| failure.error).and_then(|fd| sys::program_facts(fd.as_fd())) {
        Ok(facts) if facts.counts_misses => Answer::Yes,
        Ok(_) => no(feature),
        Err(error) => of_error(error, feature),
    }
}

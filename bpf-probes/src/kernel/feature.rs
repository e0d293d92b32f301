//! What a kernel may or may not be able to do, and how sure we are.

use std::fmt;

/// What is known of a feature on one kernel. *Not there*, *not allowed* and *could not tell* are three answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A probe succeeded.
    Yes,
    /// This kernel does not have it.
    No {
        /// The first kernel that has it, where one can be named.
        since: Option<&'static str>,
    },
    /// The kernel has it but does not let this process use it: lockdown, a hardened host, a missing capability.
    Refused {
        /// What the kernel said.
        error: String,
    },
    /// No probe has answered.
    Unknown {
        /// Why not.
        error: String,
    },
}

impl Answer {
    /// Whether a probe succeeded.
    pub const fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::No { since: Some(since) } => write!(f, "no, needs {since}"),
            Self::No { since: None } => f.write_str("no"),
            Self::Refused { error } => write!(f, "refused: {error}"),
            Self::Unknown { error } => write!(f, "could not tell: {error}"),
        }
    }
}

macro_rules! features {
    ($(#[doc = $what:literal] $variant:ident = $name:literal, $since:expr;)+) => {
        /// Everything a plan or a program's form may depend on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Feature {
            $(#[doc = $what] $variant,)+
        }

        impl Feature {
            /// All features, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Name in files, messages and `tetra probe`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it is, in a sentence of Markdown.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)+ }
            }

            /// First upstream kernel that has it, where it depends on the version rather than on the configuration.
            /// For messages only: nothing is decided by it.
            pub const fn since(self) -> Option<&'static str> {
                match self { $(Self::$variant => $since,)+ }
            }
        }
    };
}

features! {
    /// kprobes and kretprobes (`CONFIG_KPROBES`).
    Kprobe = "kprobe", None;
    /// Several functions under one kprobe link (`CONFIG_FPROBE`).
    KprobeMulti = "kprobe_multi", Some("5.18");
    /// fentry and fexit programs.
    Fentry = "fentry", Some("5.5");
    /// `fmod_ret` on `security_*`.
    FmodRet = "fmod_ret", Some("5.7");
    /// `fmod_ret` on the wrappers of system calls.
    FmodRetSyscall = "fmod_ret_syscall", None;
    /// LSM programs load; whether they run depends on the list of active modules too.
    Lsm = "lsm", Some("5.7");
    /// LSM programs that may sleep.
    LsmSleepable = "lsm_sleepable", Some("5.10");
    /// Tracepoint programs.
    Tracepoint = "tracepoint", Some("4.7");
    /// Raw tracepoint programs.
    RawTracepoint = "raw_tracepoint", Some("4.17");
    /// Raw tracepoint programs with typed arguments.
    TpBtf = "tp_btf", Some("5.5");
    /// uprobes.
    Uprobe = "uprobe", Some("4.1");
    /// Several places under one uprobe link.
    UprobeMulti = "uprobe_multi", Some("6.6");
    /// uprobe programs may write registers.
    UprobeRegisterWrite = "uprobe_register_write", Some("6.18");
    /// uprobe programs may sleep until memory of user space is there.
    UprobeSleepable = "uprobe_sleepable", Some("6.0");
    /// Programs on control groups.
    Cgroup = "cgroup", Some("4.10");
    /// `bpf_link` for kprobes, uprobes and tracepoints, instead of an ioctl.
    PerfEventLink = "perf_event_link", Some("5.15");
    /// A value of its own for each attachment (`bpf_get_attach_cookie`).
    AttachCookie = "attach_cookie", Some("5.15");
    /// Ring buffer maps.
    RingBuffer = "ring_buffer", Some("5.8");
    /// Storage that belongs to a task, in tracing programs.
    TaskStorage = "task_storage", Some("5.11");
    /// `bpf_map_lookup_percpu_elem`.
    MapLookupPercpu = "map_lookup_percpu", Some("5.19");
    /// Updating many elements in one call.
    BatchUpdate = "batch_update", Some("5.6");
    /// Atomic add, and, or and xor that return the old value, exchange and compare-exchange.
    AtomicFetch = "atomic_fetch", Some("5.12");
    /// `bpf_loop`.
    Loop = "bpf_loop", Some("5.17");
    /// Programs of up to a million instructions, loops with a bound.
    LargeProgram = "large_program", Some("5.3");
    /// bpf-to-bpf calls together with tail calls.
    MixedCalls = "mixed_calls", Some("5.10");
    /// Global functions, verified apart from their callers.
    GlobalFunction = "global_function", Some("5.6");
    /// kfunc `bpf_rdonly_cast`: plain loads from any kernel pointer.
    RdonlyCast = "rdonly_cast", Some("6.2");
    /// kfunc `bpf_preempt_disable`.
    PreemptDisable = "preempt_disable", Some("6.10");
    /// kfunc `bpf_path_d_path`, in LSM programs.
    PathDPath = "path_d_path", Some("6.12");
    /// kfunc `bpf_strnstr`.
    Strnstr = "strnstr", Some("6.17");
    /// kfunc `bpf_strncasestr`.
    Strncasestr = "strncasestr", Some("6.19");
    /// kfunc `bpf_copy_from_user_str`, in programs that may sleep.
    CopyFromUserStr = "copy_from_user_str", Some("6.13");
    /// `bpf_override_return` (`CONFIG_BPF_KPROBE_OVERRIDE`).
    OverrideReturn = "override_return", None;
    /// `bpf_send_signal`.
    SendSignal = "send_signal", Some("5.3");
    /// `bpf_send_signal_thread`.
    SendSignalThread = "send_signal_thread", Some("5.6");
    /// `bpf_d_path` in fentry and `fmod_ret` programs.
    DPath = "d_path", Some("5.10");
    /// `bpf_d_path` in LSM programs.
    DPathLsm = "d_path_lsm", Some("5.11");
    /// `bpf_ima_file_hash`.
    ImaFileHash = "ima_file_hash", Some("5.18");
    /// `bpf_ktime_get_boot_ns`.
    KtimeBoot = "ktime_boot", Some("5.8");
    /// `bpf_probe_read_kernel_str` and its three sisters.
    ProbeReadKernelStr = "probe_read_kernel_str", Some("5.5");
    /// `bpf_probe_write_user`.
    ProbeWriteUser = "probe_write_user", Some("4.8");
    /// `bpf_get_current_task_btf`.
    CurrentTaskBtf = "current_task_btf", Some("5.11");
    /// `bpf_get_current_ancestor_cgroup_id` in tracing programs.
    AncestorCgroupId = "ancestor_cgroup_id", Some("5.11");
    /// `bpf_get_func_ip` in kprobe programs.
    FuncIp = "func_ip", Some("5.15");
    /// Build ids in perf's mmap records.
    BuildId = "build_id", Some("5.12");
    /// `bpf_prog_info` counts the runs that recursion protection skipped.
    RecursionMisses = "recursion_misses", Some("5.12");
}

/// Features that are one kfunc each.
const KFUNCS: &[(Feature, &str)] = &[
    (Feature::RdonlyCast, "bpf_rdonly_cast"),
    (Feature::PreemptDisable, "bpf_preempt_disable"),
    (Feature::PathDPath, "bpf_path_d_path"),
    (Feature::Strnstr, "bpf_strnstr"),
    (Feature::Strncasestr, "bpf_strncasestr"),
    (Feature::CopyFromUserStr, "bpf_copy_from_user_str"),
];

impl Feature {
    /// The feature of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|feature| feature.name() == name)
    }

    /// The kernel function whose presence in BTF this kfunc needs.
    pub fn kfunc(self) -> Option<&'static str> {
        KFUNCS.iter().find(|(feature, _)| *feature == self).map(|&(_, name)| name)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The answers for one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureSet {
    answers: Box<[Answer]>,
}

impl Default for FeatureSet {
    fn default() -> Self {
        Self::new()
    }
}

impl FeatureSet {
    /// Nothing known.
    pub fn new() -> Self {
        let unknown = || Answer::Unknown { error: "not probed".to_owned() };
        Self { answers: Feature::ALL.iter().map(|_| unknown()).collect() }
    }

    /// Notes an answer.
    pub fn set(&mut self, feature: Feature, answer: Answer) {
        if let Some(slot) = self.answers.get_mut(feature as usize) {
            *slot = answer;
        }
    }

    /// Notes that the kernel lacks it.
    pub fn set_no(&mut self, feature: Feature) {
        self.set(feature, Answer::No { since: feature.since() });
    }

    /// What is known.
    pub fn get(&self, feature: Feature) -> &Answer {
        &self.answers[feature as usize]
    }

    /// All answers.
    pub fn iter(&self) -> impl Iterator<Item = (Feature, &Answer)> {
        Feature::ALL.iter().copied().zip(&self.answers)
    }

    /// One line a feature: `NAME yes`, `NAME no`, `NAME refused TEXT`, `NAME unknown TEXT`.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (feature, answer) in self.iter() {
            let (word, error) = match answer {
                Answer::Yes => ("yes", ""),
                Answer::No { .. } => ("no", ""),
                Answer::Refused { error } => ("refused", error.as_str()),
                Answer::Unknown { error } => ("unknown", error.as_str()),
            };
            let line = format!("{feature} {word} {}", error.replace('\n', " "));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// Reads what [`FeatureSet::to_text`] wrote. Features not mentioned stay unknown; empty lines and `#` are skipped.
    ///
    /// # Errors
    /// [`FeatureTextError`], with the line.
    pub fn from_text(text: &str) -> Result<Self, FeatureTextError> {
        let mut set = Self::new();
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let error = |problem| FeatureTextError { line: index + 1, problem };
            let (name, rest) = line.split_once(' ').ok_or_else(|| error("has no answer"))?;
            let feature = Feature::named(name).ok_or_else(|| error("names no known feature"))?;
            let (word, detail) = rest.split_once(' ').unwrap_or((rest, ""));
            let answer = match word {
                "yes" => Answer::Yes,
                "no" => Answer::No { since: feature.since() },
                "refused" => Answer::Refused { error: detail.to_owned() },
                "unknown" => Answer::Unknown { error: detail.to_owned() },
                _ => return Err(error("has an answer that is none of yes, no, refused, unknown")),
            };
            set.set(feature, answer);
        }
        Ok(set)
    }
}

/// A line of a saved feature list that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the feature list {problem}")]
pub struct FeatureTextError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn answers_survive_writing_and_reading() {
        let mut set = FeatureSet::new();
        set.set(Feature::Kprobe, Answer::Yes);
        set.set_no(Feature::Loop);
        set.set(Feature::Fentry, Answer::Refused { error: "Operation not permitted".to_owned() });
        let read = FeatureSet::from_text(&set.to_text()).unwrap();
        assert_eq!(read, set);
        assert_eq!(read.get(Feature::Loop), &Answer::No { since: Some("5.17") });
        assert_eq!(read.get(Feature::Lsm), &Answer::Unknown { error: "not probed".to_owned() });
    }

    #[test]
    fn a_line_that_is_no_answer_is_named() {
        let error = FeatureSet::from_text("kprobe yes\n\nlsm maybe\n").unwrap_err();
        assert_eq!(error.line, 3);
        assert_eq!(FeatureSet::from_text("telepathy yes").unwrap_err().line, 1);
        assert_eq!(FeatureSet::from_text("kprobe").unwrap_err().problem, "has no answer");
    }

    #[test]
    fn names_are_unique_and_lead_back() {
        for &feature in Feature::ALL {
            assert_eq!(Feature::named(feature.name()), Some(feature));
        }
    }
}

//! Why a hook cannot be served on a kernel, and what would do.

use super::deferral::Deferral;
use super::plan::Plan;
use super::reason::Reason;
use crate::kernel::{Answer, Feature, KernelView, function_of_hook, hook_of_function};

/// Why a hook cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The kernel has no such function.
    #[error("kernel {release} has no function {function}{}", did_you_mean(near))]
    NoFunction {
        /// The function.
        function: String,
        /// The kernel.
        release: String,
        /// Names like it.
        near: Vec<String>,
    },
    /// Programs cannot be attached there, because this kernel cannot trace at all in the way needed.
    #[error("kernel {release} does not let BPF trace {point} ({}); {help}", refusals(refused))]
    NoTracing {
        /// Function or sensor.
        point: String,
        /// The kernel.
        release: String,
        /// What was asked of the kernel, and its answers.
        refused: Vec<(Feature, Answer)>,
        /// What would do.
        help: String,
    },
    /// Calls can be seen but not denied.
    #[error("kernel {release} cannot make {point} fail: {}; {help}", sentences(reasons))]
    NoDenial {
        /// The function or system call.
        point: String,
        /// The kernel.
        release: String,
        /// What stands against each way of denying.
        reasons: Vec<Reason>,
        /// What would do.
        help: String,
    },
    /// The system call cannot be overridden and passes no hook.
    #[error(
        "{call} cannot be made to fail: its return cannot be overridden on this kernel ({}), and it passes no security hook before \
         it takes effect; use Sigkill instead of Override, or a kernel with CONFIG_BPF_KPROBE_OVERRIDE",
        sentences(reasons)
    )]
    NoHookOnTheWay {
        /// The wrapper.
        call: String,
        /// What stands against overriding.
        reasons: Vec<Reason>,
    },
}

impl PlanError {
    pub(super) fn no_function(function: &str, kernel: &KernelView) -> Self {
        Self::NoFunction {
            function: function.to_owned(),
            release: kernel.release().to_owned(),
            near: kernel.functions_like(function),
        }
    }

    pub(super) fn no_tracing(point: &str, kernel: &KernelView, wanted: &[Feature]) -> Self {
        let refused = wanted.iter().map(|&feature| (feature, kernel.answer(feature).clone())).collect();
        let help = if !kernel.has(Feature::RawTracepoint) {
            WITH_KPROBES.to_owned()
        } else if point.contains("sys_") {
            // Where tracepoints serve system calls, only a denial ends here.
            format!("use Sigkill instead of Override, which tracepoints serve here, or {WITH_KPROBES}")
        } else {
            format!("hook {} (tracepoints serve those here), or {WITH_KPROBES}", calls_to(point))
        };
        Self::NoTracing { point: point.to_owned(), release: kernel.release().to_owned(), refused, help }
    }

    pub(super) fn no_uprobe(point: &str, kernel: &KernelView) -> Self {
        let refused = [Feature::UprobeMulti, Feature::Uprobe];
        let refused = refused.map(|feature| (feature, kernel.answer(feature).clone())).to_vec();
        let help = "use a kernel with CONFIG_UPROBE_EVENTS".to_owned();
        Self::NoTracing { point: point.to_owned(), release: kernel.release().to_owned(), refused, help }
    }

    pub(super) fn no_denial(point: &str, plan: &Plan, kernel: &KernelView) -> Self {
        let is_inactive = plan.reasons.contains(&Reason::LsmNotActive);
        let help = match instead_of(point, kernel) {
            Some(function) => format!("hook {function}, which can be made to fail"),
            None if is_inactive => {
                "boot with `bpf` in the list of security modules (lsm=), or use Sigkill instead of Override"
                    .to_owned()
            }
            None if kernel.has(Feature::Kprobe) && !point.starts_with("security_") => {
                "hook a security_* function on the same way, or use Sigkill instead of Override".to_owned()
            }
            None if kernel.has(Feature::Kprobe) => "use Sigkill instead of Override".to_owned(),
            None => format!("use Sigkill on {}, or {WITH_KPROBES}", calls_to(point)),
        };
        Self::NoDenial {
            point: point.to_owned(),
            release: kernel.release().to_owned(),
            reasons: plan.reasons.clone(),
            help,
        }
    }

    pub(super) fn no_rewrite(point: &str, plan: &Plan, kernel: &KernelView) -> Self {
        Self::NoDenial {
            point: point.to_owned(),
            release: kernel.release().to_owned(),
            reasons: plan.reasons.clone(),
            help: "use Sigkill instead of Override".to_owned(),
        }
    }

    pub(super) fn no_hook_on_the_way(wrapper: &str, plan: &Plan) -> Self {
        Self::NoHookOnTheWay { call: wrapper.to_owned(), reasons: plan.reasons.clone() }
    }
}

const WITH_KPROBES: &str = "use a kernel with CONFIG_KPROBES";

/// The system calls that lead to a function, as far as known.
fn calls_to(function: &str) -> String {
    let calls: Vec<String> = hook_of_function(function)
        .into_iter()
        .flat_map(Deferral::calls_through)
        .map(|call| format!("sys_{call}"))
        .take(4)
        .collect();
    if calls.is_empty() {
        "the system calls that lead there".to_owned()
    } else {
        format!("a system call that leads there: {}", calls.join(", "))
    }
}

/// Hooks that do the same for functions which people like to override.
const INSTEAD: &[(&str, &str)] = &[
    ("do_filp_open", "file_open"),
    ("do_init_module", "kernel_read_file"),
    ("do_sys_open", "file_open"),
    ("do_sys_openat2", "file_open"),
    ("fd_install", "file_open"),
    ("tcp_connect", "socket_connect"),
    ("tcp_sendmsg", "socket_sendmsg"),
    ("tcp_v4_connect", "socket_connect"),
    ("tcp_v6_connect", "socket_connect"),
    ("udp_sendmsg", "socket_sendmsg"),
    ("vfs_open", "file_open"),
    ("vfs_read", "file_permission"),
    ("vfs_write", "file_permission"),
];

/// The `security_*` function that this kernel has at the same place as another function.
fn instead_of(function: &str, kernel: &KernelView) -> Option<String> {
    let listed = INSTEAD.iter().find(|(name, _)| *name == function).map(|&(_, hook)| function_of_hook(hook));
    let by_name = || function.strip_prefix("vfs_").map(|rest| format!("security_inode_{rest}"));
    listed.or_else(by_name).filter(|name| kernel.has_function(name))
}

fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; it has {}", near.join(", ")) }
}

fn refusals(refused: &[(Feature, Answer)]) -> String {
    let each: Vec<String> = refused.iter().map(|(feature, answer)| format!("{feature}: {answer}")).collect();
    each.join("; ")
}

fn sentences(reasons: &[Reason]) -> String {
    let each: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    each.join("; ")
}

//! Files that are taken as they are.

/// Where the kernel has its types.
pub(super) const BTF_FOLDER: &str = "/sys/kernel/btf";

/// Names in the archive, and files of the machine.
pub(super) const FILES: [(&str, &str); 24] = [
    ("os-release", "/etc/os-release"),
    ("kernel/version", "/proc/version"),
    ("kernel/cmdline", "/proc/cmdline"),
    ("kernel/lsm", "/sys/kernel/security/lsm"),
    ("kernel/lockdown", "/sys/kernel/security/lockdown"),
    ("kernel/modules", "/proc/modules"),
    ("kernel/preempt", "/sys/kernel/debug/sched/preempt"),
    ("kernel/enabled_functions", "/sys/kernel/tracing/enabled_functions"),
    ("kernel/kprobes", "/sys/kernel/debug/kprobes/list"),
    ("kernel/kprobe_profile", "/sys/kernel/tracing/kprobe_profile"),
    ("kernel/uprobe_profile", "/sys/kernel/tracing/uprobe_profile"),
    ("kernel/possible_cpus", "/sys/devices/system/cpu/possible"),
    ("kernel/transparent_hugepage", "/sys/kernel/mm/transparent_hugepage/enabled"),
    ("proc/cpuinfo", "/proc/cpuinfo"),
    ("proc/meminfo", "/proc/meminfo"),
    ("proc/loadavg", "/proc/loadavg"),
    ("proc/uptime", "/proc/uptime"),
    ("proc/stat", "/proc/stat"),
    ("proc/mounts", "/proc/self/mounts"),
    ("proc/cgroups", "/proc/cgroups"),
    ("proc/cgroup", "/proc/self/cgroup"),
    ("proc/pressure_cpu", "/proc/pressure/cpu"),
    ("proc/pressure_memory", "/proc/pressure/memory"),
    ("proc/pid_max", "/proc/sys/kernel/pid_max"),
];

/// Switches of the kernel.
pub(super) const SETTINGS: [&str; 16] = [
    "/proc/sys/kernel/unprivileged_bpf_disabled",
    "/proc/sys/kernel/bpf_stats_enabled",
    "/proc/sys/kernel/kptr_restrict",
    "/proc/sys/kernel/dmesg_restrict",
    "/proc/sys/kernel/perf_event_paranoid",
    "/proc/sys/kernel/perf_event_max_sample_rate",
    "/proc/sys/kernel/ftrace_enabled",
    "/proc/sys/kernel/modules_disabled",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/sys/net/core/bpf_jit_enable",
    "/proc/sys/net/core/bpf_jit_harden",
    "/proc/sys/net/core/bpf_jit_kallsyms",
    "/proc/sys/net/core/bpf_jit_limit",
    "/proc/sys/debug/kprobes-optimization",
    "/proc/sys/fs/file-nr",
];

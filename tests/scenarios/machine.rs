//! The harness itself, and the table of kernels; neither needs the daemon.

use std::fs;
use std::path::Path;

use e2e::bpf::{self, Object};
use e2e::ensure;
use e2e::expect::{Context, Outcome};
use e2e::kernels::Feature;
use e2e::load::write_tiny_program;
use e2e::scenario::{Guest, must, run};

/// Mounts, loopback, modules and programs are there, and BPF objects can be listed.
pub(crate) fn prepared(guest: &Guest) -> Outcome {
    for place in
        ["/proc/self", "/sys/kernel/btf/vmlinux", "/sys/fs/cgroup/cgroup.procs", "/sys/kernel/tracing/trace"]
    {
        ensure!(Path::new(place).exists(), "{place} is missing");
    }
    let mounts = fs::read_to_string("/proc/mounts")?;
    for kind in ["bpf", "securityfs", "tracefs", "cgroup2", "devpts"] {
        ensure!(mounts.lines().any(|line| line.split(' ').nth(2) == Some(kind)), "{kind} is not mounted");
    }
    let modules = fs::read_to_string("/proc/modules")?;
    ensure!(modules.contains("overlay "), "overlay is not loaded");
    must(&["ping", "-c", "1", "127.0.0.1"])?;
    let shadow = must(&["cat", "/etc/shadow"])?;
    ensure!(shadow.stdout.starts_with(b"root:"), "/etc/shadow is not what it should be");
    ensure!(!run(&["cat", "/no/such/file"])?.success(), "cat of a missing file succeeded");
    let tiny = guest.folder.join("tiny");
    write_tiny_program(&tiny, 7)?;
    let ended = run(&[&tiny.display().to_string()])?;
    ensure!(ended.status.code() == Some(7), "the tiny program ended with {}", ended.status);
    for kind in [Object::Program, Object::Map, Object::Link] {
        ensure!(bpf::ids(kind)?.is_empty(), "there are objects of BPF already: {kind:?}");
    }
    Ok(())
}

/// The kernel has what the table says, and lacks what it says.
pub(crate) fn as_the_table_says(guest: &Guest) -> Outcome {
    let symbols = fs::read_to_string("/proc/kallsyms")?;
    let symbol = |name: &str| symbols.lines().any(|line| line.split(' ').nth(2) == Some(name));
    let modules = fs::read_to_string("/sys/kernel/security/lsm").context("list of security modules")?;
    let preemption = ["/sys/kernel/debug/sched/preempt", "/sys/kernel/debug/sched_preempt"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok())
        .unwrap_or_default();
    let facts = [
        (Feature::ActiveBpfLsm, modules.trim().split(',').any(|name| name == "bpf")),
        (
            Feature::ProbeMulti,
            symbol("bpf_kprobe_multi_link_attach") && symbol("bpf_uprobe_multi_link_attach"),
        ),
        (Feature::OverrideReturn, symbol("bpf_override_return")),
        (Feature::PerfEventLink, symbol("bpf_perf_link_release")),
        (Feature::BpfLoop, symbol("bpf_loop")),
        (Feature::ReadOnlyCast, symbol("bpf_rdonly_cast")),
        (Feature::Preemptible, ["(full)", "(lazy)"].iter().any(|word| preemption.contains(word))),
    ];
    for (feature, has) in facts {
        ensure!(
            has == guest.variant.has(feature),
            "{feature:?}: the kernel says {has}, the table {}",
            guest.variant.has(feature)
        );
    }
    Ok(())
}

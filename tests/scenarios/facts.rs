//! What a kernel says of itself, and what is taken for it.

use std::fs;

use e2e::ensure;
use e2e::expect::{Failure, Outcome};
use e2e::kernels::Feature;
use e2e::scenario::{Guest, Settings, must, run, run_command};

use crate::policies::shadow;

/// Where a kernel shows its types.
const TYPES: &str = "/sys/kernel/btf";

/// Features by the names of `tetra probe` and of the log, and what the table says of them.
const FEATURES: [(&str, Feature); 6] = [
    ("kprobe_multi", Feature::ProbeMulti),
    ("uprobe_multi", Feature::ProbeMulti),
    ("fmodret_syscall", Feature::ModifyReturnOfSyscalls),
    ("override_return", Feature::OverrideReturn),
    ("uprobe_regs_change", Feature::UserRegisterWrite),
    ("link_pin", Feature::PerfEventLink),
];

/// `tetra probe` and the daemon's log say of the kernel what the table says.
pub(crate) fn are_told(guest: &Guest) -> Outcome {
    let probed = must(&["tetra", "probe"])?.text();
    for (name, feature) in FEATURES {
        let line = format!("{name}: {}", guest.variant.has(feature));
        ensure!(probed.lines().any(|probed| probed == line), "no {line}: {probed}");
    }
    let log = Settings::default().start(guest)?.log();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let begin = format!("kernel {}: has ", release.trim());
    let told = log.lines().find_map(|line| line.split_once(&begin));
    let (_, line) = told.ok_or_else(|| Failure(format!("no features: {log}")))?;
    let (has, not) = line.split_once("; not ").unwrap_or((line, ""));
    let there = has.split(", ").any(|has| has == "kprobe_multi");
    let lacking = not.contains("kprobe_multi (no");
    ensure!(there == guest.variant.has(Feature::ProbeMulti) && lacking != there, "kprobe_multi: {line}");
    Ok(())
}

/// Types in a file serve where the kernel shows none, and without them nothing is loaded.
pub(crate) fn types_of_a_file(guest: &Guest) -> Outcome {
    let file = guest.folder.join("types");
    fs::copy(format!("{TYPES}/vmlinux"), &file)?;
    must(&["mount", "-t", "tmpfs", "none", TYPES])?;
    let done = with_types(guest, &file.display().to_string());
    must(&["umount", TYPES])?;
    done
}

fn with_types(guest: &Guest, file: &str) -> Outcome {
    let policy = Settings::default().policy(&shadow("{action: Sigkill}"));
    let ended = run_command(&mut policy.command(&guest.folder)?)?;
    ensure!(ended.status.code() == Some(1) && ended.stderr.contains("--btf FILE"), "{}", ended.stderr);
    let wrong = policy.clone().flags(&["--btf", "/etc/passwd"]);
    let ended = run_command(&mut wrong.command(&guest.folder)?)?;
    let expected = "--btf /etc/passwd cannot be used: ";
    ensure!(ended.status.code() == Some(1) && ended.stderr.contains(expected), "{}", ended.stderr);
    let daemon = Settings::default().flags(&["--btf", file]).start(guest)?;
    must(&["cat", "/etc/shadow"])?;
    daemon.add("shadow", &shadow("{action: Sigkill}"))?;
    ensure!(run(&["cat", "/etc/shadow"])?.killed(), "nobody was killed");
    Ok(())
}

//! `tetra probe`

use std::fmt::Write as _;

use bpf_probes::kernel::{Answer, Feature, FeatureSet};
use bpf_probes::load::CpusError;
use bpf_probes::load::probe::{FileError, Prober, kernel_btf, kernel_configuration};

use crate::args::{Probe, ProbeWhat};
use crate::print::{Output, OutputError, escape, notice};

/// The kernel could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    /// No types.
    #[error("cannot probe: the kernel's types are needed (CONFIG_DEBUG_INFO_BTF): {0}")]
    Btf(#[from] FileError),
    /// No CPUs.
    #[error("cannot probe: {0}")]
    Cpus(#[from] CpusError),
    /// No configuration.
    #[error(
        "cannot find the kernel's configuration: it is neither in /boot/config-RELEASE, in \
         /usr/lib/modules/RELEASE/config nor in /proc/config.gz"
    )]
    Configuration,
    /// No output.
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// Features by the names that upstream's command has for them; the others have ours.
const UPSTREAM: [(&str, Feature); 12] = [
    ("override_return", Feature::OverrideReturn),
    ("buildid", Feature::BuildId),
    ("kprobe_multi", Feature::KprobeMulti),
    ("uprobe_multi", Feature::UprobeMulti),
    ("fmodret", Feature::FmodRet),
    ("fmodret_syscall", Feature::FmodRetSyscall),
    ("signal", Feature::SendSignal),
    ("large", Feature::LargeProgram),
    ("link_pin", Feature::PerfEventLink),
    ("lsm", Feature::Lsm),
    ("probe_write_user", Feature::ProbeWriteUser),
    ("uprobe_regs_change", Feature::UprobeRegisterWrite),
];

/// Options whose values are looked up.
const OPTIONS: [&str; 15] = [
    "CONFIG_AUDIT",
    "CONFIG_AUDITSYSCALL",
    "CONFIG_BPF",
    "CONFIG_BPF_EVENTS",
    "CONFIG_BPF_JIT",
    "CONFIG_BPF_JIT_DEFAULT_ON",
    "CONFIG_BPF_KPROBE_OVERRIDE",
    "CONFIG_BPF_SYSCALL",
    "CONFIG_CGROUPS",
    "CONFIG_DEBUG_INFO_BTF",
    "CONFIG_DEBUG_INFO_BTF_MODULES",
    "CONFIG_FTRACE_SYSCALLS",
    "CONFIG_HAVE_BPF_JIT",
    "CONFIG_HAVE_EBPF_JIT",
    "CONFIG_SECURITY",
];

/// Prints what the kernel can do, or which options it was built with.
pub(crate) fn run(options: &Probe) -> Result<(), ProbeError> {
    let text = match options.what {
        Some(ProbeWhat::Config) => configuration(&kernel_configuration().ok_or(ProbeError::Configuration)?),
        None => {
            let answers = Prober::new(&kernel_btf()?)?.answers(Feature::ALL);
            let (text, doubts) = features(&answers);
            for doubt in doubts {
                notice(&doubt);
            }
            text
        }
    };
    Ok(Output::stdout().write_all(text.as_bytes())?)
}

/// A line `NAME: true` or `NAME: false` for each feature; and a sentence for each of which it was not found out, or which the
/// kernel has but refuses to this process.
pub(super) fn features(answers: &FeatureSet) -> (String, Vec<String>) {
    let rest = Feature::ALL.iter().filter(|feature| UPSTREAM.iter().all(|(_, known)| known != *feature));
    let all = UPSTREAM.into_iter().chain(rest.map(|feature| (feature.name(), *feature)));
    let (mut text, mut doubts) = (String::new(), Vec::new());
    for (name, feature) in all {
        let answer = answers.get(feature);
        writeln!(text, "{name}: {}", answer.is_yes()).expect("a String takes all text");
        if matches!(answer, Answer::Refused { .. } | Answer::Unknown { .. }) {
            doubts.push(format!("{name}: {answer}; run as root with all capabilities to be sure"));
        }
    }
    (text, doubts)
}

/// A line `OPTION:VALUE` for each option, `n` where it is not set.
fn configuration(text: &str) -> String {
    let value = |option: &str| {
        text.lines().find_map(|line| line.strip_prefix(option)?.strip_prefix('=')).unwrap_or("n").trim()
    };
    let mut lines = String::new();
    for option in OPTIONS {
        writeln!(lines, "{option}:{}", escape::word(value(option))).expect("a String takes all text");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: CLI-17 (form of the answers)
    #[test]
    fn what_could_not_be_told_is_false_and_said_apart() {
        let mut answers = FeatureSet::new();
        answers.set(Feature::Lsm, Answer::Yes);
        answers.set_no(Feature::KprobeMulti);
        let (text, doubts) = features(&answers);
        assert!(text.contains("lsm: true\n") && text.contains("kprobe_multi: false\n"), "{text}");
        assert_eq!(text.lines().count(), Feature::ALL.len());
        assert_eq!(doubts.len(), Feature::ALL.len() - 2);
        assert!(doubts.iter().any(|doubt| doubt.starts_with("signal: could not tell")), "{doubts:?}");
    }

    // proves: CLI-17 (config)
    #[test]
    fn options_that_are_not_set_are_n() {
        let text = configuration("# CONFIG_AUDIT is not set\nCONFIG_BPF=y\nCONFIG_BPF_JIT=m\n");
        assert!(text.starts_with(
            "CONFIG_AUDIT:n\nCONFIG_AUDITSYSCALL:n\nCONFIG_BPF:y\nCONFIG_BPF_EVENTS:n\nCONFIG_BPF_JIT:m\n"
        ));
        assert_eq!(text.lines().count(), OPTIONS.len());
    }
}

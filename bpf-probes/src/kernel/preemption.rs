//! Whether this kernel may preempt a thread inside a BPF program, which decides which mechanisms see every call.

use std::fmt;

/// Preemption model in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preemption {
    /// No preemption in the kernel.
    None,
    /// At marked places only.
    Voluntary,
    /// Anywhere.
    Full,
    /// Anywhere, but for ordinary threads at the tick only (6.13).
    Lazy,
    /// Could not be found out.
    Unknown,
}

impl Preemption {
    /// Whether a thread may lose the CPU inside a BPF program. An unknown model counts as one where it may.
    pub const fn is_preemptible(self) -> bool {
        matches!(self, Self::Full | Self::Lazy | Self::Unknown)
    }

    /// Word in files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Voluntary => "voluntary",
            Self::Full => "full",
            Self::Lazy => "lazy",
            Self::Unknown => "unknown",
        }
    }

    /// The model of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Voluntary, Self::Full, Self::Lazy, Self::Unknown]
            .into_iter()
            .find(|model| model.name() == name)
    }

    /// The model in force, from whatever of these could be read.
    pub fn detect(sources: &PreemptionSources<'_>) -> Self {
        let PreemptionSources { debugfs, version, command_line, config } = *sources;
        if let Some(model) = debugfs.and_then(from_debugfs) {
            return model;
        }
        let words = || version.split_ascii_whitespace();
        if words().any(|word| word == "PREEMPT_RT") {
            return Self::Full;
        }
        if words().any(|word| word == "PREEMPT_DYNAMIC")
            && let Some(model) = from_command_line(command_line)
        {
            return model;
        }
        match config.and_then(from_config) {
            Some(model) => model,
            // A kernel built without CONFIG_PREEMPT_BUILD says nothing in its version.
            None if !version.is_empty() && !words().any(|word| word.starts_with("PREEMPT")) => {
                Self::Voluntary
            }
            None => Self::Unknown,
        }
    }
}

impl fmt::Display for Preemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Texts that tell about preemption; each may be missing.
#[derive(Debug, Clone, Copy, Default)]
pub struct PreemptionSources<'a> {
    /// `/sys/kernel/debug/sched/preempt`: `none voluntary (full)`. It alone knows of a change at run time.
    pub debugfs: Option<&'a str>,
    /// `version` of uname, `/proc/sys/kernel/version`: `#1 SMP PREEMPT_DYNAMIC …`.
    pub version: &'a str,
    /// `/proc/cmdline`, for `preempt=`.
    pub command_line: &'a str,
    /// The kernel's configuration, unpacked.
    pub config: Option<&'a str>,
}

/// `kernel/sched/debug.c: sched_dynamic_show` puts the model in force in parentheses.
fn from_debugfs(text: &str) -> Option<Preemption> {
    let (_, rest) = text.split_once('(')?;
    let (name, _) = rest.split_once(')')?;
    Preemption::named(name)
}

/// The last `preempt=` counts.
fn from_command_line(text: &str) -> Option<Preemption> {
    text.split_ascii_whitespace().rev().find_map(|word| Preemption::named(word.strip_prefix("preempt=")?))
}

fn from_config(text: &str) -> Option<Preemption> {
    let set = |name: &str| text.lines().any(|line| line.strip_prefix(name) == Some("=y"));
    [
        ("CONFIG_PREEMPT_RT", Preemption::Full),
        ("CONFIG_PREEMPT_LAZY", Preemption::Lazy),
        ("CONFIG_PREEMPT_VOLUNTARY", Preemption::Voluntary),
        ("CONFIG_PREEMPT_NONE", Preemption::None),
        ("CONFIG_PREEMPT", Preemption::Full),
    ]
    .into_iter()
    .find_map(|(name, model)| set(name).then_some(model))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_debugfs_says_counts_most() {
        let sources = PreemptionSources {
            debugfs: Some("none voluntary (full)\n"),
            version: "#1 SMP PREEMPT_DYNAMIC Debian",
            command_line: "preempt=none",
            ..PreemptionSources::default()
        };
        assert_eq!(Preemption::detect(&sources), Preemption::Full);
    }

    #[test]
    fn the_last_word_of_the_command_line_wins_over_the_configuration() {
        let sources = PreemptionSources {
            version: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1",
            command_line: "quiet preempt=none preempt=full",
            config: Some("CONFIG_PREEMPT_VOLUNTARY=y\n"),
            ..PreemptionSources::default()
        };
        assert_eq!(Preemption::detect(&sources), Preemption::Full);
        let plain = PreemptionSources { command_line: "quiet", ..sources };
        assert_eq!(Preemption::detect(&plain), Preemption::Voluntary);
    }

    #[test]
    fn a_kernel_built_without_preemption_is_not_preemptible() {
        let sources = PreemptionSources { version: "#1 SMP Debian 5.10.262-1", ..Default::default() };
        assert!(!Preemption::detect(&sources).is_preemptible());
    }

    #[test]
    fn when_nothing_tells_the_model_is_unknown_and_counts_as_preemptible() {
        let sources = PreemptionSources { version: "#1 SMP PREEMPT_DYNAMIC", ..Default::default() };
        assert_eq!(Preemption::detect(&sources), Preemption::Unknown);
        assert!(Preemption::Unknown.is_preemptible());
        assert_eq!(Preemption::detect(&PreemptionSources::default()), Preemption::Unknown);
    }

    #[test]
    fn a_lazy_kernel_is_told_from_its_configuration() {
        let sources = PreemptionSources {
            version: "#1 SMP PREEMPT_DYNAMIC",
            config: Some("# CONFIG_PREEMPT is not set\nCONFIG_PREEMPT_LAZY=y\n"),
            ..Default::default()
        };
        assert_eq!(Preemption::detect(&sources), Preemption::Lazy);
    }
}

//! Why a change of policies was refused, in words that a client or a log shows.

use std::fmt;

use bpf_probes::abi::HANDOVER_CELLS;
use tracing_policy::diagnostic::render::{Style, terminal};
use tracing_policy::diagnostic::{Diagnostic, Severity};
use tracing_policy::policy::{HookKey, ResolvedHook};
use tracing_policy::source::{SourceText, Span};

use super::classes::ClassError;
use super::hooks::{HookError, HookRefusal};
use super::identity::Identity;
use super::kept::KeptError;
use super::port::Refused;

/// Why a change of policies was refused. What ran before runs on.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The compiler has findings; rendered with the lines they are about.
    #[error("{text}")]
    Findings {
        /// The findings in words.
        text: String,
    },
    /// There is such a policy already.
    #[error("policy {identity} exists already; delete it first")]
    Exists {
        /// Which.
        identity: Identity,
    },
    /// There is no such policy.
    #[error("there is no policy {identity}")]
    Unknown {
        /// Which.
        identity: Identity,
    },
    /// The mode cannot be changed.
    #[error("policy {identity} enforces nothing, so its mode is monitor_only and cannot be changed")]
    MonitorOnly {
        /// Which.
        identity: Identity,
    },
    /// The kernel refused a program.
    #[error("{place}: the kernel refused what {hook} needs: {refused}")]
    Refused {
        /// File, line and column of the hook.
        place: String,
        /// The hook.
        hook: HookKey,
        /// Where its program was to run, and what the kernel said.
        refused: Refused,
    },
    /// Tests of processes could not be set up.
    #[error("{name}: {error}")]
    Classes {
        /// Name of the text.
        name: String,
        /// Why.
        error: ClassError,
    },
    /// What was told of a container could not be noted.
    #[error("containers of pods: {error}")]
    Workload {
        /// Why.
        error: ClassError,
    },
    /// A table of fixed size is full.
    #[error("{name}: no room for another policy: {what} are in use; remove a policy")]
    Exhausted {
        /// Name of the text.
        name: String,
        /// What has run out.
        what: String,
    },
    /// The text is another policy's than the name of its file says.
    #[error("its text is that of policy {found}")]
    OtherPolicy {
        /// By the text.
        found: Identity,
    },
    /// What was to outlive the daemon does not.
    #[error("policy {what}: {error}")]
    NotKept {
        /// Which policy, and what that means.
        what: String,
        /// Why.
        error: KeptError,
    },
    /// The daemon stops.
    #[error("the daemon is shutting down")]
    Stopping,
}

impl PolicyError {
    /// Findings about a text.
    pub(super) fn findings(source: &SourceText, findings: &[Diagnostic]) -> Self {
        let picture = terminal(source, findings, Style::Ascii);
        let text =
            match findings.iter().find(|finding| finding.severity == Severity::Error).or(findings.first()) {
                Some(first) => format!(
                    "{}: {} ({})\n\n{}",
                    Place(source, first.primary.span),
                    first.message,
                    first.code,
                    picture.trim_end()
                ),
                None => picture,
            };
        Self::Findings { text }
    }

    /// The failure of a hook, told of the policies on their way in (the one whose code was refused, else the last one that rides on it), or of
    /// the one on its way out. Hooks come with their layout numbers.
    pub(super) fn at_hook<'a>(
        error: HookError,
        policies: impl IntoIterator<Item = (&'a SourceText, Vec<(u32, &'a ResolvedHook)>)>,
    ) -> Self {
        let policies: Vec<_> = policies.into_iter().collect();
        let last = policies.last().map(|(source, _)| *source);
        let name = last.map_or("policy", SourceText::name).to_owned();
        match error {
            HookError::Compile(error) => match last {
                Some(source) => Self::findings(source, &error.findings),
                None => Self::Findings { text: String::new() },
            },
            HookError::Exhausted => {
                Self::Exhausted { name, what: format!("all {HANDOVER_CELLS} hand-over cells of hooks") }
            }
            HookError::Refused(refusal) => {
                let HookRefusal { key, target, refused, blamed } = *refusal;
                let of_layout = |(layout, span): (u32, Span)| {
                    let owner =
                        policies.iter().find(|(_, hooks)| hooks.iter().any(|(number, _)| *number == layout));
                    owner.map(|(source, _)| Place(source, span).to_string())
                };
                let on_it = || {
                    policies.iter().rev().find_map(|(source, hooks)| {
                        let (_, hook) = hooks.iter().find(|(_, hook)| hook.key == key)?;
                        Some(Place(source, hook.span).to_string())
                    })
                };
                let place = blamed.and_then(of_layout).or_else(on_it).unwrap_or(name);
                let refused = Refused { message: format!("{target}: {refused}"), ..refused };
                Self::Refused { place, hook: key, refused }
            }
        }
    }
}

/// A place in a text: `name:line:column`, or only its name for the text as a whole.
struct Place<'a>(&'a SourceText, Span);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1.is_empty() {
            return f.write_str(self.0.name());
        }
        let position = self.0.position(self.1.start);
        write!(f, "{}:{}:{}", self.0.name(), position.line, position.column)
    }
}

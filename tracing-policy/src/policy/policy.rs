//! The policy as a whole.

use std::fmt;

use bpf_probes::kernel::{I386Call, Syscall};

use super::hook::{Function, Hook, HookKind, Tracepoint};
use super::workload::WorkloadScope;
use crate::source::{Span, Spanned};

/// A checked policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name, unique among cluster policies.
    pub name: Spanned<PolicyName>,
    /// The namespace whose pods it is for alone, if it is for one.
    pub namespace: Option<Spanned<String>>,
    /// The mode that `spec.options` asks for, if it does.
    pub mode_requested: Option<Spanned<ModeRequest>>,
    /// Whether many hooks may share one attachment.
    pub attach: AttachPreference,
    /// The same of hooks in programs and libraries (`disable-uprobe-multi`).
    pub attach_user: AttachPreference,
    /// By what means system calls are to be overridden, if the policy says.
    pub override_method: Option<Spanned<OverrideMethod>>,
    /// The workloads that it is for; `None` for all.
    pub workload: Option<WorkloadScope>,
    /// Its hooks, section by section in the order of the text; a list of symbols is one hook for each.
    pub hooks: Vec<Hook>,
}

impl Policy {
    /// The mode it starts in: monitor-only when it enforces nothing, whatever it asks for.
    pub fn initial_mode(&self) -> Mode {
        match &self.mode_requested {
            _ if !self.enforces() => Mode::MonitorOnly,
            Some(request) => request.value.into(),
            None => Mode::Enforce,
        }
    }

    /// The tracepoints whose format a kernel has to show before the policy can be resolved.
    pub fn tracepoints(&self) -> impl Iterator<Item = &Tracepoint> {
        self.hooks.iter().filter_map(|hook| match &hook.kind.value {
            HookKind::Tracepoint(tracepoint) if !tracepoint.raw => Some(tracepoint),
            HookKind::Tracepoint(_)
            | HookKind::Kprobe(_)
            | HookKind::Lsm(_)
            | HookKind::Uprobe(_)
            | HookKind::Usdt(_)
            | HookKind::Loader => None,
        })
    }

    /// The paths of the files that have to be opened before the policy can be resolved, some perhaps twice.
    pub fn binaries(&self) -> impl Iterator<Item = &str> {
        self.hooks.iter().flat_map(|hook| {
            let (path, types) = match &hook.kind.value {
                HookKind::Uprobe(uprobe) => (Some(&uprobe.path), uprobe.types.as_ref()),
                HookKind::Usdt(usdt) => (Some(&usdt.path), usdt.types.as_ref()),
                HookKind::Tracepoint(_) | HookKind::Kprobe(_) | HookKind::Lsm(_) | HookKind::Loader => {
                    (None, None)
                }
            };
            path.into_iter().chain(types.map(|(path, _)| path)).map(String::as_str)
        })
    }

    /// Whether a pattern stands for functions, which the kernel has to list before the policy can be resolved.
    pub fn has_patterns(&self) -> bool {
        self.hooks.iter().any(|hook| matches!(hook.kind.value, HookKind::Kprobe(Function::Matching(_))))
    }

    /// Symbols that the policy may hook, of which types alone do not always say whether the kernel has them.
    pub fn symbols(&self) -> Vec<String> {
        let mut symbols = Vec::new();
        for hook in &self.hooks {
            match &hook.kind.value {
                HookKind::Kprobe(Function::Kernel(symbol)) => symbols.push(symbol.clone()),
                HookKind::Kprobe(Function::Syscall { name, .. }) => {
                    let i386 = [I386Call::named(name), I386Call::served_by(name)];
                    symbols.extend(i386.into_iter().flatten().flat_map(I386Call::symbols));
                    let wrapper = Syscall::named(name).map_or(name.as_str(), |call| call.wrapper);
                    symbols.push(format!("__x64_sys_{wrapper}"));
                }
                HookKind::Kprobe(Function::Matching(_))
                | HookKind::Lsm(_)
                | HookKind::Tracepoint(_)
                | HookKind::Uprobe(_)
                | HookKind::Usdt(_)
                | HookKind::Loader => {}
            }
        }
        symbols.sort_unstable();
        symbols.dedup();
        symbols
    }

    /// The kernel functions that it hooks, by their symbols.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.hooks.iter().filter_map(|hook| match &hook.kind.value {
            HookKind::Kprobe(Function::Kernel(symbol)) => Some(symbol.as_str()),
            HookKind::Kprobe(Function::Syscall { .. } | Function::Matching(_))
            | HookKind::Tracepoint(_)
            | HookKind::Lsm(_)
            | HookKind::Uprobe(_)
            | HookKind::Usdt(_)
            | HookKind::Loader => None,
        })
    }

    /// The modules whose types its arguments and what is returned name.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        let all = self.hooks.iter().flat_map(|hook| hook.arguments.iter().chain(&hook.returned));
        let resolved = all.filter_map(|it| it.resolve.as_ref());
        resolved.filter_map(|resolve| resolve.module.as_ref()).map(|module| module.value.as_str())
    }

    /// Whether any action of any hook enforces.
    pub fn enforces(&self) -> bool {
        self.hooks
            .iter()
            .flat_map(|hook| &hook.selectors)
            .flat_map(|selector| selector.actions.iter().chain(&selector.return_actions))
            .any(|action| action.value.enforces())
    }
}

/// A name of a policy: a DNS-1123 subdomain (1 to 253 of `a-z 0-9 - .`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyName(String);

impl PolicyName {
    /// The name, if it is one.
    pub fn new(name: &str) -> Option<Self> {
        let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let label = |label: &str| {
            let bytes = label.as_bytes();
            bytes.iter().all(|&byte| edge(byte) || byte == b'-')
                && bytes.first().is_some_and(|&byte| edge(byte))
                && bytes.last().is_some_and(|&byte| edge(byte))
        };
        (name.len() <= 253 && name.split('.').all(label)).then(|| Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What `policy-mode` may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeRequest {
    /// Carry out enforcement actions.
    Enforce,
    /// Count them instead.
    Monitor,
}

/// The mode a policy is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Enforcement actions are carried out.
    Enforce,
    /// Enforcement actions are counted, not carried out.
    Monitor,
    /// There is nothing to enforce; the mode cannot be changed at run time.
    MonitorOnly,
}

impl From<ModeRequest> for Mode {
    fn from(request: ModeRequest) -> Self {
        match request {
            ModeRequest::Enforce => Self::Enforce,
            ModeRequest::Monitor => Self::Monitor,
        }
    }
}

/// Whether hooks of a policy may share one attachment (`disable-kprobe-multi`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AttachPreference {
    /// The attach planner chooses.
    #[default]
    Planner,
    /// One attachment a hook.
    Single,
}

/// By what means system calls are to be overridden (`override-method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverrideMethod {
    /// By returning the error from a program on the call's way (`fmod-ret`).
    OnTheWay,
    /// By replacing what the call returns (`override-return`).
    ReturnValue,
}

/// A message or a tag: text that is shown with each event of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    text: String,
    span: Span,
}

impl Annotation {
    /// `text`, written at `span`.
    pub(crate) fn new(text: String, span: Span) -> Self {
        Self { text, span }
    }

    /// The text as the author meant it.
    pub fn as_written(&self) -> &str {
        &self.text
    }

    /// Where it was written.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The text as events carry it: quotes, backslashes and what is not printable are escaped as Go's `%q` does,
    /// without the quotes around.
    pub fn escaped(&self) -> String {
        let mut out = String::with_capacity(self.text.len());
        for c in self.text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\u{7}' => out.push_str("\\a"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{b}' => out.push_str("\\v"),
                c if !c.is_control() => out.push(c),
                c => {
                    let escape = if c.is_ascii() {
                        format!("\\x{:02x}", u32::from(c))
                    } else {
                        format!("\\u{:04x}", u32::from(c))
                    };
                    out.push_str(&escape);
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_dns_subdomain() {
        for good in
            ["a", "detect-shadow-read", "process.credentials.changes.at.syscalls", "0a", &"a".repeat(253)]
        {
            assert!(PolicyName::new(good).is_some(), "{good}");
        }
        for bad in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a.", "a/b", "ä", &"a".repeat(254)] {
            assert!(PolicyName::new(bad).is_none(), "{bad}");
        }
    }

    // proves: POL-11 (quoting)
    #[test]
    fn an_annotation_is_escaped_as_go_quotes() {
        let note = Annotation::new("a \"b\" \\ \n \u{1b}[0m ü \u{85}".into(), Span::default());
        assert_eq!(note.escaped(), "a \\\"b\\\" \\\\ \\n \\x1b[0m ü \\u0085");
    }
}

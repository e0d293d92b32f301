//! Texts of policies.

use std::fmt::Write;

/// A policy of that name with this below `spec:`, indented by two.
pub(crate) fn named(name: &str, spec: &str) -> String {
    format!("apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: {name}}}\nspec:\n{spec}")
}

/// What a policy does with an open that it matches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    /// Report it.
    Post,
    /// Kill the process.
    Kill,
    /// Fail the call with EACCES.
    Deny,
    /// The same without an event.
    DenySilently,
}

impl Action {
    fn text(self) -> &'static str {
        match self {
            Self::Post => "[{action: Post}]",
            Self::Kill => "[{action: Sigkill}]",
            Self::Deny => "[{action: Override, argError: -13}]",
            Self::DenySilently => "[{action: Override, argError: -13}, {action: NoPost}]",
        }
    }
}

/// A policy on `security_file_open` with one filter on the path.
pub(crate) fn file_open(name: &str, operator: &str, values: &[&str], action: Action) -> String {
    let mut text = named(
        name,
        &format!(
            "  kprobes:
  - call: security_file_open
    syscall: false
    args:
    - {{index: 0, type: file}}
    selectors:
    - matchArgs:
      - index: 0
        operator: {operator}
        values:
"
        ),
    );
    for value in values {
        // Writing to a String does not fail.
        writeln!(text, "        - \"{value}\"").unwrap_or_default();
    }
    writeln!(text, "      matchActions: {}", action.text()).unwrap_or_default();
    text
}

/// A policy on lseek(2) with one filter on the offset.
pub(crate) fn seek(name: &str, operator: &str, values: &[&str]) -> String {
    named(
        name,
        &format!(
            "  kprobes:
  - call: sys_lseek
    syscall: true
    args:
    - {{index: 1, type: uint64}}
    selectors:
    - matchArgs:
      - {{index: 1, operator: {operator}, values: {values:?}}}
"
        ),
    )
}

/// The policy of the main job, in the words in which users write it.
pub(crate) fn shadow(action: &str) -> String {
    format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: detect-shadow-read
spec:
  kprobes:
  - call: security_file_open
    syscall: false
    args:
    - {{index: 0, type: file}}
    selectors:
    - matchArgs:
      - {{index: 0, operator: Prefix, values: [/etc/shadow]}}
      matchActions:
      - {action}
"
    )
}

//! Which events show the ancestors of their processes.

use tracing_policy::policy::EventForm;

/// A kind of events, by the words of `--enable-ancestors`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AncestorKind {
    /// Exec and exit.
    Base,
    /// Functions of the kernel.
    Kprobe,
    /// Tracepoints.
    Tracepoint,
    /// Mapped code.
    Loader,
    /// Functions of programs.
    Uprobe,
    /// LSM hooks.
    Lsm,
    /// Static probes of programs.
    Usdt,
}

impl AncestorKind {
    /// Each with its word.
    pub const NAMES: [(Self, &'static str); 7] = [
        (Self::Base, "base"),
        (Self::Kprobe, "kprobe"),
        (Self::Tracepoint, "tracepoint"),
        (Self::Loader, "loader"),
        (Self::Uprobe, "uprobe"),
        (Self::Lsm, "lsm"),
        (Self::Usdt, "usdt"),
    ];

    /// The kind of a hook's events.
    pub(super) const fn of(form: &EventForm) -> Self {
        match form {
            EventForm::Kprobe => Self::Kprobe,
            EventForm::Tracepoint { .. } => Self::Tracepoint,
            EventForm::Loader => Self::Loader,
            EventForm::Uprobe { .. } => Self::Uprobe,
            EventForm::Lsm => Self::Lsm,
            EventForm::Usdt { .. } => Self::Usdt,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AncestorKinds(u8);

impl AncestorKinds {
    /// Whether no events show ancestors.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether events of `kind` do.
    pub const fn has(self, kind: AncestorKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// The words, joined by commas.
    pub fn describe(self) -> String {
        let words: Vec<&str> = AncestorKind::NAMES
            .into_iter()
            .filter(|(kind, _)| self.has(*kind))
            .map(|(_, name)| name)
            .collect();
        words.join(",")
    }
}

impl FromIterator<AncestorKind> for AncestorKinds {
    fn from_iter<T: IntoIterator<Item = AncestorKind>>(kinds: T) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | kind.bit()))
    }
}

//! What is to be hooked, and what is due there.

use std::fmt;

use super::user::{UserLinks, UserPlace};
use crate::kernel::SyscallName;

/// A place in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// A kernel function, by its symbol.
    Function(String),
    /// A system call.
    Syscall(SyscallName),
    /// A function that is to be hooked by trampoline, where that misses no call.
    Fentry {
        /// Its symbol.
        function: String,
        /// The system call that it is the wrapper of.
        call: Option<SyscallName>,
    },
    /// A place where a base sensor sits.
    Sensor(Sensor),
    /// An LSM hook, by its name without prefix.
    LsmHook(String),
    /// A tracepoint.
    Tracepoint {
        /// E.g. `sched`.
        subsystem: String,
        /// E.g. `sched_process_exec`.
        event: String,
        /// Whether its arguments are wanted as they are passed, instead of its formatted record.
        raw: bool,
    },
    /// A place in a program or library.
    User {
        /// Where.
        place: UserPlace,
        /// Which links are wanted.
        links: UserLinks,
    },
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(name) | Self::Fentry { function: name, .. } => f.write_str(name),
            Self::Syscall(name) => f.write_str(&name.symbol()),
            Self::Sensor(sensor) => write!(f, "the {} sensor", sensor.name()),
            Self::LsmHook(hook) => write!(f, "LSM hook {hook}"),
            Self::Tracepoint { subsystem, event, .. } => write!(f, "tracepoint {subsystem}/{event}"),
            Self::User { place, .. } => write!(f, "{place}"),
        }
    }
}

/// A base sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sensor {
    /// A program was executed; its arguments are in place.
    Exec,
    /// A task was made and is about to run.
    Fork,
    /// The last thread of a process ends.
    Exit,
}

impl Sensor {
    /// Word in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Fork => "fork",
            Self::Exit => "exit",
        }
    }
}

/// One thing that may be due at a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Duty {
    /// Report the call.
    Report = 1,
    /// Send a signal to the caller.
    Signal = 2,
    /// Make the call fail with an errno.
    Override = 4,
    /// Report what the call returned.
    ReportReturn = 8,
    /// Read what arguments point to in user space.
    ReadUserMemory = 16,
    /// Override otherwise than by error injection, where that can be.
    AvoidErrorInjection = 32,
    /// Read registers at the hook, which trampolines do not show.
    ReadRegisters = 64,
}

/// Everything that is due at a hook, for all policies on it together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Duties(u8);

impl Duties {
    /// These duties.
    pub fn of(duties: &[Duty]) -> Self {
        duties.iter().fold(Self::default(), |all, &duty| all.with(duty))
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, duty: Duty) -> Self {
        Self(self.0 | duty as u8)
    }

    /// Whether this one is due.
    pub const fn contains(self, duty: Duty) -> bool {
        self.0 & duty as u8 != 0
    }

    /// Whether something is due at the entry besides overriding.
    pub const fn observes(self) -> bool {
        self.contains(Duty::Report) || self.contains(Duty::Signal)
    }
}

/// A place, and what is due there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hook {
    /// The place.
    pub point: Point,
    /// What is due.
    pub due: Duties,
}

impl Hook {
    /// A hook on a kernel function.
    pub fn function(symbol: impl Into<String>, due: &[Duty]) -> Self {
        Self { point: Point::Function(symbol.into()), due: Duties::of(due) }
    }

    /// A hook on a system call.
    pub fn syscall(name: SyscallName, due: &[Duty]) -> Self {
        Self { point: Point::Syscall(name), due: Duties::of(due) }
    }

    /// A hook on a function, or on the wrapper of a system call, by trampoline where that misses no call.
    pub fn fentry(function: impl Into<String>, call: Option<SyscallName>, due: &[Duty]) -> Self {
        Self { point: Point::Fentry { function: function.into(), call }, due: Duties::of(due) }
    }

    /// A hook on an LSM hook.
    pub fn lsm(hook: impl Into<String>, due: &[Duty]) -> Self {
        Self { point: Point::LsmHook(hook.into()), due: Duties::of(due) }
    }

    /// A hook on a tracepoint.
    pub fn tracepoint(
        subsystem: impl Into<String>,
        event: impl Into<String>,
        raw: bool,
        due: &[Duty],
    ) -> Self {
        let point = Point::Tracepoint { subsystem: subsystem.into(), event: event.into(), raw };
        Self { point, due: Duties::of(due) }
    }

    /// A hook on a place in a program or library.
    pub fn user(place: UserPlace, links: UserLinks, due: &[Duty]) -> Self {
        Self { point: Point::User { place, links }, due: Duties::of(due) }
    }

    /// The hook of a base sensor.
    pub fn sensor(sensor: Sensor) -> Self {
        Self { point: Point::Sensor(sensor), due: Duties::of(&[Duty::Report]) }
    }
}

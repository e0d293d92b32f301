//! One hook with all policies on it.

use bpf_probes::asm::Origin;

use super::filter::Test;
use super::search::Search;
use super::source_map::SourceMap;
use super::table::Table;
use crate::policy::{
    Action, ArgumentId, ArgumentType, BufferSize, Convention, Place, PostOptions, ReturnedSize, Rewrite,
    ValuePath,
};

/// What one program of a hook does.
#[derive(Clone, Debug)]
pub struct Hook {
    /// How arguments are passed.
    pub convention: Convention,
    /// The distinct arguments that any policy tests or reports, in the order in which they are read: the cheapest first.
    pub reads: Vec<Read>,
    /// How values are reached that are not in their arguments.
    pub paths: Vec<ValuePath>,
    /// Values that are looked up instead of compared one by one.
    pub tables: Vec<Table>,
    /// Texts that are looked for anywhere.
    pub searches: Vec<Search>,
    /// The policies, in order.
    pub riders: Vec<Rider>,
    /// What the origins mean.
    pub places: SourceMap,
    /// Which of many places a call is at.
    pub members: Members,
}

/// How a program that serves many places finds out which one it is at. Members are numbered from 0 on, and their records' layouts likewise.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Members {
    /// It serves one.
    #[default]
    One,
    /// The attachment's cookie is the member's number.
    Cookie,
    /// By the numbers of system calls, in the order of members.
    Syscalls(Vec<u32>),
}

/// An argument, read as a type.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Read {
    /// Position in the prototype.
    pub index: u8,
    /// How its register is read.
    pub ty: ArgumentType,
    /// Where it is found.
    pub place: Place,
    /// How it is reached from there, if it is elsewhere.
    pub path: Option<PathId>,
    /// Where its size is, if it is a buffer.
    pub size: Option<BufferSize>,
    /// Whether it is a buffer that is reported as far as it goes.
    pub max_data: bool,
    /// For a buffer that was found at the entry of the call: how what the call returned says how much of it there is.
    pub at_return: Option<ReturnedSize>,
    /// Whether the number is a system call's, and is to be told from those of 32-bit programs.
    pub is_syscall: bool,
}

/// Index into [`Hook::reads`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReadId(pub u16);

impl ReadId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Index into [`Hook::paths`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PathId(pub u16);

/// One policy on the hook.
#[derive(Clone, Debug)]
pub struct Rider {
    /// Index of its mode.
    pub policy_number: u32,
    /// Number of its records' layout.
    pub layout_number: u32,
    /// Index of its first selector's counters.
    pub first_selector: u32,
    /// What its records carry, in their order.
    pub values: Vec<ReadId>,
    /// Whether the call's return is to be seen: then the entry's record is one half of an event, and the entry leaves word for the return.
    pub returns: bool,
    /// Buffers that are read when the call returns, in the order of the arguments.
    pub left: Vec<Left>,
    /// Where the entry tells how large a buffer is that the call returns: at the entry the size, at the return the buffer.
    pub returned_size: Option<ReadId>,
    /// What is done with the socket that the call returns, whichever selector matched.
    pub on_return: Option<Action>,
    /// Its selectors; the first whose tests all pass acts.
    pub selectors: Vec<Selector>,
}

/// A buffer that is found at the entry of a call and read at its return.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Left {
    /// At the entry its address, at the return the buffer.
    pub read: ReadId,
    /// At the entry the number of its pieces, if it has several.
    pub count: Option<ReadId>,
}

/// Tests that must all pass, and what is then done.
#[derive(Clone, Debug)]
pub struct Selector {
    /// Position among the policy's selectors.
    pub number: u16,
    /// The tests in the order in which they are run.
    pub tests: Vec<Test>,
    /// The actions in their order; an empty list reports.
    pub actions: Vec<Action>,
    /// At an entry: what is done at the return.
    pub return_actions: Vec<Action>,
    /// What registers get where a match overrides a place in a program.
    pub rewrite: Option<Rewrite>,
    /// Where the arguments that actions name are read.
    pub sockets: Vec<(ArgumentId, ReadId)>,
    /// How a match is reported.
    pub post: PostOptions,
    /// The selector in the text.
    pub origin: Origin,
}

impl Selector {
    /// Whether a match is reported.
    pub fn posts(&self) -> bool {
        !self.actions.contains(&Action::NoPost) && !self.does_what_was_told()
    }

    /// Whether a report carries the hash of the hook's file.
    pub fn reports_hash(&self) -> bool {
        self.posts() && self.post.file_hash
    }

    /// Whether it does more than report.
    pub fn enforces(&self) -> bool {
        self.actions.iter().any(|action| action.enforces())
    }

    /// Whether what it does at the entry or at the return is enforcement, whose records go to the ring of that.
    pub fn enforces_ever(&self) -> bool {
        self.enforces() || self.return_actions.iter().any(|action| action.enforces())
    }

    /// Whether the return matters to the selector even where the entry is not reported.
    pub fn acts_on_return(&self) -> bool {
        self.return_actions.iter().any(|action| !matches!(action, Action::Post | Action::NoPost))
    }

    /// What a denied call returns: the last `Override`'s.
    pub fn denial(&self) -> Option<i32> {
        let value = self.actions.iter().rev().find_map(|action| action.returned())?;
        Some(if value.is_errno() { value } else { crate::policy::ReturnValue::EPERM }.get())
    }

    /// The arguments that its actions look at.
    pub fn acts_on(&self) -> impl Iterator<Item = ReadId> {
        self.sockets.iter().map(|(_, read)| *read)
    }

    /// Whether it is an enforcer's.
    pub fn does_what_was_told(&self) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::Enforce(_)))
    }

    /// Whether it looks at what enforcers were told, or changes it.
    pub fn is_about_enforcers(&self) -> bool {
        let is_about = |action: &Action| {
            matches!(
                action,
                Action::NotifyEnforcer(_) | Action::CleanupEnforcerNotification | Action::Enforce(_)
            )
        };
        self.actions.iter().any(is_about)
    }
}

impl Hook {
    /// The read with that id.
    pub fn read(&self, id: ReadId) -> Read {
        self.reads[id.index()]
    }

    /// The path of a read, if it has one.
    pub fn path(&self, read: Read) -> Option<&ValuePath> {
        read.path.and_then(|path| self.paths.get(usize::from(path.0)))
    }

    /// All reads with their ids.
    pub fn reads(&self) -> impl Iterator<Item = (ReadId, Read)> {
        self.reads
            .iter()
            .enumerate()
            .map(|(index, read)| (ReadId(u16::try_from(index).unwrap_or(u16::MAX)), *read))
    }

    /// All selectors.
    pub fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.riders.iter().flat_map(|rider| &rider.selectors)
    }
}

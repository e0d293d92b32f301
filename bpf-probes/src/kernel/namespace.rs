//! Kinds of namespaces, and which ones the host's processes are in.

/// A kind of namespace.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Namespace {
    /// Host and domain name.
    Uts = 0,
    /// System V IPC and message queues.
    Ipc = 1,
    /// Mounts.
    Mnt = 2,
    /// Process numbers, as the process itself has one.
    Pid = 3,
    /// Process numbers of children to come.
    PidForChildren = 4,
    /// Network.
    Net = 5,
    /// Clock offsets (5.6).
    Time = 6,
    /// Clock offsets of children to come (5.6).
    TimeForChildren = 7,
    /// Control groups.
    Cgroup = 8,
    /// Users.
    User = 9,
}

impl Namespace {
    /// All kinds, in order of index.
    pub const ALL: [Self; 10] = [
        Self::Uts,
        Self::Ipc,
        Self::Mnt,
        Self::Pid,
        Self::PidForChildren,
        Self::Net,
        Self::Time,
        Self::TimeForChildren,
        Self::Cgroup,
        Self::User,
    ];

    /// Position in [`Namespace::ALL`].
    pub const fn index(self) -> u32 {
        self as u32
    }

    /// Its file in `/proc/PID/ns`.
    pub const fn proc_name(self) -> &'static str {
        match self {
            Self::Uts => "uts",
            Self::Ipc => "ipc",
            Self::Mnt => "mnt",
            Self::Pid => "pid",
            Self::PidForChildren => "pid_for_children",
            Self::Net => "net",
            Self::Time => "time",
            Self::TimeForChildren => "time_for_children",
            Self::Cgroup => "cgroup",
            Self::User => "user",
        }
    }
}

/// Numbers (inodes) of the namespaces of the host's first process, as far as they could be read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HostNamespaces {
    numbers: [Option<u32>; Namespace::ALL.len()],
}

impl HostNamespaces {
    /// Asks `read` for the number of each kind.
    pub fn from_numbers(read: impl FnMut(Namespace) -> Option<u32>) -> Self {
        Self { numbers: Namespace::ALL.map(read) }
    }

    /// Reads what [`HostNamespaces::to_text`] wrote: a name and a number on each line. Lines that are neither are not known.
    pub fn parse(text: &str) -> Self {
        let number = |kind: Namespace| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            lines
                .find(|(name, _)| *name == kind.proc_name())
                .and_then(|(_, number)| number.trim().parse().ok())
        };
        Self::from_numbers(number)
    }

    /// A name and a number on each line, without those that are not known.
    pub fn to_text(&self) -> String {
        let line = |kind: Namespace| Some(format!("{} {}\n", kind.proc_name(), self.number(kind)?));
        Namespace::ALL.into_iter().filter_map(line).collect()
    }

    /// The host's namespace of that kind; `None` where it is not known.
    pub fn number(&self, kind: Namespace) -> Option<u32> {
        self.numbers.get(kind as usize).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_writing_and_reading_and_what_is_not_known_stays_unknown() {
        let host = HostNamespaces::from_numbers(|kind| {
            (kind != Namespace::Time).then_some(4_026_531_830 + kind.index())
        });
        assert_eq!(HostNamespaces::parse(&host.to_text()), host);
        assert_eq!(host.number(Namespace::Time), None);
        assert_eq!(HostNamespaces::parse("pid 7\nuser x\nnet\n").number(Namespace::Pid), Some(7));
        assert_eq!(HostNamespaces::parse("user x\nnet\n"), HostNamespaces::default());
    }

    #[test]
    fn kinds_stand_at_their_index() {
        for (index, kind) in Namespace::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}

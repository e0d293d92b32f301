//! Signals and exit codes.

/// Names of signals 1 to 31 on x86-64 and arm64 (include/uapi/asm-generic/signal.h).
const NAMES: [&str; 32] = [
    "",
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// Name of `signal`; empty for 0 and for real-time signals, which have none.
pub fn signal_name(signal: u32) -> &'static str {
    usize::try_from(signal).ok().and_then(|index| NAMES.get(index)).copied().unwrap_or("")
}

/// Splits the kernel's exit code into the name of the fatal signal (or nothing) and the exit status.
///
/// ```text
///  15       8 7  6        0
/// +----------+--+----------+
/// |  status  |C |  signal  |   C: a core was dumped
/// +----------+--+----------+
/// ```
pub fn exit_status(code: u32) -> (&'static str, u32) {
    (signal_name(code & 0x7f), code >> 8 & 0xff)
}

#[cfg(test)]
mod tests {
    use super::{exit_status, signal_name};

    #[test]
    fn a_core_dump_does_not_change_the_signal() {
        assert_eq!(exit_status(0x80 | 0xb), ("SIGSEGV", 0));
        assert_eq!(exit_status(9), ("SIGKILL", 0));
    }

    #[test]
    fn a_normal_exit_has_a_status_and_no_signal() {
        assert_eq!(exit_status(127 << 8), ("", 127));
    }

    #[test]
    fn a_real_time_signal_has_no_name() {
        assert_eq!(signal_name(34), "");
        assert_eq!(signal_name(31), "SIGSYS");
    }
}

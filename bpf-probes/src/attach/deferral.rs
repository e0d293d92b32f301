//! Which security hooks a system call passes before it takes effect: where the kernel cannot override the call's
//! return, a hook on its way returns the errno instead.

/// How one system call can be denied on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deferral {
    /// Name of the call's wrapper, without `__x64_sys_`.
    pub wrapper: &'static str,
    /// Ways the call may go. Each is a list of LSM hooks that it passes before it takes effect, any of which will do; a way of
    /// which a kernel has no hook does not exist on that kernel. All ways must be closed.
    pub ways: &'static [&'static [&'static str]],
    /// What gets past all of these hooks, if anything does.
    pub gap: Option<&'static str>,
}

impl Deferral {
    /// The entry for a wrapper.
    pub fn of(wrapper: &str) -> Option<&'static Self> {
        DEFERRALS.iter().find(|entry| entry.wrapper == wrapper)
    }

    /// Wrappers of the calls that pass this LSM hook, for suggestions.
    pub fn calls_through(hook: &str) -> impl Iterator<Item = &'static str> {
        DEFERRALS
            .iter()
            .filter(move |entry| entry.ways.iter().any(|way| way.contains(&hook)))
            .map(|entry| entry.wrapper)
    }

    /// All entries.
    pub fn all() -> &'static [Self] {
        DEFERRALS
    }
}

const fn entry(wrapper: &'static str, ways: &'static [&'static [&'static str]]) -> Deferral {
    Deferral { wrapper, ways, gap: None }
}

const fn with_gap(
    wrapper: &'static str,
    ways: &'static [&'static [&'static str]],
    gap: &'static str,
) -> Deferral {
    Deferral { wrapper, ways, gap: Some(gap) }
}

/// `O_PATH` opens return from `do_dentry_open` before `security_file_open`.
const OPEN: &[&[&str]] = &[&["path_mknod", "inode_create"], &["file_open"]];
const OPEN_GAP: &str = "an open with O_PATH passes no hook";
const FILE_IO: &[&[&str]] = &[&["file_permission"]];
const UNLINK: &[&[&str]] = &[&["path_unlink", "inode_unlink"], &["path_rmdir", "inode_rmdir"]];
const RENAME: &[&[&str]] = &[&["path_rename", "inode_rename"]];
const LINK: &[&[&str]] = &[&["path_link", "inode_link"]];
const SYMLINK: &[&[&str]] = &[&["path_symlink", "inode_symlink"]];
const MKDIR: &[&[&str]] = &[&["path_mkdir", "inode_mkdir"]];
const MKNOD: &[&[&str]] = &[&["path_mknod"]];
const CHMOD: &[&[&str]] = &[&["path_chmod", "inode_setattr"]];
const CHOWN: &[&[&str]] = &[&["path_chown", "inode_setattr"]];
const SETATTR: &[&[&str]] = &[&["inode_setattr"]];
const GETATTR: &[&[&str]] = &[&["inode_getattr"]];
const ACCESS: &[&[&str]] = &[&["inode_permission"]];
/// ACLs went through `inode_setxattr` until 6.1 and have hooks of their own since 6.2.
const SETXATTR: &[&[&str]] = &[&["inode_setxattr"], &["inode_set_acl"]];
const GETXATTR: &[&[&str]] = &[&["inode_getxattr"], &["inode_get_acl"]];
const REMOVEXATTR: &[&[&str]] = &[&["inode_removexattr"], &["inode_remove_acl"]];
const LISTXATTR: &[&[&str]] = &[&["inode_listxattr"]];
const CLONE: &[&[&str]] = &[&["task_alloc"]];
const KILL: &[&[&str]] = &[&["task_kill"]];
const SENDMSG: &[&[&str]] = &[&["socket_sendmsg"]];
const RECVMSG: &[&[&str]] = &[&["socket_recvmsg"]];
const SETUID: &[&[&str]] = &[&["task_fix_setuid"]];
const SETGID: &[&[&str]] = &[&["task_fix_setgid"]];
const SETSCHEDULER: &[&[&str]] = &[&["task_setscheduler"]];
const GETSCHEDULER: &[&[&str]] = &[&["task_getscheduler"]];
/// `__ptrace_may_access` and its callers let a process look into itself without a question.
const OWN_PROCESS: &str = "a process that means itself passes no hook";

/// Written from knowledge of the kernel's code, not from a trace. Measured so far: symlink, mount and connect on 5.10, 6.1, 6.12 and 7.2
/// (`kernel-facts.md`). Of the others, tests know only that their hooks exist. Deny a call in the VM before relying on its entry.
#[rustfmt::skip] // one call a line
const DEFERRALS: &[Deferral] = &[
    // opening
    with_gap("open", OPEN, OPEN_GAP),
    with_gap("openat", OPEN, OPEN_GAP),
    with_gap("openat2", OPEN, OPEN_GAP),
    entry("creat", OPEN),
    with_gap("open_by_handle_at", &[&["file_open"]], OPEN_GAP),
    entry("mq_open", &[&["inode_create"], &["file_open"]]),
    entry("swapon", &[&["file_open"]]),
    entry("swapoff", &[&["file_open"]]),
    // reading and writing
    entry("read", FILE_IO), entry("pread64", FILE_IO), entry("readv", FILE_IO), entry("preadv", FILE_IO), entry("preadv2", FILE_IO),
    entry("write", FILE_IO), entry("pwrite64", FILE_IO), entry("writev", FILE_IO), entry("pwritev", FILE_IO), entry("pwritev2", FILE_IO),
    entry("getdents", FILE_IO), entry("getdents64", FILE_IO), entry("fallocate", FILE_IO), entry("sendfile64", FILE_IO),
    entry("copy_file_range", FILE_IO),
    entry("truncate", &[&["path_truncate", "inode_setattr"]]),
    entry("ftruncate", &[&["file_truncate", "path_truncate", "inode_setattr"]]),
    entry("mmap", &[&["mmap_file"]]),
    entry("mprotect", &[&["file_mprotect"]]),
    entry("pkey_mprotect", &[&["file_mprotect"]]),
    entry("ioctl", &[&["file_ioctl"]]),
    entry("fcntl", &[&["file_fcntl"]]),
    entry("flock", &[&["file_lock"]]),
    // names
    entry("unlink", &[&["path_unlink", "inode_unlink"]]),
    entry("unlinkat", UNLINK),
    entry("mq_unlink", &[&["inode_unlink"]]),
    entry("rmdir", &[&["path_rmdir", "inode_rmdir"]]),
    entry("rename", RENAME), entry("renameat", RENAME), entry("renameat2", RENAME),
    entry("link", LINK), entry("linkat", LINK),
    entry("symlink", SYMLINK), entry("symlinkat", SYMLINK),
    entry("mkdir", MKDIR), entry("mkdirat", MKDIR),
    entry("mknod", MKNOD), entry("mknodat", MKNOD),
    // attributes
    entry("chmod", CHMOD), entry("fchmod", CHMOD), entry("fchmodat", CHMOD), entry("fchmodat2", CHMOD),
    entry("chown", CHOWN), entry("fchown", CHOWN), entry("lchown", CHOWN), entry("fchownat", CHOWN),
    entry("utime", SETATTR), entry("utimes", SETATTR), entry("futimesat", SETATTR), entry("utimensat", SETATTR),
    entry("newstat", GETATTR), entry("newlstat", GETATTR), entry("newfstat", GETATTR), entry("newfstatat", GETATTR), entry("statx", GETATTR),
    entry("statfs", &[&["sb_statfs"]]), entry("fstatfs", &[&["sb_statfs"]]), entry("ustat", &[&["sb_statfs"]]),
    entry("readlink", &[&["inode_readlink"]]), entry("readlinkat", &[&["inode_readlink"]]),
    entry("access", ACCESS), entry("faccessat", ACCESS), entry("faccessat2", ACCESS), entry("chdir", ACCESS), entry("fchdir", ACCESS),
    entry("setxattr", SETXATTR), entry("lsetxattr", SETXATTR), entry("fsetxattr", SETXATTR), entry("setxattrat", SETXATTR),
    entry("getxattr", GETXATTR), entry("lgetxattr", GETXATTR), entry("fgetxattr", GETXATTR), entry("getxattrat", GETXATTR),
    entry("removexattr", REMOVEXATTR), entry("lremovexattr", REMOVEXATTR), entry("fremovexattr", REMOVEXATTR), entry("removexattrat", REMOVEXATTR),
    entry("listxattr", LISTXATTR), entry("llistxattr", LISTXATTR), entry("flistxattr", LISTXATTR), entry("listxattrat", LISTXATTR),
    entry("file_getattr", &[&["inode_file_getattr"]]), entry("file_setattr", &[&["inode_file_setattr"]]),
    entry("inotify_add_watch", &[&["path_notify"]]), entry("fanotify_mark", &[&["path_notify"]]),
    // mounts and roots
    entry("mount", &[&["sb_mount"]]),
    entry("umount", &[&["sb_umount"]]),
    entry("move_mount", &[&["move_mount"]]),
    entry("pivot_root", &[&["sb_pivotroot"]]),
    entry("chroot", &[&["path_chroot", "inode_permission"]]),
    entry("quotactl", &[&["quotactl"]]), entry("quotactl_fd", &[&["quotactl"]]),
    // processes
    entry("execve", &[&["bprm_creds_for_exec", "bprm_check_security"]]),
    entry("execveat", &[&["bprm_creds_for_exec", "bprm_check_security"]]),
    entry("fork", CLONE), entry("vfork", CLONE), entry("clone", CLONE), entry("clone3", CLONE),
    entry("kill", KILL), entry("tkill", KILL), entry("tgkill", KILL), entry("rt_sigqueueinfo", KILL), entry("rt_tgsigqueueinfo", KILL),
    entry("pidfd_send_signal", KILL),
    with_gap("ptrace", &[&["ptrace_access_check"], &["ptrace_traceme"]], "requests to a process already traced pass no hook"),
    with_gap("process_vm_readv", &[&["ptrace_access_check"]], OWN_PROCESS),
    with_gap("process_vm_writev", &[&["ptrace_access_check"]], OWN_PROCESS),
    with_gap("pidfd_getfd", &[&["ptrace_access_check"]], OWN_PROCESS),
    with_gap("kcmp", &[&["ptrace_access_check"]], OWN_PROCESS),
    entry("prctl", &[&["task_prctl"]]),
    entry("setuid", SETUID), entry("setreuid", SETUID), entry("setresuid", SETUID),
    entry("setgid", SETGID), entry("setregid", SETGID), entry("setresgid", SETGID),
    entry("setgroups", &[&["task_fix_setgroups"]]),
    entry("capset", &[&["capset"]]), entry("capget", &[&["capget"]]),
    entry("setpgid", &[&["task_setpgid"]]),
    with_gap("getpgid", &[&["task_getpgid"]], OWN_PROCESS), with_gap("getsid", &[&["task_getsid"]], OWN_PROCESS),
    entry("setpriority", &[&["task_setnice"]]),
    entry("ioprio_set", &[&["task_setioprio"]]), entry("ioprio_get", &[&["task_getioprio"]]),
    entry("setrlimit", &[&["task_setrlimit"]]),
    with_gap("prlimit64", &[&["task_prlimit"], &["task_setrlimit"]], OWN_PROCESS),
    entry("sched_setscheduler", SETSCHEDULER), entry("sched_setparam", SETSCHEDULER), entry("sched_setattr", SETSCHEDULER),
    entry("sched_setaffinity", SETSCHEDULER),
    entry("sched_getscheduler", GETSCHEDULER), entry("sched_getparam", GETSCHEDULER), entry("sched_getattr", GETSCHEDULER),
    entry("sched_getaffinity", GETSCHEDULER), entry("sched_rr_get_interval", GETSCHEDULER),
    entry("migrate_pages", &[&["task_movememory"]]),
    with_gap("move_pages", &[&["task_movememory"]], OWN_PROCESS),
    // sockets
    entry("socket", &[&["socket_create"]]),
    entry("socketpair", &[&["socket_create"]]),
    entry("bind", &[&["socket_bind"]]),
    entry("connect", &[&["socket_connect"]]),
    entry("listen", &[&["socket_listen"]]),
    entry("accept", &[&["socket_accept"]]), entry("accept4", &[&["socket_accept"]]),
    entry("sendto", SENDMSG), entry("sendmsg", SENDMSG), entry("sendmmsg", SENDMSG),
    entry("recvfrom", RECVMSG), entry("recvmsg", RECVMSG), entry("recvmmsg", RECVMSG),
    entry("getsockname", &[&["socket_getsockname"]]), entry("getpeername", &[&["socket_getpeername"]]),
    entry("setsockopt", &[&["socket_setsockopt"]]), entry("getsockopt", &[&["socket_getsockopt"]]),
    entry("shutdown", &[&["socket_shutdown"]]),
    // shared memory, semaphores, messages
    entry("msgget", &[&["msg_queue_alloc_security"], &["msg_queue_associate"]]),
    entry("msgsnd", &[&["msg_queue_msgsnd"]]), entry("msgrcv", &[&["msg_queue_msgrcv"]]), entry("msgctl", &[&["msg_queue_msgctl"]]),
    entry("semget", &[&["sem_alloc_security"], &["sem_associate"]]),
    entry("semop", &[&["sem_semop"]]), entry("semtimedop", &[&["sem_semop"]]), entry("semctl", &[&["sem_semctl"]]),
    entry("shmget", &[&["shm_alloc_security"], &["shm_associate"]]),
    entry("shmat", &[&["shm_shmat"]]), entry("shmctl", &[&["shm_shmctl"]]),
    // the kernel itself
    entry("bpf", &[&["bpf"]]),
    entry("perf_event_open", &[&["perf_event_open"]]),
    entry("syslog", &[&["syslog"]]),
    entry("settimeofday", &[&["settime"]]),
    with_gap("clock_settime", &[&["settime"]], "clocks other than CLOCK_REALTIME pass no hook"),
    entry("init_module", &[&["kernel_load_data"]]),
    entry("finit_module", &[&["kernel_read_file"]]),
    entry("kexec_load", &[&["kernel_load_data"]]),
    with_gap("kexec_file_load", &[&["kernel_read_file"]], "unloading an image passes no hook"),
    entry("io_uring_setup", &[&["uring_allowed"]]),
    entry("userfaultfd", &[&["inode_init_security_anon"]]),
    entry("add_key", &[&["key_permission"]]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Syscall, is_closed_to_bpf};

    #[test]
    fn every_entry_is_a_system_call_and_appears_once() {
        for (index, entry) in DEFERRALS.iter().enumerate() {
            let known = Syscall::named(entry.wrapper);
            assert_eq!(known.map(|call| call.wrapper), Some(entry.wrapper));
            assert!(
                !DEFERRALS.iter().skip(index + 1).any(|other| other.wrapper == entry.wrapper),
                "{}",
                entry.wrapper
            );
            assert!(
                !entry.ways.is_empty() && entry.ways.iter().all(|way| !way.is_empty()),
                "{}",
                entry.wrapper
            );
        }
    }

    #[test]
    fn no_entry_relies_on_a_hook_that_is_closed_to_programs() {
        assert!(
            !DEFERRALS
                .iter()
                .flat_map(|entry| entry.ways.iter().copied().flatten())
                .any(|hook| is_closed_to_bpf(hook))
        );
    }

    #[test]
    fn calls_are_found_by_the_hook_they_pass() {
        let calls: Vec<_> = Deferral::calls_through("file_open").collect();
        assert!(calls.contains(&"openat") && !calls.contains(&"connect"));
        assert_eq!(Deferral::of("frobnicate"), None);
    }
}

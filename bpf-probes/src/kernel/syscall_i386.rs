//! The system calls of 32-bit programs on x86-64 (int 0x80, sysenter): their numbers and the functions that serve them.
//!
//! Source of the facts: `arch/x86/entry/syscalls/syscall_32.tbl`. From number 424 on both interfaces have the same numbers.

use super::syscalls::Syscall;
use super::view::KernelView;

/// Calls by number from 0 on. `-` is a number without a call; `name=entry` one that another function serves; `!` one that is not served by the function for
/// 32-bit programs (`compat_sys_…`) although there is one of that name.
const FROM_0: &str = "
restart_syscall exit fork read write open close waitpid creat link unlink execve chdir time=time32 mknod chmod lchown=lchown16 - oldstat=stat lseek
getpid mount umount=oldumount setuid=setuid16 getuid=getuid16 stime=stime32 ptrace alarm oldfstat=fstat pause utime=utime32 - - access nice - sync kill rename mkdir
rmdir dup pipe times - brk setgid=setgid16 getgid=getgid16 signal geteuid=geteuid16 getegid=getegid16 acct umount2=umount - ioctl fcntl=fcntl64 - setpgid - oldolduname=olduname
umask chroot ustat dup2 getppid getpgrp setsid sigaction sgetmask ssetmask setreuid=setreuid16 setregid=setregid16 sigsuspend sigpending sethostname setrlimit getrlimit=old_getrlimit getrusage gettimeofday settimeofday
getgroups=getgroups16 setgroups=setgroups16 select=old_select symlink oldlstat=lstat readlink uselib swapon reboot readdir=old_readdir mmap=ia32_mmap munmap truncate ftruncate fchmod fchown=fchown16 getpriority setpriority - statfs
fstatfs ioperm socketcall syslog setitimer getitimer stat=newstat lstat=newlstat fstat=newfstat olduname=uname iopl vhangup - vm86old wait4 swapoff sysinfo ipc fsync sigreturn
clone=ia32_clone setdomainname uname=newuname modify_ldt adjtimex=adjtimex_time32 mprotect sigprocmask - init_module delete_module - quotactl=quotactl32 getpgid fchdir bdflush sysfs personality - setfsuid=setfsuid16 setfsgid=setfsgid16
_llseek=llseek getdents _newselect=select flock msync readv writev getsid fdatasync _sysctl=sysctl mlock munlock mlockall munlockall sched_setparam sched_getparam sched_setscheduler sched_getscheduler sched_yield sched_get_priority_max
sched_get_priority_min sched_rr_get_interval=sched_rr_get_interval_time32 nanosleep=nanosleep_time32 mremap setresuid=setresuid16 getresuid=getresuid16 vm86 - poll - setresgid=setresgid16 getresgid=getresgid16 prctl rt_sigreturn rt_sigaction rt_sigprocmask rt_sigpending rt_sigtimedwait=rt_sigtimedwait_time32 rt_sigqueueinfo rt_sigsuspend
pread64=ia32_pread64 pwrite64=ia32_pwrite64 chown=chown16 getcwd capget capset sigaltstack sendfile - - vfork ugetrlimit=getrlimit mmap2=mmap_pgoff truncate64=ia32_truncate64 ftruncate64=ia32_ftruncate64 stat64=ia32_stat64 lstat64=ia32_lstat64 fstat64=ia32_fstat64 lchown32=lchown getuid32=getuid
getgid32=getgid geteuid32=geteuid getegid32=getegid setreuid32=setreuid setregid32=setregid getgroups32=getgroups setgroups32=setgroups fchown32=fchown setresuid32=setresuid getresuid32=getresuid setresgid32=setresgid getresgid32=getresgid chown32=chown setuid32=setuid setgid32=setgid setfsuid32=setfsuid setfsgid32=setfsgid pivot_root mincore madvise
getdents64 fcntl64 - - gettid readahead=ia32_readahead setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr tkill !sendfile64
futex=futex_time32 sched_setaffinity sched_getaffinity set_thread_area get_thread_area io_setup io_destroy io_getevents=io_getevents_time32 io_submit io_cancel fadvise64=ia32_fadvise64 - exit_group lookup_dcookie epoll_create epoll_ctl epoll_wait remap_file_pages set_tid_address timer_create
timer_settime=timer_settime32 timer_gettime=timer_gettime32 timer_getoverrun timer_delete clock_settime=clock_settime32 clock_gettime=clock_gettime32 clock_getres=clock_getres_time32 clock_nanosleep=clock_nanosleep_time32 statfs64 fstatfs64 tgkill utimes=utimes_time32 fadvise64_64=ia32_fadvise64_64 - mbind get_mempolicy set_mempolicy mq_open mq_unlink mq_timedsend=mq_timedsend_time32
mq_timedreceive=mq_timedreceive_time32 mq_notify mq_getsetattr kexec_load waitid - add_key request_key keyctl ioprio_set ioprio_get inotify_init inotify_add_watch inotify_rm_watch migrate_pages openat mkdirat mknodat fchownat futimesat=futimesat_time32
fstatat64=ia32_fstatat64 unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat pselect6=pselect6_time32 ppoll=ppoll_time32 unshare set_robust_list get_robust_list splice sync_file_range=ia32_sync_file_range tee vmsplice move_pages getcpu epoll_pwait
utimensat=utimensat_time32 signalfd timerfd_create eventfd fallocate=ia32_fallocate timerfd_settime=timerfd_settime32 timerfd_gettime=timerfd_gettime32 signalfd4 eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev rt_tgsigqueueinfo perf_event_open recvmmsg=recvmmsg_time32 fanotify_init fanotify_mark
prlimit64 name_to_handle_at open_by_handle_at clock_adjtime=clock_adjtime32 syncfs sendmmsg setns process_vm_readv process_vm_writev kcmp finit_module sched_setattr sched_getattr renameat2 seccomp getrandom memfd_create bpf execveat socket
socketpair bind connect listen accept4 getsockopt setsockopt getsockname getpeername sendto sendmsg recvfrom recvmsg shutdown userfaultfd membarrier mlock2 copy_file_range preadv2 pwritev2
pkey_mprotect pkey_alloc pkey_free statx arch_prctl io_pgetevents rseq - - - - - - semget semctl shmget shmctl shmat shmdt msgget
msgsnd msgrcv msgctl clock_gettime64=clock_gettime clock_settime64=clock_settime clock_adjtime64=clock_adjtime clock_getres_time64=clock_getres clock_nanosleep_time64=clock_nanosleep timer_gettime64=timer_gettime timer_settime64=timer_settime timerfd_gettime64=timerfd_gettime timerfd_settime64=timerfd_settime utimensat_time64=utimensat pselect6_time64 ppoll_time64 - io_pgetevents_time64=io_pgetevents recvmmsg_time64 mq_timedsend_time64=mq_timedsend mq_timedreceive_time64=mq_timedreceive
semtimedop_time64=semtimedop rt_sigtimedwait_time64 futex_time64=futex sched_rr_get_interval_time64=sched_rr_get_interval
";

/// The first number that both interfaces share.
const SHARED_FROM: u32 = 424;

/// A system call of 32-bit programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct I386Call {
    /// Number in `eax`.
    pub number: u32,
    /// Name as C libraries know it.
    pub name: &'static str,
    entry: &'static str,
    never_compat: bool,
}

impl I386Call {
    /// All calls, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        let own = FROM_0.split_ascii_whitespace().zip(0..).filter(|(item, _)| *item != "-");
        let own = own.map(|(item, number)| {
            let plain = item.strip_prefix('!').unwrap_or(item);
            let (name, entry) = plain.split_once('=').unwrap_or((plain, plain));
            Self { number, name, entry, never_compat: item.starts_with('!') }
        });
        let shared = Syscall::all().iter().filter(|call| call.number >= SHARED_FROM);
        own.chain(shared.map(|call| Self {
            number: call.number,
            name: call.name,
            entry: call.wrapper,
            never_compat: false,
        }))
    }

    /// The call with that name, C's before that of the function which serves it (`newstat`, `time32`).
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|call| call.name == name).or_else(|| Self::all().find(|call| call.entry == name))
    }

    /// The call that a function of that name serves, C's name after it: of `chown` that is `chown32`.
    pub fn served_by(name: &str) -> Option<Self> {
        Self::all().find(|call| call.entry == name).or_else(|| Self::all().find(|call| call.name == name))
    }

    /// The number as events and filters have it: bit 31 tells it from one of 64-bit programs.
    pub const fn marked_number(self) -> u32 {
        self.number | 1 << 31
    }

    /// The function that serves it on a kernel: one made for 32-bit programs (`__ia32_compat_sys_…`) where there is one, which differs from version to version.
    pub fn symbol(self, kernel: &KernelView) -> Option<String> {
        let compat = format!("__ia32_compat_sys_{}", self.entry);
        if !self.never_compat && kernel.has_function(&compat) {
            return Some(compat);
        }
        let plain = format!("__ia32_sys_{}", self.entry);
        kernel.has_function(&plain).then_some(plain)
    }

    /// The functions that may serve it.
    pub fn symbols(self) -> [String; 2] {
        [format!("__ia32_compat_sys_{}", self.entry), format!("__ia32_sys_{}", self.entry)]
    }

    /// The same call of 64-bit programs, which passes the same hooks and has the same parameters.
    pub fn twin(self) -> Option<&'static Syscall> {
        Syscall::named(self.entry.strip_prefix("ia32_").unwrap_or(self.entry))
            .or_else(|| Syscall::named(self.name))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kernel::{KernelFacts, Symbols, recorded};

    // Numbers that everybody knows, and the ends of each row of the table.
    #[test]
    fn well_known_numbers_hold() {
        for (number, name) in [
            (0, "restart_syscall"),
            (4, "write"),
            (11, "execve"),
            (20, "getpid"),
            (41, "dup"),
            (54, "ioctl"),
            (60, "umask"),
            (80, "getgroups"),
            (100, "fstatfs"),
            (120, "clone"),
            (140, "_llseek"),
            (160, "sched_get_priority_min"),
            (180, "pread64"),
            (200, "getgid32"),
            (220, "getdents64"),
            (240, "futex"),
            (252, "exit_group"),
            (260, "timer_settime"),
            (280, "mq_timedreceive"),
            (295, "openat"),
            (300, "fstatat64"),
            (320, "utimensat"),
            (340, "prlimit64"),
            (360, "socketpair"),
            (380, "pkey_mprotect"),
            (393, "semget"),
            (400, "msgsnd"),
            (423, "sched_rr_get_interval_time64"),
            (435, "clone3"),
        ] {
            assert_eq!(I386Call::named(name).unwrap().number, number, "{name}");
        }
        assert_eq!(I386Call::named("tuxcall"), None);
        assert_eq!(I386Call::named("dup").unwrap().marked_number(), 0x8000_0029);
    }

    #[test]
    fn a_call_is_served_by_the_function_for_32_bit_programs_where_the_kernel_has_one() {
        let kernel = |functions: &[&str]| {
            let functions = Symbols::from_names(functions.iter().copied());
            let facts = KernelFacts { functions, ..KernelFacts::new("test") };
            KernelView::new(facts, Arc::clone(recorded("6.12").btf()))
        };
        let old = kernel(&[
            "__ia32_compat_sys_mount",
            "__ia32_sys_mount",
            "__ia32_compat_sys_sendfile64",
            "__ia32_sys_sendfile64",
        ]);
        let new = kernel(&["__ia32_sys_mount"]);
        let symbol = |name: &str, kernel: &KernelView| I386Call::named(name).unwrap().symbol(kernel);
        assert_eq!(symbol("mount", &old).as_deref(), Some("__ia32_compat_sys_mount"));
        assert_eq!(symbol("mount", &new).as_deref(), Some("__ia32_sys_mount"));
        assert_eq!(symbol("sendfile64", &old).as_deref(), Some("__ia32_sys_sendfile64"));
        assert_eq!(symbol("dup", &new), None);
    }

    #[test]
    fn the_old_and_the_new_of_one_name_are_told_apart() {
        let number = |call: Option<I386Call>| call.unwrap().number;
        assert_eq!((number(I386Call::named("chown")), number(I386Call::served_by("chown"))), (182, 212));
        assert_eq!((number(I386Call::named("select")), number(I386Call::served_by("select"))), (82, 142));
        assert_eq!(number(I386Call::served_by("openat")), 295);
    }

    #[test]
    fn a_call_has_the_twin_that_does_the_same() {
        for (name, twin) in
            [("openat", "openat"), ("pread64", "pread64"), ("chown32", "chown"), ("stat", "newstat")]
        {
            assert_eq!(I386Call::named(name).unwrap().twin().unwrap().wrapper, twin);
        }
        assert_eq!(I386Call::named("socketcall").unwrap().twin(), None);
    }
}

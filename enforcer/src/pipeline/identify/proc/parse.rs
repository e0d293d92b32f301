//! The texts of procfs. Names in them are chosen by the processes: nothing here trusts them.

use bpf_probes::abi::Credentials;

/// What is read of `/proc/PID/stat` (man 5 `proc_pid_stat`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stat<'text> {
    /// Name of the main thread.
    pub(super) comm: &'text [u8],
    /// Field 3.
    pub(super) state: u8,
    /// Field 4.
    pub(super) parent: u32,
    /// Field 9, `PF_*`.
    pub(super) flags: u32,
    /// Field 22, in clock ticks since boot.
    pub(super) start: u64,
}

/// `PF_KTHREAD` (include/linux/sched.h)
pub(super) const KERNEL_THREAD: u32 = 0x0020_0000;

/// Takes the line apart. The name may hold anything, parentheses included; what follows its last one is the kernel's.
pub(super) fn stat(text: &[u8]) -> Option<Stat<'_>> {
    let begin = text.iter().position(|byte| *byte == b'(')?;
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let comm = text.get(begin + 1..end)?;
    let mut fields = std::str::from_utf8(text.get(end + 1..)?).ok()?.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let flags = fields.nth(4)?.parse().ok()?;
    let start = fields.nth(12)?.parse().ok()?;
    Some(Stat { comm, state, parent, flags, start })
}

/// What is read of `/proc/PID/status` (man 5 `proc_pid_status`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Status {
    /// Ids and capabilities; the rest is not there.
    pub(super) credentials: Credentials,
    /// Pid in the innermost pid namespace.
    pub(super) inner_pid: u32,
    /// How many pid namespaces it is in, from that of procfs on.
    pub(super) pid_namespaces: usize,
}

/// Takes the lines apart; those that are missing leave zeros.
pub(super) fn status(text: &[u8]) -> Status {
    let mut status = Status::default();
    for line in text.split(|byte| *byte == b'\n') {
        let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':')) else {
            continue;
        };
        let credentials = &mut status.credentials;
        match name {
            "Uid" => {
                [credentials.uid, credentials.euid, credentials.suid, credentials.fsuid] = numbers(value);
            }
            "Gid" => {
                [credentials.gid, credentials.egid, credentials.sgid, credentials.fsgid] = numbers(value);
            }
            "CapInh" => credentials.inheritable = hexadecimal(value),
            "CapPrm" => credentials.permitted = hexadecimal(value),
            "CapEff" => credentials.effective = hexadecimal(value),
            "NSpid" => {
                status.pid_namespaces = value.split_ascii_whitespace().count();
                let inner = value.split_ascii_whitespace().next_back();
                status.inner_pid = inner.and_then(|pid| pid.parse().ok()).unwrap_or(0);
            }
            _ => {}
        }
    }
    status
}

fn numbers(text: &str) -> [u32; 4] {
    let mut fields = text.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0));
    std::array::from_fn(|_| fields.next().unwrap_or(0))
}

fn hexadecimal(text: &str) -> u64 {
    u64::from_str_radix(text.trim(), 16).unwrap_or(0)
}

/// The name of the cgroup in `/proc/PID/cgroup`: the last component of its path. That of version 2 goes first, unless it is the root's.
pub(super) fn cgroup_name(text: &[u8]) -> &[u8] {
    let mut name: &[u8] = &[];
    for line in text.split(|byte| *byte == b'\n') {
        // hierarchy:controllers:path, and the path may hold anything.
        let mut parts = line.splitn(3, |byte| *byte == b':');
        let (Some(hierarchy), Some(_), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if hierarchy == b"0" && !last.is_empty() {
            return last;
        }
        if name.is_empty() {
            name = last;
        }
    }
    name
}

/// The number in a link such as `uts:[4026531838]`.
pub(super) fn namespace(link: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(link).ok()?;
    text.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{KERNEL_THREAD, Stat, cgroup_name, namespace, stat, status};

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_move_the_fields() {
        let text = b"42 (a) R 7 (x\n) S 17 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 447 1000 2 18446744073709551615\n";
        let expected = Stat { comm: b"a) R 7 (x\n", state: b'S', parent: 17, flags: 4_194_560, start: 447 };
        assert_eq!(stat(text), Some(expected));
        assert_eq!(expected.flags & KERNEL_THREAD, 0);
    }

    #[test]
    fn text_that_is_no_stat_is_none() {
        for text in [&b""[..], b"1", b"1 (", b"1 )(", b"1 (x)", b"1 (x) S 1 2", b"1 (x) \xff"] {
            assert_eq!(stat(text), None, "{text:?}");
        }
    }

    #[test]
    fn ids_capabilities_and_inner_pids_are_read() {
        let text =
            b"Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNSpid:\t300\t20\t1\nCapInh:\t0000000000000000\n\
            CapPrm:\t000001ffffffffff\nCapEff:\t0000000000000400\n\xff:\xff\n";
        let status = status(text);
        let credentials = status.credentials;
        assert_eq!([credentials.uid, credentials.euid, credentials.suid, credentials.fsuid], [1, 2, 3, 4]);
        assert_eq!([credentials.gid, credentials.egid, credentials.sgid, credentials.fsgid], [5, 6, 7, 8]);
        assert_eq!((credentials.permitted, credentials.effective), (0x1ff_ffff_ffff, 0x400));
        assert_eq!((status.inner_pid, status.pid_namespaces), (1, 3));
    }

    #[test]
    fn the_second_versions_cgroup_goes_first_unless_it_is_the_root() {
        assert_eq!(cgroup_name(b"0::/system.slice/ssh.service\n"), b"ssh.service");
        assert_eq!(cgroup_name(b"1:name=systemd:/a/b:c\n0::/x/docker-1\n"), b"docker-1");
        assert_eq!(cgroup_name(b"12:pids:/docker/abc\n0::/\n"), b"abc");
        assert_eq!(cgroup_name(b"0::/\n"), b"");
        assert_eq!(cgroup_name(b"nonsense"), b"");
    }

    #[test]
    fn a_namespace_link_has_its_number() {
        assert_eq!(namespace(b"uts:[4026531838]"), Some(4_026_531_838));
        assert_eq!(namespace(b"uts:[x]"), None);
        assert_eq!(namespace(b"anon"), None);
    }
}

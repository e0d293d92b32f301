//! Sets of capabilities as values.

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::Bytes;
use crate::source::Spanned;

/// Names by number (include/uapi/linux/capability.h).
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The values with names of capabilities, separated by commas, turned into the number of their set. Numbers stay as they are.
pub(super) fn sets(values: &[Bytes], report: &mut Report) -> Option<Vec<Bytes>> {
    let mut good = Vec::with_capacity(values.len());
    for value in values {
        let is_names = value.value.first().is_some_and(u8::is_ascii_alphabetic);
        if !is_names {
            good.push(value.clone());
            continue;
        }
        match set(&value.value) {
            Ok(bits) => good.push(Spanned::new(bits.to_string().into_bytes(), value.span)),
            Err(name) => {
                let message = format!("there is no capability {name:?}");
                let error = Diagnostic::error(Code::BadNumber, value.span, message);
                report.push(error.help("write CAP_ names separated by commas, or the set as a number"));
            }
        }
    }
    (good.len() == values.len()).then_some(good)
}

fn set(names: &[u8]) -> Result<u64, String> {
    let mut bits = 0;
    for name in names.split(|&byte| byte == b',') {
        let name = String::from_utf8_lossy(name);
        let name = name.trim();
        match NAMES.iter().position(|known| *known == name) {
            Some(number) => bits |= 1_u64 << number,
            None => return Err(name.to_owned()),
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_the_bits_of_their_numbers() {
        assert_eq!(set(b"CAP_CHOWN"), Ok(1));
        assert_eq!(set(b"CAP_SYS_ADMIN,CAP_CHECKPOINT_RESTORE"), Ok(1 << 21 | 1 << 40));
        assert_eq!(set(b"CAP_CHOWN, CAP_KILL"), Ok(0b10_0001));
        assert_eq!(set(b"CAP_CHOWN,"), Err(String::new()));
        assert_eq!(set(b"CHOWN"), Err("CHOWN".to_owned()));
    }
}

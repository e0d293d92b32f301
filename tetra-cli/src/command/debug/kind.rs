//! Names of kinds of programs and maps (`include/uapi/linux/bpf.h`, 7.0), as upstream's command writes them.

const MAPS: [&str; 34] = [
    "UnspecifiedMap",
    "Hash",
    "Array",
    "ProgramArray",
    "PerfEventArray",
    "PerCPUHash",
    "PerCPUArray",
    "StackTrace",
    "CGroupArray",
    "LRUHash",
    "LRUCPUHash",
    "LPMTrie",
    "ArrayOfMaps",
    "HashOfMaps",
    "DevMap",
    "SockMap",
    "CPUMap",
    "XSKMap",
    "SockHash",
    "CGroupStorage",
    "ReusePortSockArray",
    "PerCPUCGroupStorage",
    "Queue",
    "Stack",
    "SkStorage",
    "DevMapHash",
    "StructOpsMap",
    "RingBuf",
    "InodeStorage",
    "TaskStorage",
    "BloomFilter",
    "UserRingbuf",
    "CgroupStorage",
    "Arena",
];

const PROGRAMS: [&str; 33] = [
    "UnspecifiedProgram",
    "SocketFilter",
    "Kprobe",
    "SchedCLS",
    "SchedACT",
    "TracePoint",
    "XDP",
    "PerfEvent",
    "CGroupSKB",
    "CGroupSock",
    "LWTIn",
    "LWTOut",
    "LWTXmit",
    "SockOps",
    "SkSKB",
    "CGroupDevice",
    "SkMsg",
    "RawTracepoint",
    "CGroupSockAddr",
    "LWTSeg6Local",
    "LircMode2",
    "SkReuseport",
    "FlowDissector",
    "CGroupSysctl",
    "RawTracepointWritable",
    "CGroupSockopt",
    "Tracing",
    "StructOps",
    "Extension",
    "LSM",
    "SkLookup",
    "Syscall",
    "Netfilter",
];

/// The name of a kind of map by its number.
pub(crate) fn map_kind(kind: u32) -> String {
    named(&MAPS, kind)
}

/// The name of a kind of program by its number.
pub(crate) fn program_kind(kind: u32) -> String {
    named(&PROGRAMS, kind)
}

fn named(names: &[&str], kind: u32) -> String {
    let name = usize::try_from(kind).ok().and_then(|kind| names.get(kind));
    name.map_or_else(|| format!("Type({kind})"), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::{map_kind, program_kind};

    #[test]
    fn kinds_have_their_names_and_later_ones_their_numbers() {
        assert_eq!(
            (map_kind(1), map_kind(27), map_kind(99)),
            ("Hash".into(), "RingBuf".into(), "Type(99)".into())
        );
        assert_eq!((program_kind(2), program_kind(29)), ("Kprobe".into(), "LSM".into()));
    }
}

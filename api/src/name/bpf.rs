//! Commands of bpf(2).

/// Names of the commands, by number (include/uapi/linux/bpf.h, `enum bpf_cmd`).
const COMMANDS: [&str; 37] = [
    "BPF_MAP_CREATE",
    "BPF_MAP_LOOKUP_ELEM",
    "BPF_MAP_UPDATE_ELEM",
    "BPF_MAP_DELETE_ELEM",
    "BPF_MAP_GET_NEXT_KEY",
    "BPF_PROG_LOAD",
    "BPF_OBJ_PIN",
    "BPF_OBJ_GET",
    "BPF_PROG_ATTACH",
    "BPF_PROG_DETACH",
    "BPF_PROG_TEST_RUN",
    "BPF_PROG_GET_NEXT_ID",
    "BPF_MAP_GET_NEXT_ID",
    "BPF_PROG_GET_FD_BY_ID",
    "BPF_MAP_GET_FD_BY_ID",
    "BPF_OBJ_GET_INFO_BY_FD",
    "BPF_PROG_QUERY",
    "BPF_RAW_TRACEPOINT_OPEN",
    "BPF_BTF_LOAD",
    "BPF_BTF_GET_FD_BY_ID",
    "BPF_TASK_FD_QUERY",
    "BPF_MAP_LOOKUP_AND_DELETE_ELEM",
    "BPF_MAP_FREEZE",
    "BPF_BTF_GET_NEXT_ID",
    "BPF_MAP_LOOKUP_BATCH",
    "BPF_MAP_LOOKUP_AND_DELETE_BATCH",
    "BPF_MAP_UPDATE_BATCH",
    "BPF_MAP_DELETE_BATCH",
    "BPF_LINK_CREATE",
    "BPF_LINK_UPDATE",
    "BPF_LINK_GET_FD_BY_ID",
    "BPF_LINK_GET_NEXT_ID",
    "BPF_ENABLE_STATS",
    "BPF_ITER_CREATE",
    "BPF_LINK_DETACH",
    "BPF_PROG_BIND_MAP",
    "BPF_TOKEN_CREATE",
];

/// Name of bpf(2) command `number`.
pub fn bpf_cmd_name(number: i32) -> Option<&'static str> {
    COMMANDS.get(usize::try_from(number).ok()?).copied()
}

/// Number of the bpf(2) command `name`.
pub fn bpf_cmd_number(name: &str) -> Option<i32> {
    COMMANDS.iter().position(|known| *known == name).and_then(|index| i32::try_from(index).ok())
}

#[cfg(test)]
mod tests {
    use super::{bpf_cmd_name, bpf_cmd_number};

    #[test]
    fn commands_have_the_numbers_of_the_kernel() {
        assert_eq!(bpf_cmd_name(28), Some("BPF_LINK_CREATE"));
        assert_eq!(bpf_cmd_number("BPF_TOKEN_CREATE"), Some(36));
        assert_eq!(bpf_cmd_name(37), None);
        assert_eq!(bpf_cmd_name(-1), None);
    }
}

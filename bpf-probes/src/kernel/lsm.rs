//! Security modules: which are active, and how `security_*` functions, LSM hooks and BPF's attach points relate.

/// Security modules in the order in which the kernel asks them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActiveLsms {
    names: Vec<String>,
}

impl ActiveLsms {
    /// Reads `/sys/kernel/security/lsm`: names with commas between.
    pub fn parse(text: &str) -> Self {
        let names = text.trim().split(',').map(str::trim).filter(|name| !name.is_empty());
        Self { names: names.map(str::to_owned).collect() }
    }

    /// Whether that module is asked.
    pub fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|active| active == name)
    }

    /// The names, with commas between.
    pub fn to_text(&self) -> String {
        self.names.join(",")
    }
}

/// `security_*` functions whose hook is not called what remains of their name.
///
/// Each pair is in the BTF of a recorded kernel; that the one asks the other is by name and parameters.
const RENAMED: &[(&str, &str)] = &[
    ("bdev_alloc", "bdev_alloc_security"),
    ("bpf_map_alloc", "bpf_map_alloc_security"),
    ("bpf_prog_alloc", "bpf_prog_alloc_security"),
    ("bprm_check", "bprm_check_security"),
    ("create_user_ns", "userns_create"),
    ("file_alloc", "file_alloc_security"),
    ("inode_alloc", "inode_alloc_security"),
    ("msg_msg_alloc", "msg_msg_alloc_security"),
    ("msg_queue_alloc", "msg_queue_alloc_security"),
    ("prepare_creds", "cred_prepare"),
    ("sb_alloc", "sb_alloc_security"),
    ("sem_alloc", "sem_alloc_security"),
    ("settime64", "settime"),
    ("shm_alloc", "shm_alloc_security"),
    ("sk_alloc", "sk_alloc_security"),
    ("sock_rcv_skb", "socket_sock_rcv_skb"),
    ("vm_enough_memory_mm", "vm_enough_memory"),
    ("xfrm_policy_alloc", "xfrm_policy_alloc_security"),
    ("xfrm_policy_clone", "xfrm_policy_clone_security"),
    ("xfrm_policy_delete", "xfrm_policy_delete_security"),
    ("xfrm_state_delete", "xfrm_state_delete_security"),
];

/// The LSM hook that a `security_*` function asks: `security_bprm_check` asks `bprm_check_security`. `None` for other functions.
pub fn hook_of_function(function: &str) -> Option<&str> {
    let rest = function.strip_prefix("security_").filter(|rest| !rest.is_empty())?;
    Some(RENAMED.iter().find(|(name, _)| *name == rest).map_or(rest, |&(_, hook)| hook))
}

/// The `security_*` function that asks an LSM hook.
pub fn function_of_hook(hook: &str) -> String {
    let rest = RENAMED.iter().find(|(_, renamed)| *renamed == hook).map_or(hook, |&(name, _)| name);
    format!("security_{rest}")
}

/// What an LSM program must return on that hook to have no say. Zero but for a few hooks, where zero means something.
///
/// To be compared with `LSM_HOOK(int, DEFAULT, …)` in `include/linux/lsm_hook_defs.h`: written from memory, not measured.
pub fn neutral_return(hook: &str) -> i32 {
    const EINVAL: i32 = -22;
    const ENOSYS: i32 = -38;
    const EOPNOTSUPP: i32 = -95;
    const ENOPARAM: i32 = -519;
    match hook {
        "task_prctl" => ENOSYS,
        "getprocattr" | "setprocattr" => EINVAL,
        "fs_context_parse_param" => ENOPARAM,
        "dentry_init_security"
        | "getselfattr"
        | "setselfattr"
        | "inode_copy_up_xattr"
        | "inode_getsecurity"
        | "inode_setsecurity"
        | "inode_init_security"
        | "secid_to_secctx"
        | "lsmprop_to_secctx" => EOPNOTSUPP,
        "xfrm_state_pol_flow_match" => 1,
        _ => 0,
    }
}

/// Hooks that newer kernels refuse to BPF programs, because a program would have to return more than an errno.
///
/// To be compared with `kernel/bpf/bpf_lsm.c: bpf_lsm_disabled_hooks` (6.11): written from memory, not measured. They are avoided on
/// older kernels too.
pub fn is_closed_to_bpf(hook: &str) -> bool {
    matches!(
        hook,
        "vm_enough_memory"
            | "inode_need_killpriv"
            | "inode_getsecurity"
            | "inode_listsecurity"
            | "inode_copy_up_xattr"
            | "getselfattr"
            | "getprocattr"
            | "setprocattr"
            | "key_getsecurity"
            | "audit_rule_match"
            | "ismaclabel"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_counts_only_under_its_whole_name() {
        let active = ActiveLsms::parse("lockdown,capability,landlock,yama,apparmor,bpf\n");
        assert!(active.contains("bpf"));
        assert!(!active.contains("armor"));
        assert!(!ActiveLsms::parse("capability,bpfx").contains("bpf"));
        assert_eq!(active.to_text(), "lockdown,capability,landlock,yama,apparmor,bpf");
        assert_eq!(ActiveLsms::parse(" \n"), ActiveLsms::default());
    }

    #[test]
    fn functions_lead_to_hooks_and_back() {
        for function in
            ["security_file_open", "security_bprm_check", "security_settime64", "security_shm_alloc"]
        {
            let hook = hook_of_function(function).unwrap_or_default();
            assert_eq!(function_of_hook(hook), function, "{hook}");
        }
        assert_eq!(hook_of_function("security_bprm_check"), Some("bprm_check_security"));
        assert_eq!(hook_of_function("security_create_user_ns"), Some("userns_create"));
        assert_eq!(hook_of_function("vfs_open"), None);
        assert_eq!(hook_of_function("security_"), None);
    }

    #[test]
    fn every_renamed_pair_is_in_a_recorded_kernel() {
        let kernels = ["5.10", "6.1", "6.12", "6.18", "7.2"].map(crate::kernel::recorded);
        let missing: Vec<_> = RENAMED
            .iter()
            .filter(|(name, hook)| {
                let function = format!("security_{name}");
                !kernels.iter().any(|k| k.function_btf(&function).is_some() && k.lsm_hook(hook).is_some())
            })
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn having_no_say_is_not_zero_where_zero_means_done() {
        assert_eq!(neutral_return("task_prctl"), -38);
        assert_eq!(neutral_return("file_open"), 0);
    }
}

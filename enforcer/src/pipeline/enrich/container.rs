//! Container ids in the names of cgroups.

use bpf_probes::abi::MAX_CGROUP_NAME;

/// Characters of a container id that events show.
const SHOWN: usize = 31;
/// Characters of a container id.
const WHOLE: usize = 64;

/// The first 31 characters of the container id in the name of a cgroup (the last component of its path), where there is one.
///
/// Runtimes name the cgroup with the id, alone or between words (`docker-ID.scope`, `cri-containerd-ID.scope`). A whole id has 64
/// hexadecimal digits; of a name that was cut, 31 will do.
pub(crate) fn container_id(name: &[u8]) -> Option<&str> {
    let cut = name.len() >= MAX_CGROUP_NAME as usize - 1;
    let digits = name
        .split(|byte| !byte.is_ascii_hexdigit())
        .rfind(|digits| digits.len() >= WHOLE || (cut && digits.len() >= SHOWN && name.ends_with(digits)))?;
    std::str::from_utf8(digits.get(..SHOWN)?).ok()
}

#[cfg(test)]
mod tests {
    use super::container_id;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const SHOWN: &str = "0123456789abcdef0123456789abcde";

    #[test]
    fn ids_are_found_in_the_names_that_runtimes_give() {
        for name in [
            ID.to_owned(),
            format!("docker-{ID}.scope"),
            format!("cri-containerd-{ID}.scope"),
            format!("crio-{ID}"),
            format!("{ID}:extra"),
        ] {
            assert_eq!(container_id(name.as_bytes()), Some(SHOWN), "{name}");
        }
    }

    #[test]
    fn other_names_have_none() {
        let short = ID.strip_suffix('f').unwrap_or_default();
        for name in ["", "user.slice", "session-1.scope", "init.scope", "abcdef", short] {
            assert_eq!(container_id(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn of_a_cut_name_half_an_id_will_do() {
        let name = format!("{}-{}", "x".repeat(127 - 41), ID.chars().take(40).collect::<String>());
        assert_eq!(name.len(), 127);
        assert_eq!(container_id(name.as_bytes()), Some(SHOWN));
        assert_eq!(container_id(&name.as_bytes()[1..]), None, "it was not cut");
    }
}

//! The name of this machine in events.

use nix::sys::utsname::uname;

/// `NODE_NAME` of the environment, as Kubernetes sets it, else the host's name.
pub fn node_name(environment: impl Fn(&str) -> Option<std::ffi::OsString>) -> String {
    let given =
        environment("NODE_NAME").and_then(|name| name.into_string().ok()).filter(|name| !name.is_empty());
    given.unwrap_or_else(|| {
        uname().map(|names| names.nodename().to_string_lossy().into_owned()).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::node_name;

    #[test]
    fn the_environment_wins_over_the_hosts_name() {
        assert_eq!(node_name(|name| (name == "NODE_NAME").then(|| "worker-1".into())), "worker-1");
        assert_eq!(node_name(|_| Some("".into())), node_name(|_| None));
        assert!(!node_name(|_| None).is_empty());
    }
}

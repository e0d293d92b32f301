//! The id that names one incarnation of a process over all tools.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What an exec id says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecId {
    /// Name of the node.
    pub node: String,
    /// Boot-time nanoseconds of the exec or fork.
    pub ktime: u64,
    /// Process id.
    pub pid: u32,
}

/// The exec id of process `pid` that started at boot-time nanosecond `ktime` on `node`: base64 of `node:ktime:pid`.
pub fn exec_id(node: &str, ktime: u64, pid: u32) -> String {
    STANDARD.encode(format!("{node}:{ktime}:{pid}"))
}

/// What `id` says; `None` where it is no exec id.
pub fn parse_exec_id(id: &str) -> Option<ExecId> {
    let bytes = STANDARD.decode(id).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let (rest, pid) = text.rsplit_once(':')?;
    let (node, ktime) = rest.rsplit_once(':')?;
    Some(ExecId { node: node.to_owned(), ktime: ktime.parse().ok()?, pid: pid.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::{ExecId, exec_id, parse_exec_id};

    // proves: EVT-14
    #[test]
    fn the_kernel_process_has_the_known_id() {
        assert_eq!(exec_id("lab", 1, 0), "bGFiOjE6MA==");
        assert_eq!(exec_id("lab", 13_976_949_608, 204), "bGFiOjEzOTc2OTQ5NjA4OjIwNA==");
    }

    #[test]
    fn an_id_leads_back_to_its_parts_even_with_colons_in_the_node() {
        let expected = ExecId { node: "a:b".to_owned(), ktime: u64::MAX, pid: 7 };
        assert_eq!(parse_exec_id(&exec_id("a:b", u64::MAX, 7)), Some(expected));
    }

    #[test]
    fn foreign_text_is_no_exec_id() {
        for id in ["", "!", "bGFi", "bGFiOng6MQ=="] {
            assert_eq!(parse_exec_id(id), None, "{id}");
        }
    }
}

//! What upstream reported of a fixed sequence of acts, and how ours is compared with it.
//!
//! Events are compared as JSON, field by field. What differs from boot to boot is left out ([`comparable`]), and so is what
//! differs on purpose ([`DIFFERENCES`]). Processes of the sequence run at the same time, so the order of events is not compared.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Something that ours shows in another way than upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The sample, by its policy; empty for all.
    pub sample: &'static str,
    /// The function of the hook; empty for all events.
    pub function: &'static str,
    /// Path of the field inside the event, elements of lists by `*`; empty for events that cannot be compared one by one; [`OF_PROCESS`] and arguments
    /// for all events of a process.
    pub field: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// Begins a field that names a process by its arguments.
const OF_PROCESS: &str = "all of ";
const CLOSED_AT_EXIT: &str = "upstream names the parent of a process that closes its sockets as it exits, for it has forgotten the process then; ours is the process itself";
const BY_CHANCE: &str = "who first closes depends on how the two ends are scheduled";

const fn closing(sample: &'static str, function: &'static str, field: &'static str) -> Difference {
    Difference { sample, function, field, reason: CLOSED_AT_EXIT }
}

/// All differences. `cargo xtask generate` prints them in docs/compatibility.md.
pub const DIFFERENCES: &[Difference] = &[
    closing("tracingpolicy__tcp-connect", "tcp_close", "process"),
    closing("tracingpolicy__tcp-connect", "tcp_close", "parent"),
    closing("tracingpolicy__tcp-connect-with-selectors", "tcp_close", "process"),
    closing("tracingpolicy__tcp-connect-with-selectors", "tcp_close", "parent"),
    closing("policylibrary__sshd", "tcp_close", "process"),
    closing("policylibrary__sshd", "tcp_close", "parent"),
    closing("tracingpolicy__datagram-with-sock-tracking", "__sk_free", "process"),
    closing("tracingpolicy__datagram-with-sock-tracking", "__sk_free", "parent"),
    Difference {
        sample: "tracingpolicy__datagram-with-sock-tracking",
        function: "",
        field: "all of -s /bin/sh nobody -c id",
        reason: "the lab's `su` is another version's, which tells the system's log of a user that it does not know",
    },
    Difference { sample: "", function: "tcp_sendmsg", field: "args.*.sock_arg.state", reason: BY_CHANCE },
    Difference { sample: "", function: "tcp_close", field: "args.*.sock_arg.state", reason: BY_CHANCE },
    Difference { sample: "", function: "tcp_close", field: "args.*.sock_arg.sport", reason: BY_CHANCE },
    Difference {
        sample: "tracingpolicy__dev_hard_start_xmit",
        function: "",
        field: "",
        reason: "a packet is sent in whichever process the CPU runs at that moment",
    },
    Difference {
        sample: "tracingpolicy__filename_monitoring",
        function: "",
        field: "all of -s /bin/sh nobody -c id",
        reason: "the lab's `su` is another version's, which reads /etc/passwd in fewer pieces",
    },
    Difference {
        sample: "tracingpolicy__loader",
        function: "",
        field: "",
        reason: "ours is the process that the exec makes, upstream's the one before it; the build id is read a moment later, and is missing of what has ended by then",
    },
    Difference {
        sample: "tracingpolicy__sandbox__linux-namespaces__kill_unprivileged_user_namespace_in_pid_namespace",
        function: "",
        field: "",
        reason: "the sample holds events of another policy, without processes; the acts do nothing that this policy is about",
    },
];

/// Fields that tell one run from another.
const OF_A_RUN: [&str; 11] = [
    "exec_id",
    "parent_exec_id",
    "pid",
    "tid",
    "refcnt",
    "start_time",
    "time",
    "node_name",
    "cookie",
    "inum",
    "address",
];
/// Ports that the kernel hands out begin here (`net.ipv4.ip_local_port_range`).
const FIRST_EPHEMERAL: u64 = 32_768;
/// What the acts are made by: applets of a shell, and a copy of it.
const PROGRAMS: [&str; 2] = ["/proc/self/exe", "/tmp/evil"];

/// An event as it is compared: its kind and body. `None` for what is not of the acts: who acts, and its parent, are such programs.
pub fn comparable(event: &Value, sample: &str) -> Option<Value> {
    let (kind, body) = event.as_object()?.iter().find(|(kind, _)| kind.starts_with("process_"))?;
    let of_acts = |who: Option<&Value>| {
        let binary = who.and_then(|who| who.get("binary")).and_then(Value::as_str);
        binary.is_some_and(|binary| PROGRAMS.contains(&binary))
    };
    if !of_acts(body.get("process")) || !of_acts(body.get("parent")) {
        return None;
    }
    let arguments = body.pointer("/process/arguments").and_then(Value::as_str).unwrap_or_default();
    if DIFFERENCES
        .iter()
        .any(|it| it.sample == sample && it.field.strip_prefix(OF_PROCESS) == Some(arguments))
    {
        return None;
    }
    let function = body.get("function_name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let differing = DIFFERENCES.iter().filter(|it| {
        (it.sample.is_empty() || it.sample == sample) && (it.function.is_empty() || it.function == function)
    });
    let differing: Vec<&str> = differing.map(|difference| difference.field).collect();
    let mut body = body.clone();
    simplify(&mut body, &mut Vec::new(), &differing);
    Some(Value::Object(Map::from_iter([(kind.clone(), body)])))
}

/// Takes out what is not compared.
fn simplify(value: &mut Value, path: &mut Vec<String>, differing: &[&str]) {
    let differs = |path: &[String]| differing.contains(&path.join(".").as_str());
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !OF_A_RUN.contains(&name.as_str()));
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                path.push(name.clone());
                if differs(path) {
                    fields.remove(&name);
                } else if let Some(value) = fields.get_mut(&name) {
                    if let ("sport" | "dport", Some(port)) = (name.as_str(), value.as_u64())
                        && port >= FIRST_EPHEMERAL
                    {
                        *value = Value::from("of a run");
                    }
                    simplify(value, path, differing);
                }
                path.pop();
            }
        }
        Value::Array(items) => {
            path.push("*".to_owned());
            for item in items {
                simplify(item, path, differing);
            }
            path.pop();
        }
        // The lab had the shell in another place of the same machine.
        Value::String(text) => *text = text.replace("/usr/bin/busybox", "/bin/busybox"),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether the events of a sample have no equals to look for.
pub fn incomparable(sample: &str) -> bool {
    DIFFERENCES.iter().any(|difference| difference.sample == sample && difference.field.is_empty())
}

/// What one side has and the other has not: a line for each event without an equal, with the fields in which it differs from the most similar one.
pub fn compare(ours: &[Value], theirs: &[Value]) -> Vec<String> {
    let mut rest: Vec<&Value> = theirs.iter().collect();
    let mut extra = Vec::new();
    for event in ours {
        match rest.iter().position(|other| *other == event) {
            Some(index) => drop(rest.swap_remove(index)),
            None => extra.push(event),
        }
    }
    let mut found = Vec::new();
    for event in extra {
        let differing = |other: &&Value| {
            let mut fields = BTreeSet::new();
            difference(event, other, "", &mut fields);
            fields
        };
        match rest
            .iter()
            .map(|other| (differing(other), *other))
            .enumerate()
            .min_by_key(|(_, (fields, _))| fields.len())
        {
            Some((index, (fields, _))) if fields.len() <= SIMILAR => {
                found.push(fields.into_iter().collect::<Vec<_>>().join("; "));
                rest.swap_remove(index);
            }
            Some(_) | None => found.push(format!("only ours: {}", summary(event))),
        }
    }
    found.extend(rest.into_iter().map(|event| format!("only upstream's: {}", summary(event))));
    found.sort();
    found.dedup();
    found
}

/// Events that differ in more fields are not the same event.
const SIMILAR: usize = 8;

fn difference(ours: &Value, theirs: &Value, path: &str, found: &mut BTreeSet<String>) {
    match (ours, theirs) {
        (Value::Object(left), Value::Object(right)) => {
            for name in left.keys().chain(right.keys()).collect::<BTreeSet<_>>() {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let null = Value::Null;
                difference(left.get(name).unwrap_or(&null), right.get(name).unwrap_or(&null), &path, found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (left, right) in left.iter().zip(right) {
                difference(left, right, &format!("{path}.*"), found);
            }
        }
        (left, right) if left == right => {}
        (left, right) => {
            found.insert(format!("{path}: ours {}, upstream's {}", short(left), short(right)));
        }
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    text.chars().take(120).collect()
}

fn summary(event: &Value) -> String {
    let Some((kind, body)) = event.as_object().and_then(|fields| fields.iter().next()) else {
        return short(event);
    };
    let of = |path: &str| body.pointer(path).map(short).unwrap_or_default();
    format!(
        "{kind} {} {} {} {}",
        of("/process/binary"),
        of("/process/arguments"),
        of("/function_name"),
        of("/args")
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde_json::{Value, json};

    use super::{comparable, compare};

    fn event(arguments: &str, pid: u32, path: &str) -> Value {
        json!({
            "process_kprobe": {
                "process": {"binary": "/proc/self/exe", "arguments": arguments, "pid": pid},
                "parent": {"binary": "/proc/self/exe", "arguments": "/exercise.sh"},
                "args": [{"file_arg": {"path": path}}],
            },
            "time": "now",
        })
    }

    #[test]
    fn events_that_differ_by_what_a_run_gives_out_agree() {
        let (ours, theirs) = (
            comparable(&event("/etc/passwd", 1, "/usr/bin/busybox"), ""),
            comparable(&event("/etc/passwd", 2, "/bin/busybox"), ""),
        );
        assert_eq!(ours, theirs);
        assert!(compare(&[ours.unwrap()], &[theirs.unwrap()]).is_empty());
    }

    #[test]
    fn a_field_that_differs_is_named_with_both_values() {
        let (ours, theirs) =
            (comparable(&event("x", 1, "/a"), "").unwrap(), comparable(&event("x", 1, "/b"), "").unwrap());
        let found = compare(std::slice::from_ref(&ours), &[theirs]);
        assert_eq!(found, ["process_kprobe.args.*.file_arg.path: ours \"/a\", upstream's \"/b\""]);
        assert_eq!(compare(&[ours], &[]).len(), 1);
    }

    #[test]
    fn what_is_not_of_the_acts_is_left_out() {
        let mut other = event("x", 1, "/a");
        other["process_kprobe"]["process"]["binary"] = json!("/usr/bin/tetra");
        assert_eq!(comparable(&other, ""), None);
        assert_eq!(comparable(&json!({"rate_limit_info": {}}), ""), None);
    }
}

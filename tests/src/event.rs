//! The part of an event's JSON that scenarios look at; what is not named here is ignored.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One line of the export file or of `tetra getevents -o json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Event {
    /// A process began to run a program.
    pub process_exec: Option<Exec>,
    /// A process ended.
    pub process_exit: Option<Exit>,
    /// A hook on a kernel function matched.
    pub process_kprobe: Option<Hook>,
    /// An LSM hook matched.
    pub process_lsm: Option<Hook>,
    /// A tracepoint matched.
    pub process_tracepoint: Option<Hook>,
    /// A place in a program was passed.
    pub process_uprobe: Option<Hook>,
    /// A static probe matched.
    pub process_usdt: Option<Hook>,
    /// Executable code was mapped.
    pub process_loader: Option<Loader>,
    /// A cgroup is throttled, or no longer.
    pub process_throttle: Option<Throttle>,
    /// Name of the node.
    pub node_name: String,
    /// When, RFC 3339.
    pub time: String,
}

/// `process_throttle`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Throttle {
    /// Begin or end, as on the wire.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the cgroup.
    pub cgroup: String,
}

/// `process_loader`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Loader {
    /// Who.
    pub process: Process,
    /// The mapped file.
    pub path: String,
    /// Its build id, in base64.
    pub buildid: String,
}

/// `process_exec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Exec {
    /// Who.
    pub process: Process,
    /// Whose child.
    pub parent: Process,
    /// The parent's parent and so on, where asked for.
    pub ancestors: Vec<Process>,
}

/// `process_exit`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Exit {
    /// Who.
    pub process: Process,
    /// Whose child.
    pub parent: Process,
    /// Name of the signal that ended it.
    pub signal: String,
    /// Its exit code.
    pub status: u32,
}

/// `process_kprobe`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// Who.
    pub process: Process,
    /// Whose child.
    pub parent: Process,
    /// The kernel's function.
    pub function_name: String,
    /// The tracepoint's subsystem.
    pub subsys: String,
    /// The tracepoint.
    pub event: String,
    /// The file of a place in a program.
    pub path: String,
    /// The function there.
    pub symbol: String,
    /// Whose static probe it is.
    pub provider: String,
    /// Which static probe.
    pub name: String,
    /// What is special about the event.
    pub flags: String,
    /// What it was called with.
    pub args: Vec<Argument>,
    /// What else was read there.
    pub data: Vec<Argument>,
    /// What it returned.
    #[serde(rename = "return")]
    pub returned: Option<Argument>,
    /// What was done when it returned.
    pub return_action: String,
    /// What was done, `KPROBE_ACTION_POST` and the like.
    pub action: String,
    /// The hash of the file, `ALGORITHM:HEX`.
    pub ima_hash: String,
    /// Which policy.
    pub policy_name: String,
    /// The hook's message.
    pub message: String,
    /// The hook's tags.
    pub tags: Vec<String>,
    /// The kernel's stack, the innermost frame first.
    pub kernel_stack_trace: Vec<Frame>,
    /// The program's.
    pub user_stack_trace: Vec<Frame>,
}

/// One frame of a stack.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Frame {
    /// Its address; empty unless addresses are shown.
    pub address: String,
    /// How far it is in the function or file, in decimal.
    pub offset: String,
    /// The function.
    pub symbol: String,
    /// The file.
    pub module: String,
}

/// One argument.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Argument {
    /// Of type `file`.
    pub file_arg: Option<File>,
    /// Of type `path`.
    pub path_arg: Option<File>,
    /// Of type `string`.
    pub string_arg: Option<String>,
    /// Of type `int`.
    pub int_arg: Option<i64>,
    /// An unsigned number.
    pub uint_arg: Option<u64>,
    /// The same of 64 bits, in decimal.
    pub size_arg: Option<String>,
    /// A buffer, in base64.
    pub bytes_arg: Option<String>,
    /// Of type `sock` or `socket`.
    pub sock_arg: Option<Connection>,
    /// Of type `skb`.
    pub skb_arg: Option<Connection>,
    /// Of type `sockaddr`.
    pub sockaddr_arg: Option<SocketAddress>,
    /// Of type `sockaddr_un`.
    pub sockaddrun_arg: Option<SocketPath>,
    /// Of other types, and what else there is, by the name of the field.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// A socket or packet as an argument.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Connection {
    /// `AF_INET` and the like.
    pub family: String,
    /// `SOCK_STREAM` and the like.
    #[serde(rename = "type")]
    pub kind: String,
    /// `IPPROTO_TCP` and the like.
    pub protocol: String,
    /// Source address.
    pub saddr: String,
    /// Destination address.
    pub daddr: String,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Which socket.
    pub cookie: String,
    /// `TCP_LISTEN` and the like.
    pub state: String,
    /// Bytes of a packet.
    pub len: u32,
}

/// A socket address of the internet families as an argument.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SocketAddress {
    /// `AF_INET` and the like.
    pub family: String,
    /// The address.
    pub addr: String,
    /// The port.
    pub port: u16,
}

/// A socket address of the Unix family as an argument.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SocketPath {
    /// `AF_UNIX` and the like.
    pub family: String,
    /// Path, or `@` and the abstract name.
    pub path: String,
}

/// A file as an argument.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct File {
    /// Its path as the process sees it.
    pub path: String,
    /// What went wrong in finding it.
    pub flags: String,
    /// As `ls` shows it.
    pub permission: String,
}

/// A process.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Node, time and pid.
    pub exec_id: String,
    /// That of its parent.
    pub parent_exec_id: String,
    /// Of the thread group.
    pub pid: u32,
    /// Effective user.
    pub uid: u32,
    /// Working folder.
    pub cwd: String,
    /// Path of the program.
    pub binary: String,
    /// All but the first argument.
    pub arguments: String,
    /// Words, such as `execve clone`.
    pub flags: String,
    /// Its environment, where asked for.
    pub environment_variables: Vec<Variable>,
    /// Its user, where asked for.
    pub user: User,
}

/// A variable of the environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Variable {
    /// Its name.
    #[serde(rename = "Key")]
    pub key: String,
    /// What it is set to.
    #[serde(rename = "Value")]
    pub value: String,
}

/// A user.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct User {
    /// Its name.
    pub name: String,
}

impl Event {
    /// Who did it.
    pub fn process(&self) -> Option<&Process> {
        self.process_exec
            .as_ref()
            .map(|exec| &exec.process)
            .or_else(|| self.process_exit.as_ref().map(|exit| &exit.process))
            .or_else(|| self.process_kprobe.as_ref().map(|hook| &hook.process))
    }

    /// The hook's event of that policy.
    pub fn of_policy(&self, name: &str) -> Option<&Hook> {
        let hooks = [&self.process_kprobe, &self.process_lsm, &self.process_tracepoint];
        hooks.into_iter().flatten().find(|hook| hook.policy_name == name)
    }
}

impl Hook {
    /// The path of the first argument that is a file or a path.
    pub fn path(&self) -> Option<&str> {
        let file =
            self.args.iter().find_map(|argument| argument.file_arg.as_ref().or(argument.path_arg.as_ref()));
        file.map(|file| file.path.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::Event;

    #[test]
    fn a_hook_event_is_read_and_what_is_not_named_is_ignored() {
        let line = r#"{"process_kprobe":{"process":{"exec_id":"a","pid":7,"binary":"/usr/bin/cat","cap":{}},
            "parent":{"binary":"/bin/sh"},"function_name":"security_file_open","policy_name":"p",
            "args":[{"int_arg":1},{"file_arg":{"path":"/etc/shadow","permission":"-rw-r-----"}}],
            "action":"KPROBE_ACTION_SIGKILL"},"node_name":"n","time":"T"}"#;
        let event: Event = serde_json::from_str(line).unwrap();
        assert_eq!(event.process().unwrap().pid, 7);
        let hook = event.of_policy("p").unwrap();
        assert_eq!(hook.path(), Some("/etc/shadow"));
        assert_eq!(hook.action, "KPROBE_ACTION_SIGKILL");
        assert!(event.of_policy("q").is_none());
    }
}

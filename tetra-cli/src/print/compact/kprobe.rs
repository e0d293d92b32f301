//! Kprobes on functions that have a line of their own, and all others.
//!
//! Arguments are found by their type, not by their place, so that a line is right for a policy that names fewer of them.

use api::event::{Argument, FileArgument, Kprobe, Node, Sock, Value};

use super::event::who;
use super::line::Line;
use crate::print::color::Color;

pub(super) fn write(node: &Node, event: &Kprobe, line: &mut Line<'_>) {
    let args = Arguments(&event.args);
    let (sign, name, detail) = form(&event.function_name, args);
    if detail == Detail::Mapping {
        line.name(sign, &mapping_name(args));
    } else {
        line.name(sign, name);
    }
    who(node, &event.process, line);
    write_detail(detail, event, args, line);
}

/// What follows the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    Nothing,
    Function,
    File,
    FileAndSize,
    Path,
    OneString,
    TwoStrings,
    UserId,
    Namespace,
    Connection,
    ConnectionAndSize,
    ProgramLoad,
    PerfEvent,
    Map,
    Mapping,
}

/// Sign, name and detail for a hooked function.
fn form(function: &str, args: Arguments<'_>) -> (&'static str, &'static str, Detail) {
    const PREFIXES: [&str; 5] = ["__x64_", "__arm64_", "__ia32_", "__i386_", "__arm32_"];
    let stripped = PREFIXES.iter().find_map(|prefix| function.strip_prefix(prefix));
    match stripped.unwrap_or(function) {
        "sys_write" => ("📝", "write", Detail::FileAndSize),
        "sys_read" => ("📚", "read", Detail::FileAndSize),
        "fd_install" => ("📬", "open", Detail::File),
        "sys_openat" => ("📬️", "openat", Detail::OneString),
        "sys_open" => ("📬️", "open", Detail::OneString),
        "sys_close" => ("📪", "close", Detail::File),
        "sys_mount" => ("💾", "mount", Detail::TwoStrings),
        "sys_pivot_root" => ("💾", "pivot_root", Detail::TwoStrings),
        "sys_setuid" => ("🔑", "setuid", Detail::UserId),
        "sys_clock_settime" => ("⏰", "clock_settime", Detail::Nothing),
        "proc_exec_connector" => ("🔧", "proc_exec_connector", Detail::Nothing),
        "sys_setns" => ("🔧", "setns", Detail::Namespace),
        "tcp_connect" => ("🔌", "connect", Detail::Connection),
        "tcp_close" => ("🧹", "close", Detail::Connection),
        "tcp_sendmsg" => ("📤", "sendmsg", Detail::ConnectionAndSize),
        "bpf_check" => ("🐝", "bpf_load", Detail::ProgramLoad),
        "security_perf_event_alloc" => ("🐝", "perf_event_alloc", Detail::PerfEvent),
        "security_bpf_map_alloc" | "security_bpf_map_create" => ("🗺", "bpf_map_create", Detail::Map),
        // MAY_WRITE and MAY_READ (include/linux/fs.h).
        "security_file_permission" => match args.number(0) {
            Some(2) => ("📝", "write", Detail::File),
            Some(4) => ("📚", "read", Detail::File),
            _ => ("❓", "security_file_permission", Detail::File),
        },
        "security_mmap_file" => ("📝", "mmap", Detail::Mapping),
        "security_path_truncate" | "security_file_truncate" => ("📝", "truncate", Detail::Path),
        _ => ("❓", "syscall", Detail::Function),
    }
}

fn write_detail(detail: Detail, event: &Kprobe, args: Arguments<'_>, line: &mut Line<'_>) {
    let color = Color::Cyan;
    match detail {
        Detail::Nothing => {}
        Detail::Function => {
            line.word(color, &event.function_name);
        }
        Detail::File | Detail::Path | Detail::Mapping => write_file(args, line),
        Detail::FileAndSize => {
            write_file(args, line);
            if let Some(size) = args.size() {
                line.number(color, size).plain(" bytes");
            }
        }
        Detail::OneString => write_strings(args, 1, line),
        Detail::TwoStrings => write_strings(args, 2, line),
        Detail::UserId => {
            if let Some(uid) = args.number(0) {
                line.number(color, uid);
            }
        }
        Detail::Namespace => {
            // The first number is the descriptor, where the policy takes it as one.
            if let Some(kind) = args.number(1).or_else(|| args.number(0)) {
                line.number(color, namespace_name(kind));
            }
        }
        Detail::Connection => write_connection(args, line),
        Detail::ConnectionAndSize => {
            write_connection(args, line);
            // A policy may take the size as an int.
            if let Some(size) = args.number(0) {
                line.plain(" bytes").number(color, size);
            }
        }
        Detail::ProgramLoad | Detail::PerfEvent | Detail::Map => write_bpf(args, line),
    }
}

fn write_file(args: Arguments<'_>, line: &mut Line<'_>) {
    if let Some(file) = args.file() {
        line.word(Color::Cyan, &file.path);
    }
}

fn write_strings(args: Arguments<'_>, count: usize, line: &mut Line<'_>) {
    for text in args.strings().take(count) {
        line.word(Color::Cyan, text);
    }
}

fn write_connection(args: Arguments<'_>, line: &mut Line<'_>) {
    line.plain(" tcp");
    if let Some(sock) = args.sock() {
        let source = format!("{}:{}", sock.saddr, sock.sport);
        let destination = format!("{}:{}", sock.daddr, sock.dport);
        // An address is a word, but `invalid IP` has a space and is ours.
        line.number(Color::Cyan, crate::print::escape::visible(&source));
        line.plain(" ->").number(Color::Cyan, crate::print::escape::visible(&destination));
    }
}

fn write_bpf(args: Arguments<'_>, line: &mut Line<'_>) {
    let color = Color::Cyan;
    for value in args.values() {
        if let Value::BpfAttr(program) = value {
            line.word(color, &program.prog_type).word(color, &program.prog_name);
            line.plain(" instruction count").number(color, program.insn_count);
        } else if let Value::PerfEvent(event) = value {
            line.word(color, &event.kind).word(color, &event.kprobe_func);
        } else if let Value::BpfMap(map) = value {
            line.word(color, &map.map_type).word(color, &map.map_name);
            line.plain(" key size").number(color, map.key_size);
            line.plain(" value size").number(color, map.value_size);
            line.plain(" max entries").number(color, map.max_entries);
        } else {
            continue;
        }
        return;
    }
}

/// `mmap-` and a letter for each bit of the protection (include/uapi/asm-generic/mman-common.h).
fn mapping_name(args: Arguments<'_>) -> String {
    let protection = args.number(0).unwrap_or_default();
    let letters = [(1, 'r'), (2, 'w'), (4, 'x')].into_iter().filter(|(bit, _)| protection & bit != 0);
    let letters: String = letters.map(|(_, letter)| letter).collect();
    if letters.is_empty() { "mmap".to_owned() } else { format!("mmap-{letters}") }
}

/// Name of the kind of namespace that setns(2) was given (include/uapi/linux/sched.h).
fn namespace_name(kind: i64) -> &'static str {
    match kind {
        0 => "any",
        0x80 => "time",
        0x0002_0000 => "mnt",
        0x0200_0000 => "cgroup",
        0x0400_0000 => "uts",
        0x0800_0000 => "ipc",
        0x1000_0000 => "user",
        0x2000_0000 => "pid",
        0x4000_0000 => "net",
        _ => "unknown",
    }
}

/// The arguments of an event, by type.
#[derive(Debug, Clone, Copy)]
struct Arguments<'a>(&'a [Argument]);

impl<'a> Arguments<'a> {
    fn values(self) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter_map(|argument| argument.value.as_ref())
    }

    fn file(self) -> Option<&'a FileArgument> {
        let file = |value: &'a Value| {
            if let Value::File(file) | Value::Path(file) = value { Some(file) } else { None }
        };
        self.values().find_map(file)
    }

    fn sock(self) -> Option<&'a Sock> {
        self.values().find_map(|value| if let Value::Sock(sock) = value { Some(&**sock) } else { None })
    }

    fn size(self) -> Option<u64> {
        self.values().find_map(|value| if let Value::Size(size) = value { Some(*size) } else { None })
    }

    fn strings(self) -> impl Iterator<Item = &'a str> {
        self.values().filter_map(|value| if let Value::String(text) = value { Some(&**text) } else { None })
    }

    /// The number at `index` among the numbers.
    fn number(self, index: usize) -> Option<i64> {
        self.values().filter_map(number).nth(index)
    }
}

fn number(value: &Value) -> Option<i64> {
    if let Value::Int(number) = value {
        Some((*number).into())
    } else if let Value::Uint(number) = value {
        Some((*number).into())
    } else if let Value::Long(number) = value {
        Some(*number)
    } else if let Value::Size(number) = value {
        i64::try_from(*number).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use crate::print::{Compact, CompactOptions};

    /// The compact lines of a kprobe event, whose fields besides the process are given as JSON.
    fn lines(fields: &str) -> String {
        let json = format!(
            r#"{{"process_kprobe":{{"process":{{"binary":"/bin/x"}},{fields}}},"node_name":"n",
                "time":"2026-11-23T15:37:49.5Z"}}"#
        );
        let event = api::json::read_event(json.as_bytes()).unwrap();
        let options = CompactOptions { colors: false, timestamps: false, stack_traces: true, ima_hash: true };
        Compact::new(options).lines(&event).to_owned()
    }

    // proves: CLI-04 (those of the test)
    #[test]
    fn functions_with_a_line_of_their_own() {
        let file = r#"{"file_arg":{"path":"/etc/a b"}}"#;
        for (function, args, expected) in [
            (
                "__x64_sys_write",
                format!(r#"{file},{{"bytes_arg":"eA=="}},{{"size_arg":"5"}}"#),
                "📝 write   n /bin/x \"/etc/a b\" 5 bytes",
            ),
            (
                "__arm64_sys_read",
                format!(r#"{file},{{"size_arg":"7"}}"#),
                "📚 read    n /bin/x \"/etc/a b\" 7 bytes",
            ),
            ("fd_install", format!(r#"{{"int_arg":3}},{file}"#), "📬 open    n /bin/x \"/etc/a b\""),
            (
                "__x64_sys_openat",
                r#"{"int_arg":-100},{"string_arg":"/x"}"#.to_owned(),
                "📬️ openat  n /bin/x /x",
            ),
            ("__x64_sys_close", file.to_owned(), "📪 close   n /bin/x \"/etc/a b\""),
            (
                "__x64_sys_pivot_root",
                r#"{"string_arg":"/a"},{"string_arg":"/b"}"#.to_owned(),
                "💾 pivot_root n /bin/x /a /b",
            ),
            ("__x64_sys_setuid", r#"{"int_arg":1000}"#.to_owned(), "🔑 setuid  n /bin/x 1000"),
            ("__x64_sys_clock_settime", String::new(), "⏰ clock_settime n /bin/x"),
            (
                "__x64_sys_setns",
                r#"{"int_arg":3},{"int_arg":1073741824}"#.to_owned(),
                "🔧 setns   n /bin/x net",
            ),
            (
                "bpf_check",
                r#"{"bpf_attr_arg":{"ProgType":"T","InsnCnt":9,"ProgName":"p"}}"#.to_owned(),
                "🐝 bpf_load n /bin/x T p instruction count 9",
            ),
            (
                "security_perf_event_alloc",
                r#"{"perf_event_arg":{"KprobeFunc":"f","Type":"T"}}"#.to_owned(),
                "🐝 perf_event_alloc n /bin/x T f",
            ),
            (
                "security_bpf_map_alloc",
                r#"{"bpf_map_arg":{"MapType":"T","KeySize":1,"ValueSize":2,"MaxEntries":3,"MapName":"m"}}"#
                    .to_owned(),
                "🗺 bpf_map_create n /bin/x T m key size 1 value size 2 max entries 3",
            ),
            (
                "security_file_permission",
                format!(r#"{file},{{"int_arg":2}}"#),
                "📝 write   n /bin/x \"/etc/a b\"",
            ),
            (
                "security_file_permission",
                format!(r#"{file},{{"int_arg":1}}"#),
                "❓ security_file_permission n /bin/x \"/etc/a b\"",
            ),
            ("security_mmap_file", format!(r#"{file},{{"uint_arg":5}}"#), "📝 mmap-rx n /bin/x \"/etc/a b\""),
            ("security_path_truncate", r#"{"path_arg":{"path":"/p"}}"#.to_owned(), "📝 truncate n /bin/x /p"),
            ("security_file_open", file.to_owned(), "❓ syscall n /bin/x security_file_open"),
        ] {
            let actual = lines(&format!(r#""function_name":"{function}","args":[{args}]"#));
            assert_eq!(actual, format!("{expected}\n"));
        }
    }

    #[test]
    fn missing_arguments_leave_their_place_out() {
        for function in
            ["__x64_sys_write", "tcp_sendmsg", "bpf_check", "security_mmap_file", "__x64_sys_setns"]
        {
            let actual = lines(&format!(r#""function_name":"{function}""#));
            assert!(actual.contains(" n /bin/x") && actual.lines().count() == 1, "{actual}");
        }
    }

    // proves: CLI-09 (stack traces)
    #[test]
    fn stacks_follow_on_lines_of_their_own() {
        let actual = lines(
            r#""function_name":"f","kernel_stack_trace":[{"address":"255","offset":"16","symbol":"vfs_read"}],
                "user_stack_trace":[{"offset":"1","symbol":"main","module":"/bin/x y"}]"#,
        );
        let expected = "❓ syscall n /bin/x f\nKernel:\n   0xff: vfs_read+0x10\nUser:\n   0x0: main (\"/bin/x y\"+0x1)\n";
        assert_eq!(actual, expected);
    }
}

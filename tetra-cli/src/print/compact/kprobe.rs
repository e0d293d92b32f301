//! Kprobes on functions that have a line of their own, and all others.
//!
//! Arguments are found by their type, not by their place, so that a line is right for a policy that names fewer of them.

use std::borrow::Cow;

use api::event::{Argument, FileArgument, Kprobe, Node, Sock, Value};

use super::event::who;
use super::line::Line;
use crate::print::color::Color;
use crate::print::escape;

pub(super) fn write(node: &Node, event: &Kprobe, line: &mut Line<'_>) {
    let args = Arguments(&event.args);
    let (sign, name, detail) = form(&event.function_name, args);
    line.name(sign, &name);
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
    OneString,
    TwoStrings,
    UserId,
    Namespace,
    Connection,
    ConnectionAndSize,
    Bpf,
}

/// Sign, name and detail for a hooked function.
fn form(function: &str, args: Arguments<'_>) -> (&'static str, Cow<'static, str>, Detail) {
    const PREFIXES: [&str; 5] = ["__x64_", "__arm64_", "__ia32_", "__i386_", "__arm32_"];
    let stripped = PREFIXES.iter().find_map(|prefix| function.strip_prefix(prefix));
    let (sign, name, detail) = match stripped.unwrap_or(function) {
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
        "bpf_check" => ("🐝", "bpf_load", Detail::Bpf),
        "security_perf_event_alloc" => ("🐝", "perf_event_alloc", Detail::Bpf),
        "security_bpf_map_alloc" | "security_bpf_map_create" => ("🗺", "bpf_map_create", Detail::Bpf),
        // MAY_WRITE and MAY_READ (include/linux/fs.h).
        "security_file_permission" => match args.number(0) {
            Some(2) => ("📝", "write", Detail::File),
            Some(4) => ("📚", "read", Detail::File),
            _ => ("❓", "security_file_permission", Detail::File),
        },
        "security_mmap_file" => match args.number(0) {
            Some(protection) => return ("📝", mapping_name(protection).into(), Detail::File),
            None => ("❓", "security_mmap_file", Detail::File),
        },
        "security_path_truncate" | "security_file_truncate" => ("📝", "truncate", Detail::File),
        _ => ("❓", "syscall", Detail::Function),
    };
    (sign, name.into(), detail)
}

fn write_detail(detail: Detail, event: &Kprobe, args: Arguments<'_>, line: &mut Line<'_>) {
    let color = Color::Cyan;
    match detail {
        Detail::Nothing => {}
        Detail::Function => {
            line.plain_word(&event.function_name);
        }
        Detail::File => write_file(args, line),
        Detail::FileAndSize => {
            write_file(args, line);
            line.plain(' ');
            if let Some(size) = args.size() {
                line.painted(color, format_args!("{size} bytes"));
            }
        }
        Detail::OneString => write_strings(args, 1, line),
        Detail::TwoStrings => write_strings(args, 2, line),
        Detail::UserId => {
            line.plain(' ');
            if let Some(uid) = args.number(0) {
                line.painted(color, uid);
            }
        }
        Detail::Namespace => {
            // The first number is the descriptor, where the policy takes it as one.
            let kind = args.number(1).or_else(|| args.number(0));
            line.plain(' ').plain(kind.map_or("", namespace_name));
        }
        Detail::Connection => write_connection(args, line),
        Detail::ConnectionAndSize => {
            write_connection(args, line);
            // A policy may take the size as an int.
            line.plain(" bytes ").plain(args.number(0).unwrap_or_default());
        }
        Detail::Bpf => write_bpf(args, line),
    }
}

/// A space and the path of the first file; the space stands without one too.
fn write_file(args: Arguments<'_>, line: &mut Line<'_>) {
    match args.file() {
        Some(file) => line.word(Color::Cyan, &file.path),
        None => line.plain(' '),
    };
}

fn write_strings(args: Arguments<'_>, count: usize, line: &mut Line<'_>) {
    let mut strings = args.strings();
    for _ in 0..count {
        match strings.next() {
            Some(text) => line.word(Color::Cyan, text),
            None => line.plain(' '),
        };
    }
}

fn write_connection(args: Arguments<'_>, line: &mut Line<'_>) {
    line.plain(' ');
    if let Some(sock) = args.sock() {
        // An address is a word, but `invalid IP` has a space and is ours.
        let (source, destination) = (escape::visible(&sock.saddr), escape::visible(&sock.daddr));
        line.painted(
            Color::Cyan,
            format_args!("tcp {source}:{} -> {destination}:{}", sock.sport, sock.dport),
        );
    }
}

fn write_bpf(args: Arguments<'_>, line: &mut Line<'_>) {
    let text = args.values().find_map(|value| {
        if let Value::BpfAttr(program) = value {
            let (kind, name) = (escape::word(&program.prog_type), escape::word(&program.prog_name));
            Some(format!("{kind} {name} instruction count {}", program.insn_count))
        } else if let Value::PerfEvent(event) = value {
            Some(format!("{} {}", escape::word(&event.kind), escape::word(&event.kprobe_func)))
        } else if let Value::BpfMap(map) = value {
            let (kind, name) = (escape::word(&map.map_type), escape::word(&map.map_name));
            let (key, value, entries) = (map.key_size, map.value_size, map.max_entries);
            Some(format!("{kind} {name} key size {key} value size {value} max entries {entries}"))
        } else {
            None
        }
    });
    line.plain(' ');
    if let Some(text) = text {
        line.painted(Color::Cyan, text);
    }
}

/// `mmap-` and a letter for each bit of the protection (include/uapi/asm-generic/mman-common.h).
fn mapping_name(protection: i64) -> String {
    let letters = [(1, 'r'), (2, 'w'), (4, 'x')].into_iter().filter(|(bit, _)| protection & bit != 0);
    "mmap-".chars().chain(letters.map(|(_, letter)| letter)).collect()
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
        _ => "",
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

//! Which line an event makes.

use api::event::{Event, EventKind, Exit, Lsm, Node, Process, Throttle, Tracepoint, Value};
use api::name::{CapabilitySet, ThrottleType};

use super::details;
use super::kprobe;
use super::line::Line;
use super::stack;
use super::syscall;
use crate::print::color::Color;
use crate::print::escape;

/// How to print.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "one a flag of the command line")]
pub(crate) struct CompactOptions {
    /// Use colours.
    pub(crate) colors: bool,
    /// Begin lines with the time.
    pub(crate) timestamps: bool,
    /// Print stack traces below.
    pub(crate) stack_traces: bool,
    /// Print hashes of IMA below.
    pub(crate) ima_hash: bool,
    /// Print arguments with their labels, return value, action and policy below.
    pub(crate) details: bool,
}

/// Prints events into a text that it reuses.
#[derive(Debug)]
pub(crate) struct Compact {
    options: CompactOptions,
    text: String,
    time: Vec<u8>,
}

impl Compact {
    pub(crate) fn new(options: CompactOptions) -> Self {
        Self { options, text: String::new(), time: Vec::new() }
    }

    /// The lines of `event`, each with its end.
    pub(crate) fn lines(&mut self, event: &Event) -> &str {
        self.text.clear();
        if self.options.timestamps {
            self.timestamp(event);
        }
        let mut line = Line::begin(&mut self.text, self.options.colors);
        write_event(event, &mut line);
        if event.process().is_some_and(|process| is_admin(process)) {
            line.mark();
        }
        line.end();
        if let (EventKind::Kprobe(kprobe), true) = (&event.kind, self.options.stack_traces) {
            stack::kernel(&kprobe.kernel_stack, &mut self.text, self.options.colors);
            stack::user(&kprobe.user_stack, &mut self.text, self.options.colors);
        }
        if let (EventKind::Lsm(lsm), true) = (&event.kind, self.options.ima_hash) {
            self.ima_hash(lsm);
        }
        if self.options.details {
            details::write(event, &mut self.text, self.options.colors);
        }
        &self.text
    }

    fn timestamp(&mut self, event: &Event) {
        self.time.clear();
        api::json::write_timestamp(&mut self.time, event.time.unwrap_or_default(), true);
        self.text.push_str(&String::from_utf8_lossy(&self.time));
        self.text.push(' ');
    }

    fn ima_hash(&mut self, lsm: &Lsm) {
        let values = lsm.args.iter().filter_map(|argument| argument.value.as_ref());
        let mut paths = values.filter_map(|value| {
            if let Value::File(file) | Value::Path(file) = value {
                Some(&file.path)
            } else if let Value::LinuxBinprm(program) = value {
                Some(&program.path)
            } else {
                None
            }
        });
        let path = paths.next();
        if let (Some(path), false) = (path, lsm.ima_hash.is_empty()) {
            let mut line = Line::begin(&mut self.text, self.options.colors);
            line.painted(Color::Green, format_args!("   {}", escape::word(path)));
            line.painted(Color::Blue, format_args!(" {}", escape::word(&lsm.ima_hash)));
            line.end();
        }
    }
}

/// The mark tests the capability itself; upstream tests whether the effective set has more than 21 members.
fn is_admin(process: &Process) -> bool {
    process.cap.is_some_and(|cap| cap.effective.contains(CapabilitySet::SYS_ADMIN))
}

fn write_event(event: &Event, line: &mut Line<'_>) {
    let node = &event.node;
    match &event.kind {
        EventKind::Exec(exec) => {
            line.name("🚀", "process");
            who(node, &exec.process, line);
            line.word(Color::Cyan, &exec.process.arguments);
        }
        EventKind::Exit(exit) => write_exit(node, exit, line),
        EventKind::Kprobe(kprobe) => kprobe::write(node, kprobe, line),
        EventKind::Tracepoint(tracepoint) => write_tracepoint(node, tracepoint, line),
        EventKind::Loader(loader) => {
            line.name("🧬", "loader");
            who(node, &loader.process, line);
            if !loader.build_id.is_empty() {
                line.plain(' ');
                for byte in &loader.build_id {
                    line.plain(format_args!("{byte:02x}"));
                }
            }
            line.word(Color::Yellow, &loader.path);
        }
        EventKind::Uprobe(uprobe) => {
            line.name("🕵️", "uprobe");
            who(node, &uprobe.process, line);
            line.plain_word(&uprobe.path).plain_word(&uprobe.symbol);
        }
        EventKind::Usdt(usdt) => {
            line.name("🕵️", "usdt");
            who(node, &usdt.process, line);
            line.plain_word(&usdt.path).plain_word(&usdt.provider).plain_word(&usdt.name);
        }
        EventKind::Lsm(lsm) => {
            line.name("🔒", "LSM");
            who(node, &lsm.process, line);
            line.plain_word(&lsm.function_name);
        }
        EventKind::Throttle(throttle) => write_throttle(throttle, line),
        EventKind::Test(_) => {
            line.plain("TEST EVENT");
        }
        EventKind::RateLimit(dropped) => {
            line.name("🧬", "limit").number(Color::Red, dropped).plain(" events dropped by the exporter");
        }
    }
}

/// Pod or node, and binary.
pub(super) fn who(node: &Node, process: &Process, line: &mut Line<'_>) {
    match &process.pod {
        Some(pod) => line.word(Color::Green, &format!("{}/{}", pod.namespace, pod.name)),
        None => line.word(Color::Green, &node.name),
    };
    line.word(Color::Magenta, &process.binary);
}

fn write_exit(node: &Node, exit: &Exit, line: &mut Line<'_>) {
    line.name("💥", "exit");
    who(node, &exit.process, line);
    line.word(Color::Cyan, &exit.process.arguments);
    if exit.signal.is_empty() {
        line.number(Color::Red, exit.status);
    } else {
        line.word(Color::Red, &exit.signal);
    }
}

fn write_throttle(throttle: &Throttle, line: &mut Line<'_>) {
    line.name_in(Color::Red, "🧬", "throttle");
    match throttle.kind {
        ThrottleType::Start => line.number(Color::Red, "START"),
        ThrottleType::Stop => line.number(Color::Green, "STOP "),
        ThrottleType::Unknown => line.number(Color::Red, "UNKNOWN"),
    };
    line.plain_word(&throttle.cgroup);
}

fn write_tracepoint(node: &Node, tracepoint: &Tracepoint, line: &mut Line<'_>) {
    if (&*tracepoint.subsystem, &*tracepoint.event) == ("raw_syscalls", "sys_enter") {
        line.name("☎ ", "syscall");
        who(node, &tracepoint.process, line);
        syscall::write(&tracepoint.args, line);
    } else {
        line.name("⁉️", "tracepoint");
        who(node, &tracepoint.process, line);
        line.plain_word(&tracepoint.subsystem).plain_word(&tracepoint.event);
    }
}

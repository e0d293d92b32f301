//! The tracepoint `raw_syscalls/sys_enter`, which every system call passes: `openat(int dfd=3, const char *filename=0x7f…)`.

use api::event::{Argument, Value};
use bpf_probes::kernel::{I386Call, Syscall};

use super::line::Line;
use crate::print::escape;

/// Bit by which numbers of 32-bit programs are told from those of 64-bit programs.
const I386_MARK: u32 = 1 << 31;

/// A space and the call. Its number is the first argument, a `syscall64` or a `long`; its parameters are those behind it.
pub(super) fn write(args: &[Argument], line: &mut Line<'_>) {
    line.plain(' ');
    let first = args.first().and_then(|argument| argument.value.as_ref());
    let number = if let Some(Value::SyscallId(syscall)) = first {
        if syscall.abi != "x64" {
            write_foreign(&syscall.abi, syscall.id, line);
            return;
        }
        Some(syscall.id)
    } else if let Some(Value::Long(number)) = first {
        u32::try_from(*number).ok()
    } else {
        None
    };
    match number.and_then(Syscall::numbered) {
        Some(call) => write_call(call, args.get(1..).unwrap_or_default(), line),
        None => _ = line.plain("unknown"),
    }
}

/// A call of programs for another machine, which has no parameters here: `i386/openat`.
fn write_foreign(abi: &str, number: u32, line: &mut Line<'_>) {
    let known = (abi == "i386").then(|| I386Call::all().find(|call| call.number == number & !I386_MARK));
    match known.flatten() {
        Some(call) => line.plain(format_args!("i386/{}", call.name)),
        None => line.plain(format_args!("{}/{number}", escape::visible(abi))),
    };
}

fn write_call(call: &Syscall, values: &[Argument], line: &mut Line<'_>) {
    line.plain(call.name).plain('(');
    for (index, parameter) in call.named_parameters().enumerate() {
        if index > 0 {
            line.plain(", ");
        }
        let value = values.get(index).and_then(|argument| argument.value.as_ref());
        let (kind, name) = (parameter.kind, parameter.name);
        match value {
            Some(Value::Size(value)) if kind.ends_with('*') => {
                line.plain(format_args!("{kind}{name}={value:#x}"))
            }
            Some(Value::Size(value)) => line.plain(format_args!("{kind} {name}={value}")),
            _ => line.plain(format_args!("{kind} {name}=?")),
        };
    }
    line.plain(')');
}

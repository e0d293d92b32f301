//! Identified records to the kinds of event.

use std::borrow::Cow;
use std::sync::Arc;

use api::event::{
    Argument, BinaryProperties, EventKind, Exec, Exit, Kprobe, Loader, Lsm, Timestamp, Tracepoint, Uprobe,
    Usdt, Value,
};
use api::name::{Action, exit_status, file_hash};

use tracing_policy::policy::{CopiedPlace, EventForm};

use super::symbol::Symbols;
use super::value::{argument, joined};
use crate::pipeline::decode::{DecodeError, LongValue, RawValue, Returned, Values, returned, values};
use crate::pipeline::identify::Subject;
use crate::pipeline::layout::HookLayout;
use crate::pipeline::record::{Hook, Return};
use crate::pipeline::spare::Spare;

/// `process_exec`
pub(crate) fn exec_event(subject: Subject, properties: Arc<BinaryProperties>) -> EventKind {
    EventKind::Exec(Exec {
        process: subject.process,
        parent: subject.parent,
        ancestors: subject.ancestors,
        binary_properties: (*properties != BinaryProperties::default()).then_some(properties),
    })
}

/// `process_exit`, from the kernel's exit code.
pub(crate) fn exit_event(subject: Subject, code: u32, time: Timestamp) -> EventKind {
    let (signal, status) = exit_status(code);
    EventKind::Exit(Exit {
        process: subject.process,
        parent: subject.parent,
        ancestors: subject.ancestors,
        signal: Cow::Borrowed(signal),
        status,
        time: Some(time),
    })
}

/// `process_kprobe`, `process_lsm`, `process_tracepoint`, `process_uprobe` or `process_usdt`, as the layout says. What there is of a buffer that came in pieces, `pieces` returns.
///
/// # Errors
/// When the values do not fit the layout.
pub(crate) fn hook_event(
    subject: Subject,
    hook: &Hook<'_>,
    layout: &HookLayout,
    symbols: &mut Symbols,
    spare: &mut Spare,
    pieces: &mut dyn FnMut(LongValue) -> Vec<u8>,
) -> Result<EventKind, DecodeError> {
    let mut values = values(hook, layout)?;
    let mut args = arguments(&mut values, layout, spare, pieces)?;
    let [kernel_stack, user_stack] = values.stacks(hook.fixed.flags)?;
    let hash = values.hash(hook.fixed.flags)?.and_then(|hash| file_hash(hash.algorithm, &hash.digest));
    let data = args.split_off(args.len().saturating_sub(layout.data_values));
    let action = Action::from_number(i32::from(hook.fixed.action)).unwrap_or(Action::Unknown);
    let Subject { process, parent, ancestors, .. } = subject;
    let (function_name, origin) = (spare.name(&layout.function_name), spare.origin(&layout.origin));
    Ok(match &layout.form {
        EventForm::Kprobe => EventKind::Kprobe(Kprobe {
            process,
            parent,
            ancestors,
            function_name,
            args,
            data,
            action,
            // As upstream shows it where no return hook says otherwise.
            return_action: Action::Post,
            kernel_stack: symbols.kernel(kernel_stack),
            user_stack: symbols.user(hook.fixed.process.tgid, user_stack),
            origin,
            return_value: None,
        }),
        EventForm::Loader => {
            let path = args.into_iter().find_map(path).unwrap_or_default();
            EventKind::Loader(Loader { process, parent, ancestors, path, ..Loader::default() })
        }
        EventForm::Lsm => EventKind::Lsm(Lsm {
            process,
            parent,
            ancestors,
            function_name,
            args,
            action,
            origin,
            ima_hash: hash.unwrap_or_default().into(),
        }),
        EventForm::Tracepoint { subsystem } => EventKind::Tracepoint(Tracepoint {
            process,
            parent,
            ancestors,
            subsystem: Arc::clone(subsystem),
            event: function_name,
            args,
            action,
            origin,
        }),
        &EventForm::Uprobe { ref path, offset, ref_ctr_offset } => EventKind::Uprobe(Uprobe {
            process,
            parent,
            ancestors,
            path: Arc::clone(path),
            symbol: function_name,
            offset,
            ref_ctr_offset,
            args,
            data,
            action,
            origin,
        }),
        EventForm::Usdt { path, provider } => EventKind::Usdt(Usdt {
            process,
            parent,
            ancestors,
            path: Arc::clone(path),
            provider: Arc::clone(provider),
            name: function_name,
            args,
            action,
            origin,
            flags: Cow::Borrowed(flags(hook)),
        }),
    })
}

fn arguments(
    values: &mut Values<'_, '_>,
    layout: &HookLayout,
    spare: &mut Spare,
    pieces: &mut dyn FnMut(LongValue) -> Vec<u8>,
) -> Result<Vec<Argument>, DecodeError> {
    let mut arguments = spare.list();
    for (value, layout) in values.by_ref().zip(&layout.values) {
        let value = value?;
        arguments.push(if let RawValue::Long(long) = value {
            joined(long, pieces(long), layout)
        } else {
            argument(value, layout, spare)
        });
    }
    Ok(arguments)
}

/// The path of an argument that is a file.
fn path(argument: Argument) -> Option<Box<str>> {
    let Some(Value::File(file)) = argument.value else { return None };
    Some(file.path.into())
}

/// What is special about an event.
fn flags(hook: &Hook<'_>) -> &'static str {
    if hook.fixed.flags & bpf_probes::abi::hook_flag::ACTION_FAILED == 0 { "" } else { "ACTION_FAILED" }
}

/// Adds to the event of a call what the call returned and filled, and what was done then. Stacks of the return are shown where the entry has none.
///
/// # Errors
/// When the values do not fit the layout.
pub(crate) fn add_return(
    kind: &mut EventKind,
    record: &Return<'_>,
    layout: &HookLayout,
    symbols: &mut Symbols,
    spare: &mut Spare,
) -> Result<(), DecodeError> {
    let Returned { value, copied, stacks: [kernel_stack, user_stack] } = returned(record, layout)?;
    let value = value.zip(layout.returned.as_ref()).map(|(raw, layout)| argument(raw, layout, spare));
    let copied = copied
        .into_iter()
        .zip(&layout.copied)
        .map(|(raw, (place, layout))| (*place, argument(raw, layout, spare)));
    let action = Action::from_number(i32::from(record.fixed.action)).unwrap_or(Action::Unknown);
    match kind {
        EventKind::Kprobe(kprobe) => {
            kprobe.return_value = value;
            insert(&mut kprobe.args, &mut kprobe.data, copied);
            kprobe.return_action = action;
            if kprobe.kernel_stack.is_empty() {
                kprobe.kernel_stack = symbols.kernel(kernel_stack);
            }
            if kprobe.user_stack.is_empty() {
                let tgid = kprobe.process.pid.unwrap_or_default();
                kprobe.user_stack = symbols.user(tgid, user_stack);
            }
        }
        // the wire has no place of its own for value, action and stacks
        EventKind::Uprobe(uprobe) => {
            insert(&mut uprobe.args, &mut uprobe.data, copied);
            uprobe.args.extend(value);
            if action != Action::Post {
                uprobe.action = action;
            }
        }
        // these have no return
        EventKind::Exec(_)
        | EventKind::Exit(_)
        | EventKind::Tracepoint(_)
        | EventKind::Loader(_)
        | EventKind::Throttle(_)
        | EventKind::Lsm(_)
        | EventKind::Usdt(_)
        | EventKind::Test(_)
        | EventKind::RateLimit(_) => {}
    }
    Ok(())
}

/// Puts arguments that were read at the return where the policy has them.
fn insert(
    args: &mut Vec<Argument>,
    data: &mut Vec<Argument>,
    copied: impl Iterator<Item = (CopiedPlace, Argument)>,
) {
    for (place, argument) in copied {
        let (list, place) = match place {
            CopiedPlace::Argument(place) => (&mut *args, place),
            CopiedPlace::Data(place) => (&mut *data, place),
        };
        list.insert(place.min(list.len()), argument);
    }
}

//! Events of hooks.

use super::argument::argument;
use super::object::Object;
use super::process::process;
use crate::event::{Kprobe, Loader, Lsm, Origin, ProcessRef, StackFrame, Throttle, Tracepoint, Uprobe, Usdt};
use crate::name::{Action, ThrottleType};

fn who(who: &ProcessRef, parent: Option<&ProcessRef>, object: &mut Object<'_>) {
    object.message("process", Some(who), process);
    object.message("parent", parent, process);
}

fn ancestors(ancestors: &[ProcessRef], object: &mut Object<'_>) {
    object.messages("ancestors", ancestors, process);
}

fn action(name: &str, action: Action, object: &mut Object<'_>) {
    if action != Action::Unknown {
        object.string_always(name, action.name());
    }
}

fn tags(origin: &Origin, object: &mut Object<'_>) {
    object.strings("tags", origin.tags.iter().map(|tag| &**tag));
}

fn frame(frame: &StackFrame, object: &mut Object<'_>) {
    object.u64("address", frame.address);
    object.u64("offset", frame.offset);
    object.string("symbol", &frame.symbol);
    object.string("module", &frame.module);
}

pub(super) fn kprobe(event: &Kprobe, object: &mut Object<'_>) {
    who(&event.process, event.parent.as_ref(), object);
    object.string("function_name", &event.function_name);
    object.messages("args", &event.args, argument);
    object.message("return", event.return_value.as_ref(), argument);
    action("action", event.action, object);
    object.messages("kernel_stack_trace", &event.kernel_stack, frame);
    object.string("policy_name", &event.origin.policy_name);
    action("return_action", event.return_action, object);
    object.string("message", &event.origin.message);
    tags(&event.origin, object);
    object.messages("user_stack_trace", &event.user_stack, frame);
    ancestors(&event.ancestors, object);
    object.messages("data", &event.data, argument);
}

pub(super) fn tracepoint(event: &Tracepoint, object: &mut Object<'_>) {
    who(&event.process, event.parent.as_ref(), object);
    object.string("subsys", &event.subsystem);
    object.string("event", &event.event);
    object.messages("args", &event.args, argument);
    object.string("policy_name", &event.origin.policy_name);
    action("action", event.action, object);
    object.string("message", &event.origin.message);
    tags(&event.origin, object);
    ancestors(&event.ancestors, object);
}

pub(super) fn uprobe(event: &Uprobe, object: &mut Object<'_>) {
    who(&event.process, event.parent.as_ref(), object);
    object.string("path", &event.path);
    object.string("symbol", &event.symbol);
    object.string("policy_name", &event.origin.policy_name);
    object.string("message", &event.origin.message);
    object.messages("args", &event.args, argument);
    tags(&event.origin, object);
    ancestors(&event.ancestors, object);
    object.u64("offset", event.offset);
    object.u64("ref_ctr_offset", event.ref_ctr_offset);
    action("action", event.action, object);
    object.messages("data", &event.data, argument);
}

pub(super) fn usdt(event: &Usdt, object: &mut Object<'_>) {
    who(&event.process, event.parent.as_ref(), object);
    object.string("path", &event.path);
    object.string("provider", &event.provider);
    object.string("name", &event.name);
    object.string("policy_name", &event.origin.policy_name);
    object.string("message", &event.origin.message);
    object.messages("args", &event.args, argument);
    tags(&event.origin, object);
    ancestors(&event.ancestors, object);
    action("action", event.action, object);
    object.string("flags", &event.flags);
}

pub(super) fn lsm(event: &Lsm, object: &mut Object<'_>) {
    who(&event.process, event.parent.as_ref(), object);
    object.string("function_name", &event.function_name);
    object.string("policy_name", &event.origin.policy_name);
    object.string("message", &event.origin.message);
    object.messages("args", &event.args, argument);
    action("action", event.action, object);
    tags(&event.origin, object);
    ancestors(&event.ancestors, object);
    object.string("ima_hash", &event.ima_hash);
}

pub(super) fn loader(event: &Loader, object: &mut Object<'_>) {
    object.message("process", Some(&event.process), process);
    object.string("path", &event.path);
    object.bytes("buildid", &event.build_id);
    object.message("parent", event.parent.as_ref(), process);
    ancestors(&event.ancestors, object);
}

pub(super) fn throttle(event: &Throttle, object: &mut Object<'_>) {
    if event.kind != ThrottleType::Unknown {
        object.string_always("type", event.kind.name());
    }
    object.string("cgroup", &event.cgroup);
}

//! Events of hooks. What becomes a message is without its process and the parent, which [`super::event`] adds.

use std::sync::Arc;

use super::argument::{argument_from_wire, argument_to_wire};
use super::process::{process_from_wire, process_to_wire};
use crate::event::{Argument, Kprobe, Loader, Lsm, Origin, ProcessRef, StackFrame, Tracepoint, Uprobe, Usdt};
use crate::name::Action;
use crate::wire;

pub(super) fn processes_to_wire(processes: &[ProcessRef]) -> Vec<wire::Process> {
    processes.iter().map(process_to_wire).collect()
}

pub(super) fn processes_from_wire(processes: Vec<wire::Process>) -> Vec<ProcessRef> {
    processes.into_iter().map(process_from_wire).collect()
}

/// A process that the sender left out is an empty one.
pub(super) fn who_from_wire(process: Option<wire::Process>) -> ProcessRef {
    process.map(process_from_wire).unwrap_or_default()
}

fn arguments_to_wire(arguments: &[Argument]) -> Vec<wire::KprobeArgument> {
    arguments.iter().map(argument_to_wire).collect()
}

fn arguments_from_wire(arguments: Vec<wire::KprobeArgument>) -> Vec<Argument> {
    arguments.into_iter().map(argument_from_wire).collect()
}

fn stack_to_wire(stack: &[StackFrame]) -> Vec<wire::StackTraceEntry> {
    let frames = stack.iter().map(|frame| wire::StackTraceEntry {
        address: frame.address,
        offset: frame.offset,
        symbol: frame.symbol.to_string(),
        module: frame.module.to_string(),
    });
    frames.collect()
}

fn stack_from_wire(stack: Vec<wire::StackTraceEntry>) -> Vec<StackFrame> {
    let frames = stack.into_iter().map(|frame| StackFrame {
        address: frame.address,
        offset: frame.offset,
        symbol: frame.symbol.into(),
        module: frame.module.into(),
    });
    frames.collect()
}

fn tags_to_wire(origin: &Origin) -> Vec<String> {
    origin.tags.iter().map(ToString::to_string).collect()
}

fn origin_from_wire(policy_name: String, message: String, tags: Vec<String>) -> Arc<Origin> {
    let tags = tags.into_iter().map(Into::into).collect();
    Arc::new(Origin { policy_name: policy_name.into(), message: message.into(), tags })
}

fn action_from_wire(number: i32) -> Action {
    Action::from_number(number).unwrap_or_default()
}

pub(super) fn kprobe_to_wire(event: &Kprobe) -> wire::ProcessKprobe {
    wire::ProcessKprobe {
        process: None,
        parent: None,
        ancestors: processes_to_wire(&event.ancestors),
        function_name: event.function_name.to_string(),
        args: arguments_to_wire(&event.args),
        r#return: event.return_value.as_ref().map(argument_to_wire),
        action: event.action.number(),
        return_action: event.return_action.number(),
        kernel_stack_trace: stack_to_wire(&event.kernel_stack),
        user_stack_trace: stack_to_wire(&event.user_stack),
        data: arguments_to_wire(&event.data),
        policy_name: event.origin.policy_name.to_string(),
        message: event.origin.message.to_string(),
        tags: tags_to_wire(&event.origin),
    }
}

pub(super) fn kprobe_from_wire(event: wire::ProcessKprobe) -> Kprobe {
    Kprobe {
        process: who_from_wire(event.process),
        parent: event.parent.map(process_from_wire),
        ancestors: processes_from_wire(event.ancestors),
        function_name: event.function_name.into(),
        args: arguments_from_wire(event.args),
        return_value: event.r#return.map(argument_from_wire),
        action: action_from_wire(event.action),
        return_action: action_from_wire(event.return_action),
        kernel_stack: stack_from_wire(event.kernel_stack_trace),
        user_stack: stack_from_wire(event.user_stack_trace),
        data: arguments_from_wire(event.data),
        origin: origin_from_wire(event.policy_name, event.message, event.tags),
    }
}

pub(super) fn tracepoint_to_wire(event: &Tracepoint) -> wire::ProcessTracepoint {
    wire::ProcessTracepoint {
        process: None,
        parent: None,
        ancestors: processes_to_wire(&event.ancestors),
        subsys: event.subsystem.to_string(),
        event: event.event.to_string(),
        args: arguments_to_wire(&event.args),
        action: event.action.number(),
        policy_name: event.origin.policy_name.to_string(),
        message: event.origin.message.to_string(),
        tags: tags_to_wire(&event.origin),
    }
}

pub(super) fn tracepoint_from_wire(event: wire::ProcessTracepoint) -> Tracepoint {
    Tracepoint {
        process: who_from_wire(event.process),
        parent: event.parent.map(process_from_wire),
        ancestors: processes_from_wire(event.ancestors),
        subsystem: event.subsys.into(),
        event: event.event.into(),
        args: arguments_from_wire(event.args),
        action: action_from_wire(event.action),
        origin: origin_from_wire(event.policy_name, event.message, event.tags),
    }
}

pub(super) fn uprobe_to_wire(event: &Uprobe) -> wire::ProcessUprobe {
    wire::ProcessUprobe {
        process: None,
        parent: None,
        ancestors: processes_to_wire(&event.ancestors),
        path: event.path.to_string(),
        symbol: event.symbol.to_string(),
        offset: event.offset,
        ref_ctr_offset: event.ref_ctr_offset,
        args: arguments_to_wire(&event.args),
        action: event.action.number(),
        data: arguments_to_wire(&event.data),
        policy_name: event.origin.policy_name.to_string(),
        message: event.origin.message.to_string(),
        tags: tags_to_wire(&event.origin),
    }
}

pub(super) fn uprobe_from_wire(event: wire::ProcessUprobe) -> Uprobe {
    Uprobe {
        process: who_from_wire(event.process),
        parent: event.parent.map(process_from_wire),
        ancestors: processes_from_wire(event.ancestors),
        path: event.path.into(),
        symbol: event.symbol.into(),
        offset: event.offset,
        ref_ctr_offset: event.ref_ctr_offset,
        args: arguments_from_wire(event.args),
        action: action_from_wire(event.action),
        data: arguments_from_wire(event.data),
        origin: origin_from_wire(event.policy_name, event.message, event.tags),
    }
}

pub(super) fn usdt_to_wire(event: &Usdt) -> wire::ProcessUsdt {
    wire::ProcessUsdt {
        process: None,
        parent: None,
        ancestors: processes_to_wire(&event.ancestors),
        path: event.path.to_string(),
        provider: event.provider.to_string(),
        name: event.name.to_string(),
        args: arguments_to_wire(&event.args),
        action: event.action.number(),
        flags: event.flags.to_string(),
        policy_name: event.origin.policy_name.to_string(),
        message: event.origin.message.to_string(),
        tags: tags_to_wire(&event.origin),
    }
}

pub(super) fn usdt_from_wire(event: wire::ProcessUsdt) -> Usdt {
    Usdt {
        process: who_from_wire(event.process),
        parent: event.parent.map(process_from_wire),
        ancestors: processes_from_wire(event.ancestors),
        path: event.path.into(),
        provider: event.provider.into(),
        name: event.name.into(),
        args: arguments_from_wire(event.args),
        action: action_from_wire(event.action),
        flags: event.flags.into(),
        origin: origin_from_wire(event.policy_name, event.message, event.tags),
    }
}

pub(super) fn lsm_to_wire(event: &Lsm) -> wire::ProcessLsm {
    wire::ProcessLsm {
        process: None,
        parent: None,
        ancestors: processes_to_wire(&event.ancestors),
        function_name: event.function_name.to_string(),
        args: arguments_to_wire(&event.args),
        action: event.action.number(),
        ima_hash: event.ima_hash.to_string(),
        policy_name: event.origin.policy_name.to_string(),
        message: event.origin.message.to_string(),
        tags: tags_to_wire(&event.origin),
    }
}

pub(super) fn lsm_from_wire(event: wire::ProcessLsm) -> Lsm {
    Lsm {
        process: who_from_wire(event.process),
        parent: event.parent.map(process_from_wire),
        ancestors: processes_from_wire(event.ancestors),
        function_name: event.function_name.into(),
        args: arguments_from_wire(event.args),
        action: action_from_wire(event.action),
        ima_hash: event.ima_hash.into(),
        origin: origin_from_wire(event.policy_name, event.message, event.tags),
    }
}

pub(super) fn loader_to_wire(event: &Loader) -> wire::ProcessLoader {
    wire::ProcessLoader {
        process: None,
        parent: None,
        ancestors: processes_to_wire(&event.ancestors),
        path: event.path.to_string(),
        buildid: event.build_id.to_vec(),
    }
}

pub(super) fn loader_from_wire(event: wire::ProcessLoader) -> Loader {
    Loader {
        process: who_from_wire(event.process),
        parent: event.parent.map(process_from_wire),
        ancestors: processes_from_wire(event.ancestors),
        path: event.path.into(),
        build_id: event.buildid.into(),
    }
}

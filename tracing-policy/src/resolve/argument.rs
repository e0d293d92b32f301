//! Arguments against the prototype that the kernel's types show.

use bpf_probes::btf::{Btf, Parameter, Type, TypeId};
use bpf_probes::kernel::KernelView;

use super::function::syscall_name;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{
    Argument, ArgumentType, Convention, Family, Function, Hook, HookKey, NetworkType, ObjectKind,
};

/// Whether every argument has a parameter that fits; reports those that do not.
pub(super) fn fit(
    hook: &Hook,
    function: &Function,
    key: &HookKey,
    kernel: &KernelView,
    report: &mut Report,
) -> bool {
    match key.convention {
        Convention::Syscall { .. } => fit_syscall(hook, function, kernel, report),
        // what its parameters are is not known: some calls pass 64-bit numbers in two halves
        Convention::Syscall32 { .. } => true,
        Convention::Function
        | Convention::Lsm
        | Convention::Tracepoint
        | Convention::RawTracepoint
        | Convention::User => {
            // a function without type information can be hooked all the same; its arguments are taken at their word
            let Some((btf, id)) = kernel.function_types(&key.function) else { return true };
            let Ok(prototype) = btf.prototype(id) else { return true };
            let parameters: Vec<_> = prototype.parameters().collect();
            fit_parameters(hook, &key.function, &parameters, btf, report)
        }
    }
}

fn fit_syscall(hook: &Hook, function: &Function, kernel: &KernelView, report: &mut Report) -> bool {
    let name = syscall_name(function, kernel);
    let Some(known) = name.as_ref().and_then(bpf_probes::kernel::SyscallName::known) else {
        return true;
    };
    let parameters: Vec<&str> = known.parameters().collect();
    let mut all = true;
    for argument in hook.arguments.iter().filter(|argument| !argument.is_data) {
        if usize::from(argument.index.value) >= parameters.len() {
            let shown = format!("sys_{}({})", known.name, parameters.join(", "));
            report.push(beyond(argument, parameters.len(), &shown));
            all = false;
        }
    }
    all
}

/// The same against the prototype of `function`, which messages call `name`.
pub(super) fn fit_prototype(
    hook: &Hook,
    name: &str,
    function: Option<TypeId>,
    kernel: &KernelView,
    report: &mut Report,
) -> bool {
    let btf = kernel.btf();
    let Some(prototype) = function.and_then(|id| btf.prototype(id).ok()) else {
        // a function without type information can be hooked all the same; its arguments are taken at their word
        return true;
    };
    let parameters: Vec<_> = prototype.parameters().collect();
    fit_parameters(hook, name, &parameters, btf, report)
}

/// The same against parameters.
pub(super) fn fit_parameters(
    hook: &Hook,
    name: &str,
    parameters: &[Parameter<'_>],
    btf: &Btf,
    report: &mut Report,
) -> bool {
    let mut all = true;
    for argument in hook.arguments.iter().filter(|argument| !argument.is_data) {
        let Some(parameter) = parameters.get(usize::from(argument.index.value)) else {
            let shown: Vec<String> = parameters
                .iter()
                .map(|parameter| format!("{} {}", btf.describe(parameter.type_id), parameter.name))
                .collect();
            let shown = format!("{name}({})", shown.join(", "));
            report.push(beyond(argument, parameters.len(), &shown));
            all = false;
            continue;
        };
        // what a path leads to has been looked at
        if argument.resolve.is_none() && !fits(argument.ty.value, parameter.type_id, btf) {
            let message = format!(
                "parameter {} of {name} is `{} {}`",
                argument.index.value,
                btf.describe(parameter.type_id),
                parameter.name
            );
            report.push(
                Diagnostic::error(Code::PrototypeMismatch, argument.ty.span, message)
                    .labelled("read as another type"),
            );
            all = false;
        }
    }
    all
}

/// Whether what is returned can be read as the policy says.
pub(super) fn fit_return(hook: &Hook, key: &HookKey, kernel: &KernelView, report: &mut Report) -> bool {
    // what a path leads to has been looked at
    let Some(returned) = hook.returned.as_ref().filter(|it| it.resolve.is_none()) else { return true };
    let name = &key.function;
    let message = match key.convention {
        // a number for whoever made the call
        Convention::Syscall { .. } | Convention::Syscall32 { .. } => {
            if matches!(returned.ty.value.family(), Family::Number(_)) {
                return true;
            }
            format!("{name} returns `long`")
        }
        Convention::User => return true,
        Convention::Function | Convention::Lsm | Convention::Tracepoint | Convention::RawTracepoint => {
            let Some((btf, id)) = kernel.function_types(name) else { return true };
            let Ok(prototype) = btf.prototype(id) else { return true };
            if btf.peel(prototype.returns).is_ok_and(|id| id == TypeId::VOID) {
                format!("{name} returns nothing")
            } else if fits(returned.ty.value, prototype.returns, btf) {
                return true;
            } else {
                format!("{name} returns `{}`", btf.describe(prototype.returns))
            }
        }
    };
    let error = Diagnostic::error(Code::PrototypeMismatch, returned.ty.span, message);
    report.push(error.labelled("read as another type"));
    false
}

fn beyond(argument: &Argument, parameters: usize, prototype: &str) -> Diagnostic {
    let message = format!("index {} is out of range: {prototype}", argument.index.value);
    let help = match parameters.checked_sub(1) {
        None => "it has no parameters".to_owned(),
        Some(last) => format!("the last index is {last}"),
    };
    Diagnostic::error(Code::BeyondPrototype, argument.index.span, message).help(help)
}

/// Whether a parameter can be read as the type: only what would surely mean nothing is refused.
fn fits(ty: ArgumentType, parameter: TypeId, btf: &Btf) -> bool {
    let wanted = match ty {
        ArgumentType::Integer(_)
        | ArgumentType::Nop
        | ArgumentType::Fd
        | ArgumentType::Capability
        | ArgumentType::BpfCmd => return true,
        // `union bpf_attr` is no struct, and `kernel_cap_t` has no name that all kernels know
        ArgumentType::String
        | ArgumentType::CharBuf
        | ArgumentType::CharIovec
        | ArgumentType::Capabilities(_)
        | ArgumentType::Object(ObjectKind::BpfAttr) => None,
        ArgumentType::IovIter => Some("iov_iter"),
        ArgumentType::File => Some("file"),
        ArgumentType::Path => Some("path"),
        ArgumentType::Kiocb => Some("kiocb"),
        ArgumentType::Dentry => Some("dentry"),
        ArgumentType::LinuxBinprm => Some("linux_binprm"),
        ArgumentType::Filename => Some("filename"),
        ArgumentType::NetDevice => Some("net_device"),
        ArgumentType::Object(ObjectKind::Credentials) => Some("cred"),
        ArgumentType::Object(ObjectKind::UserNamespace) => Some("user_namespace"),
        ArgumentType::Object(ObjectKind::BpfProg) => Some("bpf_prog"),
        ArgumentType::Object(ObjectKind::BpfMap) => Some("bpf_map"),
        ArgumentType::Object(ObjectKind::PerfEvent) => Some("perf_event"),
        ArgumentType::Object(ObjectKind::Module) => Some("module"),
        ArgumentType::Object(ObjectKind::LoadInfo) => Some("load_info"),
        ArgumentType::Object(ObjectKind::Network(ty)) => return fits_network(ty, parameter, btf),
        ArgumentType::SockaddrUn => return fits_network(NetworkType::Sockaddr, parameter, btf),
    };
    let Some(pointee) = pointee(parameter, btf) else {
        return false;
    };
    let Some(wanted) = wanted else {
        return true;
    };
    pointee == TypeId::VOID || btf.struct_named(wanted).is_ok_and(|id| id == pointee)
}

/// Whether a parameter points to something of the network. A `struct sock` is the beginning of each protocol's own (`tcp_sock`); socket addresses
/// are passed as several types.
fn fits_network(ty: NetworkType, parameter: TypeId, btf: &Btf) -> bool {
    let Some(pointee) = pointee(parameter, btf) else {
        return false;
    };
    let shown = btf.describe(pointee);
    let name = shown.strip_prefix("struct ").unwrap_or(&shown);
    pointee == TypeId::VOID
        || match ty {
            NetworkType::Sock => name == "sock" || name.ends_with("_sock"),
            NetworkType::Socket => name == "socket",
            NetworkType::Skb => name == "sk_buff",
            NetworkType::Sockaddr => name.starts_with("sockaddr"),
        }
}

fn pointee(parameter: TypeId, btf: &Btf) -> Option<TypeId> {
    let Ok(Type::Ptr(pointer)) = btf.peel(parameter).and_then(|id| btf.get(id)) else {
        return None;
    };
    btf.peel(pointer).ok()
}

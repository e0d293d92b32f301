//! Arguments and their types.

use super::section::Section;
use super::{elsewhere, unsupported};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{
    Argument, ArgumentId, ArgumentType, CapabilitySetKind, IntegerType, NetworkType, ObjectKind, Place,
    Signedness, Width,
};
use crate::schema::{self, Word};
use crate::source::Spanned;

/// Highest index: a function of x86-64 gets six arguments in registers, a system call has six at most.
const MAX_INDEX: u32 = 5;

/// Fields that the records of all tracepoints begin with. The kernel keeps its own pointer in their place when it runs a program (`perf_trace_run_bpf_submit`).
const COMMON_FIELDS: u32 = 4;

/// Highest index of a static probe's argument: the macros of `sys/sdt.h` take twelve.
const MAX_OPERAND: u32 = 11;

/// Highest index of a field.
const MAX_FIELD: u32 = 255;

/// The arguments of a hook, those with an error as `None`, so that filters on them are not blamed too.
#[derive(Debug)]
pub(super) struct Arguments {
    section: Section,
    entries: Vec<Entry>,
    returned: Option<Box<Self>>,
    /// How many of the entries are arguments; the others are of `data`.
    args: usize,
}

/// An argument as declared.
#[derive(Debug)]
pub(super) struct Entry {
    index: u32,
    /// The checked argument, unless it has an error.
    pub(super) argument: Option<Argument>,
}

impl Arguments {
    /// The first argument declared for an index of the prototype, and its position. Where a tracepoint declares no such field, it is the position in
    /// the list, as upstream reads it.
    pub(super) fn by_index(&self, index: u32) -> Option<(usize, &Entry)> {
        let position = usize::try_from(index).ok().filter(|_| self.section == Section::Tracepoints);
        let by_position = || position.and_then(|position| Some((position, self.by_position(position)?)));
        self.entries
            .iter()
            .take(self.args)
            .enumerate()
            .find(|(_, entry)| entry.index == index)
            .or_else(by_position)
    }

    /// The argument at a position of the list.
    pub(super) fn by_position(&self, position: usize) -> Option<&Entry> {
        self.entries.get(position).filter(|_| position < self.args)
    }

    /// The entry at a position of `data`, and its position among all.
    pub(super) fn data(&self, position: u32) -> Option<(usize, &Entry)> {
        let position = usize::try_from(position).ok()?.checked_add(self.args)?;
        Some((position, self.entries.get(position)?))
    }

    /// The entry at a position of `args` with `data` behind it.
    pub(super) fn anywhere(&self, position: u32) -> Option<(usize, &Entry)> {
        let position = usize::try_from(position).ok()?;
        Some((position, self.entries.get(position)?))
    }

    /// The declared indices in words.
    pub(super) fn describe(&self) -> String {
        let indices: Vec<String> =
            self.entries.iter().take(self.args).map(|entry| entry.index.to_string()).collect();
        if indices.is_empty() { "none".to_owned() } else { indices.join(", ") }
    }

    /// The same with what the call returns.
    pub(super) fn with_return(self, returned: Option<Self>) -> Self {
        Self { returned: returned.map(Box::new), ..self }
    }

    /// What the call returns, as the only argument, if that is asked for.
    pub(super) fn returned(&self) -> Option<&Self> {
        self.returned.as_deref()
    }

    /// All arguments, and what is returned if that is asked for, unless one has an error.
    pub(super) fn complete_with_return(self) -> Option<(Vec<Argument>, Option<Argument>)> {
        let returned = match self.returned {
            None => None,
            Some(returned) => {
                let only = returned.entries.into_iter().next().and_then(|entry| entry.argument)?;
                Some(Argument { place: Place::Return, ..only })
            }
        };
        let arguments = self.entries.into_iter().map(|entry| entry.argument).collect::<Option<_>>()?;
        Some((arguments, returned))
    }

    /// The arguments without an error.
    pub(super) fn all(&self) -> impl Iterator<Item = &Argument> {
        self.entries.iter().filter_map(|entry| entry.argument.as_ref())
    }

    /// All arguments, unless one has an error.
    pub(super) fn complete(self) -> Option<Vec<Argument>> {
        self.entries.into_iter().map(|entry| entry.argument).collect()
    }

    /// The same with the entries of `data`.
    pub(super) fn with_data(mut self, written: &[schema::Argument], report: &mut Report) -> Self {
        for entry in written {
            let argument = elsewhere::data(entry, self.section, report);
            self.entries.push(Entry { index: entry.index.value, argument });
        }
        if let Some(last) = written.last().filter(|_| ArgumentId::new(self.entries.len()).is_none()) {
            report.push(Diagnostic::error(Code::ArgumentIndex, last.span, "too many arguments"));
        }
        self
    }
}

/// Checks the arguments of a hook.
pub(super) fn arguments(written: &[schema::Argument], section: Section, report: &mut Report) -> Arguments {
    let mut entries: Vec<Entry> = Vec::with_capacity(written.len());
    for (position, argument) in written.iter().enumerate() {
        let index = argument.index.value;
        if let Some(first) = written.iter().take(position).find(|other| other.index.value == index) {
            let message = format!("argument {index} is declared twice");
            let warning = Diagnostic::warning(Code::ArgumentTwice, argument.index.span, message);
            report.push(
                warning
                    .also(first.index.span, "`index` in matchArgs means this one")
                    .help("`args` in matchArgs counts the entries of this list and can name either"),
            );
        }
        entries.push(Entry { index, argument: one(argument, section, report) });
    }
    if ArgumentId::new(entries.len()).is_none() {
        let span = written.first().map(|first| first.span).unwrap_or_default();
        report.push(Diagnostic::error(Code::ArgumentIndex, span, "too many arguments"));
    }
    Arguments { section, args: entries.len(), entries, returned: None }
}

fn one(written: &schema::Argument, section: Section, report: &mut Report) -> Option<Argument> {
    unsupported::argument(written, report);
    let most = match section {
        Section::Tracepoints => MAX_FIELD,
        Section::Usdts => MAX_OPERAND,
        Section::Kprobes
        | Section::Fentries
        | Section::LsmHooks
        | Section::RawTracepoints
        | Section::Uprobes => MAX_INDEX,
    };
    let index = u8::try_from(written.index.value).ok().filter(|_| written.index.value <= most);
    let is_common = section == Section::Tracepoints && written.index.value < COMMON_FIELDS;
    if is_common {
        let message = "the first four fields, which every tracepoint has, are not there for programs";
        let error = Diagnostic::error(Code::ArgumentIndex, written.index.span, message);
        report.push(error.help("the first of its own has index 4; filter the process with matchPIDs"));
    } else if index.is_none() {
        let message = format!(
            "there is no argument {}: the first has index 0, the last that can be read {most}",
            written.index.value
        );
        report.push(Diagnostic::error(Code::ArgumentIndex, written.index.span, message));
    }
    let ty = argument_type(written, section, report);
    let resolve = elsewhere::resolve(written, section, report);
    let size_index = elsewhere::size_index(written, section, report);
    let at_return = elsewhere::at_return(written, section, report);
    let label = written.label.clone().filter(|label| !label.value.is_empty());
    let is_syscall = written.ty.as_ref().is_some_and(|ty| ty.value == schema::ArgumentType::Syscall64);
    Some(Argument {
        index: Spanned::new(index.filter(|_| !is_common)?, written.index.span),
        ty: ty?,
        place: Place::Parameter,
        is_syscall,
        resolve: resolve.ok()?,
        path: None,
        size_index: size_index.ok()?,
        size: None,
        max_data: elsewhere::max_data(written),
        at_return: at_return.ok()?,
        is_data: false,
        label,
        span: written.span,
    })
}

pub(super) fn argument_type(
    written: &schema::Argument,
    section: Section,
    report: &mut Report,
) -> Option<Spanned<ArgumentType>> {
    use schema::ArgumentType as Written;
    let Some(ty) = &written.ty else {
        let message = format!("an argument of {} needs a type", section.one());
        let error = Diagnostic::error(Code::ArgumentType, written.span, message);
        report.push(error.help("add `type:`, for example `type: file`"));
        return None;
    };
    if section.is_of_user_space() && is_of_kernel(ty.value) {
        let message = format!("{} has no arguments of type {}", section.one(), ty.value.as_word());
        let error = Diagnostic::error(Code::ArgumentType, ty.span, message);
        report
            .push(error.help("it passes numbers, and addresses in its own memory: no objects of the kernel"));
        return None;
    }
    let signed = |width| integer(width, Signedness::Signed);
    let unsigned = |width| integer(width, Signedness::Unsigned);
    let checked = match ty.value {
        Written::Int | Written::Int32 => signed(Width::W32),
        Written::Uint | Written::Uint32 => unsigned(Width::W32),
        Written::Int8 => signed(Width::W8),
        Written::Uint8 => unsigned(Width::W8),
        Written::Int16 => signed(Width::W16),
        Written::Uint16 => unsigned(Width::W16),
        Written::Int64 | Written::Long => signed(Width::W64),
        Written::Uint64 | Written::Ulong => unsigned(Width::W64),
        Written::SizeT => ArgumentType::Integer(IntegerType {
            width: Width::W64,
            signedness: Signedness::Unsigned,
            is_size: true,
        }),
        Written::String => ArgumentType::String,
        Written::File => ArgumentType::File,
        Written::Path => ArgumentType::Path,
        Written::Fd => ArgumentType::Fd,
        Written::Kiocb => ArgumentType::Kiocb,
        Written::Dentry => ArgumentType::Dentry,
        Written::LinuxBinprm => ArgumentType::LinuxBinprm,
        Written::Filename => ArgumentType::Filename,
        Written::NetDevice => ArgumentType::NetDevice,
        Written::Capability => ArgumentType::Capability,
        Written::BpfCmd => ArgumentType::BpfCmd,
        Written::KernelCap => ArgumentType::Capabilities(CapabilitySetKind::Any),
        Written::CapInheritable => ArgumentType::Capabilities(CapabilitySetKind::Inheritable),
        Written::CapPermitted => ArgumentType::Capabilities(CapabilitySetKind::Permitted),
        Written::CapEffective => ArgumentType::Capabilities(CapabilitySetKind::Effective),
        Written::Cred => ArgumentType::Object(ObjectKind::Credentials),
        Written::UserNamespace => ArgumentType::Object(ObjectKind::UserNamespace),
        Written::BpfAttr => ArgumentType::Object(ObjectKind::BpfAttr),
        Written::BpfProg => ArgumentType::Object(ObjectKind::BpfProg),
        Written::BpfMap => ArgumentType::Object(ObjectKind::BpfMap),
        Written::PerfEvent => ArgumentType::Object(ObjectKind::PerfEvent),
        Written::Module => ArgumentType::Object(ObjectKind::Module),
        Written::LoadInfo => ArgumentType::Object(ObjectKind::LoadInfo),
        Written::Nop => ArgumentType::Nop,
        Written::Syscall64 if section.is_tracepoint() => unsigned(Width::W64),
        Written::DataLoc if section == Section::Tracepoints => ArgumentType::String,
        Written::Sock => ArgumentType::Object(ObjectKind::Network(NetworkType::Sock)),
        Written::Socket => ArgumentType::Object(ObjectKind::Network(NetworkType::Socket)),
        Written::Skb => ArgumentType::Object(ObjectKind::Network(NetworkType::Skb)),
        Written::Sockaddr => ArgumentType::Object(ObjectKind::Network(NetworkType::Sockaddr)),
        Written::SockaddrUn => ArgumentType::SockaddrUn,
        Written::Auto | Written::Syscall64 | Written::DataLoc => {
            let message = format!("{} has no arguments of type {}", section.one(), ty.value.as_word());
            report.push(Diagnostic::error(Code::ArgumentType, ty.span, message));
            return None;
        }
        Written::CharBuf | Written::CharIovec if section == Section::Usdts => {
            let what = format!("the argument type {} of a USDT probe", ty.value.as_word());
            unsupported::refuse(&what, ty.span, report);
            return None;
        }
        Written::CharBuf => ArgumentType::CharBuf,
        Written::CharIovec => ArgumentType::CharIovec,
        Written::IovIter => ArgumentType::IovIter,
    };
    Some(Spanned::new(checked, ty.span))
}

/// Whether values of the type are objects in the kernel's memory.
fn is_of_kernel(ty: schema::ArgumentType) -> bool {
    use schema::ArgumentType as Written;
    matches!(
        ty,
        Written::File
            | Written::Path
            | Written::Kiocb
            | Written::Dentry
            | Written::LinuxBinprm
            | Written::Filename
            | Written::NetDevice
            | Written::Cred
            | Written::UserNamespace
            | Written::BpfProg
            | Written::BpfMap
            | Written::PerfEvent
            | Written::Module
            | Written::LoadInfo
            | Written::Sock
            | Written::Socket
            | Written::Skb
            | Written::DataLoc
            | Written::IovIter
    )
}

fn integer(width: Width, signedness: Signedness) -> ArgumentType {
    ArgumentType::Integer(IntegerType { width, signedness, is_size: false })
}

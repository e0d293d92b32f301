//! Single filters: which operator goes with which type, and its values.

use super::argument::{Arguments, Entry};
use super::{capability, expression, file_type, network, unsupported, value};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{
    Argument, ArgumentFilter, ArgumentId, ArgumentType, BinaryFilter, Case, Children, ContainsTest, Family,
    IntegerTest, IntegerType, NetworkType, ObjectKind, Sense, StringForm, StringTest,
};
use crate::schema::{ArgumentMatch, BinaryMatch, Operator, Word};
use crate::source::{Span, Spanned};

/// A filter has no values.
pub(super) fn no_values(span: Span, report: &mut Report) {
    let error = Diagnostic::error(Code::NoValues, span, "this filter has no values");
    report.push(error.help("add `values:`, or leave the filter out"));
}

/// An entry of `matchBinaries` or `matchParentBinaries`, whichever `field` is.
pub(super) fn binary(written: BinaryMatch, field: &str, report: &mut Report) -> Option<BinaryFilter> {
    let follow = written.follow_children.as_ref().filter(|follow| follow.value);
    let Some((form, sense)) = binary_form(written.operator.value) else {
        let message = format!("{field} has no operator {}", written.operator.value.as_word());
        let help = "operators: In, NotIn, Prefix, NotPrefix, Postfix, NotPostfix";
        report.push(Diagnostic::error(Code::OperatorMismatch, written.operator.span, message).help(help));
        return None;
    };
    if let Some(follow) = follow.filter(|_| form != StringForm::Exact) {
        let message = format!("followChildren does not go with {}", written.operator.value.as_word());
        let error = Diagnostic::error(Code::FollowChildren, follow.span, message);
        report.push(error.also(written.operator.span, "this operator").help("use In or NotIn"));
        return None;
    }
    let children = if follow.is_some() { Children::Followed } else { Children::Ignored };
    if written.values.is_empty() {
        no_values(written.span, report);
        return None;
    }
    let values = value::paths(written.values, form, report)?;
    Some(BinaryFilter { test: StringTest { form, sense, values }, children, span: written.span })
}

/// An entry of `matchArgs`.
pub(super) fn argument(
    written: ArgumentMatch,
    arguments: &Arguments,
    report: &mut Report,
) -> Option<ArgumentFilter> {
    if written.operator.value == Operator::CapabilitiesGained {
        return gained(&written, arguments, report);
    }
    if written.operator.value == Operator::CelExpr {
        return expression::expression(&written, arguments, report);
    }
    let (id, entry) = target(&written, arguments, report)?;
    on(written, id, entry, report)
}

/// An entry of `matchData`.
pub(super) fn data(
    written: ArgumentMatch,
    arguments: &Arguments,
    report: &mut Report,
) -> Option<ArgumentFilter> {
    if written.operator.value == Operator::CelExpr {
        return expression::expression(&written, arguments, report);
    }
    let index = written.index.as_ref().map_or(0, |index| index.value);
    let Some((position, entry)) = arguments.data(index) else {
        let span = written.index.as_ref().map_or(written.span, |index| index.span);
        let message = format!("the list `data` of the hook has no entry {index}");
        let error = Diagnostic::error(Code::UndeclaredArgument, span, message);
        report.push(error.help("`index` in matchData is a position in `data`, from 0"));
        return None;
    };
    if written.operator.value == Operator::CapabilitiesGained {
        if let Some(argument) = &entry.argument {
            mismatch(&written.operator, argument, "those of its type", report);
        }
        return None;
    }
    on(written, ArgumentId::new(position)?, entry, report)
}

/// A filter on what is declared there.
fn on(written: ArgumentMatch, id: ArgumentId, entry: &Entry, report: &mut Report) -> Option<ArgumentFilter> {
    // An argument with an error is not blamed twice.
    let argument = entry.argument.as_ref()?;
    is_there(argument, written.span, report)?;
    let operator = &written.operator;
    let span = written.span;
    if let Some(case) = search_case(operator.value).filter(|_| is_searched(argument.ty.value)) {
        if written.values.is_empty() {
            no_values(span, report);
            return None;
        }
        let with_nul = written.values.iter().find(|value| value.value.contains(&0));
        if let Some(value) = with_nul.filter(|_| argument.ty.value.is_buffer()) {
            unsupported::refuse("a NUL byte in a text to look for", value.span, report);
            return None;
        }
        let values = value::parts(written.values, argument.ty.value == ArgumentType::String, report)?;
        return Some(ArgumentFilter::Contains { argument: id, test: ContainsTest { case, values }, span });
    }
    let filter = match (argument.ty.value, argument.ty.value.family()) {
        (ArgumentType::Capabilities(_), Family::Number(ty)) => {
            let values = capability::sets(&written.values, report)?;
            let test = integer(operator, &values, ty, span, argument, report)?;
            ArgumentFilter::Integer { argument: id, test, span }
        }
        (ArgumentType::Integer(_) | ArgumentType::BpfCmd, Family::Number(ty)) => {
            let test = integer(operator, &written.values, ty, span, argument, report)?;
            ArgumentFilter::Integer { argument: id, test, span }
        }
        (ArgumentType::String, _) => {
            let test = string(operator, written.values, span, argument, value::strings, report)?;
            ArgumentFilter::String { argument: id, test, span }
        }
        (ArgumentType::CharBuf | ArgumentType::CharIovec | ArgumentType::IovIter, _) => {
            let test = string(operator, written.values, span, argument, value::buffers, report)?;
            ArgumentFilter::String { argument: id, test, span }
        }
        (ArgumentType::NetDevice, _) => {
            let test = string(operator, written.values, span, argument, value::names, report)?;
            ArgumentFilter::String { argument: id, test, span }
        }
        (ArgumentType::File | ArgumentType::Path, _)
            if matches!(operator.value, Operator::FileType | Operator::NotFileType) =>
        {
            if written.values.is_empty() {
                no_values(span, report);
                return None;
            }
            let plain = operator.value == Operator::FileType;
            let sense = if plain { Sense::Plain } else { Sense::Negated };
            ArgumentFilter::FileType {
                argument: id,
                test: file_type::test(&written.values, sense, report)?,
                span,
            }
        }
        (
            ArgumentType::File
            | ArgumentType::Path
            | ArgumentType::Fd
            | ArgumentType::Dentry
            | ArgumentType::LinuxBinprm,
            _,
        ) => {
            let test = string(operator, written.values, span, argument, value::paths, report)?;
            ArgumentFilter::Path { argument: id, test, span }
        }
        (ArgumentType::SockaddrUn, _) => network::unix_address(written, id, argument, report)?,
        (_, Family::Object(ObjectKind::Network(ty))) => {
            let test = network::test(&written, ty, argument, report)?;
            ArgumentFilter::Network { argument: id, test, span }
        }
        (_, Family::Number(_) | Family::String | Family::Path | Family::Object(_) | Family::Nothing) => {
            mismatch(operator, argument, "none", report);
            return None;
        }
    };
    Some(filter)
}

/// Whether an argument can be looked at when the call is entered.
fn is_there(argument: &Argument, span: Span, report: &mut Report) -> Option<()> {
    if argument.at_return.is_none() {
        return Some(());
    }
    let message = "what a call fills is not there at its entry, where filters are";
    let error = Diagnostic::error(Code::OperatorMismatch, span, message);
    report.push(error.also(argument.span, "returnCopy reads this when the call returns"));
    None
}

/// Whether the case of letters counts for an operator that looks for a text.
fn search_case(operator: Operator) -> Option<Case> {
    if operator == Operator::SubString {
        Some(Case::Counts)
    } else if operator == Operator::SubStringIgnCase {
        Some(Case::Ignored)
    } else {
        None
    }
}

/// Whether texts can be looked for in an argument.
fn is_searched(ty: ArgumentType) -> bool {
    matches!(ty, ArgumentType::String | ArgumentType::NetDevice | ArgumentType::SockaddrUn)
        || ty.is_buffer()
        || (ty.is_path() && ty != ArgumentType::Kiocb)
}

/// A filter of two sets of capabilities.
fn gained(written: &ArgumentMatch, arguments: &Arguments, report: &mut Report) -> Option<ArgumentFilter> {
    let [before, after] = written.args.as_slice() else {
        let message = "CapabilitiesGained compares two arguments";
        let error = Diagnostic::error(Code::UndeclaredArgument, written.operator.span, message);
        report.push(error.help("add `args: [before, after]`, positions in the hook's `args`"));
        return None;
    };
    if let Some(value) = written.values.first() {
        let error = Diagnostic::error(Code::OperatorMismatch, value.span, "CapabilitiesGained has no values");
        report.push(error.help("leave `values` out"));
        return None;
    }
    let mut ids = Vec::with_capacity(2);
    for position in [before, after] {
        let found = usize::try_from(position.value).ok();
        let Some((found, entry)) = found.and_then(|at| Some((at, arguments.by_position(at)?))) else {
            let message = format!("the list `args` of the hook has no entry {}", position.value);
            let help = format!("declared in `args` of the hook: {}", arguments.describe());
            report.push(Diagnostic::error(Code::UndeclaredArgument, position.span, message).help(help));
            return None;
        };
        let argument = entry.argument.as_ref()?;
        if !matches!(argument.ty.value, ArgumentType::Capabilities(_)) {
            mismatch(&written.operator, argument, "those of its type", report);
            return None;
        }
        ids.push(ArgumentId::new(found)?);
    }
    let (&before, &after) = (ids.first()?, ids.get(1)?);
    Some(ArgumentFilter::CapabilitiesGained { before, after, span: written.span })
}

/// The argument a filter names: by position in `args`, else by index in the prototype.
fn target<'a>(
    written: &ArgumentMatch,
    arguments: &'a Arguments,
    report: &mut Report,
) -> Option<(ArgumentId, &'a Entry)> {
    let help = || format!("declared in `args` of the hook: {}", arguments.describe());
    let (position, entry) = match (written.args.as_slice(), &written.index) {
        ([position], _) => {
            let found = usize::try_from(position.value).ok();
            let entry = found.and_then(|position| arguments.by_position(position));
            let (Some(found), Some(entry)) = (found, entry) else {
                let message = format!("the list `args` of the hook has no entry {}", position.value);
                report.push(Diagnostic::error(Code::UndeclaredArgument, position.span, message).help(help()));
                return None;
            };
            (found, entry)
        }
        ([_, second, ..], _) => {
            unsupported::refuse("a filter of several arguments", second.span, report);
            return None;
        }
        ([], Some(index)) => {
            let Some(found) = arguments.by_index(index.value) else {
                let message = format!("argument {} is not declared", index.value);
                report.push(Diagnostic::error(Code::UndeclaredArgument, index.span, message).help(help()));
                return None;
            };
            found
        }
        ([], None) => {
            let message = "this filter does not say which argument";
            report.push(
                Diagnostic::error(Code::UndeclaredArgument, written.span, message).help("add `index:`"),
            );
            return None;
        }
    };
    Some((ArgumentId::new(position)?, entry))
}

/// Whether later versions compile the operator.
fn comes_later(operator: Operator) -> bool {
    match operator {
        Operator::CelExpr
        | Operator::Equal
        | Operator::NotEqual
        | Operator::Prefix
        | Operator::NotPrefix
        | Operator::Postfix
        | Operator::NotPostfix
        | Operator::GreaterThan
        | Operator::LessThan
        | Operator::Mask
        | Operator::SPort
        | Operator::NotSPort
        | Operator::SPortPriv
        | Operator::NotSPortPriv
        | Operator::DPort
        | Operator::NotDPort
        | Operator::DPortPriv
        | Operator::NotDPortPriv
        | Operator::SAddr
        | Operator::NotSAddr
        | Operator::DAddr
        | Operator::NotDAddr
        | Operator::Protocol
        | Operator::Family
        | Operator::State
        | Operator::CapabilitiesGained
        | Operator::InMap
        | Operator::NotInMap
        | Operator::SubString
        | Operator::SubStringIgnCase
        | Operator::FileType
        | Operator::NotFileType
        | Operator::InRange
        | Operator::NotInRange
        | Operator::In
        | Operator::NotIn => false,
    }
}

/// Refuses an operator that the argument's type does not have, or not yet.
pub(super) fn mismatch(operator: &Spanned<Operator>, argument: &Argument, known: &str, report: &mut Report) {
    let word = operator.value.as_word();
    if comes_later(operator.value) {
        unsupported::refuse(&format!("the operator {word}"), operator.span, report);
        return;
    }
    let what = match argument.ty.value {
        ArgumentType::Integer(_) => "number",
        ArgumentType::String => "string",
        ArgumentType::File => "file",
        ArgumentType::Path => "path",
        ArgumentType::Fd => "file descriptor",
        ArgumentType::Kiocb => "kiocb",
        ArgumentType::Dentry => "dentry",
        ArgumentType::LinuxBinprm => "linux_binprm",
        ArgumentType::Filename => "filename",
        ArgumentType::NetDevice => "net_device",
        ArgumentType::CharBuf | ArgumentType::CharIovec | ArgumentType::IovIter => "buffer",
        ArgumentType::Capability => "capability",
        ArgumentType::BpfCmd => "bpf_cmd",
        ArgumentType::Capabilities(_) => "set of capabilities",
        ArgumentType::Object(ObjectKind::Network(NetworkType::Sock | NetworkType::Socket)) => "socket",
        ArgumentType::Object(ObjectKind::Network(NetworkType::Skb)) => "packet",
        ArgumentType::Object(ObjectKind::Network(NetworkType::Sockaddr)) | ArgumentType::SockaddrUn => {
            "socket address"
        }
        ArgumentType::Object(_) => "kernel object",
        ArgumentType::Nop => "nop",
    };
    let error =
        Diagnostic::error(Code::OperatorMismatch, operator.span, format!("a {what} has no operator {word}"));
    report.push(error.also(argument.ty.span, "the argument's type").help(format!("operators: {known}")));
}

/// The string form and sense of an operator.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "comes_later names every operator, so that a new one breaks the build there"
)]
fn string_form(operator: Operator) -> Option<(StringForm, Sense)> {
    match operator {
        Operator::Equal => Some((StringForm::Exact, Sense::Plain)),
        Operator::NotEqual => Some((StringForm::Exact, Sense::Negated)),
        Operator::Prefix => Some((StringForm::Prefix, Sense::Plain)),
        Operator::NotPrefix => Some((StringForm::Prefix, Sense::Negated)),
        Operator::Postfix => Some((StringForm::Postfix, Sense::Plain)),
        Operator::NotPostfix => Some((StringForm::Postfix, Sense::Negated)),
        _ => None,
    }
}

/// The string form and sense of an operator of `matchBinaries`.
fn binary_form(operator: Operator) -> Option<(StringForm, Sense)> {
    if operator == Operator::In {
        return Some((StringForm::Exact, Sense::Plain));
    }
    if operator == Operator::NotIn {
        return Some((StringForm::Exact, Sense::Negated));
    }
    string_form(operator).filter(|(form, _)| *form != StringForm::Exact)
}

/// Reads and checks values of one kind of byte string.
type ReadStrings = fn(Vec<Spanned<Vec<u8>>>, StringForm, &mut Report) -> Option<Vec<Spanned<Vec<u8>>>>;

pub(super) fn string(
    operator: &Spanned<Operator>,
    values: Vec<Spanned<Vec<u8>>>,
    span: Span,
    argument: &Argument,
    read: ReadStrings,
    report: &mut Report,
) -> Option<StringTest> {
    let Some((form, sense)) = string_form(operator.value) else {
        let has_type = matches!(argument.ty.value, ArgumentType::File | ArgumentType::Path);
        let known = if has_type {
            "Equal, NotEqual, Prefix, NotPrefix, Postfix, NotPostfix, SubString, SubStringIgnCase, FileType, NotFileType"
        } else {
            "Equal, NotEqual, Prefix, NotPrefix, Postfix, NotPostfix, SubString, SubStringIgnCase"
        };
        mismatch(operator, argument, known, report);
        return None;
    };
    if values.is_empty() {
        no_values(span, report);
        return None;
    }
    Some(StringTest { form, sense, values: read(values, form, report)? })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "comes_later names every operator, so that a new one breaks the build there"
)]
fn integer(
    operator: &Spanned<Operator>,
    values: &[Spanned<Vec<u8>>],
    ty: IntegerType,
    span: Span,
    argument: &Argument,
    report: &mut Report,
) -> Option<IntegerTest> {
    let known = "Equal, NotEqual, GT, LT, Mask, InRange, NotInRange, InMap, NotInMap";
    let test = match operator.value {
        Operator::Equal => value::integers(values, ty, report).map(IntegerTest::Equal),
        Operator::NotEqual => value::integers(values, ty, report).map(IntegerTest::NotEqual),
        Operator::GreaterThan => value::integers(values, ty, report).map(IntegerTest::GreaterThan),
        Operator::LessThan => value::integers(values, ty, report).map(IntegerTest::LessThan),
        Operator::Mask => value::masks(values, ty, report).map(IntegerTest::Mask),
        Operator::InRange => value::ranges(values, ty, report).map(IntegerTest::InRange),
        Operator::NotInRange => value::ranges(values, ty, report).map(IntegerTest::NotInRange),
        Operator::InMap => value::keys(values, ty, report).map(IntegerTest::InRange),
        Operator::NotInMap => value::keys(values, ty, report).map(IntegerTest::NotInRange),
        _ => {
            mismatch(operator, argument, known, report);
            return None;
        }
    };
    if values.is_empty() {
        no_values(span, report);
        return None;
    }
    test
}

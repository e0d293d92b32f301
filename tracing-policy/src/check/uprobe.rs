//! Places in programs and libraries.

use super::section::{Section, Target};
use super::{argument, digest, elsewhere, returning, selector, text, untyped};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Absence, Hook, HookKind, Means, Uprobe, UserAddress};
use crate::schema;
use crate::source::{Span, Spanned};

/// Longest name of a function: those of C++ and Rust grow with their types.
const MAX_SYMBOL: usize = 4096;

/// The hooks of a uprobe: one for each place that it names. `None` when the report has an error about it.
pub(super) fn uprobe(written: schema::Uprobe, report: &mut Report) -> Option<Vec<Hook>> {
    let Some((stripped, untyped)) = untyped::uprobe(&written) else { return typed(written, report) };
    let mut hooks = untyped::first(report, |own| typed(stripped, own))?;
    for hook in &mut hooks {
        hook.untyped = Some(Box::new(untyped.clone()));
    }
    Some(hooks)
}

/// Checks a uprobe whose types have been filled in, at one of its places.
pub(crate) fn settled(written: schema::Uprobe, at: &Hook, report: &mut Report) -> Option<Hook> {
    untyped::again(report, |own| typed(written, own)?.into_iter().find(|hook| hook.kind == at.kind))
}

fn typed(written: schema::Uprobe, report: &mut Report) -> Option<Vec<Hook>> {
    let path = path(&written.path, report);
    let reached = written.args.iter().chain(&written.return_arg);
    let types = elsewhere::types(written.btf_path.as_ref(), reached, report);
    let addresses = addresses(&written, report);
    let counters = counters(&written, report);
    let digests = digest::digests(&written.binary_digests, report);
    let ignore = written.ignore.and_then(|ignore| ignore.digest_verification_failure);
    let mismatch = match ignore {
        Some(Spanned { value: true, .. }) => Absence::Warned,
        Some(_) | None => Absence::Refused,
    };
    let arguments = argument::arguments(&written.args, Section::Uprobes, report);
    let returned =
        returning::value(written.returns.as_ref(), written.return_arg.as_ref(), Section::Uprobes, report);
    let arguments = arguments.with_data(&written.data, report).with_return(returned);
    let target = Target { section: Section::Uprobes, kind: None };
    let selectors = selector::selectors(written.selectors, &arguments, target, report);
    let message = text::message(written.message, report);
    let tags = text::tags(written.tags, report);
    let arguments = arguments.complete_with_return();
    let (path, addresses, counters, digests) = (path?, addresses?, counters?, digests?);
    let types = types.ok()?;
    let ((arguments, returned), selectors) = (arguments?, selectors?);
    let hook = |(at, address): (usize, Spanned<UserAddress>)| Hook {
        kind: Spanned::new(
            HookKind::Uprobe(Uprobe {
                path: path.clone(),
                path_span: written.path.span,
                address: address.value,
                reference_counter: counters.get(at).copied().unwrap_or(0),
                digests: digests.clone(),
                mismatch,
                types: types.clone(),
            }),
            address.span,
        ),
        absence: Absence::Refused,
        arguments: arguments.clone(),
        means: Means::Any,
        returned: returned.clone(),
        on_return: None,
        selectors: selectors.clone(),
        message: message.clone(),
        tags: tags.clone(),
        untyped: None,
        entry: 0,
        span: written.span,
    };
    Some(addresses.into_iter().enumerate().map(hook).collect())
}

/// The path of a file.
pub(super) fn path(written: &Spanned<String>, report: &mut Report) -> Option<String> {
    if written.value.is_empty() || written.value.contains('\0') {
        let error = Diagnostic::error(Code::BadSymbol, written.span, "this is no path of a file");
        report.push(error.help("give the path of a program or library, for example /usr/bin/bash"));
        return None;
    }
    Some(written.value.clone())
}

/// The places that are named, in one of three ways.
fn addresses(written: &schema::Uprobe, report: &mut Report) -> Option<Vec<Spanned<UserAddress>>> {
    let ways = [
        ("symbols", written.symbols.first().map(|first| first.span)),
        ("offsets", written.offsets.first().map(|first| first.span)),
        ("addrs", written.addrs.first().map(|first| first.span)),
    ];
    let mut used = ways.into_iter().filter_map(|(name, first)| Some((name, first?)));
    let Some((first, first_span)) = used.next() else {
        let error =
            Diagnostic::error(Code::MissingField, written.span, "this uprobe names no place in the file");
        report.push(error.help("add `symbols:`, `offsets:` (in the file) or `addrs:` (virtual addresses)"));
        return None;
    };
    let mut only = true;
    for (other, span) in used {
        let error = Diagnostic::error(Code::BadSymbol, span, format!("`{other}` beside `{first}`"));
        let help = "a uprobe names its places in one way; write a second uprobe for the others";
        report.push(error.also(first_span, "the first way").help(help));
        only = false;
    }
    let symbols: Option<Vec<_>> = {
        let all: Vec<_> = written.symbols.iter().map(|symbol| self::symbol(symbol, report)).collect();
        all.into_iter().collect()
    };
    let numbers = |list: &[Spanned<u64>], address: fn(u64) -> UserAddress| {
        list.iter().map(|number| Spanned::new(address(number.value), number.span)).collect::<Vec<_>>()
    };
    let mut all = symbols?;
    all.extend(numbers(&written.offsets, UserAddress::Offset));
    all.extend(numbers(&written.addrs, UserAddress::Virtual));
    only.then_some(all)
}

/// A function, or a place `+` so many bytes behind its beginning.
pub(super) fn symbol(written: &Spanned<String>, report: &mut Report) -> Option<Spanned<UserAddress>> {
    let (name, offset) = parts(&written.value);
    if let Some(problem) = problem(name) {
        report.push(Diagnostic::error(Code::BadSymbol, written.span, problem));
        return None;
    }
    let address = UserAddress::Symbol { name: name.to_owned(), offset };
    Some(Spanned::new(address, written.span))
}

/// The function's name, and the bytes behind its beginning.
fn parts(text: &str) -> (&str, u64) {
    match text.rsplit_once('+').map(|(name, offset)| (name, number(offset))) {
        Some((name, Some(offset))) => (name, offset),
        Some((_, None)) | None => (text, 0),
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a symbol is missing".to_owned());
    }
    if name.len() > MAX_SYMBOL {
        return Some(format!("a symbol has at most {MAX_SYMBOL} bytes here, this one has {}", name.len()));
    }
    let bad = name.chars().find(|c| c.is_control())?;
    Some(format!("{bad:?} cannot be part of a symbol"))
}

/// The reference counters, one a place.
fn counters(written: &schema::Uprobe, report: &mut Report) -> Option<Vec<u64>> {
    let places = written.symbols.len() + written.offsets.len() + written.addrs.len();
    let counters = &written.ref_ctr_offsets;
    let Some(first) = counters.first().filter(|_| counters.len() != places) else {
        return Some(counters.iter().map(|counter| counter.value).collect());
    };
    let span = counters.last().map_or(first.span, |last: &Spanned<u64>| first.span.to(last.span));
    let message = format!("{} reference counters for {places} places", counters.len());
    let error = Diagnostic::error(Code::BadNumber, Span { ..span }, message);
    report.push(error.help("give one for each place, 0 for a place that has none"));
    None
}

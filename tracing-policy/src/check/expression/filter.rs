//! The filter of an entry whose operator is `CelExpr`, and where in the text a fault is.

use std::ops::Range;

use super::parse;
use super::scan::{self, Fault};
use super::typed::{Typer, Yes};
use crate::check::argument::Arguments;
use crate::check::filter;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{ArgumentFilter, Bytes};
use crate::schema::ArgumentMatch;
use crate::source::Span;

/// The filter of an entry whose operator is `CelExpr`.
pub(in crate::check) fn expression(
    written: &ArgumentMatch,
    arguments: &Arguments,
    report: &mut Report,
) -> Option<ArgumentFilter> {
    let value = match written.values.as_slice() {
        [value] => value,
        [] => {
            filter::no_values(written.span, report);
            return None;
        }
        [_, second, ..] => {
            let message = "CelExpr takes one expression";
            let error = Diagnostic::error(Code::BadExpression, second.span, message);
            report.push(error.help("join them with `&&` or `||`"));
            return None;
        }
    };
    let mut typer = Typer { arguments, span: written.span, used: Vec::new(), report, is_blamed: false };
    match read(&value.value, &mut typer) {
        Ok(condition) => {
            let arguments = typer.used;
            if arguments.is_empty() {
                let message = "this expression looks at no argument";
                let error = Diagnostic::error(Code::BadExpression, value.span, message);
                report.push(error.help("leave the filter out, or the selector"));
                return None;
            }
            let condition = Box::new(condition);
            Some(ArgumentFilter::Expression { condition, arguments, span: written.span })
        }
        Err(fault) => {
            if !typer.is_blamed {
                report.push(diagnostic(value, fault));
            }
            None
        }
    }
}

fn read(text: &[u8], typer: &mut Typer<'_>) -> Result<Yes, Fault> {
    let text = std::str::from_utf8(text)
        .map_err(|_not_text| Fault::new(0..text.len(), "an expression is text in UTF-8"))?;
    let tokens = scan::scan(text)?;
    typer.truth(&parse::parse(&tokens)?)
}

/// The finding at its place in the policy's text; where that cannot be told (escapes, several lines), at the whole value with the place in words.
fn diagnostic(value: &Bytes, fault: Fault) -> Diagnostic {
    let inside = place(value, &fault.range);
    let mut finding = Diagnostic::error(Code::BadExpression, inside.unwrap_or(value.span), fault.message);
    if inside.is_none() {
        let part = value.value.get(fault.range.clone()).unwrap_or_default();
        let part = crate::parse::shortened(&String::from_utf8_lossy(part));
        let at = format!("at character {}", fault.range.start + 1);
        finding = finding.labelled(if part.is_empty() { at } else { format!("{at}: `{part}`") });
    }
    match fault.help {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// Where a part of a value stands in the policy's text. Without quotes, or with nothing but quotes around it, the text is the value.
fn place(value: &Bytes, range: &Range<usize>) -> Option<Span> {
    let quotes = value.span.len().checked_sub(value.value.len()).filter(|rest| matches!(rest, 0 | 2))? / 2;
    if value.value.contains(&b'\n') {
        return None;
    }
    let start = value.span.start as usize + quotes;
    // the end of the text is still a place to point at
    let end = if range.is_empty() { range.end + 1 } else { range.end };
    let last = value.span.end as usize;
    Some(Span::new((start + range.start).min(last), (start + end).min(last)))
}

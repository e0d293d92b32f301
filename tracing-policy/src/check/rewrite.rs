//! Overrides at places in programs: `argError`, `argRegs`, and the three that name another place.

use super::section::Section;
use crate::binary::{CpuRegister, number, part_of_register};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Assigned, Assignment, Rewrite, UserAddress};
use crate::schema::{self, ActionKind};
use crate::source::{Span, Spanned};

/// Assignments of one action: a register more than there are.
const MOST: usize = 18;

const GRAMMAR: &str = "write `register=source`, where the source is a number, `%register`, `8%register`, `(%register)` or `8(%register)`";

/// The overrides among a selector's actions at a place in a program.
pub(super) fn overrides(section: Section, actions: &[schema::Action]) -> Vec<&schema::Action> {
    let overrides = actions.iter().filter(|action| action.action.value == ActionKind::Override);
    overrides.filter(|_| section == Section::Uprobes).collect()
}

/// What they write. `None` when there is none, or the report has an error about it.
pub(super) fn rewrite(overrides: &[&schema::Action], report: &mut Report) -> Option<Rewrite> {
    let (written, others) = overrides.split_first()?;
    if let Some(second) = others.first() {
        let error = Diagnostic::error(Code::BadAssignment, second.span, "a second override");
        report.push(error.also(written.span, "the first one").help("write all assignments in one `argRegs`"));
        return None;
    }
    let ways = ways(written);
    if let [(first, span), (other, _), ..] = ways.as_slice() {
        let message = format!("`{first}` beside `{other}`");
        let error = Diagnostic::error(Code::BadAssignment, *span, message);
        report.push(
            error.help("an override does one thing: returns an error, writes registers or goes on elsewhere"),
        );
        return None;
    }
    let rewrite = |assignments, target, returns| Rewrite { assignments, target, returns, span: written.span };
    if destinations(written).next().is_some() {
        return Some(rewrite(Vec::new(), Some(target(written, report)?), false));
    }
    if written.arg_regs.is_empty() {
        let value = written.arg_error.as_ref().map_or(0, |value| value.value);
        return Some(rewrite(returning(value), None, true));
    }
    if written.arg_regs.len() > MOST {
        let message = format!("{} assignments; an override has {MOST} at most", written.arg_regs.len());
        report.push(Diagnostic::error(Code::BadAssignment, written.span, message));
        return None;
    }
    let all: Vec<_> = written.arg_regs.iter().map(|text| assignment(text, report)).collect();
    Some(rewrite(all.into_iter().collect::<Option<_>>()?, None, false))
}

/// The fields that say what the override does; of those that say where to go on, one (`action` refuses a second).
fn ways(written: &schema::Action) -> Vec<(&'static str, Span)> {
    let here = [
        ("argError", written.arg_error.as_ref().map(|it| it.span)),
        ("argRegs", written.arg_regs.first().map(|it| it.span)),
    ];
    let here = here.into_iter().filter_map(|(name, span)| Some((name, span?)));
    here.chain(destinations(written).take(1)).collect()
}

/// The fields that say where the thread is to go on.
pub(super) fn destinations(written: &schema::Action) -> impl Iterator<Item = (&'static str, Span)> {
    let fields = [
        ("argNewSymbol", written.arg_new_symbol.as_ref().map(|it| it.span)),
        ("argNewAddr", written.arg_new_addr.as_ref().map(|it| it.span)),
        ("argNewOffset", written.arg_new_offset.as_ref().map(|it| it.span)),
    ];
    fields.into_iter().filter_map(|(name, span)| Some((name, span?)))
}

/// Where the thread is to go on.
fn target(written: &schema::Action, report: &mut Report) -> Option<Spanned<UserAddress>> {
    if let Some(symbol) = &written.arg_new_symbol {
        return super::uprobe::symbol(symbol, report);
    }
    let number = |field: &Option<Spanned<u64>>, address: fn(u64) -> UserAddress| {
        field.as_ref().map(|field| Spanned::new(address(field.value), field.span))
    };
    let address = number(&written.arg_new_addr, UserAddress::Virtual);
    address.or_else(|| number(&written.arg_new_offset, UserAddress::Offset))
}

/// What a `ret` does, with a value of `int` in the register that holds such (System V AMD64).
fn returning(value: i32) -> Vec<Assignment> {
    let whole = |register, source| Assignment { register, shift: 0, width: 8, source };
    let (rax, rip, rsp) = (CpuRegister::Rax, CpuRegister::Rip, CpuRegister::Rsp);
    vec![
        whole(rax, Assigned::Constant(i64::from(value).cast_unsigned())),
        whole(rip, Assigned::Memory { base: rsp, displacement: 0 }),
        whole(rsp, Assigned::Register { register: rsp, shift: 0, width: 8, plus: 8 }),
    ]
}

/// One assignment of `argRegs`.
fn assignment(written: &Spanned<String>, report: &mut Report) -> Option<Assignment> {
    let parsed = parse(&written.value);
    if let Err(problem) = parsed {
        let error = Diagnostic::error(Code::BadAssignment, written.span, problem);
        report.push(error.help(GRAMMAR));
    }
    parsed.ok()
}

fn parse(text: &str) -> Result<Assignment, &'static str> {
    let (register, source) = text.split_once('=').ok_or("this assigns nothing")?;
    let part = part_of_register(register.trim()).ok_or("this assigns to no register of x86-64")?;
    let source = self::source(source.trim())?;
    if let Assigned::Constant(value) = source
        && !fits(value, part.width)
    {
        return Err("the number does not fit the register");
    }
    Ok(Assignment { register: part.register, shift: part.shift, width: part.width, source })
}

/// Whether a number, with a sign or without, has so many bytes.
fn fits(value: u64, width: u8) -> bool {
    let bits = 8 * u32::from(width);
    let signed = value.cast_signed();
    bits >= 64 || value >> bits == 0 || (-(1_i64 << (bits - 1))..0).contains(&signed)
}

fn source(text: &str) -> Result<Assigned, &'static str> {
    const REGISTER: &str = "this names no register of x86-64";
    const OFFSET: &str = "this is no number of 64 bits";
    let offset = |text: &str| match text.trim() {
        "" => Ok(0),
        digits => number(digits).map(u64::cast_signed).ok_or(OFFSET),
    };
    if let Some((before, inside)) = text.split_once('(') {
        let name = inside.strip_suffix(')').ok_or("a bracket is not closed")?;
        let base = name.trim().strip_prefix('%').and_then(part_of_register).ok_or(REGISTER)?;
        if base.width != 8 {
            return Err("memory is addressed by whole registers");
        }
        return Ok(Assigned::Memory { base: base.register, displacement: offset(before)? });
    }
    let Some((before, name)) = text.split_once('%') else {
        return number(text).map(Assigned::Constant).ok_or(OFFSET);
    };
    let part = part_of_register(name.trim()).ok_or(REGISTER)?;
    let plus = offset(before)?;
    Ok(Assigned::Register { register: part.register, shift: part.shift, width: part.width, plus })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(register: CpuRegister, shift: u8, width: u8, plus: i64) -> Assigned {
        Assigned::Register { register, shift, width, plus }
    }

    // proves: ACT-06 (grammar)
    #[test]
    fn an_assignment_has_a_register_and_a_source() {
        use CpuRegister::{R9, Rax, Rbx, Rdi, Rip, Rsi, Rsp};
        let memory = |base, displacement| Assigned::Memory { base, displacement };
        for (text, to, shift, width, source) in [
            ("rax=11", Rax, 0, 8, Assigned::Constant(11)),
            ("rax = -1", Rax, 0, 8, Assigned::Constant(u64::MAX)),
            ("eax=0xffffffff", Rax, 0, 4, Assigned::Constant(0xffff_ffff)),
            ("al=-128", Rax, 0, 1, Assigned::Constant((-128_i64).cast_unsigned())),
            ("bh=255", Rbx, 8, 1, Assigned::Constant(255)),
            ("rdi=%rsi", Rdi, 0, 8, register(Rsi, 0, 8, 0)),
            ("r9w=%bh", R9, 0, 2, register(Rbx, 8, 1, 0)),
            ("rsp=8%rsp", Rsp, 0, 8, register(Rsp, 0, 8, 8)),
            ("rsp=-0x10%rsp", Rsp, 0, 8, register(Rsp, 0, 8, -16)),
            ("rip=(%rsp)", Rip, 0, 8, memory(Rsp, 0)),
            ("esi=-8(%rdi)", Rsi, 0, 4, memory(Rdi, -8)),
        ] {
            assert_eq!(parse(text), Ok(Assignment { register: to, shift, width, source }), "{text}");
        }
    }

    // proves: ACT-06 (grammar: what is refused)
    #[test]
    fn what_is_no_assignment_says_why() {
        for (text, problem) in [
            ("", "nothing"),
            ("rax", "nothing"),
            ("%rax=1", "no register"),
            ("xmm0=1", "no register"),
            ("=1", "no register"),
            ("rax=", "64 bits"),
            ("rax=1.5", "64 bits"),
            ("rax=99999999999999999999", "64 bits"),
            ("al=256", "fit"),
            ("ax=-32769", "fit"),
            ("rax=%", "no register"),
            ("rax=%eflags", "no register"),
            ("rax=x%rdi", "64 bits"),
            ("rax=(%rdi", "closed"),
            ("rax=(rdi)", "no register"),
            ("rax=(%edi)", "whole"),
        ] {
            let found = parse(text);
            assert!(found.is_err_and(|found| found.contains(problem)), "{text}: {found:?}");
        }
    }
}

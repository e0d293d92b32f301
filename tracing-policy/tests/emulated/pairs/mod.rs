//! The table of operators and types: each pair both ways, positive and negated, in every form of code; or the code with which it is refused.
//!
//! The table is complete by construction. [`kind`] names every type of the language and [`rows::rows`] every operator, without a wildcard, so that a new one breaks
//! the build until it has its rows.

mod kind;
mod network;
mod numbers;
mod place;
mod rows;
mod texts;

use bpf_probes::emulate::Context;
use tracing_policy::schema::{ArgumentType, Operator, Word};
use tracing_policy::source::SourceText;

use crate::kernel::recorded;
use crate::run::{Base, Emulated, policy, resolved};
use kind::{Kind, kind};
use rows::{Pair, Row, rows};

/// A system call with six arguments: any type may stand at any place of it.
const CALL: &str = "sys_mmap";
/// Its number.
const NUMBER: u64 = 9;
/// Where the argument is, and a second one of the same type where an operator compares two.
const PLACES: [usize; 2] = [1, 4];

/// Every value of words, once.
fn every<W: Word>() -> Vec<W> {
    let is_first = |&(word, value): &(&str, W)| value.as_word() == word;
    W::WORDS.iter().copied().filter(is_first).map(|(_, value)| value).collect()
}

/// A policy with one filter.
fn text(ty: ArgumentType, operator: Operator, values: &[String]) -> String {
    let [first, second] = PLACES;
    // counted from one
    let is_sized = matches!(ty, ArgumentType::CharBuf | ArgumentType::CharIovec);
    let ty = ty.as_word();
    let size = if is_sized { format!(", sizeArgIndex: {}", second + 1) } else { String::new() };
    let (target, second) = if operator == Operator::CapabilitiesGained {
        ("args: [0, 1]".to_owned(), format!(", {{index: {second}, type: {ty}{size}}}"))
    } else if size.is_empty() {
        (format!("index: {first}"), String::new())
    } else {
        (format!("index: {first}"), format!(", {{index: {second}, type: size_t}}"))
    };
    policy(
        CALL,
        &format!("{{index: {first}, type: {ty}{size}}}{second}"),
        &format!("{{matchArgs: [{{{target}, operator: {}, values: {values:?}}}]}}", operator.as_word()),
    )
}

/// Checks all pairs of the types of some kinds.
fn each(wanted: impl Fn(Kind) -> bool) {
    let types: Vec<ArgumentType> = every().into_iter().filter(|ty| wanted(kind(*ty))).collect();
    assert!(!types.is_empty());
    let views = ["5.10", "6.1", "6.12", "6.18", "7.2"].map(recorded);
    let bases: Vec<Base<'_>> = views.iter().map(Base::of).collect();
    for ty in types {
        for operator in every() {
            match rows(ty, operator) {
                Pair::Refused(code) => {
                    let values =
                        if operator == Operator::CapabilitiesGained { &[][..] } else { &["1".to_owned()] };
                    let source = SourceText::new("pair", text(ty, operator, values));
                    let errors = tracing_policy::read(&source).expect_err(&text(ty, operator, values));
                    let codes: Vec<_> = errors.iter().map(|error| error.code).collect();
                    // of a type that is refused more may be said
                    let by_type = matches!(kind(ty), Kind::Refused(_));
                    assert!(
                        codes.contains(&code) && (by_type || codes.iter().all(|found| *found == code)),
                        "{} {}: {codes:?}, not {code:?}",
                        ty.as_word(),
                        operator.as_word()
                    );
                }
                Pair::Compiled(rows) => {
                    for (row, base) in rows.iter().flat_map(|row| bases.iter().map(move |base| (row, base))) {
                        on(base, ty, operator, row);
                    }
                }
            }
        }
    }
}

fn on(base: &Base<'_>, ty: ArgumentType, operator: Operator, row: &Row) {
    let negated = rows::is_negated(operator);
    let long = [row.filler.clone(), row.values.clone()].concat();
    let lists = if row.filler.is_empty() { vec![&row.values] } else { vec![&row.values, &long] };
    for values in lists {
        let one = resolved(&text(ty, operator, values), base.view);
        // alone, and beside another policy, which is another form
        for policies in [vec![one.clone()], vec![one.clone(), one.clone()]] {
            let mut it = base.load(&policies);
            for (subjects, passes) in [(&row.hit, !negated), (&row.miss, negated), (&row.never, false)] {
                let expected = if passes { policies.len() } else { 0 };
                for subject in subjects {
                    let arguments = place::arguments(&mut it, ty, subject);
                    call(&mut it, arguments);
                    let (ty, operator) = (ty.as_word(), operator.as_word());
                    let release = it.view.release();
                    assert_eq!(
                        it.reporters().len(),
                        expected,
                        "{release}: {ty} {operator} {values:?}: {subject:?}"
                    );
                }
            }
        }
    }
}

/// The system call with these arguments at [`PLACES`].
fn call(it: &mut Emulated<'_>, arguments: [u64; 2]) {
    let mut all = [0; 6];
    for (place, argument) in PLACES.into_iter().zip(arguments) {
        all[place] = argument;
    }
    let registers = it.machine.world_mut().syscall_registers(NUMBER, all);
    if it.view.release().starts_with("6.18") {
        it.run(Context::arguments(&[registers, NUMBER]));
    } else {
        it.call([registers, 0, 0, 0, 0, 0]);
    }
}

// proves: ARG-01, SEL-15, SEL-16, SEL-17, SEL-18 (numbers, ranges), SEL-29
#[test]
fn numbers_pass_and_fail_as_their_operators_say() {
    each(|kind| matches!(kind, Kind::Number { .. }));
}

// proves: ARG-11 (sets), SEL-27, SEL-29
#[test]
fn sets_of_capabilities_pass_and_fail_as_their_operators_say() {
    each(|kind| matches!(kind, Kind::Set));
}

// proves: ARG-02 (filters), ARG-15 (iov_iter: filters), ARG-10, HOOK-04 (x86-64), SEL-19, SEL-20, SEL-21, SEL-22, SEL-29
#[test]
fn strings_pass_and_fail_as_their_operators_say() {
    each(|kind| matches!(kind, Kind::Text(_)));
}

// proves: ARG-06 (file), SEL-02 (index), SEL-19, SEL-20, SEL-21, SEL-22, SEL-23, SEL-29
#[test]
fn paths_pass_and_fail_as_their_operators_say() {
    each(|kind| matches!(kind, Kind::Path { .. }));
}

// proves: SEL-24, SEL-25, SEL-26, SEL-29, SEL-30 (sockets)
#[test]
fn what_is_of_the_network_passes_and_fails_as_its_operators_say() {
    each(|kind| matches!(kind, Kind::Network(_)));
}

#[test]
fn types_without_operators_refuse_each_of_them() {
    // named the other way round: a new kind lands here until it has a test of its own
    each(|kind| match kind {
        Kind::Number { .. } | Kind::Set | Kind::Text(_) | Kind::Path { .. } | Kind::Network(_) => false,
        Kind::Closed | Kind::Refused(_) => true,
    });
}

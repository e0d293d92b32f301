//! Expressions: what holds in any case becomes tests of its own, which rule a call out before anything dearer is read; the rest stays a tree.

use super::{Reads, selector};
use crate::Rider;
use crate::ir::{Check, ExpressionTest, ReadId};
use crate::policy::{
    ArgumentFilter, ArgumentId, Comparison, Condition, Family, IntegerTest, Operation, Sense, Term,
};

type Tree = Condition<ArgumentFilter, ArgumentId>;
type Number = Term<ArgumentFilter, ArgumentId>;

/// The tests that an expression becomes. `None` where an argument is not read, which no checked policy has.
pub(super) fn tests(
    rider: &Rider<'_>,
    condition: &Tree,
    arguments: &[ArgumentId],
    reads: &Reads,
) -> Option<Vec<Check>> {
    let whole = simplified(condition, true);
    let parts =
        if let Condition::All(parts) = &whole { parts.as_slice() } else { std::slice::from_ref(&whole) };
    let mut checks = Vec::with_capacity(parts.len() + 1);
    let mut rest: Vec<ReadId> =
        arguments.iter().map(|&id| reads.of_argument(rider, id)).collect::<Option<_>>()?;
    for part in parts {
        if let Condition::Test(filter) = part {
            rest.retain(|read| reads.of_argument(rider, filter.argument()) != Some(*read));
            checks.push(selector::argument(rider, filter, reads)?);
        } else {
            let test = compiled(rider, part, reads)?;
            rest.retain(|read| !test.reads.contains(read));
            checks.push(Check::Expression(test));
        }
    }
    if !rest.is_empty() {
        // what is not looked at must be readable all the same
        checks.push(Check::Expression(test(Condition::Constant(true), Vec::new(), rest, reads)));
    }
    Some(checks)
}

fn compiled(rider: &Rider<'_>, part: &Tree, reads: &Reads) -> Option<ExpressionTest> {
    let mut atoms = Vec::new();
    let mut used = Vec::new();
    let condition = {
        let used = std::cell::RefCell::new(&mut used);
        part.map(
            &mut |filter| {
                used.borrow_mut().push(reads.of_argument(rider, filter.argument())?);
                atoms.push(selector::argument(rider, filter, reads)?);
                Some(atoms.len() - 1)
            },
            &mut |argument| {
                let read = reads.of_argument(rider, *argument)?;
                used.borrow_mut().push(read);
                Some(read)
            },
        )?
    };
    Some(test(condition, atoms, used, reads))
}

fn test(
    condition: Condition<usize, ReadId>,
    atoms: Vec<Check>,
    mut used: Vec<ReadId>,
    reads: &Reads,
) -> ExpressionTest {
    used.sort_unstable();
    used.dedup();
    let is_bytes = |id: &&ReadId| {
        reads.get(**id).is_some_and(|read| matches!(read.ty.family(), Family::String | Family::Path))
    };
    let last = used.iter().rfind(is_bytes).copied();
    ExpressionTest { condition, atoms, reads: used, last }
}

/// The condition, or its opposite, without negations but before single tests, and without constants inside.
fn simplified(condition: &Tree, plain: bool) -> Tree {
    match condition {
        Condition::Constant(answer) => Condition::Constant(*answer == plain),
        Condition::Test(filter) if plain => Condition::Test(filter.clone()),
        Condition::Test(filter) => match opposite(filter) {
            Some(filter) => Condition::Test(filter),
            None => Condition::Not(Box::new(condition.clone())),
        },
        Condition::Not(inner) => simplified(inner, !plain),
        Condition::All(parts) => joined(parts, plain, plain),
        Condition::Any(parts) => joined(parts, plain, !plain),
        Condition::Choose(parts) => {
            let [by, yes, no] = &**parts;
            let (yes, no) = (simplified(yes, plain), simplified(no, plain));
            let by = simplified(by, true);
            if let Condition::Constant(answer) = by {
                return if answer { yes } else { no };
            }
            Condition::Choose(Box::new([by, yes, no]))
        }
        Condition::Compare(it) => {
            let relation = if plain { it.relation } else { it.relation.opposite() };
            let (left, right) = (number(&it.left), number(&it.right));
            Condition::Compare(Box::new(Comparison { relation, ty: it.ty, left, right }))
        }
    }
}

/// All or one of some parts.
fn joined(parts: &[Tree], plain: bool, all: bool) -> Tree {
    let mut kept: Vec<Tree> = Vec::with_capacity(parts.len());
    for part in parts {
        let part = simplified(part, plain);
        if let Condition::Constant(answer) = part {
            if answer == all {
                // what every part must be, or one
                continue;
            }
            return Condition::Constant(answer);
        }
        let inner = match part {
            Condition::All(inner) if all => inner,
            Condition::Any(inner) if !all => inner,
            Condition::Constant(_)
            | Condition::Test(_)
            | Condition::Not(_)
            | Condition::All(_)
            | Condition::Any(_)
            | Condition::Choose(_)
            | Condition::Compare(_) => vec![part],
        };
        for part in inner {
            if all { kept.push(part) } else { add(&mut kept, part) }
        }
    }
    kept.sort_by_key(cost);
    match kept.pop() {
        None => Condition::Constant(all),
        Some(only) if kept.is_empty() => only,
        Some(last) => {
            kept.push(last);
            if all { Condition::All(kept) } else { Condition::Any(kept) }
        }
    }
}

/// Adds an alternative; as more values of a test that is there, where it can be.
fn add(parts: &mut Vec<Tree>, part: Tree) {
    if let Condition::Test(filter) = &part {
        for known in parts.iter_mut() {
            if let Condition::Test(known) = known
                && merge(known, filter)
            {
                return;
            }
        }
    }
    parts.push(part);
}

/// Makes a test pass where another does too, if it is of the same kind.
fn merge(known: &mut ArgumentFilter, other: &ArgumentFilter) -> bool {
    if known.argument() != other.argument() {
        return false;
    }
    match (known, other) {
        (
            ArgumentFilter::Integer { test: IntegerTest::InRange(known), .. },
            ArgumentFilter::Integer { test: IntegerTest::InRange(more), .. },
        ) => known.extend(more),
        (
            ArgumentFilter::String { test: known, .. } | ArgumentFilter::Path { test: known, .. },
            ArgumentFilter::String { test: more, .. } | ArgumentFilter::Path { test: more, .. },
        ) if known.form == more.form && (known.sense, more.sense) == (Sense::Plain, Sense::Plain) => {
            known.values.extend(more.values.iter().cloned());
        }
        (ArgumentFilter::Contains { test: known, .. }, ArgumentFilter::Contains { test: more, .. })
            if known.case == more.case =>
        {
            known.values.extend(more.values.iter().cloned());
        }
        _ => return false,
    }
    true
}

/// The test that passes where this one does not, if there is one.
fn opposite(filter: &ArgumentFilter) -> Option<ArgumentFilter> {
    let mut filter = filter.clone();
    match &mut filter {
        ArgumentFilter::Integer { test, .. } => {
            *test = match test {
                IntegerTest::InRange(ranges) => IntegerTest::NotInRange(std::mem::take(ranges)),
                IntegerTest::NotInRange(ranges) => IntegerTest::InRange(std::mem::take(ranges)),
                IntegerTest::Equal(_)
                | IntegerTest::NotEqual(_)
                | IntegerTest::GreaterThan(_)
                | IntegerTest::LessThan(_)
                | IntegerTest::Mask(_) => return None,
            }
        }
        ArgumentFilter::String { test, .. } | ArgumentFilter::Path { test, .. } => {
            test.sense = match test.sense {
                Sense::Plain => Sense::Negated,
                Sense::Negated => Sense::Plain,
            }
        }
        ArgumentFilter::FileType { .. }
        | ArgumentFilter::Contains { .. }
        | ArgumentFilter::CapabilitiesGained { .. }
        | ArgumentFilter::Network { .. }
        | ArgumentFilter::Expression { .. } => return None,
    }
    Some(filter)
}

fn number(term: &Number) -> Number {
    match term {
        Term::Constant(_) | Term::Argument(_) | Term::Size(_) => term.clone(),
        Term::Truth(condition) => {
            let condition = simplified(condition, true);
            if let Condition::Constant(answer) = condition {
                return Term::Constant(u64::from(answer));
            }
            Term::Truth(Box::new(condition))
        }
        Term::Binary(it) => Term::Binary(Box::new(Operation {
            operator: it.operator,
            ty: it.ty,
            left: number(&it.left),
            right: number(&it.right),
        })),
        Term::Inverse(ty, inner) => Term::Inverse(*ty, Box::new(number(inner))),
        Term::Cast(ty, inner) => Term::Cast(*ty, Box::new(number(inner))),
        Term::Choose(it) => {
            let (yes, no) = (number(&it.1), number(&it.2));
            let by = simplified(&it.0, true);
            if let Condition::Constant(answer) = by {
                return if answer { yes } else { no };
            }
            Term::Choose(Box::new((by, yes, no)))
        }
    }
}

/// Rank of a part: numbers first, then texts that are compared, then what is made of parts.
fn cost(part: &Tree) -> u8 {
    match part {
        Condition::Constant(_) => 0,
        Condition::Test(ArgumentFilter::Integer { .. }) => 1,
        Condition::Compare(_) => 2,
        Condition::Test(_) | Condition::Not(_) => 3,
        Condition::All(parts) | Condition::Any(parts) => 1 + parts.iter().map(cost).max().unwrap_or(0),
        Condition::Choose(_) => 4,
    }
}

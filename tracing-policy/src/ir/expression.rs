//! Tests of several arguments at once.

use super::filter::Check;
use super::hook::ReadId;
use crate::policy::{Condition, Term};

/// A test of several arguments at once. Where one of them cannot be read, or has no path, it does not pass.
#[derive(Clone, Debug)]
pub struct ExpressionTest {
    /// What must hold; its leaves are positions in `atoms`.
    pub condition: Condition<usize, ReadId>,
    /// Tests of single numbers, strings and paths.
    pub atoms: Vec<Check>,
    /// The arguments, the cheapest to read first.
    pub reads: Vec<ReadId>,
    /// The last of them that is a path or string.
    pub last: Option<ReadId>,
}

impl ExpressionTest {
    /// Words that its numbers need beside the registers.
    pub fn depth(&self) -> u32 {
        of_condition(&self.condition)
    }
}

/// Whether a number is at hand without a register to spare.
pub(crate) fn is_simple<T, A>(term: &Term<T, A>) -> bool {
    matches!(term, Term::Constant(_) | Term::Argument(_) | Term::Size(_))
}

fn of_condition<T, A>(condition: &Condition<T, A>) -> u32 {
    match condition {
        Condition::Constant(_) | Condition::Test(_) => 0,
        Condition::Not(inner) => of_condition(inner),
        Condition::All(parts) | Condition::Any(parts) => parts.iter().map(of_condition).max().unwrap_or(0),
        Condition::Choose(parts) => parts.iter().map(of_condition).max().unwrap_or(0),
        Condition::Compare(it) => of_pair(&it.left, &it.right),
    }
}

fn of_pair<T, A>(left: &Term<T, A>, right: &Term<T, A>) -> u32 {
    let spilled = if is_simple(right) { 0 } else { 1 + of_term(right) };
    of_term(left).max(spilled)
}

fn of_term<T, A>(term: &Term<T, A>) -> u32 {
    match term {
        Term::Constant(_) | Term::Argument(_) | Term::Size(_) => 0,
        Term::Truth(condition) => of_condition(condition),
        Term::Binary(it) => of_pair(&it.left, &it.right),
        Term::Inverse(_, inner) | Term::Cast(_, inner) => of_term(inner),
        Term::Choose(it) => of_condition(&it.0).max(of_term(&it.1)).max(of_term(&it.2)),
    }
}

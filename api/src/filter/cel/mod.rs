//! Expressions on events, in the Common Expression Language: what `cel_expression` of a filter holds.
//!
//! In comes text, out comes an [`Expression`] whose names, fields and result are known to be right. A variable is an event by the name of its field
//! in the API (`process_exec`), and has the fields of its message. An expression that speaks of other events than the one at hand does not match.
//! Whatever its author wants, it ends: its size, its depth, what it compiles to and the steps that it takes are bounded.

mod address;
mod check;
mod evaluate;
mod expression;
mod function;
mod parse;
mod syntax;
#[cfg(test)]
mod tests;
mod token;
mod value;

pub(super) use expression::Expression;

//! `CelExpr`: an expression over the arguments, in the part of CEL that becomes kernel code.
//!
//! `scan` makes words of the text, `parse` a tree of the words, `typed` a condition of the tree, `text` its tests of strings. The text is bounded, and so is the
//! depth of the tree. Upstream has whole numbers of four types, operators, casts and functions on bits; here are also strings, lists, `?:`, `size()`,
//! narrower numbers, and numbers written out that take the type of the other side.

mod filter;
mod parse;
mod scan;
mod text;
mod typed;

pub(super) use filter::expression;

//! Reading typed fields out of a mapping, noting everything that is wrong on the way.

use std::cell::RefCell;

use super::node::{Entry, Node, NodeValue};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::schema::{FieldShape, ObjectShape, Shape};
use crate::source::{Span, Spanned};

/// What can be read from a node. `None` means that the report says why not.
pub(super) trait FromNode: Sized {
    /// Reads `node`; `field` is the name it has in messages.
    fn from_node(node: &Node, field: &str, report: &mut Report) -> Option<Self>;

    /// What nodes it is read from. For a mapping: the fields that [`FromNode::from_node`] asks for.
    fn shape() -> Shape {
        let node = Node { span: Span::default(), value: NodeValue::Question(RefCell::default()) };
        let _nothing_is_there = Self::from_node(&node, "", &mut Report::default());
        let NodeValue::Question(asked) = node.value else { return Shape::Text };
        let object = asked.into_inner();
        Shape::Object(object.unwrap_or(ObjectShape { what: "", fields: Vec::new() }))
    }
}

/// The fields of one mapping. Each field is asked for once, by name; [`Fields::finish`] then refuses the rest.
#[derive(Debug)]
pub(super) struct Fields<'a, 'r> {
    what: &'static str,
    span: Span,
    entries: &'a [Entry],
    taken: Vec<bool>,
    known: Vec<&'static str>,
    broken: bool,
    asked: Option<&'a RefCell<Option<ObjectShape>>>,
    report: &'r mut Report,
}

impl<'a, 'r> Fields<'a, 'r> {
    /// The fields of `node`, which is to be a mapping; `what` it is, for messages.
    pub(super) fn of(node: &'a Node, what: &'static str, report: &'r mut Report) -> Option<Self> {
        let (entries, asked): (&[Entry], _) = match &node.value {
            NodeValue::Mapping(entries) => (entries, None),
            NodeValue::Question(asked) => {
                *asked.borrow_mut() = Some(ObjectShape { what, fields: Vec::new() });
                (&[], Some(asked))
            }
            NodeValue::Plain(_) | NodeValue::Text(_) | NodeValue::Binary(_) | NodeValue::Sequence(_) => {
                report.push(wrong_type(node, what, "a mapping"));
                return None;
            }
        };
        let taken = vec![false; entries.len()];
        Some(Self { what, span: node.span, entries, taken, known: Vec::new(), broken: false, asked, report })
    }

    /// The place of the mapping.
    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// Accepts a field without reading it.
    pub(super) fn accept(&mut self, name: &'static str) {
        self.take(name);
    }

    /// A field that may be absent. `null` counts as absent, as it does for an API server.
    pub(super) fn optional<T: FromNode>(&mut self, name: &'static str) -> Option<T> {
        self.note(name, false, T::shape);
        let node = self.take(name).filter(|node| !node.is_null())?;
        let value = T::from_node(node, name, self.report);
        self.broken |= value.is_none();
        value
    }

    /// A field that must be there. `None` makes [`Fields::finish`] fail.
    pub(super) fn required<T: FromNode>(&mut self, name: &'static str) -> Option<T> {
        if self.asked.is_some() {
            self.note(name, true, T::shape);
            self.broken = true;
            return None;
        }
        if self.entries.iter().any(|entry| entry.key == name && !entry.value.is_null()) {
            return self.optional(name);
        }
        self.take(name);
        self.broken = true;
        let message = format!("{} without `{name}`", self.what);
        let help = format!("add `{name}:`");
        self.report.push(Diagnostic::error(Code::MissingField, self.span, message).help(help));
        None
    }

    /// A list that may be absent, which is then empty.
    pub(super) fn list<T: FromNode>(&mut self, name: &'static str) -> Vec<T> {
        self.optional::<Vec<T>>(name).unwrap_or_default()
    }

    /// A list that may be absent, with its place.
    pub(super) fn spanned_list<T: FromNode>(&mut self, name: &'static str) -> Spanned<Vec<T>> {
        let entry = self.entries.iter().find(|entry| entry.key == name);
        let span = entry.map_or(Span::default(), |entry| entry.key_span);
        Spanned::new(self.list(name), span)
    }

    /// Keys and values as `T` reads them, with the keys' places; absent is `None`.
    pub(super) fn map<T: FromNode>(&mut self, name: &'static str) -> Option<Vec<(Spanned<String>, T)>> {
        self.note(name, false, || Shape::Map(Box::new(T::shape())));
        let node = self.take(name).filter(|node| !node.is_null())?;
        let NodeValue::Mapping(entries) = &node.value else {
            self.report.push(wrong_type(node, name, "a mapping"));
            self.broken = true;
            return None;
        };
        let mut values = Vec::with_capacity(entries.len());
        for entry in entries {
            match T::from_node(&entry.value, &entry.key, self.report) {
                Some(value) => values.push((Spanned::new(entry.key.clone(), entry.key_span), value)),
                None => self.broken = true,
            }
        }
        Some(values)
    }

    /// Refuses what was not asked for. `None` when anything about the mapping was wrong.
    pub(super) fn finish(self) -> Option<()> {
        let Self { what, entries, taken, known, broken, report, .. } = self;
        let mut unknown = false;
        for entry in entries.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(entry, _)| entry) {
            unknown = true;
            let message = format!("{what} has no field `{}`", shortened(&entry.key));
            let help = suggestion(&entry.key, known.iter().copied(), "fields");
            report.push(Diagnostic::error(Code::UnknownField, entry.key_span, message).help(help));
        }
        (!unknown && !broken).then_some(())
    }

    /// Answers a question for the fields that there are.
    fn note(&self, name: &'static str, required: bool, shape: impl FnOnce() -> Shape) {
        if let Some(asked) = self.asked {
            let field = FieldShape { name, required, shape: shape() };
            asked.borrow_mut().iter_mut().for_each(|object| object.fields.push(field.clone()));
        }
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.push(name);
        let at = self.entries.iter().position(|entry| entry.key == name)?;
        *self.taken.get_mut(at)? = true;
        self.entries.get(at).map(|entry| &entry.value)
    }
}

impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(node: &Node, field: &str, report: &mut Report) -> Option<Self> {
        let NodeValue::Sequence(nodes) = &node.value else {
            report.push(wrong_type(node, field, "a list").help("put `- ` before each entry"));
            return None;
        };
        let values: Vec<T> = nodes.iter().filter_map(|node| T::from_node(node, field, report)).collect();
        (values.len() == nodes.len()).then_some(values)
    }

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

/// `field` is not what it should be.
pub(super) fn wrong_type(node: &Node, field: &str, expected: &str) -> Diagnostic {
    let message = format!("`{}` must be {expected}, this is {}", shortened(field), node.describe());
    Diagnostic::error(Code::WrongType, node.span, message)
}

/// The word itself, or its start when it is long: messages are bounded.
pub(crate) fn shortened(word: &str) -> String {
    const LONGEST: usize = 60;
    if word.chars().count() <= LONGEST {
        return word.to_owned();
    }
    word.chars().take(LONGEST).chain(['…']).collect()
}

/// Advice for a word that is none of `known`: the nearest one, else all of them.
pub(crate) fn suggestion<'k>(word: &str, known: impl Iterator<Item = &'k str> + Clone, what: &str) -> String {
    let near = known.clone().map(|known| (distance(word, known), known)).min();
    match near {
        Some((0..=2, known)) => format!("did you mean `{known}`?"),
        _ => format!("{what}: {}", known.filter(|known| !known.is_empty()).collect::<Vec<_>>().join(", ")),
    }
}

/// Edit distance without regard to case; words that differ much in length are far apart at once.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or_default();
            let best = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = above;
            if let Some(cell) = row.get_mut(j) {
                *cell = left;
            }
            left = best;
        }
        if let Some(cell) = row.get_mut(b.len()) {
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_lists_all() {
        assert_eq!(distance("kitten", "sittin"), 2);
        assert_eq!(distance("", "ab"), 2);
        assert_eq!(distance("abc", "abc"), 0);
        let known = ["matchArgs", "matchPIDs"];
        assert_eq!(suggestion("matchArg", known.into_iter(), "fields"), "did you mean `matchArgs`?");
        assert_eq!(suggestion("matchpids", known.into_iter(), "fields"), "did you mean `matchPIDs`?");
        assert_eq!(suggestion("colour", known.into_iter(), "fields"), "fields: matchArgs, matchPIDs");
    }
}

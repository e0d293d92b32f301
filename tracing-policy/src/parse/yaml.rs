//! YAML (and JSON) text to nodes, within a budget.
//!
//! Aliases are copies, so a short text can stand for a vast tree; depth, nodes and copied bytes are bounded, which
//! the text's own size already does for everything that is written out.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, Tag};

use super::fields::shortened;
use super::node::{Entry, Node, NodeValue};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{MAX_BYTES, SourceText, Span};

/// Deepest nesting; a policy needs nine levels.
const MAX_DEPTH: usize = 64;
/// Most nodes of a text, copies by alias included.
const MAX_NODES: usize = 2_000_000;
/// Most bytes of text that aliases may copy.
const MAX_COPIED_BYTES: usize = 4 * 1024 * 1024;

/// The documents of a text.
///
/// # Errors
/// The first thing that is no YAML, is beyond the budget, or has a meaning policies do not use. Reading stops
/// there: what follows broken YAML means nothing.
pub(super) fn documents(source: &SourceText) -> Result<Vec<Node>, Diagnostic> {
    let size = source.text().len();
    if size > MAX_BYTES {
        let message = format!("{size} bytes is more than the {MAX_BYTES} a policy may have");
        return Err(Diagnostic::error(Code::TooLarge, Span::default(), message).help("split the policy"));
    }
    let mut parser = Parser::new_from_str(source.text());
    let mut builder = Builder::default();
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            // the reader counts bytes, and may stop inside a character
            let at = source.text().floor_char_boundary(error.marker().byte_offset().unwrap_or_default());
            let end = source.text().ceil_char_boundary(at + 1);
            Diagnostic::error(Code::BadYaml, Span::new(at, end), error.info())
        })?;
        let range = span.byte_range().unwrap_or_default();
        builder.take(event, Span::new(range.start, range.end))?;
    }
    Ok(builder.documents)
}

/// A collection that is not complete yet.
#[derive(Debug)]
struct Open {
    span: Span,
    style: StructureStyle,
    anchor: usize,
    weight: Weight,
    children: Children,
}

#[derive(Debug)]
enum Children {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, keys: HashSet<String>, key: Option<(String, Span)> },
}

/// What a node costs to copy.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, Weight)>,
    spent: Weight,
}

impl Builder {
    #[expect(clippy::wildcard_enum_match_arm, reason = "an enum of another crate that may grow")]
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let weight = Weight { nodes: 1, bytes: text.len() };
                let node = scalar(text.into_owned(), style, tag.as_deref(), span)?;
                self.complete(node, weight, anchor)
            }
            Event::SequenceStart(style, anchor, tag) => {
                collection_tag(tag.as_deref(), "seq", span)?;
                self.start(span, style, anchor, Children::Sequence(Vec::new()))
            }
            Event::MappingStart(style, anchor, tag) => {
                collection_tag(tag.as_deref(), "map", span)?;
                let children = Children::Mapping { entries: Vec::new(), keys: HashSet::new(), key: None };
                self.start(span, style, anchor, children)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(id) => {
                let Some((mut node, weight)) = self.anchors.get(&id).cloned_within(&mut self.spent) else {
                    let message = "an alias that refers to itself, or copies too much";
                    return Err(
                        Diagnostic::error(Code::TooComplex, span, message).help("write the values out")
                    );
                };
                node.span = span;
                self.complete(node, weight, 0)
            }
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            // The enum may grow; an event we do not know may carry content, which must not be dropped.
            other => {
                let message = format!("this part of YAML is not read: {other:?}");
                Err(Diagnostic::error(Code::ForeignYaml, span, shortened(&message)))
            }
        }
    }

    fn start(
        &mut self,
        span: Span,
        style: StructureStyle,
        anchor: usize,
        children: Children,
    ) -> Result<(), Diagnostic> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(Diagnostic::error(Code::TooComplex, span, message));
        }
        self.open.push(Open { span, style, anchor, weight: Weight { nodes: 1, bytes: 0 }, children });
        Ok(())
    }

    fn end(&mut self, end: Span) -> Result<(), Diagnostic> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let (value, last) = match open.children {
            Children::Sequence(nodes) => {
                let last = nodes.last().map(|node| node.span);
                (NodeValue::Sequence(nodes), last)
            }
            Children::Mapping { entries, .. } => {
                let last = entries.last().map(|entry| entry.key_span.to(entry.value.span));
                (NodeValue::Mapping(entries), last)
            }
        };
        let last = match open.style {
            StructureStyle::Flow => end,
            StructureStyle::Block => last.unwrap_or(open.span),
        };
        self.complete(Node { span: open.span.to(last), value }, open.weight, open.anchor)
    }

    /// Puts a node where it belongs.
    fn complete(&mut self, node: Node, weight: Weight, anchor: usize) -> Result<(), Diagnostic> {
        self.spent.nodes += 1;
        if self.spent.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values");
            return Err(Diagnostic::error(Code::TooComplex, node.span, message));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        open.weight.nodes += weight.nodes;
        open.weight.bytes += weight.bytes;
        match &mut open.children {
            Children::Sequence(nodes) => nodes.push(node),
            Children::Mapping { entries, keys, key } => match key.take() {
                None => *key = Some(new_key(node, keys, entries)?),
                Some((key, key_span)) => entries.push(Entry { key, key_span, value: node }),
            },
        }
        Ok(())
    }
}

/// Copying a node, if the budget allows it.
trait ClonedWithin {
    fn cloned_within(self, spent: &mut Weight) -> Option<(Node, Weight)>;
}

impl ClonedWithin for Option<&(Node, Weight)> {
    fn cloned_within(self, spent: &mut Weight) -> Option<(Node, Weight)> {
        let (node, weight) = self?;
        spent.nodes += weight.nodes;
        spent.bytes += weight.bytes;
        (spent.nodes <= MAX_NODES && spent.bytes <= MAX_COPIED_BYTES).then(|| (node.clone(), *weight))
    }
}

/// A key that was not there before.
fn new_key(node: Node, keys: &mut HashSet<String>, entries: &[Entry]) -> Result<(String, Span), Diagnostic> {
    let span = node.span;
    let key = match node.value {
        NodeValue::Plain(text) if text == "<<" => {
            return Err(Diagnostic::error(Code::ForeignYaml, span, "merge keys are not read")
                .help("write the fields out"));
        }
        NodeValue::Plain(text) | NodeValue::Text(text) => text,
        NodeValue::Binary(_) | NodeValue::Sequence(_) | NodeValue::Mapping(_) | NodeValue::Question(_) => {
            return Err(Diagnostic::error(Code::WrongType, span, "a key must be text"));
        }
    };
    if keys.insert(key.clone()) {
        return Ok((key, span));
    }
    let error = Diagnostic::error(Code::DuplicateKey, span, format!("`{key}` is there twice"));
    let first = entries.iter().find(|entry| entry.key == key).map_or(span, |entry| entry.key_span);
    Err(error.labelled("again here").also(first, "first here").help("keep one of the two"))
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Node, Diagnostic> {
    let value = match tag.map(|tag| (yaml_tag(tag), tag)) {
        None if style == ScalarStyle::Plain => NodeValue::Plain(text),
        None | Some((Some(YamlTag::Text), _)) => NodeValue::Text(text),
        Some((Some(YamlTag::Binary), _)) => {
            let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(compact).map_err(|error| {
                Diagnostic::error(Code::ForeignYaml, span, format!("not base64: {error}"))
            })?;
            NodeValue::Binary(bytes)
        }
        Some((Some(YamlTag::Plain), _)) => NodeValue::Plain(text),
        Some((_, tag)) => return Err(foreign_tag(tag, span)),
    };
    Ok(Node { span, value })
}

/// A tag of a scalar that has a meaning here.
enum YamlTag {
    Text,
    Binary,
    Plain,
}

fn yaml_tag(tag: &Tag) -> Option<YamlTag> {
    match tag.suffix_in_namespace("tag:yaml.org,2002:")?.as_ref() {
        "str" => Some(YamlTag::Text),
        "binary" => Some(YamlTag::Binary),
        "bool" | "int" | "float" | "null" => Some(YamlTag::Plain),
        _ => None,
    }
}

fn collection_tag(tag: Option<&Tag>, expected: &str, span: Span) -> Result<(), Diagnostic> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(expected) => Err(foreign_tag(tag, span)),
        _ => Ok(()),
    }
}

fn foreign_tag(tag: &Tag, span: Span) -> Diagnostic {
    Diagnostic::error(Code::ForeignYaml, span, format!("the tag `{}` is not read", tag.original()))
        .help("leave the tag out; only !!str and !!binary have a meaning here")
}

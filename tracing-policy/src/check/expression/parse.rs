//! The words of an expression to its tree.

use std::ops::Range;

use super::scan::{Fault, Token};
use crate::policy::{BinaryOperator, Relation};

/// Deepest tree. What works on it calls itself once a level.
const DEEPEST: usize = 64;

/// A part of an expression and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) range: Range<usize>,
    depth: usize,
}

/// What a part is.
#[derive(Debug)]
pub(super) enum Kind {
    Name(String),
    Number { magnitude: u64, negative: bool, unsigned: bool },
    Text(Vec<u8>),
    Truth(bool),
    List(Vec<Node>),
    Not(Box<Node>),
    Minus(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
    Compare(Relation, Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    Binary(BinaryOperator, Box<[Node; 2]>),
    Choose(Box<[Node; 3]>),
    Call { name: String, receiver: Option<Box<Node>>, arguments: Vec<Node> },
}

/// The tree of all the words.
pub(super) fn parse(tokens: &[(Token, Range<usize>)]) -> Result<Node, Fault> {
    let mut parser = Parser { tokens, at: 0, open: 0 };
    let node = parser.choice()?;
    if *parser.peek() == Token::End { Ok(node) } else { Err(parser.unexpected("the end, or an operator")) }
}

struct Parser<'a> {
    tokens: &'a [(Token, Range<usize>)],
    at: usize,
    /// Levels of what is being read.
    open: usize,
}

/// The deepest of `nodes`.
fn deepest<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> usize {
    nodes.into_iter().map(|node| node.depth).max().unwrap_or(0)
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn range(&self) -> Range<usize> {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0..0, |(_, range)| range.clone())
    }

    fn is(&self, mark: &str) -> bool {
        matches!(self.peek(), Token::Mark(found) if *found == mark)
    }

    /// Goes past a mark, if it is there.
    fn take(&mut self, mark: &str) -> bool {
        let found = self.is(mark);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: &str) -> Result<(), Fault> {
        if self.take(mark) { Ok(()) } else { Err(self.unexpected(&format!("`{mark}`"))) }
    }

    fn unexpected(&self, expected: &str) -> Fault {
        let range = self.range();
        let message = match self.peek() {
            Token::End => format!("the expression ends where {expected} is expected"),
            Token::Mark(mark @ ("*" | "/" | "%")) => {
                return Fault::new(range, format!("expressions have no operator `{mark}` here"))
                    .help("operators: + - && || ! == != < <= > >= in ?:, functions and() or() xor() not()");
            }
            Token::Mark(_) | Token::Name(_) | Token::Number { .. } | Token::Text(_) => {
                format!("{expected} is expected here")
            }
        };
        Fault::new(range, message)
    }

    /// A node over others.
    fn node(kind: Kind, range: Range<usize>, below: usize) -> Result<Node, Fault> {
        let depth = below + 1;
        if depth > DEEPEST {
            let message = format!("nested deeper than {DEEPEST} levels");
            return Err(Fault::new(range, message).help("use several selectors, or a list with `in`"));
        }
        Ok(Node { kind, range, depth })
    }

    /// Reads something one level down.
    fn deeper(&mut self, read: fn(&mut Self) -> Result<Node, Fault>) -> Result<Node, Fault> {
        self.open += 1;
        if self.open > DEEPEST {
            return Err(Fault::new(self.range(), format!("nested deeper than {DEEPEST} levels")));
        }
        let node = read(self);
        self.open -= 1;
        node
    }

    fn choice(&mut self) -> Result<Node, Fault> {
        let by = self.any()?;
        if !self.take("?") {
            return Ok(by);
        }
        let yes = self.deeper(Self::any)?;
        self.expect(":")?;
        let no = self.deeper(Self::choice)?;
        let range = by.range.start..no.range.end;
        let below = deepest([&by, &yes, &no]);
        Self::node(Kind::Choose(Box::new([by, yes, no])), range, below)
    }

    fn any(&mut self) -> Result<Node, Fault> {
        self.chain("||", Self::all, Kind::Any)
    }

    fn all(&mut self) -> Result<Node, Fault> {
        self.chain("&&", Self::relation, Kind::All)
    }

    fn chain(
        &mut self,
        mark: &str,
        read: fn(&mut Self) -> Result<Node, Fault>,
        kind: fn(Vec<Node>) -> Kind,
    ) -> Result<Node, Fault> {
        let first = read(self)?;
        if !self.is(mark) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.take(mark) {
            parts.push(read(self)?);
        }
        let start = parts.first().map_or(0, |part| part.range.start);
        let end = parts.last().map_or(0, |part| part.range.end);
        let below = deepest(&parts);
        Self::node(kind(parts), start..end, below)
    }

    fn relation(&mut self) -> Result<Node, Fault> {
        let mut left = self.sum()?;
        loop {
            let relation = match self.peek() {
                Token::Mark("==") => Some(Relation::Equal),
                Token::Mark("!=") => Some(Relation::NotEqual),
                Token::Mark("<") => Some(Relation::Less),
                Token::Mark("<=") => Some(Relation::AtMost),
                Token::Mark(">") => Some(Relation::More),
                Token::Mark(">=") => Some(Relation::AtLeast),
                Token::Name(name) if name == "in" => None,
                Token::Mark(_) | Token::Name(_) | Token::Number { .. } | Token::Text(_) | Token::End => {
                    return Ok(left);
                }
            };
            self.at += 1;
            let right = self.sum()?;
            let (range, below) = (left.range.start..right.range.end, deepest([&left, &right]));
            let sides = Box::new([left, right]);
            let kind = match relation {
                Some(relation) => Kind::Compare(relation, sides),
                None => Kind::In(sides),
            };
            left = Self::node(kind, range, below)?;
        }
    }

    fn sum(&mut self) -> Result<Node, Fault> {
        let mut left = self.unary()?;
        loop {
            let operator = match self.peek() {
                Token::Mark("+") => BinaryOperator::Add,
                Token::Mark("-") => BinaryOperator::Subtract,
                Token::Mark("*" | "/" | "%") => return Err(self.unexpected("another operator")),
                Token::Mark(_) | Token::Name(_) | Token::Number { .. } | Token::Text(_) | Token::End => {
                    return Ok(left);
                }
            };
            self.at += 1;
            let right = self.unary()?;
            let (range, below) = (left.range.start..right.range.end, deepest([&left, &right]));
            left = Self::node(Kind::Binary(operator, Box::new([left, right])), range, below)?;
        }
    }

    fn unary(&mut self) -> Result<Node, Fault> {
        let start = self.range().start;
        let negates = self.is("!");
        if !negates && !self.is("-") {
            return self.member();
        }
        self.at += 1;
        if let (false, Token::Number { magnitude, unsigned }) = (negates, self.peek().clone()) {
            let range = start..self.range().end;
            self.at += 1;
            return Self::node(Kind::Number { magnitude, negative: true, unsigned }, range, 0);
        }
        let inner = self.deeper(Self::unary)?;
        let (range, below) = (start..inner.range.end, inner.depth);
        let inner = Box::new(inner);
        Self::node(if negates { Kind::Not(inner) } else { Kind::Minus(inner) }, range, below)
    }

    /// Something with calls behind it.
    fn member(&mut self) -> Result<Node, Fault> {
        let mut node = self.primary()?;
        while self.take(".") {
            let Token::Name(name) = self.peek().clone() else {
                return Err(self.unexpected("the name of a function"));
            };
            self.at += 1;
            self.expect("(")?;
            let (arguments, end) = self.list(")")?;
            let (range, below) = (node.range.start..end, node.depth.max(deepest(&arguments)));
            let receiver = Some(Box::new(node));
            node = Self::node(Kind::Call { name, receiver, arguments }, range, below)?;
        }
        Ok(node)
    }

    /// What stands up to a bracket, and where that ends.
    fn list(&mut self, close: &str) -> Result<(Vec<Node>, usize), Fault> {
        let mut nodes = Vec::new();
        loop {
            let end = self.range().end;
            if self.take(close) {
                return Ok((nodes, end));
            }
            if !nodes.is_empty() {
                self.expect(",")?;
                let end = self.range().end;
                if self.take(close) {
                    return Ok((nodes, end));
                }
            }
            nodes.push(self.deeper(Self::choice)?);
        }
    }

    fn primary(&mut self) -> Result<Node, Fault> {
        let range = self.range();
        let token = self.peek().clone();
        self.at += 1;
        match token {
            Token::Number { magnitude, unsigned } => {
                Self::node(Kind::Number { magnitude, negative: false, unsigned }, range, 0)
            }
            Token::Text(text) => Self::node(Kind::Text(text), range, 0),
            Token::Name(name) if name == "true" || name == "false" => {
                Self::node(Kind::Truth(name == "true"), range, 0)
            }
            Token::Name(name) if self.take("(") => {
                let (arguments, end) = self.list(")")?;
                let below = deepest(&arguments);
                Self::node(Kind::Call { name, receiver: None, arguments }, range.start..end, below)
            }
            Token::Name(name) if name != "in" => Self::node(Kind::Name(name), range, 0),
            Token::Mark("(") => {
                let inner = self.deeper(Self::choice)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Mark("[") => {
                let (nodes, end) = self.list("]")?;
                let below = deepest(&nodes);
                Self::node(Kind::List(nodes), range.start..end, below)
            }
            Token::Name(_) | Token::Mark(_) | Token::End => {
                self.at -= 1;
                Err(self.unexpected("a number, a text, an argument or a bracket"))
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::scan::scan;
    use super::*;

    /// The tree with a bracket around each part.
    fn drawn(node: &Node) -> String {
        let all = |nodes: &[Node], between: &str| nodes.iter().map(drawn).collect::<Vec<_>>().join(between);
        match &node.kind {
            Kind::Name(name) => name.clone(),
            Kind::Number { magnitude, negative, .. } => {
                format!("{}{magnitude}", if *negative { "-" } else { "" })
            }
            Kind::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
            Kind::Truth(answer) => answer.to_string(),
            Kind::List(nodes) => format!("[{}]", all(nodes, ", ")),
            Kind::Not(inner) => format!("!{}", drawn(inner)),
            Kind::Minus(inner) => format!("-{}", drawn(inner)),
            Kind::All(nodes) => format!("({})", all(nodes, " && ")),
            Kind::Any(nodes) => format!("({})", all(nodes, " || ")),
            Kind::Compare(relation, sides) => format!("({})", all(&**sides, &format!(" {relation:?} "))),
            Kind::In(sides) => format!("({})", all(&**sides, " in ")),
            Kind::Binary(operator, sides) => format!("({})", all(&**sides, &format!(" {operator:?} "))),
            Kind::Choose(parts) => format!("({})", all(&**parts, " ? ")),
            Kind::Call { name, receiver, arguments } => {
                let receiver = receiver.as_ref().map(|it| drawn(it) + ".").unwrap_or_default();
                format!("{receiver}{name}({})", all(arguments, ", "))
            }
        }
    }

    #[test]
    fn operators_bind_as_in_cel() {
        for (text, expected) in [
            ("a || b && c == d + 1", "(a || (b && (c Equal (d Add 1))))"),
            ("!a.f('x') && -b - -1 < 2", "(!a.f(\"x\") && ((-b Subtract -1) Less 2))"),
            ("a ? b : c ? d : e", "(a ? b ? (c ? d ? e))"),
            ("a in [1, 2,] == true", "((a in [1, 2]) Equal true)"),
            ("(a || b) && and(c, 1) != 0", "((a || b) && (and(c, 1) NotEqual 0))"),
        ] {
            assert_eq!(drawn(&parse(&scan(text).unwrap()).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_out_of_place_is_pointed_at() {
        for (text, range) in [
            ("", 0..0),
            ("arg0 ==", 7..7),
            ("arg0 = 1", 5..6),
            ("arg0 * 2 == 4", 5..6),
            ("(arg0 == 1", 10..10),
            ("arg0 == 1 arg1", 10..14),
            ("arg0.", 5..5),
            ("[1 2]", 3..4),
        ] {
            let range_of = |text| match scan(text) {
                Ok(tokens) => parse(&tokens).unwrap_err().range,
                Err(fault) => fault.range,
            };
            assert_eq!(range_of(text), range, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let many = |part: &str, rest: &str| format!("{}{rest}", part.repeat(10_000));
        for text in [many("(", "1"), many("!", "a"), many("1+", "1"), many("f(", ""), many("a?b:", "c")] {
            assert!(parse(&scan(&text).unwrap()).unwrap_err().message.contains("deeper"), "{text:.9}");
        }
        // what stands side by side does not nest
        let wide = many("a || ", "b");
        assert!(parse(&scan(&wide).unwrap()).is_ok());
    }
}

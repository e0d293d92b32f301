//! Words to a tree, by recursive descent.
#![expect(clippy::wildcard_enum_match_arm, reason = "any other word ends what is read")]

use regex::RegexBuilder;

use super::function::Function;
use super::syntax::{Comprehension, Expr, Kind, Operator};
use super::token::{Token, tokens};

/// What a regular expression counts as, so that there are not more than twenty.
const REGEX_PARTS: usize = 25;
/// Longest text of an expression, in bytes.
const MAX_TEXT: usize = 16 << 10;
/// Most parts of an expression.
const MAX_PARTS: usize = 500;
/// Most brackets and other levels within each other.
const MAX_DEPTH: usize = 40;
/// Most memory that a regular expression may take when compiled, in bytes.
const MAX_REGEX: usize = 256 << 10;

/// Words that stand for themselves and can name nothing.
const RESERVED: [&str; 3] = ["true", "false", "null"];

/// The tree of `text`.
///
/// # Errors
///
/// What is wrong, and at which byte.
pub(super) fn expression(text: &str) -> Result<Expr, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("it has {} bytes, and at most {MAX_TEXT} are read", text.len()));
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, parts: 0, depth: 0 };
    let root = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(root),
        _ => Err(parser.unexpected("the end")),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    parts: usize,
    depth: usize,
}

type Parsed = Result<Expr, String>;

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn accept(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.accept(sign) { Ok(()) } else { Err(self.unexpected(&format!("{sign:?}"))) }
    }

    fn unexpected(&self, wanted: &str) -> String {
        match self.tokens.get(self.next) {
            Some((at, Token::End)) => format!("at byte {at}: it ends where {wanted} was expected"),
            Some((at, _)) => format!("at byte {at}: {wanted} was expected"),
            None => format!("it ends where {wanted} was expected"),
        }
    }

    fn part(&mut self, expr: Expr) -> Parsed {
        self.parts += if matches!(expr, Expr::Matches(..)) { REGEX_PARTS } else { 1 };
        if self.parts > MAX_PARTS { Err(format!("it has more than {MAX_PARTS} parts")) } else { Ok(expr) }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("it goes deeper than {MAX_DEPTH} levels"));
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn expression(&mut self) -> Parsed {
        self.deeper(|parser| {
            let condition = parser.any()?;
            if !parser.accept("?") {
                return Ok(condition);
            }
            let then = parser.any()?;
            parser.expect(":")?;
            let otherwise = parser.expression()?;
            parser.part(Expr::Conditional(Box::new([condition, then, otherwise])))
        })
    }

    fn any(&mut self) -> Parsed {
        let mut parts = vec![self.all()?];
        while self.accept("||") {
            parts.push(self.all()?);
        }
        if parts.len() > 1 { self.part(Expr::Any(parts)) } else { Ok(parts.swap_remove(0)) }
    }

    fn all(&mut self) -> Parsed {
        let mut parts = vec![self.relation()?];
        while self.accept("&&") {
            parts.push(self.relation()?);
        }
        if parts.len() > 1 { self.part(Expr::All(parts)) } else { Ok(parts.swap_remove(0)) }
    }

    fn relation(&mut self) -> Parsed {
        use Operator::{Equal, Greater, GreaterOrEqual, In, Less, LessOrEqual, NotEqual};
        self.row(Self::sum, |token| match token {
            Token::Sign("==") => Some(Equal),
            Token::Sign("!=") => Some(NotEqual),
            Token::Sign("<") => Some(Less),
            Token::Sign("<=") => Some(LessOrEqual),
            Token::Sign(">") => Some(Greater),
            Token::Sign(">=") => Some(GreaterOrEqual),
            Token::Name(name) if name == "in" => Some(In),
            _ => None,
        })
    }

    fn sum(&mut self) -> Parsed {
        self.row(Self::product, |token| match token {
            Token::Sign("+") => Some(Operator::Add),
            Token::Sign("-") => Some(Operator::Subtract),
            _ => None,
        })
    }

    fn product(&mut self) -> Parsed {
        self.row(Self::unary, |token| match token {
            Token::Sign("*") => Some(Operator::Multiply),
            Token::Sign("/") => Some(Operator::Divide),
            Token::Sign("%") => Some(Operator::Remainder),
            _ => None,
        })
    }

    /// Operands with operators between them that bind alike: from the left.
    fn row(&mut self, operand: fn(&mut Self) -> Parsed, operator: fn(&Token) -> Option<Operator>) -> Parsed {
        let mut left = operand(self)?;
        while let Some(operator) = operator(self.peek()) {
            self.next += 1;
            let right = operand(self)?;
            left = self.part(Expr::Binary(operator, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        if self.accept("!") {
            let inner = self.deeper(Self::unary)?;
            return self.part(Expr::Not(Box::new(inner)));
        }
        if !self.accept("-") {
            return self.member();
        }
        // The least number has no positive one.
        let inner = match self.peek() {
            Token::Int(value) if *value == i64::MIN.unsigned_abs() => {
                self.next += 1;
                return self.part(Expr::Int(i64::MIN));
            }
            _ => self.deeper(Self::unary)?,
        };
        self.part(Expr::Negative(Box::new(inner)))
    }

    fn member(&mut self) -> Parsed {
        let mut expr = self.primary()?;
        loop {
            if self.accept("[") {
                let index = self.expression()?;
                self.expect("]")?;
                expr = self.part(Expr::Index(Box::new(expr), Box::new(index)))?;
            } else if self.accept(".") {
                let Token::Name(name) = self.peek().clone() else { return Err(self.unexpected("a name")) };
                self.next += 1;
                expr = if self.accept("(") {
                    let arguments = self.items(")")?;
                    let call = Self::method(expr, &name, arguments)?;
                    self.part(call)?
                } else {
                    self.part(Expr::Select(Box::new(expr), name))?
                };
            } else {
                return Ok(expr);
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let expr = match self.take() {
            Token::Int(value) => {
                Expr::Int(i64::try_from(value).map_err(|_large| format!("{value} is too large for an int"))?)
            }
            Token::Uint(value) => Expr::Uint(value),
            Token::Double(value) => Expr::Double(value),
            Token::String(text) => Expr::String(text),
            Token::Bytes(bytes) => Expr::Bytes(bytes),
            Token::Sign("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Sign("[") => Expr::List(self.items("]")?),
            Token::Sign("{") => Expr::Map(self.entries()?),
            Token::Name(name) if name == "true" || name == "false" => Expr::Bool(name == "true"),
            Token::Name(name) if name == "null" => Expr::Null,
            Token::Name(name) if name == "in" => {
                self.next -= 1;
                return Err(self.unexpected("a value"));
            }
            Token::Name(name) if self.accept("(") => {
                let arguments = self.items(")")?;
                Self::global(&name, arguments)?
            }
            Token::Name(name) => Expr::Name(name),
            Token::Sign(_) | Token::End => {
                self.next -= 1;
                return Err(self.unexpected("a value"));
            }
        };
        self.part(expr)
    }

    /// What stands between commas up to a bracket.
    fn items(&mut self, end: &str) -> Result<Vec<Expr>, String> {
        let mut items = Vec::new();
        while !self.accept(end) {
            items.push(self.expression()?);
            if !self.accept(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(items)
    }

    fn entries(&mut self) -> Result<Vec<(Expr, Expr)>, String> {
        let mut entries = Vec::new();
        while !self.accept("}") {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
            if !self.accept(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(entries)
    }

    fn global(name: &str, mut arguments: Vec<Expr>) -> Parsed {
        match (name, arguments.len()) {
            ("has", 1) => match arguments.swap_remove(0) {
                Expr::Select(of, field) => Ok(Expr::Has(of, field)),
                _ => Err("has() asks for a field, as in has(process_exec.parent)".to_owned()),
            },
            ("matches", 2) => {
                let pattern = arguments.swap_remove(1);
                matches(arguments.swap_remove(0), &pattern)
            }
            (_, count) => Self::call(name, arguments, count),
        }
    }

    fn method(target: Expr, name: &str, mut arguments: Vec<Expr>) -> Parsed {
        let kind = match name {
            "all" => Some(Kind::All),
            "exists" => Some(Kind::Exists),
            "exists_one" | "existsOne" => Some(Kind::ExistsOne),
            "filter" => Some(Kind::Filter),
            "map" => Some(Kind::Map),
            _ => None,
        };
        match (kind, arguments.len()) {
            (Some(kind), 2) => comprehension(kind, target, arguments),
            (Some(Kind::Map), 3) => comprehension(Kind::Map, target, arguments),
            (None, 1) if name == "matches" => matches(target, &arguments.swap_remove(0)),
            // The only function whose name has two parts.
            (None, 1) if name == "isCanonical" && matches!(&target, Expr::Name(ip) if ip == "ip") => {
                Ok(Expr::Call(Function::IsCanonical, arguments))
            }
            _ => {
                arguments.insert(0, target);
                let count = arguments.len();
                Self::call(name, arguments, count)
            }
        }
    }

    fn call(name: &str, arguments: Vec<Expr>, count: usize) -> Parsed {
        match Function::named(name) {
            Some(function) if function.arguments() == count => Ok(Expr::Call(function, arguments)),
            Some(function) => {
                let wanted = function.arguments();
                Err(format!(
                    "{name}() takes {wanted} values, the one before the dot included, and has {count}"
                ))
            }
            None => Err(format!("there is no function {name}()")),
        }
    }
}

fn comprehension(kind: Kind, range: Expr, arguments: Vec<Expr>) -> Parsed {
    let mut arguments = arguments.into_iter();
    let variable = match arguments.next() {
        Some(Expr::Name(name)) if !RESERVED.contains(&name.as_str()) => name,
        _ => {
            return Err(
                "the first value within is the name of the element, as in args.exists(a, …)".to_owned()
            );
        }
    };
    let (first, second) = (arguments.next().unwrap_or(Expr::Bool(true)), arguments.next());
    let (condition, result) = match (kind, second) {
        (Kind::Map, None) => (Expr::Bool(true), Some(first)),
        (_, second) => (first, second),
    };
    Ok(Expr::Comprehension(Box::new(Comprehension { kind, range, variable, condition, result })))
}

/// `matches`, with its pattern compiled once.
fn matches(of: Expr, pattern: &Expr) -> Parsed {
    let Expr::String(pattern) = pattern else {
        return Err(
            "matches() takes its pattern as a string that stands there, not one that is computed".to_owned()
        );
    };
    let built = RegexBuilder::new(pattern).size_limit(MAX_REGEX).dfa_size_limit(MAX_REGEX).build();
    Ok(Expr::Matches(Box::new(of), built.map_err(|error| format!("matches(): {error}"))?))
}

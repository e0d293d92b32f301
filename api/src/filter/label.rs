//! Label selectors as Kubernetes writes them: `app=web,tier in (a, b),!debug`.

use std::collections::BTreeMap;

/// What all must hold for labels to be selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: Box<str>,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    Missing,
    In(Vec<Box<str>>),
    /// Or missing.
    NotIn(Vec<Box<str>>),
    Above(i64),
    Below(i64),
}

impl Selector {
    /// The selector that `text` says; the empty one selects everything.
    ///
    /// # Errors
    ///
    /// What was expected where something else stands.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let mut requirements = Vec::new();
        if reader.peek().is_none() {
            return Ok(Self { requirements });
        }
        loop {
            requirements.push(reader.requirement()?);
            match reader.next() {
                None => return Ok(Self { requirements }),
                Some(",") => {}
                Some(other) => return Err(format!("expected a comma at {other:?}")),
            }
        }
    }

    pub(super) fn matches(&self, labels: &BTreeMap<Box<str>, Box<str>>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.get(&requirement.key).map(|value| &**value);
            requirement.test.matches(value)
        })
    }
}

impl Test {
    fn matches(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::Exists => value.is_some(),
            Self::Missing => value.is_none(),
            Self::In(values) => value.is_some_and(|value| values.iter().any(|one| **one == *value)),
            Self::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| **one != *value)),
            Self::Above(bound) => number().is_some_and(|number| number > *bound),
            Self::Below(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

/// Text that is read word by word.
struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    /// The next sign or word.
    fn peek(&mut self) -> Option<&'t str> {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next()?;
        let length = match first {
            '=' if self.rest.starts_with("==") => 2,
            '!' if self.rest.starts_with("!=") => 2,
            '=' | '!' | '<' | '>' | '(' | ')' | ',' => 1,
            _ => {
                let ends = |sign: char| sign.is_whitespace() || "=!<>(),".contains(sign);
                self.rest.find(ends).unwrap_or(self.rest.len())
            }
        };
        self.rest.get(..length)
    }

    fn next(&mut self) -> Option<&'t str> {
        let word = self.peek()?;
        self.rest = self.rest.get(word.len()..).unwrap_or_default();
        Some(word)
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let missing = self.peek() == Some("!");
        if missing {
            self.next();
        }
        let key = self.next().filter(|word| is_name(word)).ok_or("expected the name of a label")?.into();
        if missing {
            return Ok(Requirement { key, test: Test::Missing });
        }
        let operator = match self.peek() {
            None | Some(",") => return Ok(Requirement { key, test: Test::Exists }),
            Some(operator) => operator,
        };
        self.next();
        let test = match operator {
            "=" | "==" => Test::In(vec![self.value()?]),
            "!=" => Test::NotIn(vec![self.value()?]),
            ">" => Test::Above(self.number()?),
            "<" => Test::Below(self.number()?),
            "in" => Test::In(self.values()?),
            "notin" => Test::NotIn(self.values()?),
            other => return Err(format!("expected an operator at {other:?}")),
        };
        Ok(Requirement { key, test })
    }

    /// A value, which may be empty.
    fn value(&mut self) -> Result<Box<str>, String> {
        match self.peek() {
            None | Some("," | ")") => Ok("".into()),
            Some(word) if is_name(word) => {
                self.next();
                Ok(word.into())
            }
            Some(other) => Err(format!("expected a value at {other:?}")),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let word = self.next().unwrap_or_default();
        word.parse().map_err(|_not_one| format!("expected a number at {word:?}"))
    }

    fn values(&mut self) -> Result<Vec<Box<str>>, String> {
        if self.next() != Some("(") {
            return Err("expected values in parentheses".to_owned());
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            match self.next() {
                Some(",") => {}
                Some(")") => return Ok(values),
                _ => return Err("expected a comma or a closing parenthesis".to_owned()),
            }
        }
    }
}

/// Whether `word` has only what names and values of labels are made of.
fn is_name(word: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    !word.is_empty() && word.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeMap;

    use super::Selector;

    #[test]
    fn selectors_select_as_in_kubernetes() {
        let labels: BTreeMap<Box<str>, Box<str>> =
            [("app", "web"), ("k8s.io/tier", "a"), ("size", "10"), ("empty", "")]
                .map(|(key, value)| (key.into(), value.into()))
                .into();
        for (selector, expected) in [
            ("", true),
            ("app", true),
            ("!app", false),
            ("!debug", true),
            ("app=web", true),
            ("app==web , !debug", true),
            ("app!=web", false),
            ("debug!=x", true),
            ("app in (api, web)", true),
            ("app in (api)", false),
            ("app notin (api)", true),
            ("debug notin (x)", true),
            ("debug in (x)", false),
            ("k8s.io/tier in (a),app=web", true),
            ("k8s.io/tier in (a),app=api", false),
            ("size>9,size<11", true),
            ("size>10", false),
            ("app>1", false),
            ("empty=", true),
            ("app=", false),
            ("empty in (,x)", true),
        ] {
            assert_eq!(Selector::parse(selector).unwrap().matches(&labels), expected, "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            ",",
            "=a",
            "a=b=c",
            "a in",
            "a in (",
            "a in b",
            "a in (b c)",
            "a b",
            "a>x",
            "a,",
            "!!a",
            "a=é",
            "a in (b))",
        ] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
    }
}

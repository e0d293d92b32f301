//! Environment variables of processes: which of them events show.

use std::sync::Arc;

use api::event::{EnvironmentVariable, text};
use bpf_probes::sensor::Environment;

/// Which variables are shown.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ShownVariables {
    /// None; the environment is not read.
    #[default]
    Hidden,
    /// All.
    All,
    /// Those of these names.
    Named(Arc<[String]>),
}

impl ShownVariables {
    /// What must be read for that.
    pub fn read(&self) -> Environment {
        match self {
            Self::Hidden => Environment::Unread,
            Self::All | Self::Named(_) => Environment::Read,
        }
    }

    /// The variables of `bytes`, each ended by NUL, in their order. `redact` says what is shown of a text `NAME=VALUE` in place of it, where that is not
    /// the whole.
    pub(super) fn variables(
        &self,
        bytes: &[u8],
        redact: impl Fn(&str) -> Option<String>,
    ) -> Vec<EnvironmentVariable> {
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        if *self == Self::Hidden || bytes.is_empty() {
            return Vec::new();
        }
        let texts = bytes.split(|byte| *byte == 0).filter(|variable| self.shows(variable)).map(text);
        texts.map(|shown| variable(&redact(&shown).unwrap_or_else(|| shown.into_owned()))).collect()
    }

    fn shows(&self, variable: &[u8]) -> bool {
        let name = variable.split(|byte| *byte == b'=').next().unwrap_or_default();
        match self {
            Self::Hidden => false,
            Self::All => true,
            Self::Named(names) => names.iter().any(|wanted| wanted.as_bytes() == name),
        }
    }
}

/// `NAME=VALUE` taken apart. What is no such text is the value of `invalid`, as upstream shows it.
fn variable(text: &str) -> EnvironmentVariable {
    let (key, value) = text.split_once('=').unwrap_or(("invalid", text));
    EnvironmentVariable { key: key.into(), value: value.into() }
}

#[cfg(test)]
mod tests {
    use super::ShownVariables;

    fn shown(environment: &ShownVariables, bytes: &[u8]) -> Vec<(String, String)> {
        let redact = |text: &str| text.contains("secret").then(|| text.replace("secret", "*****"));
        let variables = environment.variables(bytes, redact);
        variables.into_iter().map(|variable| (variable.key.into(), variable.value.into())).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn variables_are_taken_apart_at_their_first_sign_of_equality() {
        let bytes = b"A=1\0B=x=y\0C=\0odd\0=d\0\xff=\xfe\0";
        let expected =
            [("A", "1"), ("B", "x=y"), ("C", ""), ("invalid", "odd"), ("", "d"), ("\u{fffd}", "\u{fffd}")];
        assert_eq!(shown(&ShownVariables::All, bytes), pairs(&expected));
        assert_eq!(shown(&ShownVariables::All, b""), []);
        assert_eq!(shown(&ShownVariables::Hidden, bytes), []);
    }

    #[test]
    fn only_the_named_are_shown_and_what_is_shown_is_redacted_first() {
        let environment = ShownVariables::Named(["TOKEN".to_owned(), "odd".to_owned()].into());
        let bytes = b"TOKEN=secret\0TOKENS=secret\0odd\0X=TOKEN\0";
        assert_eq!(shown(&environment, bytes), pairs(&[("TOKEN", "*****"), ("invalid", "odd")]));
    }
}

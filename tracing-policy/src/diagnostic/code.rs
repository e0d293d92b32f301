//! The stable codes and their pages.

use std::fmt;
use std::str::FromStr;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal,)+) => {
        /// What kind of finding it is. A code keeps its number and meaning for ever; a page explains it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code, in the order of its number.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as it is written: `P0001`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $number,)+ }
            }

            /// The page: Markdown whose first line is `# P0001: title`.
            pub const fn page(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!("pages/", $number, ".md")),)+ }
            }
        }
    };
}

codes! {
    /// The text is larger than a policy may be.
    TooLarge = "P0001",
    /// The text is not YAML.
    BadYaml = "P0002",
    /// Nesting or aliases cost more than a policy needs.
    TooComplex = "P0003",
    /// A mapping has the same key twice.
    DuplicateKey = "P0004",
    /// Not exactly one policy in the text.
    NotOnePolicy = "P0005",
    /// A field that the language does not have.
    UnknownField = "P0006",
    /// A value of another type than the field has.
    WrongType = "P0007",
    /// A field that must be there is not.
    MissingField = "P0008",
    /// A word that is not one of those the field takes.
    UnknownWord = "P0009",
    /// A part of YAML that policies do not use: tags, merge keys.
    ForeignYaml = "P0010",
    /// Another apiVersion or kind.
    NotAPolicy = "P0011",
    /// More findings than are shown.
    TooManyFindings = "P0012",
    /// The name of the policy is not a DNS-1123 subdomain.
    BadName = "P0013",
    /// The language has it, this version does not.
    NotSupportedYet = "P0014",
    /// Hooks of more than one kind.
    SeveralHookKinds = "P0015",
    /// No hook at all.
    NoHook = "P0016",
    /// `spec.options` names an option that does not exist.
    UnknownOption = "P0017",
    /// `spec.options` has a value that the option does not take.
    BadOptionValue = "P0018",
    /// `spec.options` names an option twice.
    DuplicateOption = "P0019",
    /// `policy-mode` on a policy that enforces nothing.
    ModeWithoutEffect = "P0020",
    /// A document of another kind beside the policy.
    ForeignDocument = "P0021",
    /// The call is not a symbol.
    BadSymbol = "P0022",
    /// `syscall: true`, but the call is not the name of a system call.
    NotASyscall = "P0023",
    /// A message or tag that is too short, or too many tags.
    BadText = "P0024",
    /// A message or tag that is cut.
    TextCut = "P0025",
    /// An argument index beyond the registers of a call.
    ArgumentIndex = "P0026",
    /// An argument type that the hook kind does not take.
    ArgumentType = "P0027",
    /// Two arguments with the same index.
    ArgumentTwice = "P0028",
    /// A filter on an argument that is not declared.
    UndeclaredArgument = "P0029",
    /// An operator that the argument type does not have.
    OperatorMismatch = "P0030",
    /// A value that is not a number of the argument's type.
    BadNumber = "P0031",
    /// A range that is not `min:max`.
    BadRange = "P0032",
    /// A filter without values.
    NoValues = "P0033",
    /// A value longer than what it is compared with can be.
    ValueTooLong = "P0034",
    /// An empty prefix or postfix, which everything has.
    MatchesEverything = "P0035",
    /// `followChildren` with an operator other than In or `NotIn`.
    FollowChildren = "P0036",
    /// `argSig` is not the number of a signal.
    BadSignal = "P0037",
    /// `argError` is not an error number.
    BadErrno = "P0038",
    /// A parameter that the action does not take.
    UselessParameter = "P0039",
    /// A selector behind one that always matches.
    NeverReached = "P0040",
    /// A value that no subject can have.
    NeverMatches = "P0041",
    /// This kernel has no such function or system call.
    NoSuchFunction = "P0042",
    /// This kernel cannot do what the hook asks for.
    NotOnThisKernel = "P0043",
    /// The function has fewer parameters.
    BeyondPrototype = "P0044",
    /// The parameter is of another type.
    PrototypeMismatch = "P0045",
    /// The kernel's verifier refused the compiled program.
    Refused = "P0046",
    /// A file that cannot be read, or is not the one that the policy means.
    BadFile = "P0047",
    /// An expression that cannot be compiled.
    BadExpression = "P0048",
    /// A scope of pods, nodes and host processes that there cannot be, or that does not count.
    BadScope = "P0049",
    /// An override of a place in a program that says nothing, or too much.
    BadAssignment = "P0050",
}

impl Code {
    /// The title of the page.
    pub fn title(self) -> &'static str {
        let line = self.page().lines().next().unwrap_or_default();
        line.split_once(": ").map_or(line, |(_, title)| title)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no such code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no code {0:?}; codes are written P0001 and so on")]
pub struct UnknownCode(String);

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_that_starts_with_it_and_says_what_to_do() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert_eq!(code.as_str(), format!("P{:04}", index + 1));
            assert!(code.page().starts_with(&format!("# {code}: ")), "{code}");
            assert!(code.page().lines().count() >= 3, "{code} explains nothing");
            assert_eq!(code.as_str().parse::<Code>().unwrap(), *code);
        }
        assert!("P9999".parse::<Code>().is_err());
    }
}

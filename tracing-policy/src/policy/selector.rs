//! Selectors, and what their filters mean.

use super::action::Action;
use super::argument::ArgumentId;
use super::expression::Condition;
use super::network::NetworkTest;
use super::post::PostOptions;
use super::process::ProcessFilters;
use super::request::Request;
use super::rewrite::Rewrite;
use super::workload::WorkloadScope;
use crate::source::{Span, Spanned};

/// Filters that must all hold, and what is then done. A selector without filters always matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Label for status and metrics.
    pub label: Option<Spanned<String>>,
    /// The process, by its number or that of an ancestor; all entries must hold.
    pub pids: Vec<PidFilter>,
    /// The process, by its binary; all entries must hold.
    pub binaries: Vec<BinaryFilter>,
    /// The process, by what it is in and may do.
    pub process: ProcessFilters,
    /// The workload that the process belongs to; `None` for any.
    pub workload: Option<WorkloadScope>,
    /// The arguments; all entries must hold.
    pub arguments: Vec<ArgumentFilter>,
    /// What is done, in this order; empty means that the call is reported (`Post`).
    pub actions: Vec<Spanned<Action>>,
    /// What [`Action::Rewrite`] writes.
    pub rewrite: Option<Rewrite>,
    /// What the call returned, where the hook asks for it; all entries must hold. Each names the argument 0.
    pub return_arguments: Vec<ArgumentFilter>,
    /// What is done when the call returned such a value, in this order; empty means that the call is reported.
    pub return_actions: Vec<Spanned<Action>>,
    /// How it is reported.
    pub post: PostOptions,
    /// What the daemon asks for when it is reported.
    pub requests: Vec<Request>,
    /// How what the call returned is reported.
    pub return_post: PostOptions,
    /// What the daemon asks for when that is reported.
    pub return_requests: Vec<Request>,
    /// The whole selector in the text.
    pub span: Span,
}

impl Selector {
    /// One without filters and actions, which reports every call.
    pub fn always(span: Span) -> Self {
        Self {
            label: None,
            pids: Vec::new(),
            binaries: Vec::new(),
            process: ProcessFilters::default(),
            workload: None,
            arguments: Vec::new(),
            actions: Vec::new(),
            rewrite: None,
            return_arguments: Vec::new(),
            return_actions: Vec::new(),
            post: PostOptions::default(),
            requests: Vec::new(),
            return_post: PostOptions::default(),
            return_requests: Vec::new(),
            span,
        }
    }

    /// Whether it matches every call.
    pub fn matches_always(&self) -> bool {
        self.pids.is_empty()
            && self.binaries.is_empty()
            && self.process.is_empty()
            && self.workload.is_none()
            && self.arguments.is_empty()
    }
}

/// Whether one of the values must be found, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Membership {
    /// One of them.
    In,
    /// None of them.
    NotIn,
}

/// A test of the process number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidFilter {
    /// One of the numbers, or none.
    pub membership: Membership,
    /// The numbers; at least one, as many as you like.
    pub pids: Vec<u32>,
    /// In which PID namespace they count.
    pub namespace: PidNamespace,
    /// Whether descendants count as the process.
    pub descendants: Descendants,
    /// The entry in the text.
    pub span: Span,
}

/// In which PID namespace a process number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PidNamespace {
    /// The host's.
    Host,
    /// The one the process is in. A process of the host's namespace has no number there (0).
    Own,
}

/// Whether descendants of a process count as the process (`followForks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Descendants {
    /// Only the process itself.
    Ignored,
    /// Its descendants too. With [`PidNamespace::Own`] each ancestor counts by its number in its own namespace; who is in the host's passes no
    /// test, not even a negated one.
    Followed,
}

/// A test of the path of the process's binary, as it was found at exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryFilter {
    /// The test of the path. A process whose path is not known never passes, not even a negated test.
    pub test: StringTest,
    /// Whether children inherit the answer.
    pub children: Children,
    /// The entry in the text.
    pub span: Span,
}

/// Whether descendants of a matching process match too (`followChildren`). Only tests for whole paths follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Children {
    /// Each process by its own binary.
    Ignored,
    /// Descendants too; for a negated test, a process is excluded when an ancestor is.
    Followed,
}

/// A test of one argument. The variant is the family of the argument's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgumentFilter {
    /// Of a number.
    Integer {
        /// The argument.
        argument: ArgumentId,
        /// The test.
        test: IntegerTest,
        /// The entry in the text.
        span: Span,
    },
    /// Of a string.
    String {
        /// The argument.
        argument: ArgumentId,
        /// The test; values have no trailing NUL.
        test: StringTest,
        /// The entry in the text.
        span: Span,
    },
    /// Of the path of a file or path. An object without a path (pipe, socket) passes no test, not even a negated
    /// one.
    Path {
        /// The argument.
        argument: ArgumentId,
        /// The test.
        test: StringTest,
        /// The entry in the text.
        span: Span,
    },
    /// Of the type of a file, whether it has a path or not.
    FileType {
        /// The argument.
        argument: ArgumentId,
        /// The test.
        test: FileTypeTest,
        /// The entry in the text.
        span: Span,
    },
    /// For a text anywhere in a string or path. What cannot be read, and an object without a path, never passes.
    Contains {
        /// The argument.
        argument: ArgumentId,
        /// The test.
        test: ContainsTest,
        /// The entry in the text.
        span: Span,
    },
    /// Whether a set of capabilities has one that another has not.
    CapabilitiesGained {
        /// The set before.
        before: ArgumentId,
        /// The set after.
        after: ArgumentId,
        /// The entry in the text.
        span: Span,
    },
    /// Of a socket, a packet or a socket address. What could not be read passes no test.
    Network {
        /// The argument.
        argument: ArgumentId,
        /// The test.
        test: NetworkTest,
        /// The entry in the text.
        span: Span,
    },
    /// Of several arguments at once. Where one of them cannot be read or has no path, it does not pass, whatever it says.
    Expression {
        /// What must hold; its leaves are filters of numbers, strings, paths and texts in them.
        condition: Box<Condition<Self, ArgumentId>>,
        /// The arguments that it names; at least one.
        arguments: Vec<ArgumentId>,
        /// The entry in the text.
        span: Span,
    },
}

impl ArgumentFilter {
    /// The argument it tests; of two the later one, of an expression the first.
    pub fn argument(&self) -> ArgumentId {
        match self {
            Self::Integer { argument, .. } | Self::String { argument, .. } | Self::Path { argument, .. } => {
                *argument
            }
            Self::FileType { argument, .. } | Self::Contains { argument, .. } => *argument,
            Self::CapabilitiesGained { after, .. } => *after,
            Self::Network { argument, .. } => *argument,
            Self::Expression { arguments, .. } => arguments.first().copied().unwrap_or_default(),
        }
    }

    /// Whether it tests that argument.
    pub fn tests(&self, id: ArgumentId) -> bool {
        self.argument() == id
            || matches!(self, Self::CapabilitiesGained { before, .. } if *before == id)
            || matches!(self, Self::Expression { arguments, .. } if arguments.contains(&id))
    }

    /// Where it was written.
    pub fn span(&self) -> Span {
        match self {
            Self::Integer { span, .. } | Self::String { span, .. } | Self::Path { span, .. } => *span,
            Self::FileType { span, .. } | Self::CapabilitiesGained { span, .. } => *span,
            Self::Contains { span, .. } => *span,
            Self::Network { span, .. } | Self::Expression { span, .. } => *span,
        }
    }
}

/// A test for a text anywhere in a byte string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainsTest {
    /// Whether capital letters count as small ones.
    pub case: Case,
    /// Texts, one of which must be found; at least one, as many as you like.
    pub values: Vec<Bytes>,
}

/// Whether the case of the letters of ASCII matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Case {
    /// It does.
    Counts,
    /// It does not.
    Ignored,
}

impl ContainsTest {
    /// Whether a subject passes.
    pub fn matches(&self, subject: &[u8]) -> bool {
        self.values.iter().any(|value| self.case.contains(subject, &value.value))
    }
}

impl Case {
    /// Whether `text` stands anywhere in `subject`.
    pub fn contains(self, subject: &[u8], text: &[u8]) -> bool {
        let same = |part: &[u8]| match self {
            Self::Counts => part == text,
            Self::Ignored => part.eq_ignore_ascii_case(text),
        };
        text.is_empty() || subject.windows(text.len()).any(same)
    }
}

/// A test of the type of a file. A file whose mode cannot be read never passes, not even a negated test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileTypeTest {
    /// Bit n is the type with number n, the upper four bits of a mode.
    pub types: u16,
    /// Whether it must be one of them, or none.
    pub sense: Sense,
}

impl FileTypeTest {
    /// Whether a file with this mode passes.
    pub fn matches(self, mode: u16) -> bool {
        let found = self.types >> (mode >> 12) & 1 == 1;
        mode != 0 && found == (self.sense == Sense::Plain)
    }
}

/// A number of an argument's type, as 64 bits: extended by its sign, or by zeros when the type has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Integer(i128);

impl Integer {
    /// The number; callers have checked it against the bounds of a type, so it fits 64 bits.
    pub(crate) fn new(number: i128) -> Self {
        Self(number)
    }

    /// The number.
    pub fn get(self) -> i128 {
        self.0
    }

    /// The bits as a 64-bit register holds them after extension.
    pub fn register(self) -> u64 {
        let mut low = [0; 8];
        low.copy_from_slice(&self.0.to_le_bytes()[..8]);
        u64::from_le_bytes(low)
    }
}

/// An inclusive range of numbers; `min <= max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IntegerRange {
    /// Smallest.
    pub min: Integer,
    /// Largest.
    pub max: Integer,
}

/// A test of a number. Several values of a plain test are alternatives; of a negated one, all must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntegerTest {
    /// Is one of them.
    Equal(Vec<Integer>),
    /// Is none of them.
    NotEqual(Vec<Integer>),
    /// Is greater than one of them, by the sign of the type.
    GreaterThan(Vec<Integer>),
    /// Is less than one of them, by the sign of the type.
    LessThan(Vec<Integer>),
    /// Has a bit in common with one of them.
    Mask(Vec<u64>),
    /// Is in one of them.
    InRange(Vec<IntegerRange>),
    /// Is in none of them.
    NotInRange(Vec<IntegerRange>),
}

impl IntegerTest {
    /// Whether a number passes; `number` is what [`super::IntegerType::from_register`] makes of a register.
    pub fn matches(&self, number: i128) -> bool {
        let inside = |range: &IntegerRange| range.min.get() <= number && number <= range.max.get();
        match self {
            Self::Equal(values) => values.iter().any(|value| value.get() == number),
            Self::NotEqual(values) => values.iter().all(|value| value.get() != number),
            Self::GreaterThan(values) => values.iter().any(|value| number > value.get()),
            Self::LessThan(values) => values.iter().any(|value| number < value.get()),
            Self::Mask(masks) => masks.iter().any(|mask| Integer(number).register() & mask != 0),
            Self::InRange(ranges) => ranges.iter().any(inside),
            Self::NotInRange(ranges) => !ranges.iter().any(inside),
        }
    }
}

/// A byte string from a policy, and where it was written. Not always UTF-8: paths are bytes.
pub type Bytes = Spanned<Vec<u8>>;

/// A test of a byte string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringTest {
    /// What of the subject is compared.
    pub form: StringForm,
    /// Whether one value must fit, or none.
    pub sense: Sense,
    /// The values; at least one, as many as you like.
    pub values: Vec<Bytes>,
}

/// What of the subject is compared with the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StringForm {
    /// All of it.
    Exact,
    /// Its start.
    Prefix,
    /// Its end.
    Postfix,
}

/// Whether one value must fit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sense {
    /// One must fit.
    Plain,
    /// None may fit.
    Negated,
}

impl StringTest {
    /// Whether a subject passes.
    pub fn matches(&self, subject: &[u8]) -> bool {
        let fits = |value: &Bytes| match self.form {
            StringForm::Exact => subject == value.value,
            StringForm::Prefix => subject.starts_with(&value.value),
            StringForm::Postfix => subject.ends_with(&value.value),
        };
        let found = self.values.iter().any(fits);
        match self.sense {
            Sense::Plain => found,
            Sense::Negated => !found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(values: &[i128]) -> Vec<Integer> {
        values.iter().copied().map(Integer::new).collect()
    }

    fn strings(form: StringForm, sense: Sense, values: &[&str]) -> StringTest {
        let values = values.iter().map(|v| Spanned::new(v.as_bytes().to_vec(), Span::default())).collect();
        StringTest { form, sense, values }
    }

    // proves: SEL-29
    #[test]
    fn plain_tests_need_one_value_and_negated_ones_all() {
        assert!(IntegerTest::Equal(numbers(&[1, 2])).matches(2));
        assert!(!IntegerTest::NotEqual(numbers(&[1, 2])).matches(2));
        assert!(IntegerTest::GreaterThan(numbers(&[10, -3])).matches(-2));
        assert!(!IntegerTest::LessThan(numbers(&[10])).matches(10));
        let range = IntegerRange { min: Integer::new(-1), max: Integer::new(4) };
        assert!(IntegerTest::InRange(vec![range]).matches(-1));
        assert!(!IntegerTest::NotInRange(vec![range]).matches(4));
        assert!(strings(StringForm::Exact, Sense::Negated, &["a", "b"]).matches(b"c"));
        assert!(!strings(StringForm::Postfix, Sense::Negated, &["x", "rc"]).matches(b".bashrc"));
    }

    #[test]
    fn a_mask_sees_the_bits_of_a_negative_number() {
        assert!(IntegerTest::Mask(vec![1 << 63]).matches(-1));
        assert!(!IntegerTest::Mask(vec![1, 2]).matches(4));
        assert_eq!(Integer::new(-1).register(), u64::MAX);
    }

    #[test]
    fn a_prefix_longer_than_the_subject_does_not_match() {
        assert!(!strings(StringForm::Prefix, Sense::Plain, &["/etc/shadow"]).matches(b"/etc"));
        assert!(strings(StringForm::Prefix, Sense::Plain, &["/etc/shadow"]).matches(b"/etc/shadow-"));
    }
}

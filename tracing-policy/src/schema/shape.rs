//! What a field takes, as the parser reads it: what CRDs and the reference are made from.

/// What a value of the language is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer {
        /// The smallest.
        min: i128,
        /// The largest.
        max: i128,
    },
    /// One of these words.
    Word(Vec<&'static str>),
    /// A list.
    List(Box<Shape>),
    /// Names that the user chooses, and what each stands for.
    Map(Box<Shape>),
    /// A mapping with fields that are known.
    Object(ObjectShape),
}

/// A mapping and its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectShape {
    /// What messages call it: `a kprobe`.
    pub what: &'static str,
    /// The fields in the order in which they are read.
    pub fields: Vec<FieldShape>,
}

/// A field of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldShape {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it takes.
    pub shape: Shape,
}

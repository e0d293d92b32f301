//! Words that a field takes.

/// A choice that is written as a word. Words are exact: the CRD knows no other case or alias.
pub trait Word: Copy + PartialEq + Sized + 'static {
    /// What the words name, for messages: `operator`.
    const WHAT: &'static str;
    /// Every word and what it stands for; the first word of a value is the one it is printed as.
    const WORDS: &'static [(&'static str, Self)];

    /// What a word stands for.
    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
    }

    /// How it is written.
    fn as_word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

/// Declares an enum and its words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $what:literal:
     $($(#[doc = $doc:literal])+ $variant:ident = $($word:literal)|+,)+) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $crate::schema::Word for $name {
            const WHAT: &'static str = $what;
            const WORDS: &'static [(&'static str, Self)] = &[$($(($word, Self::$variant),)+)+];
        }
    };
}

pub(super) use words;

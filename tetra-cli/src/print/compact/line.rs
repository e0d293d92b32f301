//! A line under construction.

use std::fmt::{Display, Write as _};

use crate::print::color::Color;
use crate::print::escape;

/// Column at which the mark ends.
const MARK_END: usize = 120;
const MARK: &str = "🛑 CAP_SYS_ADMIN";

/// A compact line being appended to a text.
#[derive(Debug)]
pub(super) struct Line<'a> {
    text: &'a mut String,
    colors: bool,
    /// Bytes that show: all but the colours.
    visible: usize,
}

impl<'a> Line<'a> {
    pub(super) fn begin(text: &'a mut String, colors: bool) -> Self {
        Self { text, colors, visible: 0 }
    }

    /// Text of our own.
    pub(super) fn plain(&mut self, text: impl Display) -> &mut Self {
        let before = self.text.len();
        write!(self.text, "{text}").expect("a String takes all text");
        self.visible += self.text.len() - before;
        self
    }

    /// Text of our own in a colour.
    pub(super) fn painted(&mut self, color: Color, text: impl Display) -> &mut Self {
        if self.colors {
            self.text.push_str(color.begin());
        }
        self.plain(text);
        if self.colors {
            self.text.push_str(Color::END);
        }
        self
    }

    /// A space and a word of an event in a colour.
    pub(super) fn word(&mut self, color: Color, word: &str) -> &mut Self {
        self.plain(' ').painted(color, escape::word(word))
    }

    /// A space and a word of an event, without colour.
    pub(super) fn plain_word(&mut self, word: &str) -> &mut Self {
        self.plain(' ').plain(escape::word(word))
    }

    /// A space and a number or other text of our own in a colour.
    pub(super) fn number(&mut self, color: Color, number: impl Display) -> &mut Self {
        self.plain(' ').painted(color, number)
    }

    /// The sign and the name of the event.
    pub(super) fn name(&mut self, sign: &str, name: &str) -> &mut Self {
        self.name_in(Color::Blue, sign, name)
    }

    /// The sign and the name of the event, in a colour of its own.
    pub(super) fn name_in(&mut self, color: Color, sign: &str, name: &str) -> &mut Self {
        self.painted(color, format_args!("{sign} {name:<7}"))
    }

    /// The mark for a process that has `CAP_SYS_ADMIN`.
    pub(super) fn mark(&mut self) -> &mut Self {
        // Counted in bytes so far and in characters of the mark, as upstream's formatting does. Upstream counts the sequences of
        // colours too, which moves the mark; here it stands where it stands without colours.
        let width = MARK_END.saturating_sub(self.visible).saturating_sub(MARK.chars().count());
        self.plain(format_args!(" {:width$}", "")).painted(Color::Magenta, MARK)
    }

    /// Ends the line.
    pub(super) fn end(self) {
        self.text.push('\n');
    }
}

//! Stack traces, below the line of their event.

use api::event::StackFrame;

use super::line::Line;
use crate::print::color::Color;
use crate::print::escape;

/// `   0xADDRESS: SYMBOL+0xOFFSET`, a line for each frame.
pub(super) fn kernel(stack: &[StackFrame], text: &mut String, colors: bool) {
    if !stack.is_empty() {
        text.push_str("Kernel:\n");
    }
    for frame in stack {
        let mut line = Line::begin(text, colors);
        line.painted(Color::Green, format_args!("   {:#x}:", frame.address));
        line.painted(Color::Blue, format_args!(" {}", escape::word(&frame.symbol))).plain('+');
        line.painted(Color::Yellow, format_args!("{:#x}", frame.offset));
        line.end();
    }
}

/// `   0xADDRESS: [SYMBOL] (MODULE+0xOFFSET)`, a line for each frame.
pub(super) fn user(stack: &[StackFrame], text: &mut String, colors: bool) {
    if !stack.is_empty() {
        text.push_str("User:\n");
    }
    for frame in stack {
        let mut line = Line::begin(text, colors);
        line.painted(Color::Green, format_args!("   {:#x}:", frame.address));
        if !frame.symbol.is_empty() {
            line.painted(Color::Blue, format_args!(" {}", escape::word(&frame.symbol)));
        }
        let module = escape::word(&frame.module);
        line.painted(Color::Yellow, format_args!(" ({module}+{:#x})", frame.offset));
        line.end();
    }
}

//! Messages and tags: text that events carry.

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::Annotation;
use crate::source::Spanned;

/// Longest message in bytes.
const MAX_MESSAGE: usize = 256;
/// Longest tag in bytes.
const MAX_TAG: usize = 128;
/// Most tags of a hook.
const MAX_TAGS: usize = 16;
/// Shortest message or tag in bytes.
const MIN: usize = 2;

/// The message of a hook; empty counts as absent.
pub(super) fn message(message: Option<Spanned<String>>, report: &mut Report) -> Option<Annotation> {
    annotation("message", message.filter(|message| !message.value.is_empty())?, MAX_MESSAGE, report)
}

/// The tags of a hook.
pub(super) fn tags(tags: Vec<Spanned<String>>, report: &mut Report) -> Vec<Annotation> {
    if let Some(extra) = tags.get(MAX_TAGS) {
        let message = format!("{} tags are more than {MAX_TAGS}", tags.len());
        report.push(Diagnostic::error(Code::BadText, extra.span, message).labelled("the first too many"));
        return Vec::new();
    }
    tags.into_iter().filter_map(|tag| annotation("tag", tag, MAX_TAG, report)).collect()
}

fn annotation(what: &str, mut text: Spanned<String>, max: usize, report: &mut Report) -> Option<Annotation> {
    let size = text.value.len();
    if size < MIN {
        let message = format!("a {what} has at least {MIN} characters");
        report.push(Diagnostic::error(Code::BadText, text.span, message));
        return None;
    }
    if size > max {
        let message = format!("this {what} of {size} bytes is cut to {max}");
        report.push(Diagnostic::warning(Code::TextCut, text.span, message));
        text.value.truncate(text.value.floor_char_boundary(max));
    }
    Some(Annotation::new(text.value, text.span))
}

//! What the language has and this version does not compile.

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::schema;
use crate::source::Span;

/// Refuses `what` at `span`.
pub(super) fn refuse(what: &str, span: Span, report: &mut Report) {
    let message = format!("{what}: not supported yet by this version");
    report.push(Diagnostic::error(Code::NotSupportedYet, span, message));
}

/// Refuses what of an argument is not compiled yet. A type that is not, is refused where the type is read.
pub(super) fn argument(argument: &schema::Argument, report: &mut Report) {
    let is_buffer = argument.ty.as_ref().is_some_and(|ty| ty.value == schema::ArgumentType::CharBuf);
    if let Some(on) = argument.max_data.as_ref().filter(|on| on.value && !is_buffer) {
        let message = "maxData has an effect on char_buf only: of others the first 4095 bytes are read";
        report.push(Diagnostic::warning(Code::UselessParameter, on.span, message));
    }
}

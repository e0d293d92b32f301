//! A policy's text with another `policy-mode`: what `tetra tracingpolicy add --mode` sends and `modify --mode` prints.

use tracing_policy::diagnostic::render;
use tracing_policy::schema::TracingPolicy;
use tracing_policy::source::SourceText;

use crate::args::Mode;

/// The mode could not be written into the text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModeError {
    /// The text is no policy.
    #[error("{0}")]
    NotAPolicy(String),
    /// The text has a form in which no option can be put.
    #[error(
        "--mode cannot be put into this text; write it under spec.options as `{{name: policy-mode, value: {mode}}}`"
    )]
    Form {
        /// The mode.
        mode: &'static str,
    },
}

const OPTION: &str = "policy-mode";

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Monitor => "monitor",
    }
}

/// `text` with the option `policy-mode` set to `mode`, all other bytes kept.
pub(super) fn set(name: &str, text: &str, mode: Mode) -> Result<String, ModeError> {
    let policy = parse(name, text)?;
    let mode = word(mode);
    let form = || ModeError::Form { mode };
    let at = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
    let mut out = text.to_owned();
    let options = &policy.spec.options;
    if let Some(option) = options.iter().find(|option| option.name.value == OPTION) {
        let value = option.value.as_ref().ok_or_else(form)?;
        let place = at(value.span.start)..at(value.span.end);
        text.get(place.clone()).ok_or_else(form)?;
        out.replace_range(place, mode);
    } else {
        let (place, key) = match options.first() {
            Some(option) => (at(option.span.start), ""),
            None => (at(policy.spec.span.start), "options: "),
        };
        let before = text.get(..place).ok_or_else(form)?;
        let flow = format!("{{name: {OPTION}, value: {mode}}}");
        let insert = match before.trim_end().chars().last() {
            // a list item: one more before it, in the same column
            Some('-') if key.is_empty() => format!("{flow}\n{}- ", " ".repeat(column(before.trim_end()) - 1)),
            Some('[' | ',') if key.is_empty() => format!("{flow}, "),
            Some('{') => format!("{key}[{flow}], "),
            _ if text.get(place..).is_some_and(|rest| rest.starts_with('{')) => {
                let insert = format!("{key}[{flow}], ");
                out.insert_str(place + 1, &insert);
                return checked(name, out, mode);
            }
            _ if !key.is_empty() => format!("{key}[{flow}]\n{}", " ".repeat(column(before))),
            _ => return Err(form()),
        };
        out.insert_str(place, &insert);
    }
    checked(name, out, mode)
}

/// Characters since the last line break.
fn column(before: &str) -> usize {
    before.rsplit('\n').next().map_or(0, |line| line.chars().count())
}

/// The text, if it reads as a policy with that mode.
fn checked(name: &str, text: String, mode: &'static str) -> Result<String, ModeError> {
    let form = || ModeError::Form { mode };
    let policy = parse(name, &text).map_err(|_unreadable| form())?;
    let set = policy.spec.options.iter().any(|option| {
        option.name.value == OPTION && option.value.as_ref().is_some_and(|value| value.value == mode)
    });
    if set { Ok(text) } else { Err(form()) }
}

/// The policy in `text`.
pub(super) fn parse(name: &str, text: &str) -> Result<TracingPolicy, ModeError> {
    let source = SourceText::new(name, text);
    tracing_policy::parse::policy(&source)
        .map_err(|errors| ModeError::NotAPolicy(render::terminal(&source, &errors, render::Style::Plain)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: a}\n";

    fn monitored(spec: &str) -> String {
        let text = format!("{HEAD}{spec}");
        set("a.yaml", &text, Mode::Monitor).unwrap()
    }

    #[test]
    fn the_mode_is_put_where_no_option_was() {
        let spec = "spec:\n  kprobes:\n  - call: x\n    syscall: false\n";
        let expected = format!(
            "{HEAD}spec:\n  options: [{{name: policy-mode, value: monitor}}]\n  kprobes:\n  - call: x\n    syscall: false\n"
        );
        assert_eq!(monitored(spec), expected);
        assert!(
            monitored("spec: {kprobes: [{call: x, syscall: false}]}\n")
                .contains("options: [{name: policy-mode")
        );
    }

    #[test]
    fn the_mode_joins_other_options_and_replaces_its_own() {
        let block = "spec:\n  options:\n  - name: disable-kprobe-multi\n    value: \"1\"\n  kprobes:\n  - call: x\n    syscall: false\n";
        assert!(monitored(block).contains("  - {name: policy-mode, value: monitor}\n  - name: disable"));
        let flow = "spec:\n  options: [{name: disable-kprobe-multi, value: '1'}]\n  kprobes: [{call: x, syscall: false}]\n";
        assert!(monitored(flow).contains("[{name: policy-mode, value: monitor}, {name: disable"));
        let own = "spec:\n  options:\n  - name: policy-mode\n    value: \"enforce\"\n  kprobes: [{call: x, syscall: false}]\n";
        assert!(monitored(own).contains("    value: monitor\n"));
    }

    #[test]
    fn a_text_that_is_no_policy_is_refused_with_its_place() {
        let error = set("a.yaml", "spec: [", Mode::Monitor).unwrap_err();
        assert!(error.to_string().contains("a.yaml"), "{error}");
    }
}

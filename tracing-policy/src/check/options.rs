//! `spec.options`.

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{AttachPreference, ModeRequest, OverrideMethod};
use crate::schema::PolicyOption;
use crate::source::Spanned;

/// The options a policy may set.
const NAMES: [&str; 5] = [
    "policy-mode",
    "disable-kprobe-multi",
    "disable-uprobe-multi",
    "override-method",
    "sleepable-preload-size",
];

/// What the options ask for.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) mode: Option<Spanned<ModeRequest>>,
    pub(super) attach: AttachPreference,
    pub(super) attach_user: AttachPreference,
    pub(super) override_method: Option<Spanned<OverrideMethod>>,
}

/// Reads the options. An unknown name is an error: an option that is not obeyed must not look as if it were.
pub(super) fn options(written: &[PolicyOption], report: &mut Report) -> Options {
    let mut options = Options::default();
    for (at, option) in written.iter().enumerate() {
        let name = option.name.value.as_str();
        if let Some(first) = written.iter().take(at).find(|other| other.name.value == name) {
            let error =
                Diagnostic::error(Code::DuplicateOption, option.name.span, format!("`{name}` is set twice"));
            report.push(error.also(first.name.span, "first here").help("keep one of the two"));
            continue;
        }
        match name {
            "policy-mode" => options.mode = mode(option, report),
            "disable-kprobe-multi" => {
                if switch(option, report) == Some(true) {
                    options.attach = AttachPreference::Single;
                }
            }
            "disable-uprobe-multi" => {
                if switch(option, report) == Some(true) {
                    options.attach_user = AttachPreference::Single;
                }
            }
            "override-method" => options.override_method = override_method(option, report),
            "sleepable-preload-size" => preload_size(option, report),
            _ => {
                let error =
                    Diagnostic::error(Code::UnknownOption, option.name.span, "there is no such option");
                report.push(error.help(format!("options: {}", NAMES.join(", "))));
            }
        }
    }
    options
}

fn override_method(option: &PolicyOption, report: &mut Report) -> Option<Spanned<OverrideMethod>> {
    let method = match text(option) {
        "fmod-ret" => OverrideMethod::OnTheWay,
        "override-return" => OverrideMethod::ReturnValue,
        _ => {
            bad_value(option, "fmod-ret or override-return", report);
            return None;
        }
    };
    Some(Spanned::new(method, option.span))
}

/// How much room upstream has for text that it reads ahead. Here text is read where the filter needs it, and takes no room.
fn preload_size(option: &PolicyOption, report: &mut Report) {
    if text(option).parse::<u32>().is_ok_and(|size| size > 0) {
        let message = "text of programs is not read ahead, and takes no room";
        let warning = Diagnostic::warning(Code::UselessParameter, option.span, message);
        report.push(warning.labelled("has no effect"));
    } else {
        bad_value(option, "a whole number above 0", report);
    }
}

fn mode(option: &PolicyOption, report: &mut Report) -> Option<Spanned<ModeRequest>> {
    let mode = match text(option) {
        "enforce" => ModeRequest::Enforce,
        "monitor" => ModeRequest::Monitor,
        _ => {
            bad_value(option, "enforce or monitor", report);
            return None;
        }
    };
    Some(Spanned::new(mode, option.span))
}

/// A switch, in the spellings of Go's `strconv.ParseBool`.
fn switch(option: &PolicyOption, report: &mut Report) -> Option<bool> {
    match text(option) {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => {
            bad_value(option, "\"true\" or \"false\"", report);
            None
        }
    }
}

fn text(option: &PolicyOption) -> &str {
    option.value.as_ref().map_or("", |value| value.value.as_str())
}

fn bad_value(option: &PolicyOption, expected: &str, report: &mut Report) {
    let span = option.value.as_ref().map_or(option.span, |value| value.span);
    let message = format!("`{}` takes {expected}", option.name.value);
    report.push(Diagnostic::error(Code::BadOptionValue, span, message));
}

//! What `Post` is asked for: how often to report, and with which stacks.

use super::argument::Arguments;
use super::section::{Section, Target};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Family, HookKind, LimitScope, PostOptions, RateLimit};
use crate::schema::{self, ActionKind, RateLimitScope};
use crate::source::{Span, Spanned};

/// Bytes of a text, and of whatever else is no number, that tell one report from another.
const TEXT: u32 = 40;
/// The same of a number.
const NUMBER: u32 = 8;

/// What all `Post` of a selector ask for together.
pub(super) fn options(
    actions: &[schema::Action],
    arguments: &Arguments,
    target: Target<'_>,
    report: &mut Report,
) -> Option<PostOptions> {
    let mut options = PostOptions::default();
    let mut first_limit: Option<Span> = None;
    let mut complete = true;
    for post in actions.iter().filter(|action| action.action.value == ActionKind::Post) {
        options.kernel_stack |= stack("kernelStackTrace", post.kernel_stack_trace.as_ref(), target, report);
        options.file_hash |= file_hash(post.ima_hash.as_ref(), target, report);
        options.user_stack |= stack("userStackTrace", post.user_stack_trace.as_ref(), target, report);
        let Some(written) = &post.rate_limit else {
            if let Some(scope) = &post.rate_limit_scope {
                let message = "without `rateLimit` there is nothing for it to count";
                let warning = Diagnostic::warning(Code::UselessParameter, scope.span, message);
                report.push(warning.labelled("has no effect"));
            }
            continue;
        };
        if let Some(first) = first_limit {
            let error = Diagnostic::error(Code::BadNumber, written.span, "a selector has one rate limit");
            report.push(error.also(first, "this is another"));
            complete = false;
            continue;
        }
        first_limit = Some(written.span);
        match milliseconds(&written.value) {
            Ok(0) => {}
            Ok(milliseconds) => {
                let scope = scope(post.rate_limit_scope.as_ref());
                options.limit = Some(RateLimit { milliseconds, scope });
                complete &= fits(arguments, written.span, report);
            }
            Err(problem) => {
                let error = Diagnostic::error(Code::BadNumber, written.span, problem);
                report.push(error.help("write a number of seconds, or with a unit `10s`, `1m`, `1h`"));
                complete = false;
            }
        }
    }
    complete.then_some(options)
}

/// Whether a stack is asked for and can be reported. On an LSM hook the parameter itself has been refused.
fn stack(name: &str, on: Option<&Spanned<bool>>, target: Target<'_>, report: &mut Report) -> bool {
    let Some(on) = on.filter(|on| on.value) else { return false };
    if !matches!(target.section, Section::Kprobes | Section::Fentries | Section::LsmHooks) {
        let message = format!("events of {} carry no stack", target.section.one());
        let warning = Diagnostic::warning(Code::UselessParameter, on.span, message);
        report.push(warning.labelled(format!("`{name}` has no effect here")));
    }
    matches!(target.section, Section::Kprobes | Section::Fentries)
}

/// LSM hooks that sleep and have a file (Tetragon's list; `kernel/bpf/bpf_lsm.c: sleepable_lsm_hooks`).
const WITH_FILE: [&str; 10] = [
    "bprm_check_security",
    "bprm_committed_creds",
    "bprm_committing_creds",
    "bprm_creds_from_file",
    "file_ioctl",
    "file_lock",
    "file_open",
    "file_post_open",
    "file_receive",
    "mmap_file",
];

/// Whether the hash of a file is asked for and there is a file.
fn file_hash(on: Option<&Spanned<bool>>, target: Target<'_>, report: &mut Report) -> bool {
    let Some(on) = on.filter(|on| on.value) else { return false };
    let Some(HookKind::Lsm(hook)) = target.kind else {
        let message = format!("events of {} carry no hash of a file", target.section.one());
        let warning = Diagnostic::warning(Code::UselessParameter, on.span, message);
        report.push(warning.labelled("`imaHash` has no effect here"));
        return false;
    };
    if WITH_FILE.contains(&hook.as_str()) {
        return true;
    }
    let message = format!("the LSM hook {hook} has no file whose hash could be taken");
    let error = Diagnostic::error(Code::OperatorMismatch, on.span, message);
    report.push(error.help(format!("hooks with one: {}", WITH_FILE.join(", "))));
    false
}

fn scope(written: Option<&Spanned<RateLimitScope>>) -> LimitScope {
    match written.map(|scope| scope.value) {
        None | Some(RateLimitScope::Thread) => LimitScope::Thread,
        Some(RateLimitScope::Process) => LimitScope::Process,
        Some(RateLimitScope::Global) => LimitScope::Global,
    }
}

/// A number and its unit as milliseconds; what is beyond 32 bits is the greatest there is, 49 days.
fn milliseconds(text: &str) -> Result<u32, String> {
    let (number, unit) = match text.as_bytes().last().map(u8::to_ascii_lowercase) {
        Some(b's') => (text.get(..text.len() - 1), 1),
        Some(b'm') => (text.get(..text.len() - 1), 60),
        Some(b'h') => (text.get(..text.len() - 1), 3600),
        Some(_) => (Some(text), 1),
        None => return Err("a rate limit is empty".to_owned()),
    };
    let digits = number.filter(|digits| !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit()));
    let digits = digits.ok_or_else(|| format!("{text:?} is no length of time"))?;
    let seconds = digits.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(unit);
    Ok(u32::try_from(seconds.saturating_mul(1000)).unwrap_or(u32::MAX))
}

/// Whether all arguments together can tell one report from another.
fn fits(arguments: &Arguments, span: Span, report: &mut Report) -> bool {
    let bytes = arguments.all().map(|argument| match argument.ty.value.family() {
        Family::Number(_) => NUMBER,
        Family::String | Family::Path | Family::Object(_) => TEXT,
        Family::Nothing => 0,
    });
    let room = u32::try_from(bpf_probes::abi::LIMIT_BYTES).unwrap_or(u32::MAX);
    if bytes.sum::<u32>() <= room {
        return true;
    }
    let message = format!(
        "a rate limit looks at {room} bytes of arguments, {TEXT} of each that is no number, and these have more"
    );
    let error = Diagnostic::error(Code::BadNumber, span, message);
    report.push(error.help("leave out arguments, or the limit"));
    false
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::milliseconds;

    // proves: ACT-13 (s, m, h)
    #[test]
    fn a_length_of_time_has_a_unit_or_is_in_seconds() {
        for (text, expected) in [
            ("5", 5_000),
            ("5s", 5_000),
            ("5S", 5_000),
            ("2m", 120_000),
            ("2M", 120_000),
            ("1h", 3_600_000),
            ("0", 0),
            ("0m", 0),
            ("1193h", 4_294_800_000),
            ("1194H", u32::MAX),
            ("99999999999999999999999", u32::MAX),
        ] {
            assert_eq!(milliseconds(text).unwrap(), expected, "{text}");
        }
        for bad in ["", "s", "-1", "1.5s", "5 s", "5d", "5ms", "\u{e9}", "1\u{e9}", "+3"] {
            assert!(milliseconds(bad).is_err(), "{bad}");
        }
    }
}

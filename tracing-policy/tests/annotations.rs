//! Messages and tags: how long they may be, how they are quoted, and that hooks of every section have them.

use tracing_policy::diagnostic::{Code, Severity};
use tracing_policy::policy::Annotation;
use tracing_policy::source::SourceText;

/// A hook of each section, up to its message.
const SECTIONS: [&str; 6] = [
    "kprobes: [{call: sys_dup, ",
    "fentries: [{call: vfs_open, syscall: false, ",
    "tracepoints: [{subsystem: sched, event: sched_process_exec, ",
    "uprobes: [{path: /bin/sh, symbols: [main], ",
    "usdts: [{path: /bin/sh, provider: a, name: b, ",
    "lsmhooks: [{hook: file_open, ",
];

/// Message and tags of a hook.
type Said = (String, Vec<String>);

/// What the hook says in its events, with the codes of all findings.
fn said(section: &str, fields: &str) -> (Option<Said>, Vec<(Code, Severity)>) {
    let text = format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec:\n  {section}{fields}}}]\n"
    );
    match tracing_policy::read(&SourceText::new("test", text)) {
        Ok((policy, warnings)) => {
            let hook = &policy.hooks[0];
            let message = hook.message.as_ref().map(Annotation::escaped).unwrap_or_default();
            let tags = hook.tags.iter().map(Annotation::escaped).collect();
            (Some((message, tags)), warnings.iter().map(|it| (it.code, it.severity)).collect())
        }
        Err(errors) => (None, errors.iter().map(|it| (it.code, it.severity)).collect()),
    }
}

fn plain(message: &str, tags: &[&str]) -> Said {
    (message.to_owned(), tags.iter().map(|&tag| tag.to_owned()).collect())
}

// proves: POL-11
#[test]
fn hooks_of_every_section_say_what_they_are_given_as_long_as_it_may_be() {
    let error = vec![(Code::BadText, Severity::Error)];
    let cut = vec![(Code::TextCut, Severity::Warning)];
    for section in SECTIONS {
        for (message, expected) in [("", ""), ("ab", "ab"), (r#"say "it" \ twice"#, r#"say \"it\" \\ twice"#)]
        {
            let fields = format!("message: '{message}', tags: [aa, 'b\"b']");
            assert_eq!(
                said(section, &fields),
                (Some(plain(expected, &["aa", "b\\\"b"])), vec![]),
                "{section}"
            );
        }
        assert_eq!(said(section, "message: a"), (None, error.clone()));
        let (most, more) = ("m".repeat(256), "m".repeat(257));
        assert_eq!(said(section, &format!("message: {most}")), (Some(plain(&most, &[])), vec![]));
        assert_eq!(said(section, &format!("message: {more}")), (Some(plain(&most, &[])), cut.clone()));
        // a letter is not cut in two
        let whole = "m".repeat(255);
        let text = format!("{whole}\u{e4}x");
        assert_eq!(said(section, &format!("message: {text}")), (Some(plain(&whole, &[])), cut.clone()));
        let (most, more) = ("t".repeat(128), "t".repeat(129));
        assert_eq!(
            said(section, &format!("tags: [{most}, {more}]")),
            (Some(plain("", &[&most, &most])), cut.clone())
        );
        assert_eq!(said(section, "tags: [aa, b]"), (None, error.clone()));
        let tags = vec!["tt"; 16];
        assert_eq!(said(section, &format!("tags: [{}]", tags.join(", "))), (Some(plain("", &tags)), vec![]));
        let too_many = format!("tags: [{}, tt]", tags.join(", "));
        assert_eq!(said(section, &too_many), (None, error.clone()), "{section}");
    }
}

//! Secrets, taken out of what goes into the archive.
//!
//! A secret is known by the name that it is given: `password`, `token` and the like, as an option, a variable, a key of YAML or JSON, a flag on a command
//! line. Besides, what stands before the `@` of a URL, and private keys in PEM. What has none of these marks cannot be told.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands in the place of a secret.
const PLACE: &str = "[redacted]";

/// Parts of names whose values are secrets.
const NAMES: &str = "password|passwd|passphrase|secret|token|credential|api[-_]?key|access[-_]?key|private[-_]?key|auth|cookie|headers?";

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("a constant expression")
}

/// A whole line `NAME: VALUE` or `NAME=VALUE`, of YAML or of an environment file.
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(r#"(?i)^(\s*(?:- )?["']?[\w.\-]*(?:{NAMES})[\w.\-]*["']?\s*[:=][ \t]*)(\S.*)?$"#))
});
/// `NAME=VALUE`, `"NAME": "VALUE"`, `--NAME VALUE` within a line.
static WITHIN: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r#"(?i)(--?[\w.\-]*(?:{NAMES})[\w.\-]*(?:=|\s+)|[\w.\-]*(?:{NAMES})[\w.\-]*(?:=|\\?["']\s*:\s*))(\\?"(?:[^"\\]|\\[^"])*\\?"|'[^']*'|[^\s"',;&\\]+)"#
    ))
});
/// User and password of a URL.
static URL: LazyLock<Regex> = LazyLock::new(|| regex(r#"([a-zA-Z][a-zA-Z0-9+.\-]*://)[^\s/@"']+@"#));
/// A private key.
static KEY: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)")
});
/// The name of an option that is a secret itself, not the name of a file.
static OPTION: LazyLock<Regex> = LazyLock::new(|| regex(&format!("(?i){NAMES}")));
static PATH: LazyLock<Regex> = LazyLock::new(|| regex("(?i)(?:file|files|path|dir|cert|interval|size)$"));

/// Whether the value of the option `name` is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    OPTION.is_match(name) && !PATH.is_match(name)
}

/// The value of the option `name`, which stands in a file of that name.
pub(super) fn option(name: &str, value: &str) -> String {
    if is_secret(name) { format!("{PLACE}\n") } else { text(value) }
}

/// `input` without secrets.
pub(super) fn text(input: &str) -> String {
    let without_keys = KEY.replace_all(input, PLACE);
    let mut output = String::with_capacity(without_keys.len());
    let mut block = None;
    for line in without_keys.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        // What is below a key and further in belongs to it.
        if block.is_some_and(|outer| indent > outer && !line.trim().is_empty()) {
            continue;
        }
        block = None;
        let (content, end) = line.strip_suffix('\n').map_or((line, ""), |content| (content, "\n"));
        if let Some(found) = LINE.captures(content).filter(|found| !names_a_path(&found[1])) {
            let value = found.get(2).map_or("", |value| value.as_str());
            if value.is_empty() || value.starts_with(['|', '>']) {
                block = Some(indent);
            }
            output.push_str(&found[1]);
            output.push_str(PLACE);
        } else {
            output.push_str(&line_without_secrets(content));
        }
        output.push_str(end);
    }
    output
}

fn names_a_path(name: &str) -> bool {
    PATH.is_match(name.trim_end_matches(|letter: char| !letter.is_alphanumeric()))
}

fn line_without_secrets(line: &str) -> String {
    let within = WITHIN.replace_all(line, |found: &Captures<'_>| {
        if names_a_path(&found[1]) { found[0].to_owned() } else { format!("{}{PLACE}", &found[1]) }
    });
    URL.replace_all(&within, |found: &Captures<'_>| format!("{}{PLACE}@", &found[1])).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_by_the_names_that_they_are_given() {
        for (input, expected) in [
            ("db-password: hunter2\nlog-level: info\n", "db-password: [redacted]\nlog-level: info\n"),
            ("OTLP_HEADERS=authorization=Bearer x\n", "OTLP_HEADERS=[redacted]\n"),
            ("x --api-key k1 -v --token=t2 --debug", "x --api-key [redacted] -v --token=[redacted] --debug"),
            (
                r#"{"arguments":"--password s3 a","uid":0}"#,
                r#"{"arguments":"--password [redacted] a","uid":0}"#,
            ),
            (r#"{"secret": "a b", "x": 1}"#, r#"{"secret": [redacted], "x": 1}"#),
            (r#"{"arguments":"-e \"PGPASSWORD=x\""}"#, r#"{"arguments":"-e \"PGPASSWORD=[redacted]\""}"#),
            ("url https://me:pw@host/x", "url https://[redacted]@host/x"),
            ("token: |\n  line one\n  two\nnext: 1\n", "token: [redacted]\nnext: 1\n"),
            ("secrets:\n  - a\n  - b\nnext: 1\n", "secrets:[redacted]\nnext: 1\n"),
        ] {
            assert_eq!(text(input), expected, "{input}");
        }
        let key = "a\n-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\nb";
        assert_eq!(text(key), "a\n[redacted]\nb");
        assert_eq!(text("-----BEGIN PRIVATE KEY-----\nMHcC\n"), "[redacted]");
    }

    #[test]
    fn names_of_files_and_plain_words_stay() {
        for input in [
            "server-tls-key-file: /etc/key.pem\n",
            "--token-file=/etc/token",
            "the token cannot be read",
            "export-filename: /var/log/x.log",
            "https://host/a@b",
        ] {
            assert_eq!(text(input), input);
        }
        assert_eq!(option("otlp-headers", "x"), "[redacted]\n");
        assert_eq!(option("rb-size", "1M\n"), "1M\n");
        assert_eq!(option("server-tls-key-file", "/k"), "/k");
    }
}

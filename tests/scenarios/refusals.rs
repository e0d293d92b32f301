//! Bad policies: a clear error with its place, and nobody else is harmed.

use std::fmt::Write;
use std::fs;

use e2e::ensure;
use e2e::expect::Outcome;
use e2e::scenario::{Guest, Settings, run, run_command, tetra};

use crate::policies::shadow;

/// A bad policy: what is wrong with it, its text, and the line that the message must name.
struct Bad {
    what: &'static str,
    text: String,
    line: Option<usize>,
}

/// Added over the API, one after the other, to a daemon that enforces another policy.
pub(crate) fn at_run_time(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().policy(&shadow("action: Sigkill")).start(guest)?;
    let mut events = daemon.events()?;
    for Bad { what, text, line } in all() {
        let refused = daemon.try_add("bad", &text)?;
        ensure!(refused.status.code() == Some(1), "{what}: tetra ended with {}", refused.status);
        expect_message(what, &refused.stderr, line)?;
        ensure!(run(&["cat", "/etc/shadow"])?.killed(), "{what}: the other policy no longer acts");
    }
    let large = guest.folder.join("large.yaml");
    fs::write(&large, large_file())?;
    let refused = tetra(&["tracingpolicy", "add", &large.display().to_string()])?;
    ensure!(refused.status.code() == Some(1), "50 MB: tetra ended with {}", refused.status);
    let missing = tetra(&["tracingpolicy", "add", "/no/such/file"])?;
    ensure!(missing.status.code() == Some(1), "missing file: tetra ended with {}", missing.status);
    ensure!(missing.stderr.contains("/no/such/file"), "missing file: {}", missing.stderr);

    daemon.settle(&mut events)?;
    let list = daemon.tetra_must(&["tracingpolicy", "list"])?.text();
    ensure!(
        list.contains("detect-shadow-read") && !list.contains("bad-policy"),
        "policies afterwards:\n{list}"
    );
    // The name of what was refused is free.
    daemon.add("good", &shadow("action: Post").replace("detect-shadow-read", "bad-policy"))?;
    Ok(())
}

/// Given on the command line, one of each stage ends the daemon before it says ready.
pub(crate) fn at_start(guest: &Guest) -> Outcome {
    let wanted = ["not YAML", "an unknown field", "a function that is not there"];
    let mut some: Vec<Bad> = all().into_iter().filter(|bad| wanted.contains(&bad.what)).collect();
    some.push(Bad { what: "50 MB", text: large_file(), line: None });
    ensure!(some.len() == wanted.len() + 1, "a bad policy has another name");
    for Bad { what, text, line } in some {
        let ended = run_command(&mut Settings::default().policy(&text).command(&guest.folder)?)?;
        ensure!(
            ended.status.code() == Some(1),
            "{what}: the daemon ended with {}; {}",
            ended.status,
            ended.stderr
        );
        expect_message(what, &ended.stderr, line)?;
        ensure!(
            ended.stderr.contains("start-0.yaml"),
            "{what}: the message does not name the file: {}",
            ended.stderr
        );
    }
    Ok(())
}

fn expect_message(what: &str, message: &str, line: Option<usize>) -> Outcome {
    ensure!(!message.trim().is_empty(), "{what}: no message");
    ensure!(!message.contains("panicked"), "{what}: {message}");
    if let Some(line) = line {
        ensure!(
            message.contains(&format!(":{line}:")),
            "{what}: the message does not name line {line}: {message}"
        );
    }
    Ok(())
}

fn all() -> Vec<Bad> {
    // Line 5 begins the specification, line 7 names the function, line 10 the argument, line 12 the filter.
    let good = shadow("action: Sigkill").replace("detect-shadow-read", "bad-policy");
    let with = |from: &str, to: &str| good.replace(from, to);
    let line_of = |text: &str| good.lines().position(|line| line.contains(text)).map(|index| index + 1);
    vec![
        Bad { what: "an empty file", text: String::new(), line: None },
        Bad { what: "not YAML", text: "{]\n".to_owned(), line: Some(1) },
        Bad { what: "another kind", text: with("kind: TracingPolicy", "kind: Pod"), line: Some(2) },
        Bad {
            what: "an unknown field",
            text: with("    syscall: false", "    sycall: false"),
            line: line_of("syscall"),
        },
        Bad {
            what: "a key twice",
            text: with("    syscall: false", "    syscall: false\n    syscall: false"),
            line: line_of("syscall").map(|line| line + 1),
        },
        Bad {
            what: "a wrong type",
            text: with("index: 0, type: file", "index: [], type: file"),
            line: line_of("type: file"),
        },
        Bad {
            what: "an unknown operator",
            text: with("operator: Prefix", "operator: Prefixes"),
            line: line_of("operator"),
        },
        Bad {
            what: "an unknown action",
            text: with("action: Sigkill", "action: Sigkil"),
            line: line_of("Sigkill"),
        },
        Bad {
            what: "a function that is not there",
            text: with("security_file_open", "security_file_opened"),
            line: line_of("call:"),
        },
        Bad {
            what: "an argument that the function does not have",
            text: good.replace("index: 0", "index: 4"),
            line: line_of("type: file"),
        },
        Bad {
            what: "a filter on an argument that is not listed",
            text: with("{index: 0, operator", "{index: 1, operator"),
            line: line_of("operator"),
        },
        Bad { what: "a billion laughs", text: laughs(), line: None },
        Bad {
            what: "deep nesting",
            text: format!("spec: {}{}\n", "[".repeat(20_000), "]".repeat(20_000)),
            line: None,
        },
    ]
}

/// Anchors that would unfold to 10^9 values.
fn laughs() -> String {
    let mut text = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..9 {
        let alias = vec![format!("*a{}", level - 1); 10].join(", ");
        // Writing to a String does not fail.
        writeln!(text, "a{level}: &a{level} [{alias}]").unwrap_or_default();
    }
    text
}

fn large_file() -> String {
    let mut text = shadow("action: Sigkill");
    while text.len() < 50_000_000 {
        text.push_str(
            "# nothing but a comment that is very long, to make the file as large as nobody needs it\n",
        );
    }
    text
}

//! More of everything than the interpreted design takes.

use std::collections::BTreeSet;
use std::fs::{self, File};

use e2e::ensure;
use e2e::expect::Outcome;
use e2e::scenario::{Guest, Settings, run};

use crate::policies::{Action, file_open};

const VALUES: usize = 10_000;
const POLICIES: usize = 50;

/// A list of ten thousand values loads; the first and the last match, their neighbours do not.
pub(crate) fn values(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().start(guest)?;
    let mut events = daemon.events()?;
    fs::create_dir_all("/root/many")?;
    let values: Vec<String> = (0..VALUES).map(|number| format!("/root/many/file-{number:05}-")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let first = values[0];
    let last = values[VALUES - 1];
    for (operator, inside, outside) in [
        (
            "Equal",
            [first.to_owned(), last.to_owned()],
            [format!("{last}x"), "/root/many/file-10000-".to_owned()],
        ),
        (
            "Prefix",
            [format!("{first}x"), format!("{last}y")],
            ["/root/many/file-10000-".to_owned(), "/root/many/file-0000".to_owned()],
        ),
    ] {
        daemon.add("many", &file_open("many", operator, &values, Action::Post))?;
        for path in inside.iter().chain(&outside) {
            drop(File::create(path)?);
        }
        let seen = daemon.settle(&mut events)?;
        let hooks = seen.iter().filter_map(|event| event.of_policy("many"));
        let paths: BTreeSet<String> = hooks.filter_map(|hook| hook.path().map(str::to_owned)).collect();
        ensure!(paths == BTreeSet::from(inside.clone()), "{operator}: {paths:?}, not {inside:?}");
        daemon.delete("many")?;
    }
    Ok(())
}

/// Fifty policies report the same open; one more denies another.
pub(crate) fn policies(guest: &Guest) -> Outcome {
    let mut settings = Settings::default();
    for number in 0..POLICIES {
        settings = settings.policy(&file_open(
            &format!("policy-{number}"),
            "Prefix",
            &["/root/fifty/"],
            Action::Post,
        ));
    }
    let mut daemon = settings.start(guest)?;
    let mut events = daemon.events()?;
    daemon.add("last", &file_open("last", "Equal", &["/root/fifty/denied"], Action::Deny))?;
    fs::create_dir_all("/root/fifty")?;
    daemon.settle(&mut events)?;
    drop(File::create("/root/fifty/one")?);
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<_> = seen.iter().filter_map(|event| event.process_kprobe.as_ref()).collect();
    let names: BTreeSet<&str> = hooks.iter().map(|hook| hook.policy_name.as_str()).collect();
    ensure!(
        hooks.len() == POLICIES && names.len() == POLICIES,
        "{} events of {} policies",
        hooks.len(),
        names.len()
    );
    let denied = run(&["sh", "-c", "echo x > /root/fifty/denied"])?;
    ensure!(!denied.success() && denied.stderr.contains("Permission denied"), "denied: {}", denied.stderr);
    let seen = daemon.settle(&mut events)?;
    let hooks = seen.iter().filter_map(|event| event.process_kprobe.as_ref()).count();
    ensure!(hooks > POLICIES, "{hooks} events of {} policies", POLICIES + 1);
    Ok(())
}

//! Upstream's example policies: each loads, and of the same acts we report what upstream reported.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use e2e::ensure;
use e2e::expect::{Context, Failure, Outcome};
use e2e::samples::{comparable, compare, incomparable};
use e2e::scenario::{Daemon, Guest, Settings, must};
use serde_json::Value;

/// Where the machine has them.
const FOLDER: &str = "/usr/share/samples";
/// The fixed sequence of acts, where upstream's lab had it.
const ACTS: &str = "/exercise.sh";

/// Policies that name what this machine has not, and what the refusal must say of it.
const REFUSED: &[(&str, &str)] = &[
    ("tracingpolicy__dev_queue_xmit", "no function dev_queue_xmit"),
    // of kernels before 5.11, where it took a file and a buffer
    ("tracingpolicy__tty_54", "parameter 0 of tty_write is"),
    ("tracingpolicy__host-changes__monitor-signed-kernel-modules", "no function find_module_sections"),
    ("tracingpolicy__stack_traces", "no function kfree_skb_reason"),
    ("tracingpolicy__uprobe-binaries", "/lib64/libc.so.6: No such file"),
    ("tracingpolicy__uprobe-host", "/procRoot/1/root/usr/bin/bash: No such file"),
    ("tracingpolicy__usdt", "contrib/tester-progs/usdt: No such file"),
    ("tracingpolicy__usdt-set", "contrib/tester-progs/usdt-override: No such file"),
];

/// What the guides these policies come from have their reader put in, and what kubectl does.
const VALUES: [(&str, &str); 3] = [
    ("${PODCIDR}", "10.44.0.0/14"),
    ("${SERVICECIDR}", "10.48.0.0/20"),
    (
        "kind: TracingPolicyNamespaced\nmetadata:\n",
        "kind: TracingPolicyNamespaced\nmetadata:\n  namespace: default\n",
    ),
];

/// Loads every policy; where upstream's events of it are known, makes the acts and compares.
pub(crate) fn all(guest: &Guest) -> Outcome {
    fs::copy(Path::new(FOLDER).join("exercise.sh"), ACTS).context("the acts")?;
    // The lab had this command, and no user besides root; what follows from either is in the samples.
    fs::copy("/usr/bin/true", "/usr/bin/bpftool").context("bpftool")?;
    let users = fs::read_to_string("/etc/passwd")?;
    let root: Vec<&str> = users.lines().filter(|line| line.starts_with("root:")).collect();
    ensure!(!root.is_empty(), "/etc/passwd has no root, so that reading it is another act: {users}");
    // without a last newline, which would cost `su` another read
    fs::write("/etc/passwd", root.join("\n"))?;
    fs::set_permissions("/etc/shadow", fs::Permissions::from_mode(0o644))?;
    let result = compared(guest);
    fs::write("/etc/passwd", users)?;
    fs::set_permissions("/etc/shadow", fs::Permissions::from_mode(0o640))?;
    result
}

fn compared(guest: &Guest) -> Outcome {
    let mut policies = BTreeMap::new();
    for entry in fs::read_dir(Path::new(FOLDER).join("policies"))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let text = VALUES.iter().fold(fs::read_to_string(&path)?, |text, (from, to)| text.replace(from, to));
        policies.insert(name, text);
    }
    ensure!(policies.len() > 60, "only {} policies", policies.len());
    let mut found = Vec::new();
    let mut failures: Vec<String> = Vec::new();
    let (compared, loaded): (Vec<_>, Vec<_>) =
        policies.into_iter().partition(|(name, _)| theirs(name).exists());
    for (name, text) in std::iter::once((String::new(), String::new())).chain(compared) {
        match sample(guest, &name, &text) {
            Ok(lines) => found.extend(lines.into_iter().map(|line| format!("{name}: {line}"))),
            Err(failure) => failures.push(format!("{name}: {}", failure.0)),
        }
    }
    let daemon = start(guest, "loaded")?;
    for (name, text) in loaded {
        // watching only, for some kill whoever does something usual
        let outcome = add(&daemon, &name, &text, &["--mode", "monitor"]).and_then(|_| clear(&daemon));
        failures.extend(outcome.err().map(|failure| format!("{name}: {}", failure.0)));
    }
    failures.extend(found);
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// What upstream reported with a policy, or without one.
fn theirs(name: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{}.json", known(name)))
}

/// The policy's name, or without one what upstream calls `base`.
fn known(name: &str) -> &str {
    if name.is_empty() { "base" } else { name }
}

/// A daemon with a folder of its own.
fn start(guest: &Guest, name: &str) -> Outcome<Daemon> {
    let guest = Guest { variant: guest.variant, folder: guest.folder.join(name) };
    fs::create_dir_all(&guest.folder)?;
    let flags = ["--enable-process-cred", "--enable-process-ns", "--process-cache-size", "1024"];
    Settings::default().flags(&flags).start(&guest)
}

/// One policy, or none; the differences from upstream's events.
fn sample(guest: &Guest, name: &str, text: &str) -> Outcome<Vec<String>> {
    let mut daemon = start(guest, known(name))?;
    if !name.is_empty() && !add(&daemon, name, text, &[])? {
        return Ok(Vec::new());
    }
    let theirs = lines(&fs::read_to_string(theirs(name))?, name)?;
    let ours = act(&mut daemon, name)?;
    if incomparable(name) {
        ensure!(ours.is_empty() == theirs.is_empty(), "{} events, upstream has {}", ours.len(), theirs.len());
        return Ok(Vec::new());
    }
    Ok(compare(&ours, &theirs))
}

/// Adds the policy; whether it was accepted, which must be as expected.
fn add(daemon: &Daemon, name: &str, text: &str, flags: &[&str]) -> Outcome<bool> {
    let added = daemon.try_add_with(name, text, flags)?;
    let refusal = REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, reason)| *reason);
    match (added.success(), refusal) {
        (true, None) => Ok(true),
        (false, Some(reason)) if added.stderr.contains(reason) => Ok(false),
        (true, Some(reason)) => Err(Failure(format!("loaded, in spite of {reason}"))),
        (false, _) => {
            let lines: Vec<&str> =
                added.stderr.lines().filter(|line| !line.trim().is_empty()).take(6).collect();
            Err(Failure(lines.join(" / ")))
        }
    }
}

/// Takes all policies away.
fn clear(daemon: &Daemon) -> Outcome {
    for policy in daemon.policies()? {
        let word = |key: &str| policy.get(key).and_then(Value::as_str).unwrap_or_default();
        let (name, namespace) = (word("name"), word("namespace"));
        daemon.tetra_must(&["tracingpolicy", "delete", "--namespace", namespace, name])?;
    }
    Ok(())
}

/// Makes the acts, and returns the events of them.
fn act(daemon: &mut Daemon, name: &str) -> Outcome<Vec<Value>> {
    let mut events = daemon.events()?;
    daemon.settle(&mut events)?;
    let before = fs::metadata(daemon.export())?.len();
    // As the lab ran them: without a policy by the shell itself, else under a limit of time.
    let command = if name.is_empty() { "sh /exercise.sh; true" } else { "timeout 40 sh /exercise.sh; true" };
    must(&["/usr/bin/busybox", "sh", "-c", command])?;
    daemon.settle(&mut events)?;
    let mut file = File::open(daemon.export())?;
    file.seek(SeekFrom::Start(before))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut ours = lines(&text, name)?;
    if !name.is_empty() {
        // Upstream's samples hold the events of the policy alone.
        ours.retain(|event| {
            event.as_object().is_some_and(|kinds| kinds.keys().all(|kind| !BASE.contains(&kind.as_str())))
        });
    }
    Ok(ours)
}

/// Events that need no policy.
const BASE: [&str; 2] = ["process_exec", "process_exit"];

fn lines(text: &str, sample: &str) -> Outcome<Vec<Value>> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let event: Value = serde_json::from_str(line).context(line)?;
        found.extend(comparable(&event, sample));
    }
    Ok(found)
}

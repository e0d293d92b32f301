//! Selectors that look at the process: its namespaces, its capabilities, its parent.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

use e2e::ensure;
use e2e::expect::{Failure, Outcome};
use e2e::scenario::{Daemon, Guest, Settings, must, run};
use serde_json::Value;

use crate::policies::named;

/// What every reader opens.
pub(crate) const FILE: &str = "/etc/hosts";

/// A policy that reports who opens [`FILE`], with a filter of the process.
pub(crate) fn policy(name: &str, filter: &str) -> String {
    let mut text = named(
        name,
        &format!(
            "  kprobes:
  - call: security_file_open
    syscall: false
    args:
    - {{index: 0, type: file}}
    selectors:
    - matchArgs: [{{index: 0, operator: Equal, values: [{FILE}]}}]
"
        ),
    );
    // Writing to a String does not fail.
    writeln!(text, "      {filter}").unwrap_or_default();
    text
}

/// Runs a command and says which policies reported it or its children.
pub(crate) fn reporters(
    daemon: &mut Daemon,
    policies: &[&str],
    command: impl FnOnce() -> Outcome,
) -> Outcome<BTreeSet<String>> {
    let mut events = daemon.events()?;
    // what came before is not this command's
    daemon.settle(&mut events)?;
    command()?;
    let seen = daemon.settle(&mut events)?;
    let reported = |name: &&&str| seen.iter().any(|event| event.of_policy(name).is_some());
    Ok(policies.iter().filter(reported).map(|name| (*name).to_owned()).collect())
}

/// Names as [`reporters`] returns them.
pub(crate) fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A process in another namespace than the host's is told by each kind of namespace, and by that kind only.
pub(crate) fn namespaces(guest: &Guest) -> Outcome {
    let kinds = ["Uts", "Ipc", "Mnt", "Net", "Pid", "PidForChildren", "User"];
    let mut daemon = Settings::default().start(guest)?;
    for kind in kinds {
        let filter = format!("matchNamespaces: [{{namespace: {kind}, operator: NotIn, values: [host_ns]}}]");
        let name = kind.to_lowercase();
        daemon.add(&name, &policy(&name, &filter))?;
    }
    let host = "matchNamespaces: [{namespace: Time, operator: In, values: [host_ns]}, {namespace: Cgroup, operator: In, values: [host_ns]}]";
    daemon.add("host", &policy("host", host))?;
    let names = ["uts", "ipc", "mnt", "net", "pid", "pidforchildren", "user", "host"];
    for (flags, expected) in [
        (None, &["host"][..]),
        (Some("-u"), &["host", "uts"]),
        (Some("-i"), &["host", "ipc"]),
        (Some("-m"), &["host", "mnt"]),
        (Some("-n"), &["host", "net"]),
        (Some("-p"), &["host", "pidforchildren"]),
        (Some("-fp"), &["host", "pid", "pidforchildren"]),
        (Some("-U"), &["host", "user"]),
    ] {
        let found = reporters(&mut daemon, &names, || {
            match flags {
                None => must(&["cat", FILE])?,
                Some(flags) => must(&["unshare", flags, "cat", FILE])?,
            };
            Ok(())
        })?;
        ensure!(found == set(expected), "unshare {flags:?}: {found:?} reported, not {expected:?}");
    }
    Ok(())
}

/// Without anybody who tells of pods every process is the host's: a policy for the host sees it, one for pods loads and does not, whatever the cgroup.
pub(crate) fn workloads(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().start(guest)?;
    let scoped =
        |name: &str, scope: &str| policy(name, "").replace("spec:\n", &format!("spec:\n  {scope}\n"));
    let web = "podSelector: {matchLabels: {app: web}}";
    daemon.add("all", &scoped("all", "containerSelector: {}\n  podSelector: {}\n  hostSelector: {}"))?;
    daemon.add("host", &scoped("host", "hostSelector: {}"))?;
    daemon.add("pods", &scoped("pods", web))?;
    daemon.add("own", &policy("own", "matchWorkloads: {hostSelector: {}}"))?;
    daemon.add("others", &policy("others", &format!("matchWorkloads: {{{web}}}")))?;
    let found = reporters(&mut daemon, &["all", "host", "pods", "own", "others"], || {
        must(&["cat", FILE])?;
        Ok(())
    })?;
    let expected = ["all", "host", "own"];
    ensure!(found == set(&expected), "{found:?} reported, not {expected:?}");
    Ok(())
}

/// The same name is another policy in another namespace or domain: each is listed, disabled and deleted for itself. One of a namespace is for pods alone.
pub(crate) fn identities(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().policy(&policy("one", "")).start(guest)?;
    let of_namespace = |namespace: &str| {
        policy("one", "")
            .replace("kind: TracingPolicy", "kind: TracingPolicyNamespaced")
            .replace("{name: one}", &format!("{{name: one, namespace: {namespace}}}"))
    };
    let texts = [policy("one", ""), of_namespace("shop"), of_namespace("default")];
    let mut paths = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let path = guest.folder.join(format!("identity-{number}.yaml"));
        std::fs::write(&path, text)?;
        paths.push(path.display().to_string());
    }
    for domain in ["grpc", "k8s"] {
        for path in &paths {
            daemon.tetra_must(&["tracingpolicy", "add", "--domain", domain, path])?;
            let again = daemon.tetra(&["tracingpolicy", "add", "--domain", domain, path])?;
            ensure!(!again.success() && again.stderr.contains("exists"), "added twice: {}", again.stderr);
        }
    }
    let all = |domain: &'static str| ["", "default", "shop"].map(|namespace| (domain, namespace, "enabled"));
    let mut expected: BTreeSet<_> = all("grpc").into_iter().chain(all("k8s")).collect();
    expected.insert(("static", "", "enabled"));
    same(&daemon, &expected)?;
    // only the three for everybody see this process
    let mut events = daemon.events()?;
    daemon.settle(&mut events)?;
    must(&["cat", FILE])?;
    let seen = daemon.settle(&mut events)?;
    let count = seen.iter().filter(|event| event.of_policy("one").is_some()).count();
    ensure!(count == 3, "{count} events, not one of each policy for everybody");
    let [_, _, shop] = all("k8s");
    daemon.tetra_must(&["tracingpolicy", "disable", "--namespace", "shop", "--domain", "k8s", "one"])?;
    expected.remove(&shop);
    expected.insert(("k8s", "shop", "disabled"));
    same(&daemon, &expected)?;
    daemon.tetra_must(&["tracingpolicy", "delete", "--namespace", "shop", "--domain", "k8s", "one"])?;
    expected.remove(&("k8s", "shop", "disabled"));
    daemon.tetra_must(&["tracingpolicy", "delete", "--domain", "static", "one"])?;
    expected.remove(&("static", "", "enabled"));
    same(&daemon, &expected)
}

/// Whether these are the policies that the daemon has: domain, namespace, state.
fn same(daemon: &Daemon, expected: &BTreeSet<(&str, &str, &str)>) -> Outcome {
    let policies = daemon.policies()?;
    let word = |policy: &Value, key: &str| {
        policy
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim_start_matches("TP_STATE_")
            .to_lowercase()
    };
    let found: BTreeSet<_> =
        policies.iter().map(|it| (word(it, "domain"), word(it, "namespace"), word(it, "state"))).collect();
    let expected: BTreeSet<_> = expected
        .iter()
        .map(|(domain, name, state)| ((*domain).to_owned(), (*name).to_owned(), (*state).to_owned()))
        .collect();
    ensure!(found == expected, "{found:?}, not {expected:?}");
    Ok(())
}

/// Root has what a user has not, and a user namespace gives it below the host only.
pub(crate) fn capabilities(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().start(guest)?;
    let names = ["has", "lacks", "below", "both"];
    for (name, filter) in [
        ("has", "matchCapabilities: [{operator: In, values: [CAP_SYS_ADMIN]}]"),
        (
            "lacks",
            "matchCapabilities: [{type: Permitted, operator: NotIn, values: [CAP_SYS_ADMIN, CAP_BPF]}]",
        ),
        (
            "below",
            "matchCapabilities: [{operator: In, isNamespaceCapability: true, values: [CAP_SYS_ADMIN]}]",
        ),
        (
            "both",
            "matchCapabilities: [{operator: In, values: [CAP_SYS_ADMIN]}, {type: Inheritable, operator: In, values: [CAP_KILL]}]",
        ),
    ] {
        daemon.add(name, &policy(name, filter))?;
    }
    let root = reporters(&mut daemon, &names, || must(&["cat", FILE]).map(|_| ()))?;
    ensure!(root == set(&["has"]), "root: {root:?} reported");
    let user = reporters(&mut daemon, &names, || {
        let status = Command::new("cat").arg(FILE).uid(65_534).gid(65_534).status();
        let status = status.map_err(|error| Failure(format!("cat as nobody: {error}")))?;
        ensure!(status.success(), "cat as nobody ended with {status}");
        Ok(())
    })?;
    ensure!(user == set(&["lacks"]), "nobody: {user:?} reported");
    let below = reporters(&mut daemon, &names, || must(&["unshare", "-Ur", "cat", FILE]).map(|_| ()))?;
    ensure!(below == set(&["has", "below"]), "root of a user namespace: {below:?} reported");
    Ok(())
}

/// The parent's binary counts, not the process's own.
pub(crate) fn parents(guest: &Guest) -> Outcome {
    let (shell, reader) = (guest.folder.join("sh"), guest.folder.join("cat"));
    for copy in [&shell, &reader] {
        // it is what its name says
        std::fs::copy("/usr/bin/busybox", copy)
            .map_err(|error| Failure(format!("copying busybox: {error}")))?;
    }
    let (shell, reader) = (shell.display().to_string(), reader.display().to_string());
    let mut daemon = Settings::default().start(guest)?;
    let names = ["child", "other"];
    for (name, operator) in [("child", "In"), ("other", "NotIn")] {
        let filter = format!("matchParentBinaries: [{{operator: {operator}, values: [{shell}]}}]");
        daemon.add(name, &policy(name, &filter))?;
    }
    let script = format!("{reader} {FILE}; true");
    let child = reporters(&mut daemon, &names, || must(&[&shell, "-c", &script]).map(|_| ()))?;
    ensure!(child == set(&["child"]), "a child of the shell: {child:?} reported");
    let other = reporters(&mut daemon, &names, || run(&[&reader, FILE]).map(|_| ()))?;
    ensure!(other == set(&["other"]), "a child of another: {other:?} reported");
    Ok(())
}

/// A namespace or capability that a process changes without exec is told once.
pub(crate) fn changes(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().start(guest)?;
    let names = ["mnt", "others", "caps"];
    for (name, filter) in [
        ("mnt", "matchNamespaceChanges: [{operator: In, values: [Mnt]}]"),
        ("others", "matchNamespaceChanges: [{operator: NotIn, values: [Mnt]}]"),
        ("caps", "matchCapabilityChanges: [{type: Permitted, operator: In, values: [CAP_SYS_ADMIN]}]"),
    ] {
        daemon.add(name, &policy(name, filter))?;
    }
    let none = reporters(&mut daemon, &names, || must(&["cat", FILE]).map(|_| ()))?;
    ensure!(none.is_empty(), "nothing changed: {none:?} reported");
    // exec records anew: what unshare runs has not changed since
    let exec = reporters(&mut daemon, &names, || must(&["unshare", "-m", "cat", FILE]).map(|_| ()))?;
    ensure!(exec.is_empty(), "exec in a new namespace: {exec:?} reported");
    // this process itself runs since before the policies and changes its namespace now, then back by its end
    let mut events = daemon.events()?;
    daemon.settle(&mut events)?;
    let before = nix::sched::CloneFlags::CLONE_NEWUTS;
    nix::sched::unshare(before).map_err(|error| Failure(format!("unshare: {error}")))?;
    for _ in 0..3 {
        std::fs::read(FILE).map_err(|error| Failure(format!("reading {FILE}: {error}")))?;
    }
    let seen = daemon.settle(&mut events)?;
    let count = |name| seen.iter().filter(|event| event.of_policy(name).is_some()).count();
    ensure!(count("others") == 1, "{} events of a change, not one", count("others"));
    ensure!(count("mnt") == 0 && count("caps") == 0, "changes that were none are told");
    Ok(())
}

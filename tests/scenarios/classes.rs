//! What is decided when a process begins: its binary, those of its ancestors, their numbers.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use e2e::ensure;
use e2e::expect::{Context, Failure, Outcome, PATIENCE, eventually};
use e2e::scenario::{Daemon, Guest, Settings, must};

use crate::selectors::{FILE, policy, reporters, set};

/// Tests that children follow, more than upstream has bits for.
const MANY: usize = 100;

/// Copies busybox to `folder/name` below the scenario's own folder; it is what its name says.
fn applet(guest: &Guest, folder: &str, name: &str) -> Outcome<String> {
    let folder = guest.folder.join(folder);
    fs::create_dir_all(&folder)?;
    let path = folder.join(name);
    fs::copy("/usr/bin/busybox", &path).context("copying busybox")?;
    Ok(path.display().to_string())
}

/// A shell that runs since before the policies, and reads [`FILE`] itself when it is told to.
struct Early {
    child: Child,
    told: ChildStdin,
    mark: PathBuf,
}

impl Early {
    /// Starts the words; the innermost is a shell that reads its commands from the pipe.
    fn start(guest: &Guest, name: &str, words: &[&str]) -> Outcome<Self> {
        let (program, arguments) = words.split_first().ok_or_else(|| Failure("no program".to_owned()))?;
        let mut child =
            Command::new(program).args(arguments).stdin(Stdio::piped()).spawn().context(program)?;
        let told = child.stdin.take().ok_or_else(|| Failure("no pipe".to_owned()))?;
        let mut early = Self { child, told, mark: guest.folder.join(format!("{name}.mark")) };
        early.tell(":")?;
        Ok(early)
    }

    /// Has it run one line, and waits until it has.
    fn tell(&mut self, line: &str) -> Outcome {
        writeln!(self.told, "{line}; : > {}", self.mark.display())?;
        eventually("the early shell", PATIENCE, || Ok(self.mark.exists().then_some(())))?;
        fs::remove_file(&self.mark)?;
        Ok(())
    }

    /// Has it read [`FILE`], without another process.
    fn read(&mut self) -> Outcome {
        self.tell(&format!(": < {FILE}"))
    }

    fn end(mut self) -> Outcome {
        drop(self.told);
        self.child.wait().context("the early shell")?;
        Ok(())
    }
}

/// Adds a policy for each filter, under its name.
fn add(daemon: &Daemon, filters: &[(&str, String)]) -> Outcome {
    filters.iter().try_for_each(|(name, filter)| daemon.add(name, &policy(name, filter)))
}

/// Who runs what is told by all operators, whether it ran before the policies came or begins later.
pub(crate) fn binaries(guest: &Guest) -> Outcome {
    let here = guest.folder.display();
    let mut readers = Vec::new();
    for (folder, name) in [("a", "cat"), ("ab", "cat"), ("b", "cat"), ("b", "tac")] {
        readers.push(applet(guest, folder, name)?);
    }
    let early = ["a", "ab", "c"].map(|folder| applet(guest, folder, "sh"));
    let early = early.into_iter().collect::<Outcome<Vec<_>>>()?;
    let mut early = (0..)
        .zip(&early)
        .map(|(number, shell)| Early::start(guest, &format!("early-{number}"), &[shell]))
        .collect::<Outcome<Vec<_>>>()?;
    let mut daemon = Settings::default().start(guest)?;
    let exact = format!("[{here}/none, {here}/a/cat, {here}/a/sh]");
    let filter =
        |operator: &str, values: &str| format!("matchBinaries: [{{operator: {operator}, values: {values}}}]");
    let filters = [
        ("in", filter("In", &exact)),
        ("not-in", filter("NotIn", &exact)),
        ("prefix", filter("Prefix", &format!("[{here}/a, /none]"))),
        ("not-prefix", filter("NotPrefix", &format!("[{here}/a, /none]"))),
        ("postfix", filter("Postfix", "[none, b/cat, b/sh]")),
        ("not-postfix", filter("NotPostfix", "[none, b/cat, b/sh]")),
    ];
    add(&daemon, &filters)?;
    let names = filters.each_ref().map(|(name, _)| *name);
    let expected: [&[&str]; 4] = [
        &["in", "prefix", "not-postfix"],
        &["not-in", "prefix", "postfix"],
        &["not-in", "not-prefix", "postfix"],
        &["not-in", "not-prefix", "not-postfix"],
    ];
    for (reader, expected) in readers.iter().zip(expected) {
        let found = reporters(&mut daemon, &names, || must(&[reader, FILE]).map(drop))?;
        ensure!(found == set(expected), "{reader}: {found:?} reported, not {expected:?}");
    }
    // the same of those that ran already: a/sh, ab/sh and c/sh
    for (shell, expected) in early.iter_mut().zip([expected[0], expected[1], expected[3]]) {
        let found = reporters(&mut daemon, &names, || shell.read())?;
        ensure!(
            found == set(expected),
            "early {}: {found:?} reported, not {expected:?}",
            shell.mark.display()
        );
    }
    early.into_iter().try_for_each(Early::end)
}

/// Descendants follow, as many tests as there are, those that ran before too; and nobody once the policy is gone.
pub(crate) fn children(guest: &Guest) -> Outcome {
    let here = guest.folder.display();
    let shells = [0, 63, 64, MANY - 1].map(|number| applet(guest, &number.to_string(), "sh"));
    let shells = shells.into_iter().collect::<Outcome<Vec<_>>>()?;
    let other = applet(guest, "other", "sh")?;
    let [.., last] = shells.as_slice() else { return Err(Failure("no shells".to_owned())) };
    // the one that will read is a grandchild of the one that is asked for
    let nested = format!("{other} -c '{other}; true'; true");
    let mut early = Early::start(guest, "early", &[last, "-c", &nested])?;
    let mut daemon = Settings::default().start(guest)?;
    let followed = |operator: &str| {
        format!("matchBinaries: [{{operator: {operator}, values: [{last}], followChildren: true}}]")
    };
    let mut many = policy(
        "many",
        &format!("matchBinaries: [{{operator: In, values: [{here}/0/sh], followChildren: true}}]"),
    );
    for number in 1..MANY {
        // Writing to a String does not fail.
        write!(
            many,
            "    - matchArgs: [{{index: 0, operator: Equal, values: [{FILE}]}}]
      matchBinaries: [{{operator: In, values: [{here}/{number}/sh], followChildren: true}}]
"
        )
        .unwrap_or_default();
    }
    daemon.add("many", &many)?;
    add(
        &daemon,
        &[
            ("follow", followed("In")),
            ("strangers", followed("NotIn")),
            ("self", format!("matchBinaries: [{{operator: In, values: [{last}]}}]")),
        ],
    )?;
    let names = ["many", "follow", "strangers", "self"];
    let nested = |shell: &str| format!("{shell} -c '{other} -c \"cat {FILE}; true\"; true'; true");
    for (shell, expected) in shells
        .iter()
        .map(|shell| (shell, if shell == last { &["many", "follow"] } else { &["many", "strangers"] }))
    {
        let found = reporters(&mut daemon, &names, || must(&[&other, "-c", &nested(shell)]).map(drop))?;
        ensure!(found == set(expected), "a grandchild of {shell}: {found:?} reported, not {expected:?}");
    }
    let stranger = reporters(&mut daemon, &names, || must(&[&other, "-c", &nested(&other)]).map(drop))?;
    ensure!(stranger == set(&["strangers"]), "a stranger: {stranger:?} reported");
    let own = reporters(&mut daemon, &names, || must(&[last, "-c", &format!(": < {FILE}")]).map(drop))?;
    ensure!(own == set(&["many", "follow", "self"]), "the binary itself: {own:?} reported");
    let before = reporters(&mut daemon, &names, || early.read())?;
    ensure!(before == set(&["many", "follow"]), "a grandchild from before: {before:?} reported");
    // what a policy used is free for the next one, and says nothing of those who were marked for the first
    daemon.delete("many")?;
    daemon.add("many", &many.replace(&format!("{here}/"), "/none/"))?;
    let after = reporters(&mut daemon, &names, || early.read())?;
    ensure!(after == set(&["follow"]), "after another policy took the place: {after:?} reported");
    early.end()
}

/// Numbers of processes: the host's, those in namespaces of their own, those of ancestors.
pub(crate) fn numbers(guest: &Guest) -> Outcome {
    let mut early = Early::start(guest, "early", &["unshare", "-fp", "sh", "-c", "sh; true"])?;
    let mut daemon = Settings::default().start(guest)?;
    let me = std::process::id();
    // numbers are given one after the other: those of the next thousand processes
    let last = must(&["true"])?.pid;
    let next: Vec<u32> = (last + 1..=last + 1_000).collect();
    let filter = |operator: &str, values: &str, options: &str| {
        format!("matchPIDs: [{{operator: {operator}, values: {values}{options}}}]")
    };
    let (own, forks) = (", isNamespacePID: true", ", followForks: true");
    let both = format!("{own}{forks}");
    let filters = [
        ("me", filter("In", &format!("[1000000, {me}]"), "")),
        ("not-me", filter("NotIn", &format!("[1000000, {me}]"), "")),
        ("mine", filter("In", &format!("[1000000, {me}]"), forks)),
        ("not-mine", filter("NotIn", &format!("[1000000, {me}]"), forks)),
        ("later", filter("In", &format!("{next:?}"), forks)),
        ("first", filter("In", "[1]", own)),
        ("not-first", filter("NotIn", "[0, 1]", own)),
        ("of-first", filter("In", "[1]", &both)),
        // 0 is nobody's number, and who is in the host's namespace passes neither
        ("not-of-first", filter("NotIn", "[0, 1]", &both)),
    ];
    add(&daemon, &filters)?;
    let names = filters.each_ref().map(|(name, _)| *name);
    let me = reporters(&mut daemon, &names, || fs::read(FILE).map(drop).context(FILE))?;
    ensure!(me == set(&["me", "mine"]), "this process: {me:?} reported");
    for (script, expected) in [
        (format!("cat {FILE}; true"), &["not-me", "mine", "later"][..]),
        (format!("unshare -fp cat {FILE}"), &["not-me", "mine", "later", "first", "of-first"]),
        (
            format!("unshare -fp sh -c 'cat {FILE}; true'"),
            &["not-me", "mine", "later", "not-first", "of-first"],
        ),
        // the first of the namespace sleeps, who reads is no child of it
        (
            format!("unshare -p sh -c 'sleep 60 & cat {FILE}; kill -9 $!'"),
            &["not-me", "mine", "later", "not-first", "not-of-first"],
        ),
    ] {
        let found = reporters(&mut daemon, &names, || must(&["sh", "-c", &script]).map(drop))?;
        ensure!(found == set(expected), "{script}: {found:?} reported, not {expected:?}");
    }
    let before = reporters(&mut daemon, &names, || early.read())?;
    let expected = set(&["not-me", "mine", "not-first", "of-first"]);
    ensure!(before == expected, "from before: {before:?} reported, not {expected:?}");
    early.end()
}

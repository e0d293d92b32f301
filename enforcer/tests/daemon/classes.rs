//! Tests of the process itself, decided before the hook sees it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::instance::Instance;
use super::policies::{add, kill_chosen};

/// Kills whoever of a class opens `path`; `binaries` is the body of the matchBinaries entry.
fn binary_policy(name: &str, binaries: &str, path: &str) -> String {
    kill_chosen(name, "matchBinaries", binaries, path)
}

/// A copy of a program that nobody else runs.
fn copy(program: &str, to: PathBuf) -> PathBuf {
    fs::copy(program, &to).unwrap();
    to
}

/// Whether the program, run now, can read the file.
fn reads(program: &Path, file: &Path) -> bool {
    let output = Command::new(program).arg(file).stderr(Stdio::null()).output().unwrap();
    output.stdout == b"secret"
}

#[test]
fn root_binaries_are_told_apart_by_each_operator() {
    let instance = Instance::start(&[]);
    let at = |name: &str| instance.directory.path().join(name);
    let secret = at("secret");
    fs::write(&secret, "secret").unwrap();
    fs::create_dir(at("wide")).unwrap();
    let exact = copy("/bin/cat", at("exact"));
    let prefixed = copy("/bin/cat", at("wide/any"));
    let ending = copy("/bin/cat", at("x-ending"));
    let other = copy("/bin/cat", at("other"));
    let path = secret.display().to_string();
    let policies = [
        ("in", format!("{{operator: In, values: [{}]}}", exact.display())),
        ("prefix", format!("{{operator: Prefix, values: [{}/]}}", at("wide").display())),
        ("postfix", "{operator: Postfix, values: [x-ending]}".to_owned()),
    ];
    for (name, binaries) in policies {
        add(&instance, binary_policy(name, &binaries, &path)).unwrap();
    }
    for (program, expected) in [(&exact, false), (&prefixed, false), (&ending, false), (&other, true)] {
        assert_eq!(reads(program, &secret), expected, "{}", program.display());
    }
}

#[test]
fn root_processes_that_run_already_and_their_children_are_in_the_class() {
    let instance = Instance::start(&[]);
    let at = |name: &str| instance.directory.path().join(name);
    let secret = at("secret");
    fs::write(&secret, "secret").unwrap();
    let shell = copy("/bin/sh", at("shell"));
    let script = format!("read line; cat {}; echo end", secret.display());
    let start = |shell: &Path| {
        Command::new(shell)
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let (inside, outside) = (start(&shell), start(Path::new("/bin/sh")));
    let binaries = format!("{{operator: In, followChildren: true, values: [{}]}}", shell.display());
    add(&instance, binary_policy("followed", &binaries, &secret.display().to_string())).unwrap();
    let text = |mut child: std::process::Child| {
        drop(child.stdin.take());
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    assert_eq!(text(inside), "end\n", "its cat is another binary, but its child");
    assert_eq!(text(outside), "secretend\n");
}

#[test]
fn root_ten_thousand_binaries_load_and_the_last_one_acts() {
    let instance = Instance::start(&[]);
    let at = |name: &str| instance.directory.path().join(name);
    let secret = at("secret");
    fs::write(&secret, "secret").unwrap();
    let last = copy("/bin/cat", at("last"));
    let mut values: Vec<String> = (0..9_999).map(|number| format!("/no/such/binary/{number}")).collect();
    values.push(last.display().to_string());
    let binaries = format!("{{operator: In, values: [{}]}}", values.join(", "));
    add(&instance, binary_policy("many", &binaries, &secret.display().to_string())).unwrap();
    assert!(!reads(&last, &secret));
    assert!(reads(Path::new("/bin/cat"), &secret));
}

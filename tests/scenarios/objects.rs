//! Objects of the kernel as arguments: files by each type that has one, programs about to run, credentials and capabilities.

use std::fmt::Write;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use e2e::ensure;
use e2e::event::{Argument, Event};
use e2e::expect::{Context, Outcome};
use e2e::load::write_tiny_program;
use e2e::scenario::{Guest, Settings, must};
use serde_json::{Value, json};

use crate::language::capset;
use crate::policies::named;

const FOLDER: &str = "/root/objects";
const POLICY: &str = "objects";

/// Files and names: the function that is hooked (or one of those, which kernels call by different names), its argument, and whose path that is.
const FILES: [(&str, &str, &str); 7] = [
    ("security_file_open", "{index: 0, type: file}", "file"),
    ("sys_fchmod", "{index: 0, type: fd}", "file"),
    ("vfs_truncate", "{index: 0, type: path}", "cut"),
    ("security_inode_unlink", "{index: 1, type: dentry}", "gone"),
    ("generic_file_write_iter, shmem_file_write_iter", "{index: 0, type: kiocb}", "cut"),
    ("do_filp_open, do_file_open", "{index: 1, type: filename}", "file"),
    ("security_bprm_check", "{index: 0, type: linux_binprm}", "program"),
];

fn policy() -> String {
    let own = format!("matchPIDs: [{{operator: In, values: [{}]}}]", std::process::id());
    let mut lists = String::new();
    let mut hooks = String::new();
    // Writing to a String does not fail.
    for (number, (functions, argument, name)) in FILES.into_iter().enumerate() {
        let syscall = functions.starts_with("sys_");
        let selector = if argument.contains("kiocb") || argument.contains("filename") {
            // types without filters
            own.clone()
        } else {
            format!("matchArgs: [{{args: [0], operator: Equal, values: ['{FOLDER}/{name}']}}]")
        };
        writeln!(lists, "  - {{name: list{number}, values: [{functions}]}}").unwrap_or_default();
        writeln!(
            hooks,
            "  - {{call: 'list:list{number}', syscall: {syscall}, ignore: {{callNotFound: true}}, args: [{argument}], selectors: [{{{selector}}}]}}"
        )
        .unwrap_or_default();
    }
    let sets = "{index: 2, type: cap_effective}, {index: 3, type: cap_inheritable}, {index: 4, type: cap_permitted}, {index: 2, type: kernel_cap_t}";
    for (call, arguments, selectors) in [
        ("commit_creds", "{index: 0, type: cred}", ""),
        ("security_capable", "{index: 2, type: capability}", &*own),
        ("security_capset", sets, &*own),
    ] {
        writeln!(
            hooks,
            "  - {{call: {call}, syscall: false, args: [{arguments}], selectors: [{{{selectors}}}]}}"
        )
        .unwrap_or_default();
    }
    named(POLICY, &format!("  lists:\n{lists}  kprobes:\n{hooks}"))
}

/// Makes the calls that pass the hooks.
fn act() -> Outcome {
    let file = |name: &str| format!("{FOLDER}/{name}");
    fs::set_permissions(file("file"), Permissions::from_mode(0o4751))?;
    let opened = File::open(file("file"))?;
    opened.set_permissions(Permissions::from_mode(0o4751))?;
    let path = std::ffi::CString::new(file("cut")).context("a path")?;
    nix::unistd::truncate(path.as_c_str(), 3)?;
    OpenOptions::new().append(true).open(file("cut"))?.write_all(b"more")?;
    fs::remove_file(file("gone"))?;
    must(&[&file("program")])?;
    let name = nix::unistd::gethostname()?;
    nix::unistd::sethostname(name)?;
    capset(1 << 21 | 1)
}

/// The argument at a place in the events of a function; all of them.
fn arguments<'e>(seen: &'e [Event], functions: &str, at: usize) -> Vec<&'e Argument> {
    let hooks = seen.iter().filter_map(|event| event.of_policy(POLICY));
    let named = hooks.filter(|hook| {
        functions.split(", ").any(|name| hook.function_name == name.replace("sys_", "__x64_sys_"))
    });
    named.filter_map(|hook| hook.args.get(at)).collect()
}

/// What an argument shows under a name.
fn shown<'a>(argument: &'a Argument, field: &str) -> &'a Value {
    argument.other.get(field).unwrap_or(&Value::Null)
}

/// What an argument shows of a file; of a name, which has no permission, the name.
fn path_and_permission(argument: &Argument) -> (&str, &str) {
    if let Some(file) = argument.file_arg.as_ref().or(argument.path_arg.as_ref()) {
        return (&file.path, &file.permission);
    }
    if let Some(name) = &argument.string_arg {
        return (name, "");
    }
    let program = shown(argument, "linux_binprm_arg");
    (program["path"].as_str().unwrap_or_default(), program["permission"].as_str().unwrap_or_default())
}

/// Every type of file has its path and its permission, and what is no file its own form.
pub(crate) fn shown_as_they_are(guest: &Guest) -> Outcome {
    if Path::new(FOLDER).exists() {
        fs::remove_dir_all(FOLDER)?;
    }
    fs::create_dir(FOLDER)?;
    for (name, mode) in [("file", 0o4751), ("cut", 0o640), ("gone", 0o600)] {
        fs::write(format!("{FOLDER}/{name}"), "something")?;
        fs::set_permissions(format!("{FOLDER}/{name}"), Permissions::from_mode(mode))?;
    }
    write_tiny_program(&Path::new(FOLDER).join("program"), 0)?;
    let mut daemon = Settings::default().start(guest)?;
    daemon.add(POLICY, &policy())?;
    let mut events = daemon.events()?;
    act()?;
    let seen = daemon.settle(&mut events)?;
    for (functions, argument, name) in FILES {
        let path = format!("{FOLDER}/{name}");
        let expected = match (name, argument.contains("filename")) {
            (_, true) => "",
            ("file", _) => "-rwsr-x--x",
            ("cut", _) => "-rw-r-----",
            ("gone", _) => "-rw-------",
            _ => "-rwxr-xr-x",
        };
        let mut found = arguments(&seen, functions, 0);
        if argument.contains("kiocb") || argument.contains("filename") {
            found.retain(|one| path_and_permission(one).0 == path);
        }
        ensure!(!found.is_empty(), "{functions}: no event");
        for one in found {
            ensure!(path_and_permission(one) == (&*path, expected), "{functions}: {one:?}");
        }
    }
    credentials(&seen)
}

/// Credentials, capabilities and their sets.
fn credentials(seen: &[Event]) -> Outcome {
    let all = arguments(seen, "commit_creds", 0);
    let is_root = |cred: &Value| {
        cred["uid"] == 0 && cred["caps"]["permitted"].as_array().is_some_and(|all| all.len() > 30)
    };
    let creds: Vec<&Value> = all.iter().map(|one| shown(one, "process_credentials_arg")).collect();
    ensure!(creds.iter().any(|cred| is_root(cred)), "commit_creds: {creds:?}");
    let admin = json!({ "value": 21, "name": "CAP_SYS_ADMIN" });
    let capabilities = arguments(seen, "security_capable", 0);
    let found = capabilities.iter().any(|one| *shown(one, "capability_arg") == admin);
    ensure!(found, "security_capable: {capabilities:?}");
    for (at, field, expected) in [
        (0, "cap_effective_arg", Some("0000000000200001")),
        (1, "cap_inheritable_arg", Some("0000000000000000")),
        (2, "cap_permitted_arg", None),
        (3, "kernel_cap_t_arg", Some("0000000000200001")),
    ] {
        let sets = arguments(seen, "security_capset", at);
        ensure!(sets.len() == 1, "security_capset {at}: {sets:?}");
        let text = shown(sets[0], field).as_str().unwrap_or_default();
        ensure!(
            !text.is_empty() && expected.is_none_or(|expected| text == expected),
            "{field}: {:?}",
            sets[0]
        );
    }
    Ok(())
}

//! Hooks other than kprobes.

use std::os::unix::fs::PermissionsExt;

use e2e::ensure;
use e2e::event::{Event, Hook};
use e2e::expect::{Failure, Outcome};
use e2e::kernels::Feature;
use e2e::scenario::{Guest, Settings, must, run};

use crate::policies;

const POLICY: &str = "detect-shadow-read";

/// An LSM hook denies and reports: by an LSM program, or where such programs do not run by the function that asks the hook.
pub(crate) fn lsm(guest: &Guest) -> Outcome {
    let kprobe = "  kprobes:\n  - call: security_file_open\n    syscall: false\n";
    let policy = policies::shadow("{action: Override, argError: -13}");
    ensure!(policy.contains(kprobe), "the policy is another: {policy}");
    let policy = policy.replace(kprobe, "  lsmhooks:\n  - hook: file_open\n");
    let mut daemon = Settings::default().start(guest)?;
    daemon.add(POLICY, &policy)?;
    let mut events = daemon.events()?;
    let reader = run(&["cat", "/etc/shadow"])?;
    ensure!(reader.status.code() == Some(1), "cat /etc/shadow ended with {}", reader.status);
    ensure!(reader.stdout.is_empty(), "cat /etc/shadow printed {}", reader.text());
    ensure!(reader.stderr.contains("Permission denied"), "cat /etc/shadow said {:?}", reader.stderr);
    must(&["cat", "/etc/passwd"])?;
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event| event.process_lsm.as_ref()).collect();
    ensure!(hooks.len() == 1, "{} events of the hook: {hooks:?}", hooks.len());
    ensure!(hooks[0].function_name == "file_open", "hook {}", hooks[0].function_name);
    ensure!(hooks[0].action == "KPROBE_ACTION_OVERRIDE", "action {}", hooks[0].action);
    ensure!(hooks[0].path() == Some("/etc/shadow"), "path {:?}", hooks[0].path());
    ensure!(hooks[0].process.pid == reader.pid, "pid {}, not {}", hooks[0].process.pid, reader.pid);
    let counted = daemon.acted(POLICY, "override")?;
    ensure!(counted == 1, "{counted} overrides are counted");
    daemon.tetra_must(&["tracingpolicy", "set-mode", POLICY, "monitor"])?;
    must(&["cat", "/etc/shadow"])?;
    Ok(())
}

/// A tracepoint kills and reports, with fields of its record.
pub(crate) fn tracepoint(guest: &Guest) -> Outcome {
    const TEXT: &str = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: no-tac
spec:
  tracepoints:
  - subsystem: sched
    event: sched_process_exec
    args:
    - index: 4
    - index: 5
    selectors:
    - matchArgs:
      - {index: 4, operator: Postfix, values: [/tac]}
      matchActions:
      - action: Sigkill
";
    let mut daemon = Settings::default().policy(TEXT).start(guest)?;
    let mut events = daemon.events()?;
    must(&["cat", "/etc/passwd"])?;
    let killed = run(&["tac", "/etc/passwd"])?;
    ensure!(killed.killed(), "tac ended with {}", killed.status);
    let seen = daemon.settle(&mut events)?;
    let of_policy = |event: &Event| event.process_tracepoint.clone();
    let hooks: Vec<Hook> = seen.iter().filter_map(of_policy).collect();
    ensure!(hooks.len() == 1, "{} events of the tracepoint: {hooks:?}", hooks.len());
    let hook = &hooks[0];
    ensure!(
        (&*hook.subsys, &*hook.event) == ("sched", "sched_process_exec"),
        "{}/{}",
        hook.subsys,
        hook.event
    );
    ensure!(hook.action == "KPROBE_ACTION_SIGKILL", "action {}", hook.action);
    ensure!(hook.args.len() == 2, "{} arguments", hook.args.len());
    let name = hook.args[0].string_arg.as_deref().unwrap_or_default();
    ensure!(name.ends_with("/tac"), "file {name}");
    ensure!(hook.args[1].int_arg == Some(killed.pid.into()), "pid {:?}", hook.args[1].int_arg);
    Ok(())
}

/// Two hooks with the hash of their file: what is run and passes, and what is opened and denied.
const HASHED: &str = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: hashed}
spec:
  lsmhooks:
  - hook: bprm_check_security
    args: [{index: 0, type: linux_binprm}]
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: [/run/hashed-program]}]
      matchActions: [{action: Post, imaHash: true}]
  - hook: file_open
    args: [{index: 0, type: file}]
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: [/run/hashed-file]}]
      matchActions: [{action: Override, argError: -13}, {action: Post, imaHash: true}]
    - matchArgs: [{index: 0, operator: Equal, values: [/run/other-file]}]
";

/// A report carries the hash of the file that was run, or was not let be opened; a kernel that cannot have it says so.
pub(crate) fn hashes(guest: &Guest) -> Outcome {
    std::fs::copy("/usr/bin/true", "/run/hashed-program")?;
    std::fs::set_permissions("/run/hashed-program", std::fs::Permissions::from_mode(0o755))?;
    for path in ["/run/hashed-file", "/run/other-file"] {
        std::fs::write(path, path.repeat(3000))?;
    }
    let mut daemon = Settings::default().start(guest)?;
    if !guest.variant.kernel.has.contains(&Feature::ActiveBpfLsm) {
        let refused = daemon.try_add("hashed", HASHED)?;
        ensure!(refused.stderr.contains("`imaHash` needs LSM programs"), "said {:?}", refused.stderr);
        return Ok(());
    }
    daemon.add("hashed", HASHED)?;
    let mut events = daemon.events()?;
    must(&["/run/hashed-program"])?;
    let denied = run(&["cat", "/run/hashed-file"])?;
    ensure!(denied.stderr.contains("Permission denied"), "cat said {:?}", denied.stderr);
    must(&["cat", "/run/other-file"])?;
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event| event.process_lsm.as_ref()).collect();
    let shown: Vec<(&str, &str)> =
        hooks.iter().map(|hook| (hook.function_name.as_str(), hook.action.as_str())).collect();
    let expected = [
        ("bprm_check_security", "KPROBE_ACTION_POST"),
        ("file_open", "KPROBE_ACTION_POST"),
        ("file_open", "KPROBE_ACTION_POST"),
    ];
    ensure!(shown == expected, "events {shown:?}");
    for (hook, path) in hooks.iter().zip(["/run/hashed-program", "/run/hashed-file"]) {
        let Some((algorithm, digest)) = hook.ima_hash.split_once(':') else {
            return Err(Failure(format!("{path}: no hash in {hook:?}")));
        };
        let command = format!("{algorithm}sum");
        // the policy denies it to whoever opens it: as a copy
        let copy = if path == "/run/hashed-file" {
            std::fs::write("/run/copy", path.repeat(3000))?;
            "/run/copy"
        } else {
            path
        };
        let told = must(&["busybox", &command, copy])?.text();
        ensure!(told.starts_with(digest), "{path}: {algorithm} {digest}, but {told}");
    }
    ensure!(hooks[2].ima_hash.is_empty(), "what was not asked for: {:?}", hooks[2].ima_hash);
    Ok(())
}

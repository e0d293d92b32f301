//! Hooks other than kprobes.

use std::os::unix::fs::PermissionsExt;

use e2e::ensure;
use e2e::event::{Event, Hook};
use e2e::expect::Outcome;
use e2e::kernels::Feature;
use e2e::scenario::{Guest, Settings, must, run};

use crate::policies;

const POLICY: &str = "detect-shadow-read";

/// What a hook says in each of its events.
const SAID: &str = r#"    message: 'a "secret" is read'
    tags: [observability.filesystem, "one\ttwo"]
"#;

/// Whether an event says what its hook says, as Go quotes it.
fn said(hook: &Hook) -> Outcome {
    ensure!(hook.message == r#"a \"secret\" is read"#, "message {:?}", hook.message);
    ensure!(hook.tags == ["observability.filesystem", r"one\ttwo"], "tags {:?}", hook.tags);
    Ok(())
}

/// An LSM hook denies and reports: by an LSM program, or where such programs do not run by the function that asks the hook.
pub(crate) fn lsm(guest: &Guest) -> Outcome {
    let kprobe = "  kprobes:\n  - call: security_file_open\n    syscall: false\n";
    let policy = policies::shadow("{action: Override, argError: -13}");
    ensure!(policy.contains(kprobe), "the policy is another: {policy}");
    let policy = policy.replace(kprobe, &format!("  lsmhooks:\n  - hook: file_open\n{SAID}"));
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
    said(hooks[0])?;
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
    let text = TEXT.replace("    args:\n", &format!("{SAID}    args:\n"));
    let mut daemon = Settings::default().policy(&text).start(guest)?;
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
    said(hook)?;
    let name = hook.args[0].string_arg.as_deref().unwrap_or_default();
    ensure!(name.ends_with("/tac"), "file {name}");
    ensure!(hook.args[1].int_arg == Some(killed.pid.into()), "pid {:?}", hook.args[1].int_arg);
    Ok(())
}

/// Programs with their hash: one that runs, one that is denied, and one without. A file that is opened has one only where IMA has measured it before.
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
    - matchArgs: [{index: 0, operator: Equal, values: [/run/denied-program]}]
      matchActions: [{action: Override, argError: -13}, {action: Post, imaHash: true}]
    - matchArgs: [{index: 0, operator: Equal, values: [/run/other-program]}]
  - hook: file_open
    args: [{index: 0, type: file}]
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: [/run/hashed-file]}]
      matchActions: [{action: Post, imaHash: true}]
";

/// A report carries the hash of the program that was run, or was not let run; a kernel that cannot have it says so.
pub(crate) fn hashes(guest: &Guest) -> Outcome {
    let programs = ["/run/hashed-program", "/run/denied-program", "/run/other-program"];
    for path in programs {
        std::fs::copy("/usr/bin/true", path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    std::fs::write("/run/hashed-file", "text")?;
    let mut daemon = Settings::default().start(guest)?;
    if !guest.variant.kernel.has.contains(&Feature::ActiveBpfLsm) {
        let refused = daemon.try_add("hashed", HASHED)?;
        ensure!(refused.stderr.contains("`imaHash` needs LSM programs"), "said {:?}", refused.stderr);
        return Ok(());
    }
    daemon.add("hashed", HASHED)?;
    let mut events = daemon.events()?;
    must(&["/run/hashed-program"])?;
    must(&["/run/other-program"])?;
    let denied = run(&["sh", "-c", "exec /run/denied-program"])?;
    ensure!(denied.stderr.contains("Permission denied"), "sh said {:?}", denied.stderr);
    must(&["cat", "/run/hashed-file"])?;
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event| event.process_lsm.as_ref()).collect();
    ensure!(hooks.len() == 4, "{} events: {hooks:?}", hooks.len());
    let told = must(&["busybox", "sha256sum", "/usr/bin/true"])?.text();
    let other = must(&["busybox", "sha1sum", "/usr/bin/true"])?.text();
    for (hook, is_hashed) in hooks.iter().zip([true, false, true, false]) {
        if !is_hashed {
            ensure!(hook.ima_hash.is_empty(), "a hash of what has none: {hook:?}");
            continue;
        }
        let expected = match hook.ima_hash.split_once(':') {
            Some(("sha256", digest)) => told.starts_with(digest),
            Some(("sha1", digest)) => other.starts_with(digest),
            Some(_) | None => false,
        };
        ensure!(expected, "{hook:?} of {told}");
    }
    Ok(())
}

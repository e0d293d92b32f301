//! Hooks other than kprobes.

use e2e::ensure;
use e2e::event::{Event, Hook};
use e2e::expect::Outcome;
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

//! How matches are reported: how often, and with which stacks.

use e2e::ensure;
use e2e::event::{Event, Hook};
use e2e::expect::Outcome;
use e2e::scenario::{Guest, Settings, must};

const POLICY: &str = "reports";

/// One report of each file that `cat` opens in an hour, with stacks.
const TEXT: &str = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: reports}
spec:
  kprobes:
  - call: security_file_open
    syscall: false
    args: [{index: 0, type: file}]
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: [/etc/shadow, /etc/passwd]}]
      matchActions:
      - {action: Post, rateLimit: 1h, rateLimitScope: global, kernelStackTrace: true, userStackTrace: true}
";

/// What is alike is reported once, with the functions of the kernel that led there and the program's file.
pub(crate) fn limited_with_stacks(guest: &Guest) -> Outcome {
    let mut daemon = Settings::default().policy(TEXT).start(guest)?;
    let mut events = daemon.events()?;
    daemon.settle(&mut events)?;
    for _ in 0..5 {
        must(&["cat", "/etc/shadow"])?;
        must(&["cat", "/etc/passwd"])?;
    }
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event: &Event| event.of_policy(POLICY)).collect();
    let paths: Vec<_> = hooks.iter().filter_map(|hook| hook.path()).collect();
    // who starts the daemon or the program may have looked at /etc/passwd before
    ensure!(
        paths.iter().filter(|path| **path == "/etc/shadow").count() == 1
            && paths.iter().filter(|path| **path == "/etc/passwd").count() <= 1,
        "reported: {paths:?}"
    );
    let limited =
        daemon.metric("tetragon_tracingpolicy_selector_actions_total", "action=\"rate_limited\"")?;
    ensure!(limited >= 8, "{limited} reports were left out");
    let Some(hook) = hooks.iter().find(|hook| hook.path() == Some("/etc/shadow")) else { return Ok(()) };
    let kernel: Vec<&str> = hook.kernel_stack_trace.iter().map(|frame| frame.symbol.as_str()).collect();
    ensure!(
        kernel.first() == Some(&"security_file_open") && kernel.iter().any(|name| name.contains("openat")),
        "functions of the kernel: {kernel:?}"
    );
    ensure!(
        hook.kernel_stack_trace.iter().chain(&hook.user_stack_trace).all(|frame| frame.address.is_empty()),
        "addresses are shown: {hook:?}"
    );
    let program = &hook.user_stack_trace;
    ensure!(
        program.first().is_some_and(|frame| frame.module.starts_with('/') && !frame.offset.is_empty()),
        "files of the program: {program:?}"
    );
    drop(daemon);

    let mut daemon = Settings::default().policy(TEXT).flags(&["--expose-stack-addresses"]).start(guest)?;
    let mut events = daemon.events()?;
    must(&["cat", "/etc/shadow"])?;
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event: &Event| event.of_policy(POLICY)).collect();
    let Some(hook) = hooks.iter().find(|hook| hook.path() == Some("/etc/shadow")) else {
        return Err(e2e::expect::Failure(format!("not reported: {hooks:?}")));
    };
    let is_high = |text: &str| text.parse::<u64>().is_ok_and(|address| address >> 47 != 0);
    ensure!(
        hook.kernel_stack_trace.iter().all(|frame| is_high(&frame.address)),
        "addresses: {:?}",
        hook.kernel_stack_trace
    );
    Ok(())
}

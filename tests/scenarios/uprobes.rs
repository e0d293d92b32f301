//! Functions of programs.

use e2e::ensure;
use e2e::event::Hook;
use e2e::expect::Outcome;
use e2e::scenario::{Guest, Settings, must, run};

use crate::policies::named;

/// A policy on the function of bash that looks a variable up by its name.
fn policy(name: &str, options: &str, variable: &str, action: &str) -> String {
    named(
        name,
        &format!(
            "  options: [{options}]
  uprobes:
  - path: /usr/bin/bash
    symbols: [find_variable]
    args:
    - {{index: 0, type: string}}
    selectors:
    - matchArgs:
      - {{index: 0, operator: Equal, values: [{variable}]}}
      matchActions:
      - {{action: {action}}}
"
        ),
    )
}

/// Policies on one function, by both mechanisms: each reports what it is for, and only that is killed which is to be.
pub(crate) fn functions(guest: &Guest) -> Outcome {
    let single = "{name: disable-uprobe-multi, value: 'true'}";
    let mut daemon = Settings::default().start(guest)?;
    daemon.add("post", &policy("post", "", "WATCHED", "Post"))?;
    daemon.add("kill", &policy("kill", "", "FORBIDDEN", "Sigkill"))?;
    daemon.add("single", &policy("single", single, "WATCHED", "Post"))?;
    let mut events = daemon.events()?;
    // the text is in memory that bash has not touched before it asks for it, or has: both are read
    let watched = run(&["bash", "-c", ": $WATCHED; echo $OTHER"])?;
    ensure!(watched.success(), "bash ended with {}", watched.status);
    let killed = run(&["bash", "-c", "echo before; : $FORBIDDEN; echo after"])?;
    ensure!(killed.killed(), "bash ended with {}", killed.status);
    ensure!(killed.text() == "before\n", "bash said {}", killed.text());
    must(&["dash", "-c", ": $FORBIDDEN"])?;
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<&Hook> = seen.iter().filter_map(|event| event.process_uprobe.as_ref()).collect();
    let mut found: Vec<(&str, u32, &str, &str)> = hooks
        .iter()
        .map(|hook| {
            let variable = hook.args.first().and_then(|argument| argument.string_arg.as_deref());
            (hook.policy_name.as_str(), hook.process.pid, variable.unwrap_or_default(), hook.action.as_str())
        })
        .collect();
    found.sort_unstable();
    let post = "KPROBE_ACTION_POST";
    let expected = [
        ("kill", killed.pid, "FORBIDDEN", "KPROBE_ACTION_SIGKILL"),
        ("post", watched.pid, "WATCHED", post),
        ("single", watched.pid, "WATCHED", post),
    ];
    ensure!(found == expected, "events: {found:?}");
    for hook in &hooks {
        ensure!(
            hook.path == "/usr/bin/bash" && hook.symbol == "find_variable",
            "{}: {}",
            hook.path,
            hook.symbol
        );
    }
    let counted = daemon.acted("kill", "signal")?;
    ensure!(counted == 1, "{counted} signals are counted");
    daemon.tetra_must(&["tracingpolicy", "delete", "kill"])?;
    must(&["bash", "-c", ": $FORBIDDEN"])?;
    Ok(())
}

/// Policies on the same function by what it returns: the address of a variable, or nothing.
pub(crate) fn returns(guest: &Guest) -> Outcome {
    let policy = |name: &str, options: &str, value: &str, selector: &str| {
        named(
            name,
            &format!(
                "  options: [{options}]
  uprobes:
  - path: /usr/bin/bash
    symbols: [find_variable]
    return: true
    returnArg: {{index: 0, type: uint64}}
    args:
    - {{index: 0, type: string}}
    selectors:
    - matchArgs:
      - {{index: 0, operator: Equal, values: [{value}]}}
      {selector}
"
            ),
        )
    };
    let unset = "matchReturnArgs: [{index: 0, operator: Equal, values: ['0']}]";
    let single = "{name: disable-uprobe-multi, value: 'true'}";
    let kill = format!("{unset}\n      matchReturnActions: [{{action: Sigkill}}]");
    let mut daemon = Settings::default().start(guest)?;
    daemon.add("unset", &policy("unset", "", "WATCHED", unset))?;
    daemon.add("single", &policy("single", single, "WATCHED", unset))?;
    daemon.add("kill", &policy("kill", "", "NEEDED", &kill))?;
    let mut events = daemon.events()?;
    let set = run(&["bash", "-c", "WATCHED=1 NEEDED=1; : $WATCHED $NEEDED"])?;
    ensure!(set.success(), "bash ended with {}", set.status);
    let watched = run(&["bash", "-c", ": $WATCHED $OTHER"])?;
    ensure!(watched.success(), "bash ended with {}", watched.status);
    let killed = run(&["bash", "-c", "echo before; : $NEEDED; echo after"])?;
    ensure!(killed.killed() && killed.text() == "before\n", "{}: {}", killed.status, killed.text());
    let seen = daemon.settle(&mut events)?;
    let hooks = seen.iter().filter_map(|event| event.process_uprobe.as_ref());
    let shown = |hook: &Hook| {
        let arguments = hook.args.iter().map(|it| it.string_arg.as_deref().or(it.size_arg.as_deref()));
        let arguments: Vec<&str> = arguments.map(Option::unwrap_or_default).collect();
        (hook.policy_name.clone(), hook.process.pid, arguments.join(" "), hook.action.clone())
    };
    let mut found: Vec<_> = hooks.map(shown).collect();
    found.sort_unstable();
    let one = |policy: &str, pid, arguments: &str, action: &str| {
        (policy.to_owned(), pid, arguments.to_owned(), format!("KPROBE_ACTION_{action}"))
    };
    let expected = [
        one("kill", killed.pid, "NEEDED 0", "SIGKILL"),
        one("single", watched.pid, "WATCHED 0", "POST"),
        one("unset", watched.pid, "WATCHED 0", "POST"),
    ];
    ensure!(found == expected, "events: {found:?}");
    Ok(())
}

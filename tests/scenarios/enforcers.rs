//! Enforcers, and the events of the loader.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::ensure;
use e2e::expect::Outcome;
use e2e::scenario::{Guest, Settings, must, run};

use crate::policies::named;

const POLICY: &str = "enforced";

/// A match at a tracepoint tells the enforcer, whose call then fails with the error, and whose caller is killed.
pub(crate) fn notified(guest: &Guest) -> Outcome {
    let policy = |action: &str| {
        let spec = format!(
            "  lists: [{{name: links, type: syscalls, values: [sys_symlinkat, sys_symlink]}}]
  enforcers: [{{calls: ['list:links']}}]
  tracepoints:
  - subsystem: raw_syscalls
    event: sys_enter
    args: [{{index: 4, type: syscall64}}]
    selectors:
    - matchBinaries: [{{operator: Postfix, values: [/ln]}}]
      matchArgs: [{{index: 4, operator: InMap, values: ['list:links']}}]
      matchActions: [{{action: NotifyEnforcer, {action}}}]
"
        );
        named(POLICY, &spec)
    };
    let link = ["ln", "-s", "/etc/passwd", "/root/enforced-link"];
    let mut daemon = Settings::default().start(guest)?;
    let mut events = daemon.events()?;
    daemon.add(POLICY, &policy("argError: -121"))?;
    let denied = run(&link)?;
    ensure!(denied.status.code() == Some(1), "ln ended with {}", denied.status);
    ensure!(denied.stderr.contains("Remote I/O error"), "ln said {:?}", denied.stderr);
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<_> = seen.iter().filter_map(|event| event.process_tracepoint.as_ref()).collect();
    ensure!(hooks.len() == 1, "{} events of the tracepoint", hooks.len());
    ensure!(hooks[0].action == "KPROBE_ACTION_NOTIFYENFORCER", "action {}", hooks[0].action);
    let counted = daemon.acted(POLICY, "notify_enforcer")?;
    ensure!(counted == 1, "{counted} notifications are counted");
    daemon.delete(POLICY)?;
    daemon.add(POLICY, &policy("argError: -1, argSig: 9"))?;
    let killed = run(&link)?;
    ensure!(killed.killed(), "ln ended with {}", killed.status);
    ensure!(!std::path::Path::new("/root/enforced-link").exists(), "the link was made");
    daemon.tetra_must(&["tracingpolicy", "set-mode", POLICY, "monitor"])?;
    must(&link)?;
    std::fs::remove_file("/root/enforced-link")?;
    daemon.delete(POLICY)?;
    must(&link)?;
    std::fs::remove_file("/root/enforced-link")?;
    Ok(())
}

/// What is mapped to be run is reported with its path and build id.
pub(crate) fn loader(guest: &Guest) -> Outcome {
    let text = named(POLICY, "  loader: true\n");
    let mut daemon = Settings::default().start(guest)?;
    let mut events = daemon.events()?;
    daemon.add(POLICY, &text)?;
    // a shell that lives until its mappings have been looked at
    must(&["sh", "-c", "sleep 1"])?;
    let seen = daemon.settle(&mut events)?;
    let loaded: Vec<_> = seen.iter().filter_map(|event| event.process_loader.as_ref()).collect();
    ensure!(!loaded.is_empty(), "no event of the loader");
    ensure!(loaded.iter().all(|one| one.path.starts_with('/')), "{loaded:?}");
    // of a process that had ended by then it is missing
    let known: Vec<_> = loaded.iter().filter(|one| !one.buildid.is_empty()).collect();
    ensure!(!known.is_empty(), "no build id: {loaded:?}");
    for one in known {
        let expected = build_id(&one.path)?;
        ensure!(one.buildid == expected, "{one:?}, whose note says {expected:?}");
    }
    Ok(())
}

/// The build id in the note of a file, in base64; empty where there is none.
fn build_id(path: &str) -> Outcome<String> {
    // bytes of the name and of the id, `NT_GNU_BUILD_ID`, the name
    const NOTE: &[u8] = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    let bytes = std::fs::read(path)?;
    let note = bytes.windows(NOTE.len()).position(|window| window == NOTE);
    let id = note.and_then(|at| bytes.get(at + NOTE.len()..)?.get(..20));
    Ok(id.map(|id| STANDARD.encode(id)).unwrap_or_default())
}

/// A function of security modules is an enforcer's too, and what is told in vain is counted.
pub(crate) fn of_security_modules(guest: &Guest) -> Outcome {
    // sched_yield tells, getppid takes back: both of this process only
    const TELLS: i64 = libc::SYS_sched_yield;
    const TAKES_BACK: i64 = libc::SYS_getppid;
    let own = std::process::id();
    let text = named(
        POLICY,
        &format!(
            "  enforcers: [{{calls: [security_path_symlink]}}]
  tracepoints:
  - subsystem: raw_syscalls
    event: sys_enter
    raw: true
    args: [{{index: 1, type: syscall64}}]
    selectors:
    - matchPIDs: [{{operator: In, values: [{own}]}}]
      matchArgs: [{{index: 1, operator: Equal, values: ['{TELLS}']}}]
      matchActions: [{{action: NotifyEnforcer, argError: -13}}]
    - matchPIDs: [{{operator: In, values: [{own}]}}]
      matchArgs: [{{index: 1, operator: Equal, values: ['{TAKES_BACK}']}}]
      matchActions: [{{action: CleanupEnforcerNotification}}]
"
        ),
    );
    let tell = || std::thread::yield_now();
    let take_back = || nix::unistd::getppid();
    let link = |name: &str| std::os::unix::fs::symlink("/etc/passwd", guest.folder.join(name));
    let daemon = Settings::default().start(guest)?;
    daemon.add(POLICY, &text)?;
    link("before")?;
    tell();
    let denied = link("denied").map_err(|error| error.raw_os_error());
    ensure!(denied == Err(Some(libc::EACCES)), "the link that is to be denied: {denied:?}");
    link("after")?;
    let missed = |reason: &str| {
        daemon.metric("tetragon_enforcer_missed_notifications_total", &format!("reason=\"{reason}\""))
    };
    ensure!((missed("overwritten")?, missed("no_action")?) == (0, 0), "some are missed before");
    tell();
    tell();
    take_back();
    take_back();
    link("taken back")?;
    let counted = (missed("overwritten")?, missed("no_action")?);
    ensure!(counted == (1, 1), "told anew and taken back: {counted:?}");
    let told = daemon.acted(POLICY, "notify_enforcer")?;
    ensure!(told == 3, "{told} notifications are counted");
    Ok(())
}

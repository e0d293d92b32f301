//! System calls that policies make fail: each with its error, and nobody else's.

use std::fs::{self, File};
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::bpf::map_is_empty;
use e2e::ensure;
use e2e::expect::{Failure, Outcome, PATIENCE, eventually};
use e2e::scenario::{Daemon, Guest, Settings, run};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::mount::{MsFlags, mount, umount};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getpgid, getpgrp, linkat, symlinkat};

use crate::policies::named;

const POLICY: &str = "calls";
/// The map in which the product keeps what calls on their way are to return.
const NOTES: &str = "notes";
const THREADS: usize = 8;
const TIME: Duration = Duration::from_secs(3);

/// One call that the policy knows: made with what it denies or with something else.
struct Call {
    name: &'static str,
    errno: Errno,
    make: fn(&Path, Kind) -> nix::Result<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Denied,
    Other,
}

impl Kind {
    /// A word that the policy denies, or another as long.
    fn word(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Other => "others",
        }
    }
}

const CALLS: [Call; 5] = [
    Call {
        name: "symlinkat",
        errno: Errno::EREMOTEIO,
        make: |folder, kind| {
            let link = folder.join(format!("symlink-{}-{:?}", kind.word(), thread::current().id()));
            let result = symlinkat(kind.word(), AT_FDCWD, &link);
            gone(&link, kind)?;
            result
        },
    },
    Call {
        name: "linkat",
        errno: Errno::ENOTUNIQ,
        make: |folder, kind| {
            let link = folder.join(format!("link-{}-{:?}", kind.word(), thread::current().id()));
            let result = linkat(AT_FDCWD, &folder.join(kind.word()), AT_FDCWD, &link, AtFlags::empty());
            gone(&link, kind)?;
            result
        },
    },
    Call { name: "openat", errno: Errno::EPROTO, make: |folder, kind| open(&folder.join(kind.word())) },
    Call {
        name: "connect",
        errno: Errno::EBADFD,
        make: |folder, kind| {
            let socket = folder.join(if kind == Kind::Denied { SOCKET } else { OTHER_SOCKET });
            UnixStream::connect(socket).map(drop).map_err(|error| errno(&error))
        },
    },
    Call {
        name: "mount",
        errno: Errno::EDQUOT,
        make: |folder, kind| {
            let at = folder.join(format!("mount-{:?}", thread::current().id()));
            fs::create_dir_all(&at).map_err(|error| errno(&error))?;
            mount(Some(kind.word()), &at, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
            umount(&at)
        },
    },
];

/// A socket whose address has another length than that of [`OTHER_SOCKET`].
const SOCKET: &str = "socket-denied";
const OTHER_SOCKET: &str = "socket-else";

fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}

/// Opens a file for reading, and closes it.
pub(crate) fn open(path: &Path) -> nix::Result<()> {
    openat(AT_FDCWD, path, OFlag::O_RDONLY, Mode::empty()).map(drop)
}

/// Removes what a call made; a call that was denied made nothing.
fn gone(link: &Path, kind: Kind) -> nix::Result<()> {
    match (fs::remove_file(link), kind) {
        (Ok(()), Kind::Other) | (Err(_), Kind::Denied) => Ok(()),
        (Ok(()), Kind::Denied) => Err(Errno::EEXIST),
        (Err(error), Kind::Other) => Err(errno(&error)),
    }
}

/// The policy, for what lies in `folder`.
fn policy(folder: &Path, names: &[&str]) -> String {
    let denied = folder.join("denied").display().to_string();
    let address = 2 + folder.join(SOCKET).as_os_str().len() + 1;
    let mut text = named(POLICY, "  kprobes:\n");
    for call in CALLS.iter().filter(|call| names.contains(&call.name)) {
        let (index, kind, value) = match call.name {
            "symlinkat" | "mount" => (0, "string", "denied".to_owned()),
            "linkat" | "openat" => (1, "string", denied.clone()),
            _ => (2, "int", address.to_string()),
        };
        let hook = format!(
            "  - call: sys_{}\n    args: [{{index: {index}, type: {kind}}}]\n    selectors:\n    - matchArgs: [{{index: {index}, operator: Equal, values: ['{value}']}}]\n      matchActions: [{{action: Override, argError: -{}}}]\n",
            call.name, call.errno as i32
        );
        text.push_str(&hook);
    }
    text
}

/// The folder with what calls need.
fn prepare(guest: &Guest) -> Outcome<(PathBuf, Vec<UnixListener>)> {
    let folder = guest.folder.join("calls");
    fs::create_dir_all(&folder)?;
    for name in [Kind::Denied.word(), Kind::Other.word()] {
        File::create(folder.join(name))?;
    }
    let sockets = [SOCKET, OTHER_SOCKET].map(|name| UnixListener::bind(folder.join(name)));
    let sockets = sockets.into_iter().collect::<io::Result<Vec<_>>>()?;
    Ok((folder, sockets))
}

/// Accepts what connects, so that no queue fills, until told to stop.
fn accept(socket: &UnixListener, stop: &AtomicBool) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    while !stop.load(Ordering::Relaxed) {
        if socket.accept().is_err() {
            thread::yield_now();
        }
    }
    Ok(())
}

fn expect_no_notes() -> Outcome {
    let empty = || Ok(map_is_empty(NOTES)?.then_some(()));
    eventually("an empty map of notes", PATIENCE, empty)
}

fn expect_no_lost_note(daemon: &Daemon) -> Outcome {
    let lost = daemon.metric("enforcer_lost_records_total", "kind=\"note\"")?;
    ensure!(lost == 0, "{lost} notes could not be left");
    Ok(())
}

/// Each call fails with exactly its error, what does not match succeeds, also while another thread makes the same calls, and nothing stays behind.
pub(crate) fn each_with_its_error(guest: &Guest) -> Outcome {
    const ROUNDS: u64 = 50;
    let (folder, sockets) = prepare(guest)?;
    let names: Vec<&str> = CALLS.iter().map(|call| call.name).collect();
    let mut daemon = Settings::default().start(guest)?;
    daemon.add(POLICY, &policy(&folder, &names))?;
    let mut events = daemon.events()?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let accepting: Vec<_> = sockets.iter().map(|it| scope.spawn(|| accept(it, &stop))).collect();
        let beside = scope.spawn(|| -> Outcome {
            while !stop.load(Ordering::Relaxed) {
                for call in &CALLS {
                    let result = (call.make)(&folder, Kind::Other);
                    ensure!(result.is_ok(), "{} of another thread: {result:?}", call.name);
                }
            }
            Ok(())
        });
        let result = rounds(&folder, ROUNDS);
        stop.store(true, Ordering::Relaxed);
        let panicked = |_panic| Failure("a thread panicked".to_owned());
        for thread in accepting {
            thread.join().map_err(panicked)??;
        }
        beside.join().map_err(panicked)??;
        result
    })?;
    let seen = daemon.settle(&mut events)?;
    let hooks: Vec<_> = seen.iter().filter_map(|event| event.of_policy(POLICY)).collect();
    let expected = ROUNDS * CALLS.len() as u64;
    ensure!(hooks.len() as u64 == expected, "{} events, not {expected}", hooks.len());
    let other = hooks.iter().find(|hook| hook.action != "KPROBE_ACTION_OVERRIDE");
    ensure!(other.is_none(), "an event with another action: {other:?}");
    let acted = daemon.acted(POLICY, "override")?;
    ensure!(acted == expected, "the policy counts {acted} denials, not {expected}");
    expect_no_notes()?;
    expect_no_lost_note(&daemon)?;
    daemon.tetra_must(&["tracingpolicy", "set-mode", POLICY, "monitor"])?;
    let result = open(&folder.join("denied"));
    ensure!(result.is_ok(), "in monitor mode: {result:?}");
    daemon.delete(POLICY)?;
    let result = open(&folder.join("denied"));
    ensure!(result.is_ok(), "without the policy: {result:?}");
    expect_no_notes()
}

fn rounds(folder: &Path, rounds: u64) -> Outcome {
    for round in 0..rounds {
        for call in &CALLS {
            let result = (call.make)(folder, Kind::Denied);
            ensure!(result == Err(call.errno), "round {round}: {}: {result:?}", call.name);
            let result = (call.make)(folder, Kind::Other);
            ensure!(result.is_ok(), "round {round}: {} of something else: {result:?}", call.name);
        }
    }
    Ok(())
}

/// Who gets past all hooks (an open with `O_PATH` asks none) is killed.
pub(crate) fn past_all_hooks(guest: &Guest) -> Outcome {
    let (folder, _sockets) = prepare(guest)?;
    let daemon = Settings::default().policy(&policy(&folder, &["openat"])).start(guest)?;
    for (name, killed) in [("others", false), ("denied", true)] {
        let path = folder.join(name).display().to_string();
        let ended = run(&["/usr/bin/e2e-guest", "load", "peek", &path])?;
        ensure!(ended.killed() == killed, "{name}: ended with {}; {}", ended.status, ended.stderr);
        ensure!(ended.stdout.is_empty() == killed, "{name}: printed {:?}", ended.text());
    }
    let acted = daemon.acted(POLICY, "override")?;
    ensure!(acted == 1, "the policy counts {acted} denials, not 1");
    expect_no_notes()
}

/// A call that no security hook sees returns the number that the policy names, for who matches and nobody else.
pub(crate) fn any_value(guest: &Guest) -> Outcome {
    const RETURNED: i32 = 77;
    const ASKED: i32 = 4_000_001;
    let hook = format!(
        "  kprobes:
  - call: sys_getpgid
    args: [{{index: 0, type: int}}]
    selectors:
    - matchArgs: [{{index: 0, operator: Equal, values: ['{ASKED}']}}]
      matchActions: [{{action: Override, argError: {RETURNED}}}]
"
    );
    let text = named(POLICY, &hook);
    let mut daemon = Settings::default().start(guest)?;
    daemon.add(POLICY, &text)?;
    let mut events = daemon.events()?;
    let ask = |pid: i32| getpgid(Some(Pid::from_raw(pid))).map(Pid::as_raw);
    let own = getpgrp().as_raw();
    for round in 0..100 {
        let (matching, other) = (ask(ASKED), ask(0));
        ensure!(matching == Ok(RETURNED), "round {round}: {matching:?}, not {RETURNED}");
        ensure!(other == Ok(own), "round {round}: {other:?}, not {own}");
    }
    let seen = daemon.settle(&mut events)?;
    let reported = seen.iter().filter_map(|event| event.of_policy(POLICY)).count();
    ensure!(reported == 100, "{reported} events, not 100");
    daemon.tetra_must(&["tracingpolicy", "set-mode", POLICY, "monitor"])?;
    ensure!(ask(ASKED) == Err(Errno::ESRCH), "in monitor mode: {:?}", ask(ASKED));
    daemon.delete(POLICY)?;
    let other = text.replace("spec:", "spec:\n  options: [{name: override-method, value: fmod-ret}]");
    daemon.add(POLICY, &other.replace(&format!("argError: {RETURNED}"), "argError: -71"))?;
    ensure!(ask(ASKED) == Err(Errno::EPROTO), "by fmod_ret: {:?}", ask(ASKED));
    ensure!(ask(0) == Ok(own), "by fmod_ret: {:?}", ask(0));
    expect_no_notes()
}

/// Eight threads that open what is denied and what is not: none gets what it must not, none is kept from what it may.
pub(crate) fn contended(guest: &Guest) -> Outcome {
    let (folder, _sockets) = prepare(guest)?;
    let text = policy(&folder, &["openat"]).replace("-71}]", "-71}, {action: NoPost}]");
    let daemon = Settings::default().policy(&text).start(guest)?;
    let end = Instant::now() + TIME;
    let one = |thread: usize| -> Outcome<u64> {
        let mut denied = 0;
        while Instant::now() < end {
            for turn in 0..16 {
                let kind = if (thread + turn).is_multiple_of(2) { Kind::Denied } else { Kind::Other };
                let result = open(&folder.join(kind.word()));
                let expected = if kind == Kind::Denied { Err(Errno::EPROTO) } else { Ok(()) };
                ensure!(result == expected, "thread {thread}, call {denied}, {kind:?}: {result:?}");
                denied += u64::from(kind == Kind::Denied);
            }
        }
        Ok(denied)
    };
    let denied = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let one = &one;
                scope.spawn(move || one(thread))
            })
            .collect();
        let mut sum = 0;
        for thread in threads {
            sum += thread.join().map_err(|_panic| Failure("a thread panicked".to_owned()))??;
        }
        Ok::<u64, Failure>(sum)
    })?;
    ensure!(denied > 1000, "only {denied} denied calls");
    let acted = daemon.acted(POLICY, "override")?;
    ensure!(acted == denied, "the policy counts {acted} denials, the callers {denied}");
    expect_no_lost_note(&daemon)?;
    expect_no_notes()
}

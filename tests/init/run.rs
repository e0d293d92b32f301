//! Runs the job's command and forwards what it says.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use e2e::vm::{End, Job, Message, OUT_DIR};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::report::Port;

/// Bytes of a file in one line.
const PIECE: usize = 3072;

/// Runs the command to its end, then sends the files it left.
pub(crate) fn job(job: &Job, port: &Port) -> Result<End, String> {
    let end = if job.command.is_empty() { shell()? } else { command(job, port)? };
    files(port).map_err(|error| format!("{OUT_DIR}: {error}"))?;
    Ok(end)
}

/// A shell on the console, as a session leader with that terminal.
fn shell() -> Result<End, String> {
    let script = "cd /root; exec setsid -c /bin/sh -l </dev/ttyS0 >/dev/ttyS0 2>&1";
    let child = Command::new("/bin/sh")
        .args(["-c", script])
        .env("PATH", "/usr/bin:/usr/sbin")
        .env("HOME", "/root")
        .env("PS1", "enforcer-vm# ")
        .spawn()
        .map_err(|error| format!("/bin/sh: {error}"))?;
    wait_for(child.id())
}

fn command(job: &Job, port: &Port) -> Result<End, String> {
    let (program, arguments) = job.command.split_first().ok_or("no command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/usr/sbin")
        .env("HOME", "/root")
        .envs(job.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(job.folder.as_deref().unwrap_or(Path::new("/")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let output = child.stdout.take();
    let errors = child.stderr.take();
    thread::scope(|scope| {
        if let Some(output) = output {
            scope.spawn(move || forward(output, port, Message::Output));
        }
        if let Some(errors) = errors {
            scope.spawn(move || forward(errors, port, Message::Error));
        }
        let end = wait_for(child.id());
        // A process that outlived the command may hold the pipes open for ever.
        end_the_others();
        end
    })
}

fn forward(from: impl Read, port: &Port, message: fn(String) -> Message) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line);
        port.send(&message(text.trim_end_matches(['\n', '\r']).to_owned()));
        line.clear();
    }
}

/// Reaps every process, as the first process must, until `pid` ends.
fn wait_for(pid: u32) -> Result<End, String> {
    let pid = i32::try_from(pid).map_err(|error| error.to_string())?;
    loop {
        match waitpid(None::<Pid>, None).map_err(|error| format!("wait: {error}"))? {
            WaitStatus::Exited(ended, code) if ended.as_raw() == pid => {
                return Ok(if code == 0 { End::Success } else { End::Failure(code) });
            }
            WaitStatus::Signaled(ended, signal, _) if ended.as_raw() == pid => {
                return Ok(End::Failure(128 + signal as i32));
            }
            WaitStatus::Exited(..)
            | WaitStatus::Signaled(..)
            | WaitStatus::Stopped(..)
            | WaitStatus::PtraceEvent(..)
            | WaitStatus::PtraceSyscall(_)
            | WaitStatus::Continued(_)
            | WaitStatus::StillAlive => {}
        }
    }
}

fn end_the_others() {
    use nix::sys::signal::{Signal, kill};
    // -1 is every process but this one; an error means that there is none.
    kill(Pid::from_raw(-1), Signal::SIGKILL).unwrap_or_default();
}

fn files(port: &Port) -> io::Result<()> {
    let mut paths: Vec<_> = fs::read_dir(OUT_DIR)?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.contains(' '))
        else {
            continue;
        };
        if path.is_file() {
            for piece in fs::read(&path)?.chunks(PIECE) {
                port.send(&Message::File { name: name.to_owned(), piece: piece.to_vec() });
            }
        }
    }
    Ok(())
}

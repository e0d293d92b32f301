//! Reading and running with limits.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use super::item::{Collected, ItemError};

/// How long one item may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How long a program may take, less than an item.
const PROGRAM: Duration = Duration::from_secs(10);
/// Most bytes of a program's output.
const OUTPUT: u64 = 8 << 20;
/// How often a program is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What `collect` brings within `limit`. A thread that hangs (a file system that does not answer) is left behind.
pub(super) fn within(limit: Duration, collect: Box<dyn FnOnce() -> Collected + Send>) -> Collected {
    let (send, receive) = sync_channel(1);
    thread::spawn(move || {
        // Nobody waits any more where this fails.
        drop(send.send(collect()));
    });
    receive.recv_timeout(limit).unwrap_or(Err(ItemError::Late { seconds: limit.as_secs() }))
}

/// At most the first `limit` bytes of a regular file.
pub(super) fn head(path: &Path, limit: u64) -> Collected {
    open(path).and_then(|file| all(file, limit)).map_err(|source| ItemError::file(path, source))
}

/// At most the last `limit` bytes of a regular file, from the beginning of a line.
pub(super) fn tail(path: &Path, limit: u64) -> Collected {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = open(path)?;
        let length = file.metadata()?.len();
        if length <= limit {
            return all(file, limit);
        }
        file.seek(SeekFrom::Start(length - limit))?;
        let bytes = all(file, limit)?;
        let line = bytes.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        Ok(bytes[line..].to_vec())
    };
    read().map_err(|source| ItemError::file(path, source))
}

/// Opens a file that is neither a pipe nor a device: these may never end, or wait for ever.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

fn all(source: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a program writes on its standard output. One that takes too long is killed; what it wrote is thrown away where it fails.
pub(super) fn output(program: &Path, arguments: &[&str]) -> Collected {
    let failed =
        |reason: &dyn std::fmt::Display| ItemError::Command(format!("{}: {reason}", program.display()));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = thread::spawn(move || stdout.map_or_else(|| Ok(Vec::new()), |pipe| all(pipe, OUTPUT)));
    let errors = thread::spawn(move || stderr.map_or_else(|| Ok(Vec::new()), |pipe| all(pipe, 4 << 10)));
    let ended = wait(&mut child);
    if ended.is_none() {
        // It may have ended just now; then this fails, and that is as well.
        drop(child.kill());
        drop(child.wait());
        return Err(ItemError::Late { seconds: PROGRAM.as_secs() });
    }
    let joined = |reader: thread::JoinHandle<io::Result<Vec<u8>>>| {
        reader.join().ok().and_then(Result::ok).unwrap_or_default()
    };
    let (output, errors) = (joined(output), joined(errors));
    match ended {
        Some(status) if status.success() => Ok(output),
        status => {
            let said = String::from_utf8_lossy(&errors);
            let status = status.map(|status| status.to_string()).unwrap_or_default();
            Err(failed(&format!("{status}: {}", said.trim())))
        }
    }
}

/// Waits for the end of a program; none where it does not come in time.
fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let until = Instant::now() + PROGRAM;
    while Instant::now() < until {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        thread::sleep(LOOK);
    }
    None
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_item_that_hangs_is_given_up() {
        let hangs = Box::new(|| {
            thread::park();
            Ok(Vec::new())
        });
        let error = within(Duration::ZERO, hangs).unwrap_err();
        assert_eq!(error.to_string(), "given up after 0 s");
        assert_eq!(within(PATIENCE, Box::new(|| Ok(vec![1]))).unwrap(), [1]);
    }

    #[test]
    fn files_are_cut_at_their_limits_and_pipes_are_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(head(&path, 5).unwrap(), b"one\nt");
        assert_eq!(tail(&path, 8).unwrap(), b"three\n");
        assert_eq!(tail(&path, 100).unwrap(), b"one\ntwo\nthree\n");
        let pipe = folder.path().join("p");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(head(&pipe, 5).unwrap_err().to_string().contains("not a regular file"));
        assert!(head(Path::new("/dev/zero"), 5).unwrap_err().to_string().contains("not a regular file"));
    }

    #[test]
    fn a_program_brings_its_output_or_its_complaint() {
        let shell = Path::new("/bin/sh");
        assert_eq!(output(shell, &["-c", "echo a"]).unwrap(), b"a\n");
        let error = output(shell, &["-c", "echo no >&2; exit 3"]).unwrap_err().to_string();
        assert!(error.contains("exit status: 3: no"), "{error}");
        assert!(output(Path::new("/nonexistent"), &[]).is_err());
    }
}

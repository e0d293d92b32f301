//! Load generators: threads that open a file, storms of short-lived processes.
//!
//! All are exact about what they did, for a scenario compares that with what was reported.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::sendfile::sendfile64;

/// What threads that opened a file saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opens {
    /// Calls made.
    pub calls: u64,
    /// Calls that returned a descriptor.
    pub opened: u64,
    /// Calls that failed with EPERM or EACCES.
    pub denied: u64,
    /// Bytes read from descriptors, at most one a call.
    pub bytes: u64,
    /// The last call that returned one.
    pub last_opened: Option<Call>,
}

/// When a call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// When it began.
    pub began: Instant,
    /// How long it took: longer than a moment if the thread lost its CPU meanwhile.
    pub lasted: Duration,
}

/// Gives the calling thread the least share of the CPUs, so that many of it leave room for who is under test.
///
/// # Errors
/// What the system says.
pub fn lowest_priority() -> io::Result<()> {
    // Linux: for the thread alone, whatever POSIX says of processes.
    Ok(rustix::process::setpriority_process(None, 19)?)
}

/// When threads stop.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// After this time,
    pub time: Duration,
    /// or after this many calls of all threads together.
    pub calls: u64,
}

/// Opens `path` with `threads` threads at once, each as fast as it can, and reads a byte of what opens.
///
/// # Errors
/// Any error but EPERM and EACCES, and threads that cannot be made.
pub fn opens(path: &Path, threads: usize, limit: Limit, stop: &Arc<AtomicBool>) -> io::Result<Opens> {
    let left = AtomicU64::new(limit.calls);
    let start = Barrier::new(threads);
    let one = || {
        start.wait();
        open_until(path, Instant::now() + limit.time, &left, stop)
    };
    let mut all = Opens::default();
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| thread::Builder::new().spawn_scoped(scope, one))
            .collect::<io::Result<_>>()?;
        for thread in running {
            let counted = thread.join().map_err(|_panic| io::Error::other("a thread panicked"))??;
            all.calls += counted.calls;
            all.opened += counted.opened;
            all.denied += counted.denied;
            all.bytes += counted.bytes;
            all.last_opened = all.last_opened.or(counted.last_opened);
        }
        Ok(all)
    })
}

fn open_until(path: &Path, end: Instant, left: &AtomicU64, stop: &AtomicBool) -> io::Result<Opens> {
    let mut counted = Opens::default();
    let take = |left: u64| left.checked_sub(1);
    while !stop.load(Ordering::Relaxed)
        && (counted.calls % 64 != 0 || Instant::now() < end)
        && left.try_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    {
        counted.calls += 1;
        let began = Instant::now();
        match File::open(path) {
            Ok(mut file) => {
                counted.last_opened = Some(Call { began, lasted: began.elapsed() });
                counted.opened += 1;
                // A denied read is as good as a denied open.
                counted.bytes += file.read(&mut [0_u8; 1]).map_or(0, |count| count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => counted.denied += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(counted)
}

/// Opens `path` with `threads` threads at once, and has the kernel copy the first byte of what opens to standard
/// output: whatever happens to the process afterwards, a byte that was read is seen outside.
///
/// # Errors
/// Any error but EPERM and EACCES, and threads that cannot be made.
pub fn read_once(path: &Path, threads: usize) -> io::Result<()> {
    let start = Barrier::new(threads);
    let one = || -> io::Result<()> {
        start.wait();
        match File::open(path) {
            Ok(file) => Ok(sendfile64(io::stdout(), file, None, 1).map(drop)?),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            Err(error) => Err(error),
        }
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| thread::Builder::new().spawn_scoped(scope, one))
            .collect::<io::Result<_>>()?;
        for thread in running {
            thread.join().map_err(|_panic| io::Error::other("a thread panicked"))??;
        }
        Ok(())
    })
}

/// Runs `program` `count` times, one after the other, with the arguments `PREFIX-NUMBER` and `second word`.
///
/// # Errors
/// When it cannot be started or does not return 0.
pub fn spawn(program: &Path, count: u32, prefix: &str) -> io::Result<()> {
    for number in 0..count {
        let status = Command::new(program)
            .arg(format!("{prefix}-{number}"))
            .arg("second")
            .stdin(Stdio::null())
            .env_clear()
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!("{} ended with {status}", program.display())));
        }
    }
    Ok(())
}

/// Writes a program that does nothing but return `code`, without interpreter and libraries, so that a storm of it
/// measures the storm.
///
/// # Errors
/// When the file cannot be written.
pub fn write_tiny_program(path: &Path, code: u8) -> io::Result<()> {
    fs::write(path, tiny_program(code))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// A 64-bit ELF file of one segment: `mov edi, code; mov eax, SYS_exit_group; syscall`.
fn tiny_program(code: u8) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let text = [0xbf, code, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05];
    let size = HEADERS + text.len() as u64;
    let mut file = Vec::from(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // e_type EXEC, e_machine X86_64, e_version.
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [BASE + HEADERS, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    // e_flags, then e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx.
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    // p_type LOAD, p_flags read and execute.
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [0, BASE, BASE, size, size, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(text);
    file
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::{Limit, Opens, opens, spawn, write_tiny_program};

    #[test]
    fn the_tiny_program_returns_its_code() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny");
        write_tiny_program(&path, 42).unwrap();
        assert_eq!(Command::new(&path).status().unwrap().code(), Some(42));
        assert!(spawn(&path, 1, "x").is_err());
    }

    #[test]
    fn threads_make_exactly_the_calls_they_are_allowed() {
        let limit = Limit { time: Duration::from_mins(1), calls: 1000 };
        let stop = Arc::new(AtomicBool::new(false));
        let counted = opens(Path::new("/proc/self/cmdline"), 4, limit, &stop).unwrap();
        let last_opened = counted.last_opened;
        assert!(last_opened.is_some());
        assert_eq!(counted, Opens { calls: 1000, opened: 1000, denied: 0, bytes: 1000, last_opened });
        assert!(opens(Path::new("/no/such/file"), 1, limit, &stop).is_err());
    }
}

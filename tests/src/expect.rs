//! Waiting for events with a deadline.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::event::Event;

/// How often a file is looked at again. Not a synchronisation: every wait ends by what it sees, or by its deadline.
const POLL: Duration = Duration::from_millis(20);

/// How long anything may take that does not say otherwise; emulation on a busy machine is slow.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Why a scenario failed, in words.
#[derive(Debug)]
pub struct Failure(pub String);

/// What a scenario and its words return.
pub type Outcome<T = ()> = Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<nix::Error> for Failure {
    fn from(error: nix::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Fails the scenario with a message unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::expect::Failure(format!($($message)+)));
        }
    };
}

/// Adds what was tried to an error.
pub trait Context<T> {
    /// Prefixes the error with `what`.
    ///
    /// # Errors
    /// The same as before, in more words.
    fn context(self, what: &str) -> Outcome<T>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn context(self, what: &str) -> Outcome<T> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}

/// Calls `attempt` until it returns a value.
///
/// # Errors
/// When none came within the time, or the attempt itself fails.
pub fn eventually<T>(
    what: &str,
    within: Duration,
    mut attempt: impl FnMut() -> Outcome<Option<T>>,
) -> Outcome<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt()? {
            return Ok(value);
        }
        ensure!(start.elapsed() < within, "{what}: not within {} s", within.as_secs());
        thread::sleep(POLL);
    }
}

/// The events of an export file, in order, each seen once.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: BufReader<File>,
    /// A line of which the end is not written yet.
    partial: Vec<u8>,
    bytes: u64,
}

impl Events {
    /// Opens the file at its beginning.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Outcome<Self> {
        let file = File::open(path).context(&path.display().to_string())?;
        Ok(Self { path: path.to_path_buf(), file: BufReader::new(file), partial: Vec::new(), bytes: 0 })
    }

    /// The next event if one is there.
    ///
    /// # Errors
    /// When the file cannot be read or a line is not an event.
    pub fn next_now(&mut self) -> Outcome<Option<Event>> {
        loop {
            self.file.read_until(b'\n', &mut self.partial).context(&self.path.display().to_string())?;
            if !self.partial.ends_with(b"\n") {
                return Ok(None);
            }
            let line = std::mem::take(&mut self.partial);
            self.bytes += line.len() as u64;
            if line.len() > 1 {
                let event = serde_json::from_slice(&line);
                let event = event.context(&format!("not an event: {}", String::from_utf8_lossy(&line)))?;
                return Ok(Some(event));
            }
        }
    }

    /// All events up to and including the first for which `last` holds.
    ///
    /// # Errors
    /// When none came within the time.
    pub fn until(
        &mut self,
        what: &str,
        within: Duration,
        mut last: impl FnMut(&Event) -> bool,
    ) -> Outcome<Vec<Event>> {
        let mut seen = Vec::new();
        if self.gather(&mut seen, within, &mut last)? {
            return Ok(seen);
        }
        let tail: Vec<String> = seen.iter().rev().take(3).map(|event| format!("{event:?}")).collect();
        Err(Failure(format!(
            "{what}: no such event, and none at all for {} s; {} others before it, the last: {}",
            within.as_secs(),
            seen.len(),
            tail.join(" | "),
        )))
    }

    /// Adds events to `seen` up to and including the first for which `last` holds; whether there was one. Gives up
    /// when none at all arrived for the time.
    ///
    /// # Errors
    /// When the file cannot be read or a line is not an event.
    pub fn gather(
        &mut self,
        seen: &mut Vec<Event>,
        within: Duration,
        mut last: impl FnMut(&Event) -> bool,
    ) -> Outcome<bool> {
        let mut start = Instant::now();
        loop {
            while let Some(event) = self.next_now()? {
                // As long as events arrive it is not stuck.
                start = Instant::now();
                let found = last(&event);
                seen.push(event);
                if found {
                    return Ok(true);
                }
            }
            if start.elapsed() >= within {
                return Ok(false);
            }
            thread::sleep(POLL);
        }
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io::Write;
    use std::time::Duration;

    use super::Events;

    #[test]
    fn half_a_line_waits_for_its_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut events = Events::open(file.path()).unwrap();
        write!(file, r#"{{"process_exec":{{"process":{{"pid":1}}}}}}"#).unwrap();
        assert!(events.next_now().unwrap().is_none());
        writeln!(file).unwrap();
        assert_eq!(events.next_now().unwrap().unwrap().process().unwrap().pid, 1);
        assert!(events.next_now().unwrap().is_none());
    }

    #[test]
    fn a_wait_returns_what_came_before_and_fails_by_its_deadline() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for pid in [1, 2, 3] {
            writeln!(file, r#"{{"process_exec":{{"process":{{"pid":{pid}}}}}}}"#).unwrap();
        }
        let mut events = Events::open(file.path()).unwrap();
        let pid =
            |number: u32| move |event: &crate::event::Event| event.process().is_some_and(|p| p.pid == number);
        assert_eq!(events.until("2", Duration::ZERO, pid(2)).unwrap().len(), 2);
        let failure = events.until("four", Duration::ZERO, pid(4)).unwrap_err();
        assert!(failure.0.starts_with("four: no such event"), "{failure}");
        assert!(failure.0.contains("1 others"), "{failure}");
    }

    #[test]
    fn a_line_that_is_no_event_fails_with_the_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "panicked").unwrap();
        let failure = Events::open(file.path()).unwrap().next_now().unwrap_err();
        assert!(failure.0.contains("panicked"), "{failure}");
    }
}

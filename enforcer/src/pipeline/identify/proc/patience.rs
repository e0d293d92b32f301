//! Reading what may make the reader wait.
//!
//! `/proc/PID/cmdline` is read from the memory of the process: a page that lies in a file of a file system in user space comes when
//! that file system likes. So does the metadata of an executable on such a file system. A process could hold up the daemon that way; so
//! a helper thread reads them, and the daemon waits for it for a bounded time.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use bpf_probes::abi::MAX_ARGUMENTS;

/// Helper threads that may be stuck at a time. Beyond that, what they would read stays unknown.
const MAX_STUCK: usize = 4;

/// What may make the reader wait.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Slow {
    /// The arguments, each ended by NUL, the first included.
    pub(super) arguments: Vec<u8>,
    /// Whether there were more than were read.
    pub(super) truncated: bool,
    /// Inode number of the executable; 0 if unknown.
    pub(super) inode: u64,
    /// Its link count.
    pub(super) links: u32,
}

#[derive(Debug)]
struct Helper {
    questions: SyncSender<PathBuf>,
    answers: Receiver<Slow>,
}

/// Reads with a helper thread.
#[derive(Debug, Default)]
pub(super) struct Patience {
    helper: Option<Helper>,
    /// Threads left behind.
    stuck: Vec<thread::JoinHandle<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Patience {
    /// What there is to read in the directory of a process, if it comes within `limit`.
    pub(super) fn read(&mut self, directory: &Path, limit: Duration) -> Option<Slow> {
        self.ask(directory.to_owned(), limit, read)
    }

    fn ask(&mut self, question: PathBuf, limit: Duration, read: fn(&Path) -> Slow) -> Option<Slow> {
        if self.helper.is_none() {
            self.stuck.retain(|thread| !thread.is_finished());
            if self.stuck.len() >= MAX_STUCK {
                return None;
            }
            self.start(read)?;
        }
        let helper = self.helper.as_ref()?;
        let answer =
            helper.questions.send(question).ok().and_then(|()| helper.answers.recv_timeout(limit).ok());
        if answer.is_none() {
            // It ends when it has read, as nobody asks it any more.
            self.helper = None;
            self.stuck.extend(self.thread.take());
        }
        answer
    }

    fn start(&mut self, read: fn(&Path) -> Slow) -> Option<()> {
        let (questions, asked) = sync_channel::<PathBuf>(1);
        let (answer, answers) = sync_channel(1);
        let work = move || {
            while let Ok(directory) = asked.recv() {
                if answer.send(read(&directory)).is_err() {
                    return;
                }
            }
        };
        self.thread = Some(thread::Builder::new().name("procfs".to_owned()).spawn(work).ok()?);
        self.helper = Some(Helper { questions, answers });
        Some(())
    }
}

fn read(directory: &Path) -> Slow {
    let mut slow = Slow::default();
    if let Ok(file) = File::open(directory.join("cmdline")) {
        let limit = u64::from(MAX_ARGUMENTS);
        // What was read before an error is kept: the process may be ending.
        let _read = file.take(limit).read_to_end(&mut slow.arguments);
        slow.truncated = slow.arguments.len() as u64 == limit;
    }
    if let Ok(metadata) = fs::metadata(directory.join("exe")) {
        slow.inode = metadata.ino();
        slow.links = u32::try_from(metadata.nlink()).unwrap_or(u32::MAX);
    }
    slow
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::{MAX_STUCK, Patience, Slow};

    #[test]
    fn the_arguments_of_this_process_come_in_time() {
        let slow = Patience::default().read(Path::new("/proc/self"), Duration::from_secs(20));
        let slow = slow.unwrap_or_default();
        let own: Vec<u8> = std::env::args().flat_map(|argument| (argument + "\0").into_bytes()).collect();
        assert_eq!(slow.arguments, own);
        assert_ne!(slow.inode, 0);
    }

    #[test]
    fn what_never_comes_is_given_up_and_only_so_many_threads_wait_for_it() {
        let hang: fn(&Path) -> Slow = |directory| {
            if directory == Path::new("hang") {
                thread_sleep();
            }
            Slow::default()
        };
        let mut patience = Patience::default();
        let mut ask = |question: &str| patience.ask(PathBuf::from(question), Duration::from_millis(50), hang);
        assert!(ask("good").is_some());
        for _ in 0..MAX_STUCK {
            assert!(ask("hang").is_none());
        }
        assert!(ask("good").is_none(), "too many are stuck");
        assert_eq!(patience.stuck.len(), MAX_STUCK);
    }

    fn thread_sleep() {
        std::thread::sleep(Duration::from_hours(1));
    }
}

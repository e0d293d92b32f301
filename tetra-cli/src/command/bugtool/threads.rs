//! What the daemon's threads do: in place of the profile that upstream's daemon serves.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use procfs::process::{Process, Stat};
use procfs::{ProcResult, ticks_per_second};

use super::item::{Collected, ItemError};

/// How long they are watched.
const WATCH: Duration = Duration::from_secs(1);
/// More are not looked at.
const MOST: usize = 4096;

/// Threads of a process with what they took within a second and where in the kernel they wait: a table, the busiest first.
pub(super) fn threads(pid: u32) -> Collected {
    let before = look(pid).map_err(ItemError::answer)?;
    sleep(WATCH);
    let now = look(pid).map_err(ItemError::answer)?;
    let mut rows: Vec<_> = now.iter().map(|(tid, stat)| (took(before.get(tid), stat), tid, stat)).collect();
    rows.sort_by_key(|((user, kernel), tid, _)| (Reverse(user + kernel), *tid));
    let mut text = format!("ms of CPU within {} s\n   user kernel state waits thread\n", WATCH.as_secs());
    for ((user, kernel), tid, stat) in rows {
        let waits = fs::read_to_string(format!("/proc/{pid}/task/{tid}/wchan")).unwrap_or_default();
        let waits = if waits.is_empty() { "?" } else { &waits };
        let (state, name) = (stat.state, stat.comm.escape_default());
        writeln!(text, "{user:>7} {kernel:>6} {state:>5} {waits} {tid} {name}")
            .expect("a String takes all text");
    }
    Ok(text.into_bytes())
}

/// By thread, what the kernel says of it. One that ends meanwhile is left out.
fn look(pid: u32) -> ProcResult<BTreeMap<i32, Stat>> {
    let tasks = Process::new(pid.cast_signed())?.tasks()?;
    Ok(tasks.flatten().take(MOST).filter_map(|task| Some((task.tid, task.stat().ok()?))).collect())
}

/// Milliseconds in user space and in the kernel; of a thread that was not there before, all of its own.
fn took(before: Option<&Stat>, now: &Stat) -> (u64, u64) {
    let tick = 1000 / ticks_per_second().max(1);
    let (user, kernel) = before.map_or((0, 0), |before| (before.utime, before.stime));
    (now.utime.saturating_sub(user) * tick, now.stime.saturating_sub(kernel) * tick)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    // proves: MET-12 (threads and what they take, by bugtool)
    #[test]
    fn the_busiest_thread_goes_first_by_its_name() {
        static ENDED: AtomicBool = AtomicBool::new(false);
        let busy = std::thread::Builder::new().name("busy thread".to_owned());
        let busy = busy.spawn(|| {
            while !ENDED.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let text = String::from_utf8(threads(std::process::id()).unwrap()).unwrap();
        ENDED.store(true, Ordering::Relaxed);
        busy.unwrap().join().unwrap();
        let rows: Vec<&str> = text.lines().skip(2).collect();
        let row = rows.iter().find(|row| row.ends_with(" busy thread")).unwrap();
        let user: u64 = row.split_whitespace().next().unwrap().parse().unwrap();
        assert!(user > 0 && row.contains(" R "), "{text}");
        assert!(rows.len() > 1, "{text}");
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(threads(child.id()).is_err());
    }
}

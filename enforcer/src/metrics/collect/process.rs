//! The daemon itself, as every Prometheus client describes its process.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};

use super::super::catalogue::{CPU_SECONDS, MAX_FILES, OPEN_FILES, RESIDENT, START_TIME, VIRTUAL};
use super::super::page::Page;

pub(super) fn collect(page: &mut Page) {
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let micros = [usage.user_time(), usage.system_time()]
            .map(|time| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or_default());
        page.set(&CPU_SECONDS, Duration::from_micros(micros.iter().sum()));
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // One of them is the directory that is being read.
        page.set(&OPEN_FILES, (files.count() as u64).saturating_sub(1));
    }
    if let Ok((most, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        page.set(&MAX_FILES, most);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (metric, field) in [(&VIRTUAL, "VmSize:"), (&RESIDENT, "VmRSS:")] {
        if let Some(kibibytes) = status.lines().find_map(|line| line.strip_prefix(field)).and_then(number) {
            page.set(metric, kibibytes * 1024);
        }
    }
    if let Some(start) = start() {
        page.set(&START_TIME, start);
    }
}

/// The number before the unit.
fn number(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// When this process began, in seconds since 1970: ticks after boot in `/proc/self/stat` (field 22, of which there are 100 a second on all
/// architectures that matter), and the time of boot in `/proc/stat`.
fn start() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    let ticks: u64 = behind_name.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let boot = machine.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<u64>().ok()? + ticks / 100)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    fn this_process_began_lately() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let start = super::start().unwrap();
        assert!(start <= now + 1 && now - start < 24 * 3600, "{start} and {now}");
    }
}

//! Names of files put aside: `events.log` becomes `events-2026-11-25T21-14-00.123.log`, as upstream's packages and
//! scrapers know it; compressed, it ends with `.gz`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use api::event::Timestamp;
use api::json::write_timestamp;

/// What is appended to the name of a compressed file.
pub(super) const COMPRESSED: &str = ".gz";
/// What is appended to the name of a file that is being compressed.
pub(super) const UNFINISHED: &str = ".gz.tmp";

/// When a file was put aside: UTC with milliseconds, `2026-11-25T21-14-00.123`. Its order as text is its order in time.
const SHAPE: &[u8] = b"dddd-dd-ddTdd-dd-dd.ddd";

/// How a file is named when it is put aside.
#[derive(Debug, Clone)]
pub(super) struct Naming {
    folder: PathBuf,
    /// Before the time.
    prefix: String,
    /// After it.
    extension: String,
}

/// A file put aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Backup {
    pub(super) stamp: String,
    pub(super) path: PathBuf,
    pub(super) state: State,
}

/// How far its compression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Plain,
    Compressed,
    /// What an interrupted compression left.
    Unfinished,
}

impl Naming {
    pub(super) fn of(path: &Path) -> Self {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let text = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
        Self {
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
            prefix: format!("{}-", text(path.file_stem())),
            extension: extension.unwrap_or_default(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// All files put aside, the newest first.
    pub(super) fn backups(&self) -> io::Result<Vec<Backup>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if let Some((stamp, state)) = entry.file_name().to_str().and_then(|name| self.parse(name)) {
                found.push(Backup { stamp: stamp.to_owned(), path: entry.path(), state });
            }
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        Ok(found)
    }

    fn parse<'n>(&self, name: &'n str) -> Option<(&'n str, State)> {
        let rest = name.strip_prefix(&self.prefix)?;
        let (stamp, rest) = rest.split_at_checked(SHAPE.len())?;
        let state = match rest.strip_prefix(self.extension.as_str())? {
            "" => State::Plain,
            COMPRESSED => State::Compressed,
            UNFINISHED => State::Unfinished,
            _ => return None,
        };
        let fits = |(byte, shape): (u8, &u8)| {
            if *shape == b'd' { byte.is_ascii_digit() } else { byte == *shape }
        };
        stamp.bytes().zip(SHAPE).all(fits).then_some((stamp, state))
    }

    /// The name for a file that is put aside at `now`: later than all there are, even where the clock was set back, so that
    /// the newest file never counts as the oldest.
    pub(super) fn next(&self, now: SystemTime) -> PathBuf {
        let newest = self.backups().ok().and_then(|backups| backups.into_iter().next());
        let mut stamp = stamp(now);
        if let Some(newest) = newest.filter(|newest| newest.stamp >= stamp) {
            stamp = successor(&newest.stamp);
        }
        self.folder.join(format!("{}{stamp}{}", self.prefix, self.extension))
    }
}

fn stamp(now: SystemTime) -> String {
    let mut text = Vec::with_capacity(32);
    write_timestamp(&mut text, Timestamp::from(now), true);
    let mut text = String::from_utf8_lossy(&text).replace(':', "-");
    text.truncate(SHAPE.len());
    text
}

/// The next stamp after `stamp`, by the digits from the last on: it need not be a time, but it is later.
fn successor(stamp: &str) -> String {
    let mut bytes = stamp.as_bytes().to_vec();
    for byte in bytes.iter_mut().rev().filter(|byte| byte.is_ascii_digit()) {
        if *byte < b'9' {
            *byte += 1;
            break;
        }
        *byte = b'0';
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;
    use std::path::Path;
    use std::time::{Duration, UNIX_EPOCH};

    use super::{Naming, State, stamp, successor};

    #[test]
    fn a_name_has_the_time_before_its_extension() {
        let now = UNIX_EPOCH + Duration::from_millis(1_795_448_269_949);
        let name = |path: &str| Naming::of(Path::new(path)).next(now).display().to_string();
        assert_eq!(name("/no/such/a.b.log"), "/no/such/a.b-2026-11-23T15-37-49.949.log");
        assert_eq!(name("/no/such/events"), "/no/such/events-2026-11-23T15-37-49.949");
        assert!(name("events.log").starts_with("./events-2026"));
    }

    #[test]
    fn only_names_of_that_shape_are_backups_and_the_newest_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "e.log",
            "e-2026-11-23T15-37-49.949.log",
            "e-2026-11-23T15-37-50.000.log.gz",
            "e-2026-11-23T15-37-51.000.log.gz.tmp",
            "e-2026-11-23T15-37-49.949.txt",
            "e-2026-11-23T15:37:49.949.log",
            "e-old.log",
            "other-2026-11-23T15-37-49.949.log",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let backups = Naming::of(&folder.path().join("e.log")).backups().unwrap();
        let states: Vec<_> = backups.iter().map(|backup| backup.state).collect();
        assert_eq!(states, [State::Unfinished, State::Compressed, State::Plain]);
    }

    #[test]
    fn a_clock_set_back_makes_no_backup_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let naming = Naming::of(&folder.path().join("e.log"));
        let now = UNIX_EPOCH + Duration::from_millis(1_795_448_269_949);
        fs::write(naming.next(now), "").unwrap();
        let next = naming.next(now - Duration::from_hours(24));
        assert!(next.ends_with("e-2026-11-23T15-37-49.950.log"), "{}", next.display());
    }

    #[test]
    fn a_successor_carries() {
        assert_eq!(successor("2026-11-23T15-37-49.999"), "2026-11-23T15-37-50.000");
        assert!(
            successor("2026-11-23T15-37-59.999") > stamp(UNIX_EPOCH + Duration::from_secs(1_795_448_279))
        );
    }
}

//! Names of the host's users.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most bytes of the list of users that are read.
const LIMIT: u64 = 4 << 20;
/// How long a list is believed before it is looked at again.
const PERIOD: Duration = Duration::from_secs(5);

/// What tells that a file has changed: device, inode, bytes, time of the change in seconds and nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);

/// The host's `/etc/passwd`, read again when it has changed.
#[derive(Debug)]
pub(super) struct Users {
    path: PathBuf,
    names: HashMap<u32, Arc<str>>,
    stamp: Option<Stamp>,
    looked: Option<Instant>,
}

impl Users {
    /// The users of the machine whose procfs is at `proc_root`: in a container, the file of its own is another.
    pub(super) fn new(proc_root: &Path) -> Self {
        Self { path: proc_root.join("1/root/etc/passwd"), names: HashMap::new(), stamp: None, looked: None }
    }

    /// The name of a user, where the host has one.
    pub(super) fn name(&mut self, uid: u32) -> Option<Arc<str>> {
        if self.looked.is_none_or(|looked| looked.elapsed() >= PERIOD) {
            self.looked = Some(Instant::now());
            self.refresh();
        }
        self.names.get(&uid).cloned()
    }

    fn refresh(&mut self) {
        let Ok(metadata) = fs::metadata(&self.path) else { return };
        let stamp =
            Some((metadata.dev(), metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()));
        if stamp == self.stamp || !metadata.is_file() {
            return;
        }
        let mut bytes = Vec::new();
        let Ok(file) = File::open(&self.path) else { return };
        if file.take(LIMIT).read_to_end(&mut bytes).is_ok() {
            self.names = names(&String::from_utf8_lossy(&bytes));
            self.stamp = stamp;
        }
    }
}

/// The first name of each number: `name:password:uid:…` (passwd(5)).
fn names(text: &str) -> HashMap<u32, Arc<str>> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(uid)) = (fields.next(), fields.nth(1)) else { continue };
        if let Ok(uid) = uid.parse()
            && !name.is_empty()
        {
            names.entry(uid).or_insert_with(|| name.into());
        }
    }
    names
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::Users;

    #[test]
    fn users_are_named_by_the_hosts_list_which_is_read_again_when_it_changes() {
        let proc_root = tempfile::tempdir().unwrap();
        let directory = proc_root.path().join("1/root/etc");
        fs::create_dir_all(&directory).unwrap();
        let mut users = Users::new(proc_root.path());
        assert_eq!(users.name(0), None, "there is no list");
        let list = "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n:x:7:\nshort:x\nodd:x:-1:0:::\n\n";
        fs::write(directory.join("passwd"), list).unwrap();
        assert_eq!(users.name(0), None, "it was looked for just now");
        users.looked = None;
        assert_eq!(users.name(0).as_deref(), Some("root"), "the first of two");
        assert_eq!((users.name(7), users.name(u32::MAX)), (None, None));
        fs::write(directory.join("passwd"), "admin:x:0:0::/:/bin/sh\n").unwrap();
        users.looked = None;
        assert_eq!(users.name(0).as_deref(), Some("admin"));
    }
}

//! Programs and libraries that a policy hooks, as whoever opens files found them. This crate opens none.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bpf_probes::attach::FileId;

/// What is kept as long as a hook in a file is: the open file, for whoever opened it.
#[derive(Clone)]
pub struct Hold(Arc<dyn Any + Send + Sync>);

impl Hold {
    /// Keeps `it`.
    pub fn new(it: Arc<dyn Any + Send + Sync>) -> Self {
        Self(it)
    }

    /// What is kept.
    pub fn get(&self) -> &(dyn Any + Send + Sync) {
        &*self.0
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}

/// A file as it was when it was opened.
#[derive(Clone, Debug)]
pub struct BinaryFile {
    /// Which file it is.
    pub id: FileId,
    /// Its absolute path.
    pub path: String,
    /// What is in it.
    pub bytes: Arc<[u8]>,
    /// What keeps it open.
    pub hold: Option<Hold>,
}

/// Files by the path that a policy gives.
#[derive(Clone, Debug, Default)]
pub struct Binaries {
    files: BTreeMap<String, Result<BinaryFile, String>>,
}

impl Binaries {
    /// No file: for policies that hook none.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds what was found at a path: the file, or in words why it could not be read.
    pub fn insert(&mut self, path: impl Into<String>, file: Result<BinaryFile, String>) {
        self.files.insert(path.into(), file);
    }

    /// The file at a path.
    ///
    /// # Errors
    /// Why it could not be read, in words.
    pub fn get(&self, path: &str) -> Result<&BinaryFile, &str> {
        match self.files.get(path) {
            Some(Ok(file)) => Ok(file),
            Some(Err(error)) => Err(error),
            None => Err("the file was not opened"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_by_the_path_that_the_policy_gives() {
        let id = FileId { device: 1, inode: 2 };
        let file = BinaryFile { id, path: "/b".to_owned(), bytes: Arc::from([]), hold: None };
        let mut binaries = Binaries::none();
        binaries.insert("./b", Ok(file));
        binaries.insert("/c", Err("no such file".to_owned()));
        assert!(binaries.get("./b").is_ok_and(|file| file.id == id));
        assert_eq!(binaries.get("/c").err(), Some("no such file"));
        assert_eq!(binaries.get("/d").err(), Some("the file was not opened"));
    }
}

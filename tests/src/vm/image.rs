//! Packs an initramfs: a cpio archive ("newc", Documentation/driver-api/early-userspace/buffer-format.rst), not
//! compressed, since the guest would pay for it in emulated instructions.
//!
//! The folders are merged as on any present distribution: `/bin`, `/sbin`, `/lib` and `/lib64` are links into
//! `/usr`. Programs come with the shared libraries that `ldd` finds, and without their debug information.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];
const FOLDERS: [(&str, u32); 12] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("mnt", 0o755),
    ("out", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr/bin", 0o755),
    ("var/run", 0o755),
    ("var/tmp", 0o1777),
];
/// Programs larger than this are stripped first.
const STRIP_ABOVE: u64 = 1 << 20;

/// An initramfs under construction.
#[derive(Clone, Debug)]
pub struct Image {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug)]
enum Entry {
    Folder { mode: u32 },
    File { mode: u32, content: Vec<u8> },
    Link { target: String },
    Device { major: u32, minor: u32 },
}

/// Why something could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file of the host could not be read.
    #[error("{path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `ldd` or `strip` could not be started.
    #[error("{command}: {source}; install it (cargo xtask setup)")]
    Start {
        /// Name of the command.
        command: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A shared library is missing on the host.
    #[error("{program} needs {library}, which this machine does not have")]
    Library {
        /// Which program.
        program: PathBuf,
        /// Which library.
        library: String,
    },
    /// The archive could not be written.
    #[error("initramfs: {0}")]
    Write(#[from] io::Error),
    /// A file is larger than the format can say.
    #[error("initramfs: {path} has {size} bytes, more than the format can hold")]
    TooLarge {
        /// Path in the machine.
        path: String,
        /// Its size.
        size: usize,
    },
}

impl Default for Image {
    fn default() -> Self {
        Self::new()
    }
}

impl Image {
    /// Folders, the console, a few files of `/etc`; no program yet.
    pub fn new() -> Self {
        let mut image = Self { entries: BTreeMap::new() };
        for name in MERGED {
            image.folder(&format!("usr/{name}"), 0o755);
            image.entries.insert(name.to_owned(), Entry::Link { target: format!("usr/{name}") });
        }
        for (path, mode) in FOLDERS {
            image.folder(path, mode);
        }
        // The kernel opens it for PID 1 before anything is mounted.
        image.entries.insert("dev/console".to_owned(), Entry::Device { major: 5, minor: 1 });
        image.file(
            "etc/passwd",
            0o644,
            b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
        );
        image.file("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n");
        image.file("etc/shadow", 0o640, b"root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n");
        image.file("etc/hostname", 0o644, b"enforcer-vm\n");
        image.file("etc/hosts", 0o644, b"127.0.0.1 localhost enforcer-vm\n::1 localhost\n");
        image
    }

    /// Adds a folder and those above it.
    pub fn folder(&mut self, path: &str, mode: u32) {
        let path = normal(path);
        self.parents(&path);
        self.entries.insert(path, Entry::Folder { mode });
    }

    /// Adds a file with these bytes.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        let path = normal(path);
        self.parents(&path);
        self.entries.insert(path, Entry::File { mode, content: content.to_vec() });
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        let path = normal(path);
        self.parents(&path);
        self.entries.insert(path, Entry::Link { target: target.to_owned() });
    }

    /// Adds a file of the host as it is, with its mode.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn host_file(&mut self, host: &Path, path: &str) -> Result<(), ImageError> {
        let content = fs::read(host).map_err(read(host))?;
        let mode = fs::metadata(host).map_err(read(host))?.permissions().mode() & 0o7777;
        self.file(path, mode, &content);
        Ok(())
    }

    /// Adds a file of the host, and if it is a program its shared libraries; debug information stays behind.
    ///
    /// # Errors
    /// When it or one of its libraries is missing, or `ldd` cannot be run.
    pub fn program(&mut self, host: &Path, path: &str) -> Result<(), ImageError> {
        let content = stripped(host)?;
        if !content.starts_with(b"\x7fELF") {
            return self.host_file(host, path);
        }
        self.file(path, 0o755, &content);
        for library in libraries(host)? {
            let place = library.to_string_lossy().into_owned();
            if !self.entries.contains_key(&normal(&place)) {
                self.host_file(&library, &place)?;
            }
        }
        Ok(())
    }

    /// Adds busybox and a link for each applet whose name is free; add the real programs first.
    ///
    /// # Errors
    /// When it cannot be read or run.
    pub fn busybox(&mut self, host: &Path) -> Result<(), ImageError> {
        self.program(host, "usr/bin/busybox")?;
        let output = Command::new(host)
            .arg("--list")
            .output()
            .map_err(|source| ImageError::Start { command: "busybox", source })?;
        for applet in String::from_utf8_lossy(&output.stdout).lines() {
            let path = format!("usr/bin/{}", applet.trim());
            if !self.entries.contains_key(&path) {
                self.link(&path, "busybox");
            }
        }
        Ok(())
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// When writing fails or a file has 4 GiB or more.
    pub fn write(&self, to: &mut dyn Write) -> Result<(), ImageError> {
        for (inode, (path, entry)) in self.entries.iter().enumerate() {
            let (mode, content, device): (u32, &[u8], (u32, u32)) = match entry {
                Entry::Folder { mode } => (0o040_000 | mode, &[], (0, 0)),
                Entry::File { mode, content } => (0o100_000 | mode, content, (0, 0)),
                Entry::Link { target } => (0o120_777, target.as_bytes(), (0, 0)),
                Entry::Device { major, minor } => (0o020_600, &[], (*major, *minor)),
            };
            write_entry(to, inode + 1, path, mode, content, device)?;
        }
        write_entry(to, 0, "TRAILER!!!", 0, &[], (0, 0))
    }

    fn parents(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            if let Some(parent) = path.get(..at) {
                self.entries.entry(parent.to_owned()).or_insert(Entry::Folder { mode: 0o755 });
            }
        }
    }
}

fn write_entry(
    to: &mut dyn Write,
    inode: usize,
    path: &str,
    mode: u32,
    content: &[u8],
    (major, minor): (u32, u32),
) -> Result<(), ImageError> {
    let size = u32::try_from(content.len())
        .map_err(|_overflow| ImageError::TooLarge { path: path.to_owned(), size: content.len() })?;
    let links = if mode & 0o170_000 == 0o040_000 { 2 } else { 1 };
    let name_size = path.len() + 1;
    // Fields: inode, mode, uid, gid, links, mtime, size, dev major and minor, rdev major and minor, name size, check.
    let header = format!(
        "070701{inode:08x}{mode:08x}{0:08x}{0:08x}{links:08x}{0:08x}{size:08x}{0:08x}{0:08x}{major:08x}{minor:08x}{name_size:08x}{0:08x}",
        0
    );
    to.write_all(header.as_bytes())?;
    to.write_all(path.as_bytes())?;
    to.write_all(&[0])?;
    pad(to, header.len() + name_size)?;
    to.write_all(content)?;
    pad(to, content.len())
}

fn pad(to: &mut dyn Write, length: usize) -> Result<(), ImageError> {
    let missing = length.next_multiple_of(4) - length;
    Ok(to.write_all(&[0; 3][..missing])?)
}

/// The path without its leading slash, with the merged folders resolved.
fn normal(path: &str) -> String {
    let path = path.trim_start_matches('/').trim_end_matches('/');
    let (first, _) = path.split_once('/').unwrap_or((path, ""));
    if MERGED.contains(&first) { format!("usr/{path}") } else { path.to_owned() }
}

/// The file without debug information, where `strip` manages that.
fn stripped(host: &Path) -> Result<Vec<u8>, ImageError> {
    let size = fs::metadata(host).map_err(read(host))?.len();
    if size > STRIP_ABOVE {
        let place = tempfile::NamedTempFile::new()?;
        let output = Command::new("strip")
            .args(["--strip-debug", "-o"])
            .arg(place.path())
            .arg(host)
            .output()
            .map_err(|source| ImageError::Start { command: "strip", source })?;
        if output.status.success() {
            return fs::read(place.path()).map_err(read(place.path()));
        }
    }
    fs::read(host).map_err(read(host))
}

/// Paths of the shared libraries and of the interpreter; none for a static program.
fn libraries(program: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let output = Command::new("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .map_err(|source| ImageError::Start { command: "ldd", source })?;
    parse_ldd(&String::from_utf8_lossy(&output.stdout))
        .map_err(|library| ImageError::Library { program: program.to_path_buf(), library })
}

/// Reads the answer of `ldd`; the error is the name of a library that was not found.
fn parse_ldd(answer: &str) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for line in answer.lines().map(str::trim) {
        let (name, place) = line.split_once(" => ").unwrap_or((line, line));
        if place.starts_with("not found") {
            return Err(name.to_owned());
        }
        if let Some((path, _address)) = place.rsplit_once(" (")
            && path.starts_with('/')
        {
            found.push(PathBuf::from(path));
        }
    }
    Ok(found)
}

fn read(path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_path_buf();
    move |source| ImageError::Read { path, source }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use super::{Image, normal, parse_ldd};
    use std::io::Write;

    #[test]
    fn paths_are_put_where_the_merged_folders_lead() {
        assert_eq!(normal("/lib64/ld-linux-x86-64.so.2"), "usr/lib64/ld-linux-x86-64.so.2");
        assert_eq!(normal("bin/cat"), "usr/bin/cat");
        assert_eq!(normal("/library/x"), "library/x");
    }

    #[test]
    fn libraries_are_read_from_ldd_and_a_missing_one_is_named() {
        let answer = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let expected = vec![PathBuf::from("/lib/x/libc.so.6"), PathBuf::from("/lib64/ld-linux-x86-64.so.2")];
        assert_eq!(parse_ldd(answer), Ok(expected));
        assert_eq!(parse_ldd("\tlibelf.so.1 => not found\n"), Err("libelf.so.1".to_owned()));
        assert_eq!(parse_ldd("\tstatically linked\n"), Ok(Vec::new()));
    }

    #[test]
    fn cpio_reads_back_what_was_packed() {
        let mut image = Image::new();
        image.file("/srv/deep/er/file", 0o640, b"content");
        image.link("/srv/link", "deep/er/file");
        let mut archive = Vec::new();
        image.write(&mut archive).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut cpio = Command::new("cpio")
            .args(["-i", "-d", "--quiet", "--nonmatching", "dev/console"])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        cpio.stdin.take().unwrap().write_all(&archive).unwrap();
        assert!(cpio.wait().unwrap().success());
        assert_eq!(std::fs::read(folder.path().join("srv/link")).unwrap(), b"content");
        assert_eq!(std::fs::read_link(folder.path().join("bin")).unwrap(), PathBuf::from("usr/bin"));
    }
}

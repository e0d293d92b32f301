//! Files in which the kernel describes itself.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::btf::{Btf, ParseError};
use crate::kernel::{
    ActiveLsms, FormatError, HostNamespaces, Preemption, PreemptionSources, Symbols, TracepointFormat,
};
use crate::load::kernel_fs::KernelFs;
use crate::load::link::active_modules;

const BTF_FOLDER: &str = "/sys/kernel/btf";

/// Why a file of the kernel could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It could not be read.
    #[error("could not read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It does not hold BTF.
    #[error("{}: {error}", path.display())]
    Btf {
        /// The file.
        path: PathBuf,
        /// Why.
        error: ParseError,
    },
    /// It does not hold the format of a tracepoint.
    #[error("{}: {error}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        error: FormatError,
    },
}

/// The format of a tracepoint.
///
/// # Errors
/// See [`FileError`]; where there is no such tracepoint, the file is not found.
pub fn tracepoint_format(subsystem: &str, event: &str) -> Result<TracepointFormat, FileError> {
    let path = Path::new("events").join(subsystem).join(event).join("format");
    let failed = |error| FileError::Read { path: path.clone(), error };
    if [subsystem, event].iter().any(|part| part.contains(['/', '\0']) || part.starts_with('.')) {
        return Err(failed(io::ErrorKind::InvalidInput.into()));
    }
    let root = KernelFs::Trace.root().map_err(failed)?;
    let text = fs::read_to_string(root.path().join(&path)).map_err(failed)?;
    TracepointFormat::parse(&text).map_err(|error| FileError::Format { path, error })
}

/// The kernel's types.
///
/// # Errors
/// See [`FileError`]; a kernel without `CONFIG_DEBUG_INFO_BTF` has no such file.
pub fn kernel_btf() -> Result<Btf, FileError> {
    let path = Path::new(BTF_FOLDER).join("vmlinux");
    let bytes = read_shared(&path)?;
    Btf::parse(bytes).map_err(|error| FileError::Btf { path, error })
}

/// The types of a loaded module.
///
/// # Errors
/// See [`FileError`].
pub fn module_btf(name: &str, kernel: &Arc<Btf>) -> Result<Btf, FileError> {
    let path = Path::new(BTF_FOLDER).join(name);
    if name.contains('/') || name.starts_with('.') {
        return Err(FileError::Read { path, error: io::ErrorKind::InvalidInput.into() });
    }
    let bytes = read_shared(&path)?;
    Btf::parse_module(bytes, kernel).map_err(|error| FileError::Btf { path, error })
}

/// The namespaces of the first process in the procfs that is mounted at `proc`; what cannot be read is not known.
pub fn host_namespaces(proc: &Path) -> HostNamespaces {
    HostNamespaces::from_numbers(|kind| {
        // a link whose text is `pid:[4026531836]`
        let target = fs::read_link(proc.join("1/ns").join(kind.proc_name())).ok()?;
        let (_, number) = target.to_str()?.split_once(":[")?;
        number.strip_suffix(']')?.parse().ok()
    })
}

/// A whole file in one allocation, however large.
fn read_shared(path: &Path) -> Result<Arc<[u8]>, FileError> {
    let failed = |error| FileError::Read { path: path.to_owned(), error };
    let mut file = File::open(path).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    let len = usize::try_from(len).map_err(|_large| failed(io::ErrorKind::FileTooLarge.into()))?;
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, len).collect();
    match Arc::get_mut(&mut bytes) {
        Some(place) => file.read_exact(place).map_err(failed)?,
        None => return Err(failed(io::ErrorKind::Other.into())),
    }
    Ok(bytes)
}

/// The functions among `wanted` that the kernel has, modules included; for names that BTF does not know. Reads the whole of
/// `/proc/kallsyms` line by line, and keeps only what is asked for.
///
/// # Errors
/// See [`FileError`].
pub fn kernel_symbols(wanted: &[&str]) -> Result<Symbols, FileError> {
    let path = PathBuf::from("/proc/kallsyms");
    let file = File::open(&path).map_err(|error| FileError::Read { path: path.clone(), error })?;
    among(
        BufReader::new(file),
        |line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let (kind, name) = (words.next()?, words.next()?);
            matches!(kind, "t" | "T" | "w" | "W").then_some(name)
        },
        wanted,
    )
    .map_err(|error| FileError::Read { path, error })
}

/// The functions among `wanted` that the kernel or a loaded module has, each with the name of its module, if it is one's.
///
/// # Errors
/// See [`FileError`].
pub fn module_functions(wanted: &[&str]) -> Result<Vec<(String, Option<String>)>, FileError> {
    let path = PathBuf::from("/proc/kallsyms");
    let failed = |error| FileError::Read { path: path.clone(), error };
    let mut file = BufReader::new(File::open(&path).map_err(failed)?);
    let (mut found, mut line) = (Vec::new(), String::new());
    while file.read_line(&mut line).map_err(failed)? > 0 {
        found.extend(
            function_of_line(&line)
                .filter(|(name, _)| wanted.contains(name))
                .map(|(name, module)| (name.to_owned(), module.map(str::to_owned))),
        );
        line.clear();
    }
    Ok(found)
}

/// The function in a line of `/proc/kallsyms`, and its module.
fn function_of_line(line: &str) -> Option<(&str, Option<&str>)> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (kind, name) = (words.next()?, words.next()?);
    let module = words.next().and_then(|word| word.strip_prefix('[')?.strip_suffix(']'));
    matches!(kind, "t" | "T" | "w" | "W").then_some((name, module))
}

/// The functions among `wanted` that the kernel says can be traced.
///
/// # Errors
/// See [`FileError`]; kernels without function tracing have no such list.
pub fn traceable_functions(wanted: &[&str]) -> Result<Symbols, FileError> {
    let path = PathBuf::from("available_filter_functions");
    let failed = |error| FileError::Read { path: path.clone(), error };
    let root = KernelFs::Trace.root().map_err(failed)?;
    let file = File::open(root.path().join(&path)).map_err(failed)?;
    among(BufReader::new(file), |line| line.split_ascii_whitespace().next(), wanted).map_err(failed)
}

fn among(
    mut file: BufReader<File>,
    name_of: impl Fn(&str) -> Option<&str>,
    wanted: &[&str],
) -> io::Result<Symbols> {
    let mut sorted = wanted.to_vec();
    sorted.sort_unstable();
    let mut found = Vec::new();
    let mut line = String::new();
    while file.read_line(&mut line)? > 0 {
        if let Some(name) = name_of(&line)
            && sorted.binary_search(&name).is_ok()
        {
            found.push(name.to_owned());
        }
        line.clear();
    }
    Ok(Symbols::from_names(found.iter().map(String::as_str)))
}

/// All functions whose return value may be overridden; `None` where the kernel does not say.
pub(super) fn error_injectable() -> Option<Symbols> {
    let root = KernelFs::Debug.root().ok()?;
    let list = fs::read(root.path().join("error_injection/list")).ok()?;
    Some(Symbols::from_list(&list))
}

/// The level of lockdown in force: the word in brackets of its file; `None` where the kernel has no lockdown, or does not say.
pub(super) fn lockdown() -> Option<String> {
    let root = KernelFs::Security.root().ok()?;
    lockdown_level(&fs::read_to_string(root.path().join("lockdown")).ok()?)
}

fn lockdown_level(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(level, _)| level.to_owned())
}

/// All functions that the kernel says can be traced; `None` where it does not say. A megabyte of text, and a second on a slow machine.
pub fn all_traceable() -> Option<Symbols> {
    let root = KernelFs::Trace.root().ok()?;
    let list = fs::read(root.path().join("available_filter_functions")).ok()?;
    Some(Symbols::from_list(&list))
}

/// All functions, modules included; empty where the kernel does not say. Megabytes of text.
pub fn all_functions() -> Symbols {
    fs::read("/proc/kallsyms").map(|text| Symbols::from_kallsyms(&text, |_| true)).unwrap_or_default()
}

/// The active security modules.
pub(super) fn active_lsms() -> Option<ActiveLsms> {
    active_modules().map(|text| ActiveLsms::parse(&text))
}

/// A line of `/proc/sys/kernel`, empty where it cannot be read.
pub(super) fn kernel_line(name: &str) -> String {
    let text = fs::read_to_string(Path::new("/proc/sys/kernel").join(name)).unwrap_or_default();
    text.trim().to_owned()
}

/// The preemption model in force. The configuration is read only when nothing better tells.
pub(super) fn preemption(release: &str, version: &str) -> Preemption {
    let debugfs = KernelFs::Debug
        .root()
        .ok()
        .and_then(|root| fs::read_to_string(root.path().join("sched/preempt")).ok());
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let quick =
        PreemptionSources { debugfs: debugfs.as_deref(), version, command_line: &command_line, config: None };
    match Preemption::detect(&quick) {
        Preemption::Unknown => {
            let config = configuration(release);
            Preemption::detect(&PreemptionSources { config: config.as_deref(), ..quick })
        }
        model @ (Preemption::None | Preemption::Voluntary | Preemption::Full | Preemption::Lazy) => model,
    }
}

/// The configuration that the running kernel was built with; nothing where it lies nowhere.
pub fn kernel_configuration() -> Option<String> {
    configuration(&kernel_line("osrelease"))
}

/// The kernel's configuration: where it lies as text, or packed by the kernel itself (`CONFIG_IKCONFIG_PROC`).
fn configuration(release: &str) -> Option<String> {
    let text = || {
        [format!("/boot/config-{release}"), format!("/usr/lib/modules/{release}/config")]
            .into_iter()
            .find_map(|path| fs::read_to_string(path).ok())
    };
    let packed = || unpack(&fs::read("/proc/config.gz").ok()?);
    if release.contains('/') { packed() } else { text().or_else(packed) }
}

/// More than any kernel's configuration, which has some hundred kilobytes.
const MAX_CONFIGURATION: usize = 4 << 20;

/// The text of a gzip file (RFC 1952); the checksum is not looked at.
fn unpack(file: &[u8]) -> Option<String> {
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const HEADER_CHECKSUM: u8 = 2;
    let (header, mut rest) = file.split_at_checked(10)?;
    let &[0x1f, 0x8b, 8, flags, ..] = header else { return None };
    if flags & EXTRA != 0 {
        let (len, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*len))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & HEADER_CHECKSUM != 0 {
        rest = rest.get(2..)?;
    }
    let bytes = miniz_oxide::inflate::decompress_to_vec_with_limit(rest, MAX_CONFIGURATION).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'CONFIG_PREEMPT=y\n' | gzip -n`, with a name in the second.
    const PLAIN: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01\x11\x00\xee\xffCONFIG_PREEMPT=y\n";
    const NAMED: &[u8] =
        b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03config\x00\x01\x11\x00\xee\xffCONFIG_PREEMPT=y\n";

    #[test]
    fn a_packed_configuration_is_read_with_and_without_a_name() {
        for file in [PLAIN, NAMED] {
            assert_eq!(unpack(file).as_deref(), Some("CONFIG_PREEMPT=y\n"));
        }
    }

    #[test]
    fn the_level_of_lockdown_is_the_word_in_brackets() {
        assert_eq!(lockdown_level("none [integrity] confidentiality\n").as_deref(), Some("integrity"));
        assert_eq!(lockdown_level("[none] integrity confidentiality").as_deref(), Some("none"));
        assert_eq!(lockdown_level("none"), None);
        assert_eq!(lockdown_level("]none["), None);
    }

    #[test]
    fn what_is_cut_off_or_no_gzip_is_nothing() {
        assert_eq!(unpack(b""), None);
        assert_eq!(unpack(b"CONFIG_PREEMPT=y\n"), None);
        for len in 0..PLAIN.len() {
            assert_eq!(unpack(&PLAIN[..len]), None, "{len}");
        }
    }
}

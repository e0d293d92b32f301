//! The options as meant: checked, with units, defaults filled in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::filter::Redaction;
use api::name::format_duration;
use bpf_probes::sensor::CgroupRate;

use super::content::{ContentSettings, release_interval};
use super::export::{ExportSettings, redaction};
use super::flags::Flags;
use super::metrics::MetricSettings;
use super::rate;
use super::server::ServerSettings;

/// What the daemon does, decided once at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where and how clients are served.
    pub server: ServerSettings,
    /// Where metrics are served, and what they say.
    pub metrics: MetricSettings,
    /// What belongs to one running daemon: socket, pid file, information.
    pub run_dir: PathBuf,
    /// Policy files to load at start, in order.
    pub policy_files: Vec<PathBuf>,
    /// Directory of policy files to load at start.
    pub policy_dir: PolicyDirectory,
    /// Where policies of clients are kept; `None`: they are not.
    pub kept_policies: Option<PathBuf>,
    /// Where events are written.
    pub export: Option<ExportSettings>,
    /// What of the arguments of processes is never stored.
    pub redaction: Arc<Redaction>,
    /// What events show of a process.
    pub content: ContentSettings,
    /// Sizes.
    pub bounds: Bounds,
    /// How often processes of a cgroup may begin and end on a CPU before that is withheld.
    pub cgroup_rate: Option<CgroupRate>,
    /// Where proc is mounted.
    pub procfs: PathBuf,
    /// The kernel's BTF, if not in its usual place.
    pub btf: Option<PathBuf>,
    /// Name of the cluster in events.
    pub cluster_name: String,
    /// Whom policies' `DnsLookup` asks; `None`: policies' requests are not made.
    pub policy_requests: Option<SocketAddr>,
    /// What stays in the kernel when the daemon ends.
    pub keep: KeepSettings,
    /// What is logged, and how.
    pub log: LogSettings,
}

/// A directory of policies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PolicyDirectory {
    /// The default one, which need not exist.
    Default(PathBuf),
    /// The user named it: it must exist.
    Named(PathBuf),
    /// None.
    None,
}

/// Sizes of what could grow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Bytes of the ring of observations; a power of two.
    pub ring_bytes: u32,
    /// Bytes of the ring of enforcement; a power of two.
    pub enforcement_ring_bytes: u32,
    /// Processes in the daemon's table.
    pub processes: usize,
    /// Time between the steps in which ended processes leave the daemon's table.
    pub release_interval: Duration,
    /// Long values that may be incomplete at a time.
    pub long_values: usize,
    /// Processes in the kernel's table.
    pub kernel_processes: u32,
    /// Calls under way whose return is waited for.
    pub calls: usize,
    /// Events in the queue of one listener.
    pub listener_queue: usize,
}

/// What stays in the kernel when the daemon ends, and where that is named.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeepSettings {
    /// Name of the directory in the BPF file system.
    pub folder: String,
    /// Whether the programs stay.
    pub sensors: bool,
}

/// What is logged, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogSettings {
    /// The least level.
    pub level: tracing::Level,
    /// How a line looks.
    pub format: LogFormat,
    /// Where lines go besides standard error.
    pub file: Option<PathBuf>,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Why options make no sense; names the option.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value that its option cannot have.
    #[error("--{option} {value:?}: {reason}")]
    Value {
        /// Without dashes.
        option: &'static str,
        /// As given.
        value: String,
        /// What would be right.
        reason: String,
    },
    /// Two options that exclude each other.
    #[error("--{first} and --{second} cannot both be set")]
    Conflict {
        /// Without dashes.
        first: &'static str,
        /// Without dashes.
        second: &'static str,
    },
}

const DEFAULT_RUN_DIR: &str = "/var/run/tetragon";
const DEFAULT_BPF_DIR: &str = "tetragon";
const DEFAULT_POLICY_DIR: &str = "/etc/tetragon/tetragon.tp.d";
/// 1 MiB holds some 1 500 execs; upstream takes 64 KiB for each CPU. The ring is mapped twice, and counts as memory of the daemon each time.
const DEFAULT_RING_BYTES: u32 = 1 << 20;
const ENFORCEMENT_RING_BYTES: u32 = 256 << 10;
const MIN_RING_BYTES: u64 = 64 << 10;
/// The kernel refuses a ring of 2 GiB or more.
const MAX_RING_BYTES: u64 = 1 << 30;
const MAX_PROCESSES: usize = 4 << 20;

impl Settings {
    /// The settings that the merged options mean, on a machine with `cpus` possible CPUs.
    ///
    /// # Errors
    /// The first option that makes no sense.
    pub fn new(flags: Flags, cpus: u32) -> Result<Self, SettingsError> {
        let export = ExportSettings::new(&flags)?;
        let redaction = Arc::new(redaction(&flags)?);
        let content = ContentSettings::new(&flags)?;
        let metrics = MetricSettings::new(&flags)?;
        let run_dir =
            PathBuf::from(non_empty(flags.run_dir.clone()).unwrap_or_else(|| DEFAULT_RUN_DIR.into()));
        absolute("run-dir", &run_dir)?;
        let server = ServerSettings::new(&flags, &run_dir)?;
        let policy_dir = policy_directory(flags.tracing_policy_dir)?;
        let kept_policies = flags
            .persist_grpc_policies
            .unwrap_or(false)
            .then(|| kept_directory(non_empty(flags.persist_grpc_policies_dir), &run_dir))
            .transpose()?;
        Ok(Self {
            server,
            metrics,
            run_dir,
            policy_files: flags
                .tracing_policy
                .unwrap_or_default()
                .into_iter()
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .collect(),
            policy_dir,
            kept_policies,
            export,
            redaction,
            content,
            bounds: Bounds {
                ring_bytes: ring_bytes(non_empty(flags.rb_size), non_empty(flags.rb_size_total), cpus)?,
                enforcement_ring_bytes: ENFORCEMENT_RING_BYTES,
                processes: within(
                    "process-cache-size",
                    flags.process_cache_size,
                    65_536,
                    128..=MAX_PROCESSES,
                )?,
                release_interval: release_interval(flags.process_cache_gc_interval.as_deref())?,
                long_values: within("data-cache-size", flags.data_cache_size, 1024, 1..=1 << 20)?,
                kernel_processes: within(
                    "execve-map-entries",
                    nonzero(flags.execve_map_entries),
                    32_768,
                    128..=1 << 22,
                )?,
                calls: within("retprobes-cache-size", flags.retprobes_cache_size, 4096, 16..=1 << 20)?,
                listener_queue: within("event-queue-size", flags.event_queue_size, 10_000, 1..=10_000_000)?,
            },
            cgroup_rate: rate::cgroup_rate(flags.cgroup_rate.as_deref())?,
            procfs: non_empty(flags.procfs).unwrap_or_else(|| "/proc".into()).into(),
            btf: non_empty(flags.btf).map(PathBuf::from),
            cluster_name: flags.cluster_name.unwrap_or_default(),
            policy_requests: match flags.allow_policy_requests {
                Some(true) => Some(resolver(non_empty(flags.policy_resolver).as_deref())?),
                Some(false) | None => None,
            },
            keep: KeepSettings {
                folder: bpf_folder(flags.bpf_dir)?,
                sensors: flags.keep_sensors_on_exit.unwrap_or(false),
            },
            log: LogSettings {
                level: log_level(flags.debug.unwrap_or(false), flags.log_level.as_deref())?,
                format: log_format(flags.log_format.as_deref())?,
                file: non_empty(flags.log_file).map(PathBuf::from),
            },
        })
    }

    /// The settings by the names of their options, for people.
    pub fn describe(&self) -> Vec<(String, String)> {
        let pairs = [
            ("run-dir", self.run_dir.display().to_string()),
            ("persist-grpc-policies", self.kept_policies.is_some().to_string()),
            ("rb-size-total", self.bounds.ring_bytes.to_string()),
            ("process-cache-size", self.bounds.processes.to_string()),
            ("execve-map-entries", self.bounds.kernel_processes.to_string()),
            ("retprobes-cache-size", self.bounds.calls.to_string()),
            ("event-queue-size", self.bounds.listener_queue.to_string()),
            ("process-cache-gc-interval", format_duration(self.bounds.release_interval)),
            ("data-cache-size", self.bounds.long_values.to_string()),
            ("cgroup-rate", rate::describe(self.cgroup_rate)),
            ("procfs", self.procfs.display().to_string()),
            ("allow-policy-requests", self.policy_requests.is_some().to_string()),
            ("cluster-name", self.cluster_name.clone()),
            ("bpf-dir", self.keep.folder.clone()),
            ("keep-sensors-on-exit", self.keep.sensors.to_string()),
            ("log-level", self.log.level.to_string().to_lowercase()),
        ];
        let export = self.export.iter().flat_map(ExportSettings::describe);
        self.server
            .describe()
            .chain(pairs)
            .chain(self.metrics.describe())
            .chain(self.content.describe())
            .chain(export)
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// The default Unix socket of this run directory.
    pub fn default_socket(run_dir: &Path) -> PathBuf {
        run_dir.join("tetragon.sock")
    }
}

/// A directory of its own below the root, whose names have no dots.
fn bpf_folder(option: Option<String>) -> Result<String, SettingsError> {
    let name = non_empty(option).unwrap_or_else(|| DEFAULT_BPF_DIR.into());
    let parts = name.trim_matches('/').split('/');
    if name.contains('.') || parts.clone().any(str::is_empty) {
        return Err(value_error("bpf-dir", name, "a name without dots is needed, such as tetragon"));
    }
    Ok(parts.collect::<Vec<_>>().join("/"))
}

/// Upstream asks this one.
const DEFAULT_RESOLVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)), 53);

fn resolver(text: Option<&str>) -> Result<SocketAddr, SettingsError> {
    let Some(text) = text else { return Ok(DEFAULT_RESOLVER) };
    let address = text.parse::<SocketAddr>().or_else(|_| text.parse().map(|ip: IpAddr| (ip, 53).into()));
    address.map_err(|_not_one| value_error("policy-resolver", text, "an address is needed, ADDRESS:PORT"))
}

pub(super) fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Upstream's 0 stands for the default.
fn nonzero(number: Option<u32>) -> Option<u32> {
    number.filter(|number| *number != 0)
}

pub(super) fn value_error(
    option: &'static str,
    value: impl std::fmt::Display,
    reason: impl Into<String>,
) -> SettingsError {
    SettingsError::Value { option, value: format!("{value}"), reason: reason.into() }
}

fn absolute(option: &'static str, path: &Path) -> Result<(), SettingsError> {
    if path.is_absolute() {
        return Ok(());
    }
    Err(value_error(option, path.display(), "an absolute path is needed"))
}

fn within<T: Copy + PartialOrd + std::fmt::Display>(
    option: &'static str,
    value: Option<T>,
    default: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, SettingsError> {
    let value = value.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    Err(value_error(option, value, format!("from {} to {}", range.start(), range.end())))
}

fn policy_directory(option: Option<String>) -> Result<PolicyDirectory, SettingsError> {
    match option {
        None => Ok(PolicyDirectory::Default(DEFAULT_POLICY_DIR.into())),
        Some(path) if path.is_empty() => Ok(PolicyDirectory::None),
        Some(path) => {
            absolute("tracing-policy-dir", Path::new(&path))?;
            // Named with its own name, the default directory need not exist either: upstream's packages pass it.
            Ok(if Path::new(&path) == Path::new(DEFAULT_POLICY_DIR) {
                PolicyDirectory::Default(path.into())
            } else {
                PolicyDirectory::Named(path.into())
            })
        }
    }
}

/// Upstream's default is the same in the default run directory.
fn kept_directory(option: Option<String>, run_dir: &Path) -> Result<PathBuf, SettingsError> {
    let directory = option.map_or_else(|| run_dir.join("grpc-policies"), PathBuf::from);
    absolute("persist-grpc-policies-dir", &directory)?;
    Ok(directory)
}

fn log_level(debug: bool, level: Option<&str>) -> Result<tracing::Level, SettingsError> {
    if debug {
        return Ok(tracing::Level::DEBUG);
    }
    match level.unwrap_or("info").to_ascii_lowercase().as_str() {
        "trace" => Ok(tracing::Level::TRACE),
        "debug" => Ok(tracing::Level::DEBUG),
        "" | "info" => Ok(tracing::Level::INFO),
        "warn" | "warning" => Ok(tracing::Level::WARN),
        "error" | "fatal" | "panic" => Ok(tracing::Level::ERROR),
        other => Err(value_error("log-level", other, "expected trace, debug, info, warning or error")),
    }
}

fn log_format(format: Option<&str>) -> Result<LogFormat, SettingsError> {
    match format.unwrap_or("text") {
        "" | "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(value_error("log-format", other, "expected text or json")),
    }
}

fn ring_bytes(per_cpu: Option<String>, total: Option<String>, cpus: u32) -> Result<u32, SettingsError> {
    let (option, text, wanted) = match (per_cpu, total) {
        (Some(_), Some(_)) => {
            return Err(SettingsError::Conflict { first: "rb-size", second: "rb-size-total" });
        }
        (None, None) => return Ok(DEFAULT_RING_BYTES),
        (None, Some(text)) => ("rb-size-total", text.clone(), size("rb-size-total", &text)?),
        (Some(text), None) => {
            ("rb-size", text.clone(), size("rb-size", &text)?.saturating_mul(u64::from(cpus.max(1))))
        }
    };
    if wanted == 0 {
        return Ok(DEFAULT_RING_BYTES);
    }
    let bytes =
        wanted.max(MIN_RING_BYTES).checked_next_power_of_two().filter(|bytes| *bytes <= MAX_RING_BYTES);
    bytes
        .and_then(|bytes| u32::try_from(bytes).ok())
        .ok_or_else(|| value_error(option, text, "a ring has at most 1G"))
}

/// Reads a number with K, M or G behind it, each 1024 times the one before.
fn size(option: &'static str, text: &str) -> Result<u64, SettingsError> {
    let wrong = || value_error(option, text, "expected a number, with K, M or G behind it");
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (text.get(..at), 10),
        Some((at, 'M' | 'm')) => (text.get(..at), 20),
        Some((at, 'G' | 'g')) => (text.get(..at), 30),
        _ => (Some(text), 0),
    };
    let number: u64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::server::ServerAddress;
    use super::*;

    fn settings(values: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::new(Flags::from_values(values.iter().copied()).unwrap(), 4)
    }

    #[test]
    fn without_options_nothing_is_exported_and_the_default_policies_are_loaded() {
        let settings = settings(&[]).unwrap();
        assert!(settings.export.is_none() && settings.kept_policies.is_none());
        assert!(matches!(settings.policy_dir, PolicyDirectory::Default(_)));
    }

    #[test]
    fn another_run_directory_moves_the_socket_and_the_kept_policies() {
        let settings = settings(&[("run-dir", "/tmp/a"), ("persist-grpc-policies", "true")]).unwrap();
        assert_eq!(settings.server.addresses, [ServerAddress::Unix("/tmp/a/tetragon.sock".into())]);
        assert_eq!(settings.kept_policies, Some("/tmp/a/grpc-policies".into()));
    }

    // proves: REL-02
    #[test]
    fn a_ring_is_a_power_of_two_in_bounds() {
        let ring = |values: &[(&str, &str)]| settings(values).map(|settings| settings.bounds.ring_bytes);
        assert_eq!(ring(&[("rb-size-total", "3M")]).unwrap(), 4 << 20);
        assert_eq!(ring(&[("rb-size", "64K")]).unwrap(), 256 << 10, "for each of four CPUs");
        assert_eq!(ring(&[("rb-size-total", "1")]).unwrap(), 64 << 10);
        assert_eq!(ring(&[("rb-size-total", "0")]).unwrap(), DEFAULT_RING_BYTES);
        for wrong in ["2G", "x", "1T", "-1", "99999999999999999999G"] {
            assert!(ring(&[("rb-size-total", wrong)]).is_err(), "{wrong}");
        }
        assert!(matches!(
            ring(&[("rb-size", "1M"), ("rb-size-total", "1M")]),
            Err(SettingsError::Conflict { .. })
        ));
    }

    #[test]
    fn wrong_values_name_their_option() {
        let error =
            settings(&[("persist-grpc-policies", "1"), ("persist-grpc-policies-dir", "x")]).unwrap_err();
        assert!(error.to_string().starts_with("--persist-grpc-policies-dir "), "{error}");
        for (option, value) in [
            ("log-level", "loud"),
            ("log-format", "xml"),
            ("process-cache-size", "1"),
            ("tracing-policy-dir", "relative"),
        ] {
            let error = settings(&[(option, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--{option} ")), "{error}");
        }
    }
}

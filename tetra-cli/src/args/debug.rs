//! Options of `tetra debug` and `tetra bugtool`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Options of `bugtool`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Bugtool {
    /// File to make; one that is there already is left alone, and nothing is made
    #[arg(short, long, value_name = "FILE", default_value = "tetragon-bugtool.tar.gz")]
    pub(crate) out: PathBuf,
    /// Program bpftool, to have its view of programs, maps and cgroups too
    #[arg(long, value_name = "PATH")]
    pub(crate) bpftool: Option<PathBuf>,
    /// For scripts that give it: there is no gops in this daemon
    #[arg(long, value_name = "ADDRESS", hide = true)]
    pub(crate) gops: Option<String>,
    /// Leave out the last events of the daemon's file, which hold arguments of processes
    #[arg(long)]
    pub(crate) no_events: bool,
}

/// Subcommands of `debug`.
#[derive(Debug, Subcommand)]
pub(crate) enum Debug {
    /// Memory of the BPF maps of this machine
    #[command(alias = "map")]
    Maps(Maps),
    /// Time that the BPF programs of this machine take
    #[command(alias = "top")]
    Progs(Progs),
    /// Have the kernel count the runs and the time of BPF programs until this command is ended
    EnableStats,
    /// Print what the daemon remembers
    #[command(subcommand)]
    Dump(Dump),
}

/// Form of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableFormat {
    /// Tables
    #[value(alias = "text")]
    Tab,
    /// JSON
    Json,
}

/// Options of `debug maps`.
///
/// The maps of the daemon are those that its programs use, and those that it has open or pinned. The first table is the memory that maps are
/// charged with, exact from Linux 6.4 on; the second counts the maps in both sets, in one only, in either, and those that no program uses; the
/// third lists these; the fourth says which names take the most memory.
#[derive(Debug, Clone, Args)]
pub(crate) struct Maps {
    /// Lines of the last table; 0 for all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub(crate) lines: usize,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = TableFormat::Tab)]
    pub(crate) output: TableFormat,
    /// Directory of the daemon in the BPF file system
    #[arg(long, value_name = "DIRECTORY", default_value = "/sys/fs/bpf/tetragon")]
    pub(crate) path: PathBuf,
}

/// Options of `debug progs`.
///
/// Shows the programs of the daemon, the dearest first, anew after each --timeout (1 s), until it is ended. Ovh(%) is the share of the time of all CPUs,
/// Cnt how often a program ran meanwhile, Time the nanoseconds that took.
#[derive(Debug, Clone, Args)]
pub(crate) struct Progs {
    /// The programs of everybody
    #[arg(long)]
    pub(crate) all: bool,
    /// For scripts that give it: programs have no object files here
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    pub(crate) bpf_lib: Option<PathBuf>,
    /// Directory of the daemon in the BPF file system
    #[arg(long, value_name = "DIRECTORY", default_value = "/sys/fs/bpf/tetragon")]
    pub(crate) bpf_dir: PathBuf,
    /// Once only
    #[arg(long)]
    pub(crate) once: bool,
    /// Leave what was shown before on the terminal
    #[arg(long)]
    pub(crate) no_clear: bool,
    /// Form of the output; JSON is one object a line
    #[arg(short, long, value_enum, default_value_t = TableFormat::Tab)]
    pub(crate) output: TableFormat,
}

/// Subcommands of `dump`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Dump {
    /// The processes that the daemon knows, one JSON object a line
    #[command(alias = "processCache")]
    Processcache {
        /// Not those that nothing refers to any more
        #[arg(long)]
        skip_zero_refcnt: bool,
        /// Not those that the kernel knows too
        #[arg(long)]
        exclude_execve_map_processes: bool,
    },
    /// Errors of programs in the kernel, as the daemon's metrics count them
    Errmetrics {
        /// Form of the output
        #[arg(short, long, value_enum, default_value_t = TableFormat::Tab)]
        output: TableFormat,
        /// For scripts that give it: what is read are the metrics
        #[arg(long, value_name = "FILE", hide = true)]
        map_fname: Option<PathBuf>,
    },
    /// Upstream's map of processes, which is not here
    #[command(hide = true)]
    Execve {
        /// Its file
        #[arg(long, value_name = "FILE")]
        map_fname: Option<PathBuf>,
    },
    /// Upstream's maps of pods, which are not here
    #[command(hide = true)]
    Policyfilter {
        /// Their file
        #[arg(long, value_name = "FILE")]
        map_fname: Option<PathBuf>,
    },
}

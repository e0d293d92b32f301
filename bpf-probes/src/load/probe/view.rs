//! The running kernel as a [`KernelView`].

use std::sync::Arc;

use super::feature::Prober;
use super::file::{self, FileError};
use crate::btf::Btf;
use crate::kernel::{Feature, FeatureSet, KernelFacts, KernelView};
use crate::load::CpusError;

/// What to find out besides what is always found out.
#[derive(Clone, Copy, Debug)]
pub struct ProbeOptions<'a> {
    /// Features to try.
    pub features: &'a [Feature],
    /// Whether to read the lists of all functions, and of all that can be traced: a megabyte each, and a second on a slow machine. Single names are
    /// answered by [`super::kernel_symbols`] and [`super::traceable_functions`].
    pub function_lists: FunctionLists,
}

/// Which lists of functions a view holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FunctionLists {
    /// Only those that may be overridden: a short one.
    #[default]
    Short,
    /// All.
    All,
}

impl Default for ProbeOptions<'_> {
    fn default() -> Self {
        Self { features: Feature::ALL, function_lists: FunctionLists::Short }
    }
}

/// What planning and compiling ask for. The rest is for people to look at: on 5.10 each trial of a function's program searches the whole list of
/// symbols, some ten milliseconds on a slow machine.
const ESSENTIAL: &[Feature] = &[
    Feature::AtomicFetch,
    Feature::CurrentTaskBtf,
    Feature::Fentry,
    Feature::FmodRet,
    Feature::FmodRetSyscall,
    Feature::Kprobe,
    Feature::KprobeMulti,
    Feature::KtimeBoot,
    Feature::Loop,
    Feature::Lsm,
    Feature::OverrideReturn,
    Feature::PreemptDisable,
    Feature::ProbeWriteUser,
    Feature::RawTracepoint,
    Feature::RdonlyCast,
    Feature::RecursionMisses,
    Feature::RingBuffer,
    Feature::SendSignal,
    Feature::TaskStorage,
    Feature::TpBtf,
    Feature::Tracepoint,
];

impl ProbeOptions<'static> {
    /// What a daemon needs, and as quick as can be.
    pub const fn essential() -> Self {
        Self { features: ESSENTIAL, function_lists: FunctionLists::Short }
    }
}

/// Why the kernel could not be probed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Its types could not be had, without which nothing can be compiled.
    #[error("the kernel's types are needed (CONFIG_DEBUG_INFO_BTF): {0}")]
    Btf(#[from] FileError),
    /// Its CPUs are not known.
    #[error(transparent)]
    Cpus(#[from] CpusError),
}

/// Finds out about the running kernel.
///
/// # Errors
/// See [`ProbeError`]; a fact that is not known is part of the view.
pub fn kernel_view(options: &ProbeOptions<'_>) -> Result<KernelView, ProbeError> {
    kernel_view_by(file::kernel_btf()?, options)
}

/// The same by types that are not from the kernel itself, which may show none; they must be its own all the same.
///
/// # Errors
/// [`ProbeError::Cpus`]
pub fn kernel_view_by(types: Btf, options: &ProbeOptions<'_>) -> Result<KernelView, ProbeError> {
    let btf = Arc::new(types);
    let features: FeatureSet = Prober::new(&btf)?.answers(options.features);
    let release = file::kernel_line("osrelease");
    let version = file::kernel_line("version");
    let preemption = file::preemption(&release, &version);
    let (functions, traceable) = match options.function_lists {
        FunctionLists::Short => (crate::kernel::Symbols::default(), None),
        FunctionLists::All => (file::all_functions(), file::all_traceable()),
    };
    let facts = KernelFacts {
        release,
        version,
        features,
        functions,
        traceable,
        error_injectable: file::error_injectable(),
        lsms: file::active_lsms(),
        preemption,
        namespaces: file::host_namespaces(std::path::Path::new("/proc")),
    };
    Ok(KernelView::new(facts, btf))
}

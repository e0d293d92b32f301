//! What the builder must know of a kernel to choose a form.

use crate::btf::Btf;

/// How programs read kernel memory.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ReadForm {
    /// Plain loads after `bpf_rdonly_cast` (6.2): one instruction a field, faults read zero.
    Cast,
    /// `bpf_probe_read_kernel` of each field.
    Probe,
}

/// How programs repeat something many times.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LoopForm {
    /// `bpf_loop` (5.17): verified once, whatever the count.
    Callback,
    /// A bounded loop: each round is verified, so counts are small.
    Bounded,
}

/// The facts of one kernel that shape emitted code.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'k> {
    /// The kernel's types.
    pub btf: &'k Btf,
    /// Form of reads.
    pub reads: ReadForm,
    /// Form of long loops.
    pub loops: LoopForm,
    /// Whether atomics with a result exist (5.12).
    pub fetching_atomics: bool,
    /// Whether hash maps that allocate on insert may be used by tracing programs (6.1).
    pub allocating_maps: bool,
    /// Whether a program can ask for the ancestors of the current cgroup.
    pub ancestor_cgroup_id: bool,
}

impl<'k> Facts<'k> {
    /// The forms that suit a kernel, from what its probes answered.
    pub fn of(view: &'k crate::kernel::KernelView) -> Self {
        use crate::kernel::Feature;
        let choose = |feature| view.has(feature);
        Self {
            btf: view.btf(),
            reads: if choose(Feature::RdonlyCast) { ReadForm::Cast } else { ReadForm::Probe },
            loops: if choose(Feature::Loop) { LoopForm::Callback } else { LoopForm::Bounded },
            fetching_atomics: choose(Feature::AtomicFetch),
            // the allocator that tracing programs may use came with 6.1 (kernel/bpf/memalloc.c); asking by trial makes 5.10 print a warning
            allocating_maps: view.function_btf("bpf_mem_alloc_init").is_some(),
            ancestor_cgroup_id: choose(Feature::AncestorCgroupId),
        }
    }
}

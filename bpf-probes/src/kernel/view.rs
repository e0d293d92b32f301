//! One kernel's facts as data: what all decisions that depend on the kernel take as their argument.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::feature::{Answer, Feature, FeatureSet};
use super::lsm::ActiveLsms;
use super::namespace::HostNamespaces;
use super::preemption::Preemption;
use super::symbols::Symbols;
use super::tracefs::TracepointFormat;
use crate::btf::{Btf, Type, TypeId};

/// What is found out about a kernel, each part by itself; all but its types, which are by far the largest.
#[derive(Debug, Clone)]
pub struct KernelFacts {
    /// `release` of uname: `6.12.117-cloud-amd64`.
    pub release: String,
    /// `version` of uname: `#1 SMP PREEMPT_DYNAMIC …`.
    pub version: String,
    /// What works.
    pub features: FeatureSet,
    /// Functions that exist, besides those which BTF lists; may be empty.
    pub functions: Symbols,
    /// Functions that can be traced, where the kernel says so (`available_filter_functions`).
    pub traceable: Option<Symbols>,
    /// Functions whose return value may be overridden, where the kernel says so (`error_injection/list`).
    pub error_injectable: Option<Symbols>,
    /// Active security modules; `None` where the list cannot be read.
    pub lsms: Option<ActiveLsms>,
    /// Preemption model in force.
    pub preemption: Preemption,
    /// The namespaces of the host, as far as they could be read.
    pub namespaces: HostNamespaces,
}

impl KernelFacts {
    /// A kernel of which only the name is known.
    pub fn new(release: impl Into<String>) -> Self {
        Self {
            release: release.into(),
            version: String::new(),
            features: FeatureSet::new(),
            functions: Symbols::default(),
            traceable: None,
            error_injectable: None,
            lsms: None,
            preemption: Preemption::Unknown,
            namespaces: HostNamespaces::default(),
        }
    }
}

/// Whether a function can be hooked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traceable {
    /// The kernel lists it as traceable.
    Yes,
    /// It exists; whether it can be traced shows when a program is attached.
    Exists,
    /// It exists, but the kernel does not list it as traceable: inlined, `notrace`, or in the probes' blacklist.
    No,
    /// There is no such function.
    Absent,
}

/// Whether handlers of tracepoints can be preempted, and so miss calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TracepointContext {
    /// They run with preemption off.
    PreemptionOff,
    /// They can be preempted.
    Preemptible,
}

/// Facts and types of one kernel, with the questions that planners and builders ask. Immutable; share it as `Arc`.
#[derive(Debug, Clone)]
pub struct KernelView {
    facts: Arc<KernelFacts>,
    btf: Arc<Btf>,
    modules: BTreeMap<String, Arc<Btf>>,
    tracepoints: BTreeMap<String, TracepointFormat>,
}

impl KernelView {
    /// A view of these facts and types.
    pub fn new(facts: impl Into<Arc<KernelFacts>>, btf: Arc<Btf>) -> Self {
        Self { facts: facts.into(), btf, modules: BTreeMap::new(), tracepoints: BTreeMap::new() }
    }

    /// The same kernel with facts that are changed.
    #[must_use]
    pub fn changed(mut self, change: impl FnOnce(&mut KernelFacts)) -> Self {
        change(Arc::make_mut(&mut self.facts));
        self
    }

    /// Adds the types of a loaded module.
    pub fn add_module(&mut self, name: impl Into<String>, btf: Arc<Btf>) {
        self.modules.insert(name.into(), btf);
    }

    /// Adds functions that exist, for names that the kernel's types do not list.
    pub fn add_functions(&mut self, names: &[String]) {
        let all = self.facts.functions.iter().chain(names.iter().map(String::as_str));
        let all = Symbols::from_names(all);
        Arc::make_mut(&mut self.facts).functions = all;
    }

    /// Adds the format of a tracepoint: of thousands that a kernel has, a view holds those that somebody asks for.
    pub fn add_tracepoint(&mut self, subsystem: &str, event: &str, format: TracepointFormat) {
        self.tracepoints.insert(format!("{subsystem}/{event}"), format);
    }

    /// The same, from a set.
    pub fn add_symbols(&mut self, more: &Symbols) {
        let all = Symbols::from_names(self.facts.functions.iter().chain(more.iter()));
        Arc::make_mut(&mut self.facts).functions = all;
    }

    /// Says which functions can be traced.
    pub fn set_traceable(&mut self, traceable: Symbols) {
        Arc::make_mut(&mut self.facts).traceable = Some(traceable);
    }

    /// The functions that can be hooked, as far as they are known, whose name `wanted` takes; in order.
    pub fn functions_where(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut found: Vec<String> = if let Some(list) = &self.facts.traceable {
            list.iter().filter(|name| wanted(name)).map(str::to_owned).collect()
        } else {
            let from_btf = self.btf.own_types().filter_map(|(_, found)| {
                let Type::Func(func) = found else { return None };
                Some(func.name)
            });
            from_btf
                .chain(self.facts.functions.iter())
                .filter(|name| wanted(name))
                .map(str::to_owned)
                .collect()
        };
        // what ftrace calls places that it lost (kernel/trace/ftrace.c: FTRACE_INVALID_FUNCTION)
        found.retain(|name| !name.starts_with("__ftrace_invalid_address___"));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The format of a tracepoint, if it was added.
    pub fn tracepoint(&self, subsystem: &str, event: &str) -> Option<&TracepointFormat> {
        self.tracepoints.get(&format!("{subsystem}/{event}"))
    }

    /// The facts.
    pub const fn facts(&self) -> &Arc<KernelFacts> {
        &self.facts
    }

    /// `release` of uname.
    pub fn release(&self) -> &str {
        &self.facts.release
    }

    /// Types of the kernel.
    pub const fn btf(&self) -> &Arc<Btf> {
        &self.btf
    }

    /// Types of a module, if it is loaded and has some.
    pub fn module_btf(&self, name: &str) -> Option<&Arc<Btf>> {
        self.modules.get(name)
    }

    /// What is known of a feature.
    pub fn answer(&self, feature: Feature) -> &Answer {
        self.facts.features.get(feature)
    }

    /// Whether a probe of the feature succeeded.
    pub fn has(&self, feature: Feature) -> bool {
        self.answer(feature).is_yes()
    }

    /// Whether a security module is asked; `None` where the list could not be read.
    pub fn has_active_lsm(&self, name: &str) -> Option<bool> {
        self.facts.lsms.as_ref().map(|active| active.contains(name))
    }

    /// Whether LSM programs run: they load, and `bpf` is among the active modules. An unreadable list counts as no:
    /// a program on an inactive LSM attaches without an error and never runs (5.10).
    pub fn runs_lsm_programs(&self) -> bool {
        self.has(Feature::Lsm) && self.has_active_lsm("bpf") == Some(true)
    }

    /// BTF number of `bpf_lsm_HOOK`, when the kernel lets BPF programs take part in that hook.
    pub fn lsm_hook(&self, hook: &str) -> Option<TypeId> {
        self.function_btf(&format!("bpf_lsm_{hook}"))
    }

    /// BTF number of a kernel function.
    pub fn function_btf(&self, name: &str) -> Option<TypeId> {
        self.btf.func_named(name).ok()
    }

    /// A function and the types that tell its prototype: the kernel's, or those of a module that was added.
    pub fn function_types(&self, name: &str) -> Option<(&Arc<Btf>, TypeId)> {
        let kernel = self.function_btf(name).map(|id| (&self.btf, id));
        kernel.or_else(|| {
            let mut modules = self.modules.values();
            modules.find_map(|btf| btf.func_named(name).ok().map(|id| (btf, id)))
        })
    }

    /// BTF number to call a kfunc by, when a probe has shown that programs may call it.
    pub fn kfunc(&self, feature: Feature) -> Option<TypeId> {
        let name = feature.kfunc().filter(|_| self.has(feature))?;
        self.function_btf(name)
    }

    /// Number of a BPF helper in this kernel, for example of `bpf_loop` by the name `loop`.
    pub fn helper(&self, name: &str) -> Option<u32> {
        let value = self.btf.enum_value("bpf_func_id", &format!("BPF_FUNC_{name}"))?;
        u32::try_from(value).ok()
    }

    /// Whether the function exists.
    pub fn has_function(&self, name: &str) -> bool {
        self.facts.functions.contains(name) || self.function_btf(name).is_some()
    }

    /// Whether the function can be hooked.
    pub fn traceable(&self, name: &str) -> Traceable {
        match &self.facts.traceable {
            Some(list) if list.contains(name) => Traceable::Yes,
            _ if !self.has_function(name) => Traceable::Absent,
            Some(_) => Traceable::No,
            None => Traceable::Exists,
        }
    }

    /// Whether the function's return value may be overridden; `None` where the kernel does not say.
    pub fn is_error_injectable(&self, name: &str) -> Option<bool> {
        self.facts.error_injectable.as_ref().map(|list| list.contains(name))
    }

    /// Preemption model in force.
    pub fn preemption(&self) -> Preemption {
        self.facts.preemption
    }

    /// Whether handlers of tracepoints can be preempted on this kernel.
    ///
    /// Tracepoints called their handlers with preemption off until 6.19; since then they hold an SRCU lock instead
    /// (`include/linux/tracepoint.h: __DECLARE_TRACE`). That lock, `tracepoint_srcu`, existed up to 6.12 for idle
    /// context; what tells the two apart is the reader's flavour in `srcu_data`, which came in 6.14.
    pub fn tracepoint_context(&self) -> TracepointContext {
        let btf = &self.btf;
        let has_lock = btf.var_named("tracepoint_srcu_srcu_data").is_ok();
        let has_flavour =
            btf.struct_named("srcu_data").is_ok_and(|data| btf.resolve(data, "srcu_reader_flavor").is_ok());
        if has_lock && has_flavour && self.facts.preemption.is_preemptible() {
            TracepointContext::Preemptible
        } else {
            TracepointContext::PreemptionOff
        }
    }

    /// Up to three functions with names like `wanted`, for messages.
    pub fn functions_like(&self, wanted: &str) -> Vec<String> {
        let from_btf = self.btf.own_types().filter_map(|(_, found)| {
            let Type::Func(func) = found else { return None };
            Some(func.name)
        });
        let mut near: Vec<(usize, &str)> = from_btf
            .chain(self.facts.functions.iter())
            .filter_map(|name| Some((likeness(name, wanted)?, name)))
            .collect();
        near.sort_unstable();
        near.dedup();
        near.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
    }
}

/// How far `name` is from `wanted`, when it is near: the compiler's variants first, then what contains it, then misspellings.
fn likeness(name: &str, wanted: &str) -> Option<usize> {
    if name == wanted || wanted.len() < 4 {
        return None;
    }
    if name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.')) {
        return Some(0);
    }
    let missing = name.len().abs_diff(wanted.len());
    if name.contains(wanted) {
        return (missing <= 12).then_some(missing + 1);
    }
    if missing > 2 {
        return None;
    }
    // Letters that differ when equal beginnings and endings are taken away: enough for a typing error.
    let head = name.bytes().zip(wanted.bytes()).take_while(|(left, right)| left == right).count();
    let tail = name.bytes().rev().zip(wanted.bytes().rev()).take_while(|(left, right)| left == right).count();
    let changed = wanted.len().max(name.len()).saturating_sub(head + tail);
    (changed <= 2).then_some(changed + 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::recorded;

    #[test]
    fn tracepoints_are_preemptible_on_the_one_kernel_where_they_were_seen_to_miss() {
        for folder in ["5.10", "6.1", "6.12", "6.18"] {
            let kernel = recorded(folder).changed(|facts| facts.preemption = Preemption::Full);
            assert_eq!(kernel.tracepoint_context(), TracepointContext::PreemptionOff, "{folder}");
        }
        assert_eq!(recorded("7.2").tracepoint_context(), TracepointContext::Preemptible);
    }

    #[test]
    fn lsm_programs_count_as_running_only_when_bpf_is_an_active_module() {
        assert!(!recorded("5.10").runs_lsm_programs());
        assert!(recorded("6.1").runs_lsm_programs());
        assert!(!recorded("6.18").runs_lsm_programs());
    }

    #[test]
    fn a_kfunc_needs_its_type_and_a_probe_that_succeeded() {
        let kernel = recorded("6.12");
        assert_eq!(kernel.kfunc(Feature::RdonlyCast), kernel.function_btf("bpf_rdonly_cast"));
        assert!(kernel.kfunc(Feature::RdonlyCast).is_some());
        let without = recorded("6.12").changed(|facts| facts.features = FeatureSet::new());
        assert_eq!(without.kfunc(Feature::RdonlyCast), None);
        assert_eq!(recorded("6.1").kfunc(Feature::RdonlyCast), None);
        assert_eq!(kernel.kfunc(Feature::Kprobe), None);
    }

    #[test]
    fn functions_are_known_from_types_and_from_the_list() {
        let kernel = recorded("6.12");
        assert_eq!(kernel.traceable("security_file_open"), Traceable::Exists);
        assert_eq!(kernel.traceable("__x64_sys_getpid"), Traceable::Exists);
        assert_eq!(kernel.traceable("frobnicate"), Traceable::Absent);
        let kernel =
            recorded("6.12").changed(|facts| facts.traceable = Some(Symbols::from_names(["vfs_open"])));
        assert_eq!(kernel.traceable("vfs_open"), Traceable::Yes);
        assert_eq!(kernel.traceable("security_file_open"), Traceable::No);
    }

    #[test]
    fn functions_are_found_among_the_traceable_ones_where_those_are_known() {
        let mut kernel = recorded("6.12");
        let wanted = |name: &str| name.starts_with("security_path_s") || name == "frobnicate";
        assert_eq!(kernel.functions_where(wanted), ["security_path_symlink"]);
        kernel.add_symbols(&Symbols::from_names(["frobnicate"]));
        assert_eq!(kernel.functions_where(wanted), ["frobnicate", "security_path_symlink"]);
        assert!(kernel.has_function("frobnicate") && kernel.has_function("__x64_sys_getpid"));
        kernel.set_traceable(Symbols::from_names(["frobnicate", "__ftrace_invalid_address___16"]));
        assert_eq!(kernel.functions_where(|_| true), ["frobnicate"]);
    }

    #[test]
    fn functions_of_modules_are_there_when_somebody_has_looked_for_them() {
        let mut kernel = recorded("6.12");
        assert_eq!(kernel.traceable("nf_conntrack_in"), Traceable::Absent);
        kernel.add_functions(&["nf_conntrack_in".to_owned(), "vfs_made_up".to_owned()]);
        assert_eq!(kernel.traceable("nf_conntrack_in"), Traceable::Exists);
        assert_eq!(kernel.traceable("security_file_open"), Traceable::Exists);
        assert!(kernel.function_types("nf_conntrack_in").is_none());
        assert!(kernel.function_types("security_file_open").is_some());
    }

    #[test]
    fn helpers_are_numbered_by_the_kernel() {
        assert_eq!(recorded("6.12").helper("loop"), Some(181));
        assert_eq!(recorded("5.10").helper("loop"), None);
    }

    #[test]
    fn names_like_a_misspelt_one_are_offered_and_distant_ones_are_not() {
        let kernel = recorded("6.12");
        assert!(kernel.functions_like("security_path_symlnk").contains(&"security_path_symlink".to_owned()));
        assert!(kernel.functions_like("qqqqqqqqqqqq").is_empty());
    }
}

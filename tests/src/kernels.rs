//! The kernels that every scenario runs on, and what each of them has.
//!
//! A scenario skips only because this table says that a kernel lacks something. A kernel that lacks what the table
//! says it has, or has what the table says it lacks, fails the scenario `the_kernel_is_what_the_table_says`.

/// Something a kernel has or lacks, and which decides what a scenario may expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// `bpf` is in the list of active security modules (`/sys/kernel/security/lsm`).
    ActiveBpfLsm,
    /// kprobe.multi and uprobe.multi links.
    ProbeMulti,
    /// Programs may override the return of a system call's function by `fmod_ret`.
    ModifyReturnOfSyscalls,
    /// `bpf_override_return`: kprobe programs may make system calls return at once.
    OverrideReturn,
    /// Programs at places in programs may write the registers of the thread.
    UserRegisterWrite,
    /// Links of perf events, by which kprobes outlive the process that made them.
    PerfEventLink,
    /// `bpf_loop`, task storage, ancestor cgroup ids.
    BpfLoop,
    /// The `bpf_rdonly_cast` kfunc.
    ReadOnlyCast,
    /// The kernel can be preempted inside a BPF program: trampolines skip calls under contention.
    Preemptible,
}

/// The archive of Debian that a suite lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Archive {
    /// `…/debian`.
    Main,
    /// `…/debian-security`.
    Security,
}

/// One suite of one archive; apt picks the highest version over all suites of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Where the suite lives.
    pub archive: Archive,
    /// The suite's name, such as `trixie-security`.
    pub name: &'static str,
}

/// How a kernel comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// As Debian packages it for machines in clouds.
    Packaged,
    /// From Debian's source, by a configuration of this repository (`src/vm/custom.config`).
    Built,
}

/// One kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// How people ask for it: `6.12`. For the newest suite the release may have moved on.
    pub name: &'static str,
    /// Fetched, or built here.
    pub origin: Origin,
    /// Where it, or its source, comes from.
    pub suites: &'static [Suite],
    /// What it has when booted without further arguments, in order.
    pub has: &'static [Feature],
}

/// One way to boot a kernel: what the matrix counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// `6.12` or `6.12+preempt=full`.
    pub name: &'static str,
    /// Which kernel.
    pub kernel: &'static Kernel,
    /// What is appended to the kernel's command line.
    pub append: &'static str,
}

const fn main(name: &'static str) -> Suite {
    Suite { archive: Archive::Main, name }
}

const fn security(name: &'static str) -> Suite {
    Suite { archive: Archive::Security, name }
}

/// Every kernel: stock ones, oldest first, and the one that is built.
pub static KERNELS: [Kernel; 5] = [
    Kernel { name: "5.10", origin: Origin::Packaged, suites: &[security("bullseye-security")], has: &[] },
    Kernel {
        name: "6.1",
        origin: Origin::Packaged,
        suites: &[main("bookworm"), security("bookworm-security")],
        has: &[Feature::ActiveBpfLsm, Feature::PerfEventLink, Feature::BpfLoop],
    },
    Kernel {
        name: "6.12",
        origin: Origin::Packaged,
        suites: &[main("trixie"), security("trixie-security")],
        has: &[
            Feature::ActiveBpfLsm,
            Feature::ProbeMulti,
            Feature::PerfEventLink,
            Feature::BpfLoop,
            Feature::ReadOnlyCast,
        ],
    },
    Kernel {
        name: "7.2",
        origin: Origin::Packaged,
        suites: &[main("sid")],
        has: &[
            Feature::ActiveBpfLsm,
            Feature::ProbeMulti,
            Feature::ModifyReturnOfSyscalls,
            Feature::UserRegisterWrite,
            Feature::PerfEventLink,
            Feature::BpfLoop,
            Feature::ReadOnlyCast,
            Feature::Preemptible,
        ],
    },
    Kernel {
        name: "custom",
        origin: Origin::Built,
        suites: &[main("trixie"), security("trixie-security")],
        has: &[
            Feature::ActiveBpfLsm,
            Feature::ProbeMulti,
            Feature::ModifyReturnOfSyscalls,
            Feature::OverrideReturn,
            Feature::PerfEventLink,
            Feature::BpfLoop,
            Feature::ReadOnlyCast,
        ],
    },
];

/// Every way to boot them: each as it comes, and the two that can switch also fully preemptible.
pub static VARIANTS: [Variant; 7] = [
    Variant { name: "5.10", kernel: &KERNELS[0], append: "" },
    Variant { name: "6.1", kernel: &KERNELS[1], append: "" },
    Variant { name: "6.12", kernel: &KERNELS[2], append: "" },
    Variant { name: "7.2", kernel: &KERNELS[3], append: "" },
    Variant { name: "6.1+preempt=full", kernel: &KERNELS[1], append: "preempt=full" },
    Variant { name: "6.12+preempt=full", kernel: &KERNELS[2], append: "preempt=full" },
    Variant { name: "custom", kernel: &KERNELS[4], append: "" },
];

impl Variant {
    /// Whether the table says that this variant has `feature`.
    pub fn has(&self, feature: Feature) -> bool {
        match feature {
            Feature::Preemptible => {
                self.append.contains("preempt=full") || self.kernel.has.contains(&Feature::Preemptible)
            }
            Feature::ActiveBpfLsm
            | Feature::ProbeMulti
            | Feature::ModifyReturnOfSyscalls
            | Feature::OverrideReturn
            | Feature::UserRegisterWrite
            | Feature::PerfEventLink
            | Feature::BpfLoop
            | Feature::ReadOnlyCast => self.kernel.has.contains(&feature),
        }
    }
}

/// The kernel of that name, such as `6.12`.
pub fn kernel(name: &str) -> Option<&'static Kernel> {
    KERNELS.iter().find(|kernel| kernel.name == name)
}

/// The variant of that name, such as `6.12+preempt=full`.
pub fn variant(name: &str) -> Option<&'static Variant> {
    VARIANTS.iter().find(|variant| variant.name == name)
}

#[cfg(test)]
mod tests {
    use super::{Feature, KERNELS, VARIANTS, kernel, variant};

    #[test]
    fn every_kernel_is_booted_by_a_variant_of_its_name() {
        for kernel in &KERNELS {
            assert!(variant(kernel.name).is_some_and(|variant| variant.kernel == kernel), "{}", kernel.name);
        }
    }

    #[test]
    fn names_of_variants_are_unique() {
        for (index, left) in VARIANTS.iter().enumerate() {
            assert!(VARIANTS.iter().skip(index + 1).all(|right| right.name != left.name), "{}", left.name);
        }
    }

    #[test]
    fn a_kernel_booted_with_preempt_full_is_preemptible_and_otherwise_as_it_was() {
        let plain = variant("6.12");
        let full = variant("6.12+preempt=full");
        assert_eq!(plain.map(|variant| variant.has(Feature::Preemptible)), Some(false));
        assert_eq!(full.map(|variant| variant.has(Feature::Preemptible)), Some(true));
        assert_eq!(full.map(|variant| variant.has(Feature::ReadOnlyCast)), Some(true));
        assert_eq!(kernel("7.3"), None);
    }
}

//! The reference of kernels is what the source and the recorded kernels say; `ENFORCER_GENERATE=1` writes it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use bpf_probes::kernel::{KernelView, reference};

const HEAD: &str = "\
# Kernels

<!-- Made by `cargo xtask generate` from bpf-probes/src/kernel/feature.rs and bpf-probes/testdata. Do not edit. -->

Needed are x86-64, Linux 5.10 or newer, and BTF (`CONFIG_DEBUG_INFO_BTF`). What else a kernel has is used where it is there, and decides by which mechanism a hook is served
([concepts](../guide/concepts.md#exactness)): the log at start, `tetra probe` and refusals of policies (P0043) call it by these names.

Columns are Debian's kernels, by what each answered when it was asked. *since* is the first kernel of upstream that has it, where that is a matter of the version and not of
the configuration.

";

/// Those that every scenario runs on.
const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "7.2"];

// proves: DOC-12 (kernel requirements)
#[test]
fn the_reference_of_kernels_is_what_the_source_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kernels = KERNELS.map(|name| {
        let folder = root.join("testdata").join(name);
        (name, KernelView::from_files(|file| fs::read(folder.join(file)).ok()).unwrap())
    });
    let text = format!("{HEAD}{}", reference(&kernels));
    let path = root.join("../docs/reference/kernels.md");
    if std::env::var_os("ENFORCER_GENERATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "kernels.md is not what the source says; run cargo xtask generate");
}

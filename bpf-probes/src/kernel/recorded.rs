//! Kernels recorded in `testdata`, for tests.

use std::path::Path;
use std::sync::Arc;

use super::view::{KernelFacts, KernelView};

/// The recorded kernel of that folder.
#[expect(clippy::panic, reason = "tests")]
pub(crate) fn recorded(folder: &str) -> KernelView {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    match KernelView::from_files(|name| std::fs::read(folder.join(name)).ok()) {
        Ok(view) => view,
        Err(error) => panic!("{}: {error}", folder.display()),
    }
}

/// The same kernel with facts that are changed.
pub(crate) fn changed(folder: &str, change: impl FnOnce(&mut KernelFacts)) -> KernelView {
    let recorded = recorded(folder);
    let mut facts = recorded.facts().clone();
    change(&mut facts);
    KernelView::new(facts, Arc::clone(recorded.btf()))
}

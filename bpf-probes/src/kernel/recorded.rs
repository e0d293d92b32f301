//! Kernels recorded in `testdata`, for tests.

use std::path::Path;

use super::view::KernelView;

/// The recorded kernel of that folder.
#[expect(clippy::panic, reason = "tests")]
pub(crate) fn recorded(folder: &str) -> KernelView {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    match KernelView::from_files(|name| std::fs::read(folder.join(name)).ok()) {
        Ok(view) => view,
        Err(error) => panic!("{}: {error}", folder.display()),
    }
}

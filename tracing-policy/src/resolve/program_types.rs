//! Types of a program, from the file that the policy names.

use std::sync::Arc;

use bpf_probes::btf::Btf;

use crate::binary::Binary;
use crate::diagnostic::{Code, Diagnostic};
use crate::files::{Binaries, BinaryFile};
use crate::policy::{Hook, HookKind};

/// The types of the program that a hook is in, if the policy says where they are.
///
/// # Errors
/// Why they cannot be read.
pub(super) fn of(hook: &Hook, binaries: &Binaries) -> Result<Option<Btf>, Box<Diagnostic>> {
    let types = match &hook.kind.value {
        HookKind::Uprobe(uprobe) => uprobe.types.as_ref(),
        HookKind::Usdt(usdt) => usdt.types.as_ref(),
        HookKind::Kprobe(_) | HookKind::Lsm(_) | HookKind::Tracepoint(_) | HookKind::Loader => None,
    };
    let Some((path, span)) = types else { return Ok(None) };
    let read = binaries.get(path).map_err(str::to_owned).and_then(read);
    read.map(Some).map_err(|error| Box::new(Diagnostic::error(Code::BadFile, *span, error)))
}

/// BTF as it is, or in the section of a program that is for it.
fn read(file: &BinaryFile) -> Result<Btf, String> {
    let in_words = |error: &dyn std::fmt::Display| format!("{}: {error}", file.path);
    let bytes = if file.bytes.starts_with(b"\x7fELF") {
        let binary = Binary::parse(&file.bytes).map_err(|error| in_words(&error))?;
        binary.types().map(Arc::from).ok_or_else(|| in_words(&"it has no types (no section .BTF)"))?
    } else {
        Arc::clone(&file.bytes)
    };
    Btf::parse(bytes).map_err(|error| in_words(&error))
}

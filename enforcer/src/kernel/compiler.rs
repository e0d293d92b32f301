//! The compiler for the running kernel.

use std::borrow::Cow;
use std::sync::Arc;

use bpf_probes::kernel::KernelView;
use bpf_probes::load::probe::tracepoint_format;
use tracing_policy::diagnostic::Diagnostic;
use tracing_policy::policy::{Policy, Resolved, Tracepoint};
use tracing_policy::source::SourceText;
use tracing_policy::{CompiledHook, Rider};

use super::files::OpenFiles;
use super::port::KernelPort;
use crate::policy::{CompileError, Compiler};

/// `tracing_policy` with the facts of the running kernel.
#[derive(Clone, Debug)]
pub struct KernelCompiler {
    view: Arc<KernelView>,
    files: Arc<OpenFiles>,
}

impl KernelCompiler {
    /// The view with the formats of the policy's tracepoints; one that cannot be read is missed when the policy is resolved.
    fn with_formats(&self, policy: &Policy) -> Cow<'_, KernelView> {
        let mut view = Cow::Borrowed(&*self.view);
        for Tracepoint { subsystem, event, .. } in policy.tracepoints() {
            match tracepoint_format(subsystem, event) {
                Ok(format) => view.to_mut().add_tracepoint(subsystem, event, format),
                Err(error) => tracing::warn!("format of tracepoint {subsystem}/{event}: {error}"),
            }
        }
        view
    }

    /// Compiles for the kernel that `view` shows; files are opened for `port`, which hooks them.
    pub fn new(view: Arc<KernelView>, port: &KernelPort) -> Self {
        Self { view, files: Arc::clone(port.files()) }
    }
}

fn failed(findings: Vec<Diagnostic>) -> CompileError {
    CompileError { findings }
}

impl Compiler for KernelCompiler {
    fn resolve(&self, source: &SourceText) -> Result<(Resolved, Vec<Diagnostic>), CompileError> {
        let (policy, mut warnings) = tracing_policy::read(source).map_err(failed)?;
        let view = self.with_formats(&policy);
        let binaries = self.files.open_for(&policy);
        let mut resolved = tracing_policy::resolve_in(policy, &view, &binaries).map_err(failed)?;
        warnings.append(&mut resolved.warnings);
        Ok((resolved, warnings))
    }

    fn compile_hook(&self, riders: &[Rider<'_>]) -> Result<CompiledHook, CompileError> {
        tracing_policy::compile_hook(riders, &self.view).map_err(failed)
    }
}

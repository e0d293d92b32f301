//! The compiler for the running kernel.

use std::sync::Arc;

use bpf_probes::kernel::KernelView;
use tracing_policy::diagnostic::Diagnostic;
use tracing_policy::policy::Resolved;
use tracing_policy::source::SourceText;
use tracing_policy::{CompiledHook, Rider};

use crate::policy::{CompileError, Compiler};

/// `tracing_policy` with the facts of the running kernel.
#[derive(Clone, Debug)]
pub struct KernelCompiler {
    view: Arc<KernelView>,
}

impl KernelCompiler {
    /// Compiles for the kernel that `view` shows.
    pub const fn new(view: Arc<KernelView>) -> Self {
        Self { view }
    }
}

fn failed(findings: Vec<Diagnostic>) -> CompileError {
    CompileError { findings }
}

impl Compiler for KernelCompiler {
    fn resolve(&self, source: &SourceText) -> Result<(Resolved, Vec<Diagnostic>), CompileError> {
        let (policy, mut warnings) = tracing_policy::read(source).map_err(failed)?;
        let mut resolved = tracing_policy::resolve(policy, &self.view).map_err(failed)?;
        warnings.append(&mut resolved.warnings);
        Ok((resolved, warnings))
    }

    fn compile_hook(&self, riders: &[Rider<'_>]) -> Result<CompiledHook, CompileError> {
        tracing_policy::compile_hook(riders, &self.view).map_err(failed)
    }
}

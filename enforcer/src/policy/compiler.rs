//! What the policy side asks of the compiler, as a trait: `tracing_policy` on the running kernel, or a made-up one in tests.

use tracing_policy::diagnostic::Diagnostic;
use tracing_policy::policy::Resolved;
use tracing_policy::source::SourceText;
use tracing_policy::{CompiledHook, Rider};

/// Findings of the compiler.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CompileError {
    /// What is wrong, in the order of the text.
    pub findings: Vec<Diagnostic>,
}

/// From text to programs.
pub trait Compiler {
    /// The policy that a text means on this kernel, and warnings.
    ///
    /// # Errors
    /// The findings, when one of them is an error.
    fn resolve(&self, source: &SourceText) -> Result<(Resolved, Vec<Diagnostic>), CompileError>;

    /// The programs of one hook with all its riders.
    ///
    /// # Errors
    /// The findings.
    fn compile_hook(&self, riders: &[Rider<'_>]) -> Result<CompiledHook, CompileError>;
}

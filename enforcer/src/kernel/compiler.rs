//! The compiler for the running kernel.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use bpf_probes::kernel::KernelView;
use bpf_probes::load::probe::{
    FileError, all_functions, all_traceable, kernel_symbols, module_btf, module_functions, tracepoint_format,
};
use tracing_policy::diagnostic::{Code, Diagnostic};
use tracing_policy::policy::{Policy, Resolved, Tracepoint};
use tracing_policy::source::{SourceText, Span};
use tracing_policy::{CompiledHook, Rider};

use super::files::OpenFiles;
use super::known::KnownKernel;
use super::port::KernelPort;
use crate::policy::{CompileError, Compiler};

/// `tracing_policy` with the facts of the running kernel.
#[derive(Clone, Debug)]
pub struct KernelCompiler {
    kernel: Arc<KnownKernel>,
    files: Arc<OpenFiles>,
}

impl KernelCompiler {
    /// Facts and types of the kernel.
    fn view(&self) -> Result<Arc<KernelView>, CompileError> {
        self.kernel.view().map_err(|error| unknown(&error))
    }

    /// The view with what the policy names of the kernel: formats of tracepoints, functions of modules and their types. What cannot be read is missed when the policy is
    /// resolved.
    fn with_what_is_named<'v>(view: &'v KernelView, policy: &Policy) -> Cow<'v, KernelView> {
        let mut view = Cow::Borrowed(view);
        for Tracepoint { subsystem, event, .. } in policy.tracepoints() {
            match tracepoint_format(subsystem, event) {
                Ok(format) => view.to_mut().add_tracepoint(subsystem, event, format),
                Err(error) => tracing::warn!("format of tracepoint {subsystem}/{event}: {error}"),
            }
        }
        let mut view = Self::with_modules(policy, view);
        Self::with_functions(&mut view, policy);
        view
    }

    fn with_modules<'v>(policy: &Policy, mut view: Cow<'v, KernelView>) -> Cow<'v, KernelView> {
        let mut modules: BTreeSet<String> = policy.modules().map(str::to_owned).collect();
        let unknown: Vec<&str> = policy.functions().filter(|name| !view.has_function(name)).collect();
        if !unknown.is_empty() {
            match module_functions(&unknown) {
                Ok(found) => {
                    let (names, of): (Vec<_>, Vec<_>) = found.into_iter().unzip();
                    view.to_mut().add_functions(&names);
                    modules.extend(of.into_iter().flatten());
                }
                Err(error) => tracing::warn!("functions of modules: {error}"),
            }
        }
        for module in modules {
            match module_btf(&module, view.btf()) {
                Ok(btf) => view.to_mut().add_module(module, Arc::new(btf)),
                Err(error) => tracing::warn!("types of module {module}: {error}"),
            }
        }
        view
    }

    /// Adds what the kernel says of functions: all that a pattern may match, else those of the policy that types do not show.
    fn with_functions(view: &mut Cow<'_, KernelView>, policy: &Policy) {
        if policy.has_patterns() {
            let view = view.to_mut();
            view.add_symbols(&all_functions());
            if let Some(traceable) = all_traceable() {
                view.set_traceable(traceable);
            }
            return;
        }
        let symbols = policy.symbols();
        let unknown: Vec<&str> =
            symbols.iter().map(String::as_str).filter(|symbol| !view.has_function(symbol)).collect();
        if unknown.is_empty() {
            return;
        }
        match kernel_symbols(&unknown) {
            Ok(found) if found.is_empty() => {}
            Ok(found) => view.to_mut().add_symbols(&found),
            Err(error) => tracing::warn!("the kernel's symbols: {error}"),
        }
    }

    /// Compiles for that kernel; files are opened for `port`, which hooks them.
    pub fn new(kernel: Arc<KnownKernel>, port: &KernelPort) -> Self {
        Self { kernel, files: Arc::clone(port.files()) }
    }
}

/// Says that nothing can be compiled, whatever the policy.
fn unknown(error: &FileError) -> CompileError {
    let message = format!("the kernel's types cannot be read: {error}");
    failed(vec![Diagnostic::error(Code::NotOnThisKernel, Span::default(), message)])
}

fn failed(findings: Vec<Diagnostic>) -> CompileError {
    CompileError { findings }
}

impl Compiler for KernelCompiler {
    fn resolve(&self, source: &SourceText) -> Result<(Resolved, Vec<Diagnostic>), CompileError> {
        let (policy, mut warnings) = tracing_policy::read(source).map_err(failed)?;
        let view = self.view()?;
        let view = Self::with_what_is_named(&view, &policy);
        let binaries = self.files.open_for(&policy);
        let mut resolved = tracing_policy::resolve_in(policy, &view, &binaries).map_err(failed)?;
        warnings.append(&mut resolved.warnings);
        Ok((resolved, warnings))
    }

    fn compile_hook(&self, riders: &[Rider<'_>]) -> Result<CompiledHook, CompileError> {
        tracing_policy::compile_hook(riders, &*self.view()?).map_err(failed)
    }
}

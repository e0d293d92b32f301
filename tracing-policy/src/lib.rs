//! The policy compiler: policy text in, eBPF blueprints out.
//!
//! Each stage is a folder with one public function; what goes in and what comes out are types of the noun folders,
//! a different one at each step, so that the compiler enforces the order of the stages.
//!
//! | stage | call | result |
//! | --- | --- | --- |
//! | 1 | [`parse::policy`]`(&`[`SourceText`](source::SourceText)`)` | [`schema::TracingPolicy`]: the right shape |
//! | 2 | [`check::policy`]`(schema)` | [`policy::Policy`]: right on any kernel |
//! | 3 | [`resolve::policy`]`(Policy, &KernelView, &`[`Binaries`](files::Binaries)`)` | [`policy::Resolved`]: right on this kernel |
//! | 4 | [`lower::hook`]`(&[`[`Rider`]`], Purpose)` | [`ir::Hook`]: all policies on a hook, cheapest test first |
//! | 5 | [`compile_hook`]`(&[`[`Rider`]`], &KernelView)` | [`CompiledHook`]: a program for each attachment, with stage 4 inside |
//!
//! A stage reports everything that is wrong at once, as [`diagnostic::Diagnostic`]s with a stable code and a place.
//! The library opens no file, makes no system call and reads no clock: text and facts come in as arguments.
//!
//! # Bytes that are not text
//! Values are byte strings. YAML escapes (`"\t"`, `"\u00fc"`) stand for characters and so for their UTF-8 bytes; any
//! other byte string is written as base64 with YAML's own tag, `!!binary L3RtcC//`.

pub mod binary;
pub mod check;
mod compile;
pub mod crd;
pub mod diagnostic;
mod emit;
pub mod files;
pub mod ir;
pub mod lower;
pub mod parse;
pub mod policy;
pub mod resolve;
pub mod schema;
pub mod source;

pub use compile::{CompiledBody, CompiledHook, Rider, compile_hook};

/// Stages 1 and 2: the policy in a text, and the warnings about it.
///
/// # Errors
/// Everything that is wrong with it on any kernel.
pub fn read(
    source: &source::SourceText,
) -> Result<(policy::Policy, Vec<diagnostic::Diagnostic>), Vec<diagnostic::Diagnostic>> {
    check::policy(parse::policy(source)?)
}

/// Stage 3: the policy fitted to a kernel.
///
/// # Errors
/// Everything that this kernel lacks for it.
pub fn resolve(
    policy: policy::Policy,
    kernel: &bpf_probes::kernel::KernelView,
) -> Result<policy::Resolved, Vec<diagnostic::Diagnostic>> {
    resolve::policy(policy, kernel, &files::Binaries::none())
}

/// The same of a policy that hooks files: [`policy::Policy::binaries`].
///
/// # Errors
/// Everything that this kernel and these files lack for it.
pub fn resolve_in(
    policy: policy::Policy,
    kernel: &bpf_probes::kernel::KernelView,
    binaries: &files::Binaries,
) -> Result<policy::Resolved, Vec<diagnostic::Diagnostic>> {
    resolve::policy(policy, kernel, binaries)
}

//! `tetra tracingpolicy generate`: policies made from what this machine has.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bpf_probes::kernel::Syscall;
use bpf_probes::load::probe::{all_functions, all_traceable};
use regex::Regex;
use serde_json::{Value, json};
use tracing_policy::binary::{Binary, BinaryError, UsdtArgument, UsdtError};

use super::PolicyError;
use crate::args::Generate;
use crate::print::Output;

/// No policy could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GenerateError {
    /// The kernel does not say what it has.
    #[error("the kernel does not tell its {what}: {why}")]
    Kernel {
        /// What was asked for.
        what: &'static str,
        /// What may be the matter.
        why: &'static str,
    },
    /// No expression.
    #[error("--regex: {0}")]
    Regex(#[from] regex::Error),
    /// No file.
    #[error("cannot read {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No program.
    #[error("{path:?} cannot be hooked: {source}")]
    Binary {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: BinaryError,
    },
    /// A program without functions.
    #[error("{path:?} has no names of functions (it is stripped)")]
    NoFunctions {
        /// The file.
        path: PathBuf,
    },
    /// A static probe that cannot be used, or none.
    #[error("{path:?}: {source}")]
    Usdt {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: UsdtError,
    },
    /// No text.
    #[error("cannot write the policy: {0}")]
    Write(String),
}

/// Prints the policy for `what`, limited to the program at `match_binary` where one is given.
pub(super) fn run(what: &Generate, match_binary: Option<&str>) -> Result<(), PolicyError> {
    let text = policy(what, match_binary)?;
    Ok(Output::stdout().write_all(text.as_bytes())?)
}

fn policy(what: &Generate, match_binary: Option<&str>) -> Result<String, GenerateError> {
    let (name, spec) = match what {
        Generate::Empty => ("empty", json!({})),
        Generate::AllSyscalls => {
            let kprobes: Vec<_> =
                system_calls()?.iter().map(|call| kprobe(call, true, match_binary)).collect();
            ("syscalls", json!({ "kprobes": kprobes }))
        }
        Generate::AllSyscallsList => {
            let list = json!({ "name": "syscalls", "type": "syscalls", "values": system_calls()? });
            ("syscalls", json!({ "lists": [list], "kprobes": [kprobe("list:syscalls", true, match_binary)] }))
        }
        Generate::FtraceList { regex } => {
            let list = json!({ "name": "ftrace", "values": traceable(regex)? });
            ("ftrace", json!({ "lists": [list], "kprobes": [kprobe("list:ftrace", false, match_binary)] }))
        }
        Generate::Uprobes { binary } => ("uprobes", json!({ "uprobes": [uprobes(binary)?] })),
        Generate::Usdts { binary } => ("usdts", json!({ "usdts": usdts(binary)? })),
    };
    let policy = json!({
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": { "name": name },
        "spec": spec,
    });
    serde_saphyr::to_string(&policy).map_err(|error| GenerateError::Write(error.to_string()))
}

fn kprobe(call: &str, syscall: bool, match_binary: Option<&str>) -> Value {
    let mut kprobe = json!({ "call": call, "syscall": syscall });
    if let Some(binary) = match_binary {
        kprobe["selectors"] = json!([{ "matchBinaries": [{ "operator": "In", "values": [binary] }] }]);
    }
    kprobe
}

/// `sys_NAME` of each system call that this kernel serves to 64-bit programs, in order. The kernel has functions of that form which serve
/// nobody: calls of 32-bit programs, calls that are gone, parts of calls that the compiler moved away. A few serve and cannot be traced
/// (`perf_event_open` of 5.10); without root it is not known which.
fn system_calls() -> Result<Vec<String>, GenerateError> {
    let functions = all_functions();
    let names = Syscall::all().iter().map(|call| format!("sys_{}", call.wrapper));
    let traceable = all_traceable();
    let is_hooked = |symbol: &str| {
        functions.contains(symbol) && traceable.as_ref().is_none_or(|traceable| traceable.contains(symbol))
    };
    let mut calls: Vec<_> = names.filter(|name| is_hooked(&format!("__x64_{name}"))).collect();
    if calls.is_empty() {
        let why = "/proc/kallsyms has none of them; is it readable?";
        return Err(GenerateError::Kernel { what: "system calls", why });
    }
    calls.sort_unstable();
    calls.dedup();
    Ok(calls)
}

/// The functions that ftrace can trace and whose name has a match of `regex`, in order.
fn traceable(regex: &str) -> Result<Vec<String>, GenerateError> {
    let regex = Regex::new(regex)?;
    let why = "its list is available_filter_functions in tracefs, for which tetra has to run as root";
    let all = all_traceable().ok_or(GenerateError::Kernel { what: "traceable functions", why })?;
    let mut names: Vec<_> = all.iter().filter(|name| regex.is_match(name)).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn read(path: &Path) -> Result<Vec<u8>, GenerateError> {
    fs::read(path).map_err(|source| GenerateError::Read { path: path.to_owned(), source })
}

fn uprobes(path: &Path) -> Result<Value, GenerateError> {
    let bytes = read(path)?;
    let binary = parse(path, &bytes)?;
    let functions = binary.functions();
    if functions.is_empty() {
        return Err(GenerateError::NoFunctions { path: path.to_owned() });
    }
    Ok(json!({ "path": path, "symbols": functions }))
}

fn usdts(path: &Path) -> Result<Vec<Value>, GenerateError> {
    let bytes = read(path)?;
    let binary = parse(path, &bytes)?;
    let probes = binary.probes();
    let failed = |source| GenerateError::Usdt { path: path.to_owned(), source };
    if probes.is_empty() {
        return Err(failed(UsdtError::NoProbes));
    }
    let one = |(provider, name): (&str, &str)| {
        let notes = binary.usdt(provider, name).map_err(failed)?;
        let arguments = notes.first().map(|note| note.arguments.as_slice()).unwrap_or_default();
        // What cannot be read at every place cannot be asked for.
        let args: Vec<_> = arguments
            .iter()
            .enumerate()
            .filter_map(|(index, argument)| {
                Some(json!({ "index": index, "type": type_of(argument.as_ref().ok()?) }))
            })
            .collect();
        let mut usdt = json!({ "path": path, "provider": provider, "name": name });
        if !args.is_empty() {
            usdt["args"] = args.into();
        }
        Ok(usdt)
    };
    probes.into_iter().map(one).collect()
}

fn parse<'b>(path: &Path, bytes: &'b [u8]) -> Result<Binary<'b>, GenerateError> {
    Binary::parse(bytes).map_err(|source| GenerateError::Binary { path: path.to_owned(), source })
}

/// The type of a static probe's argument in a policy.
fn type_of(argument: &UsdtArgument) -> String {
    let sign = if argument.signed { "" } else { "u" };
    format!("{sign}int{}", u32::from(argument.size) * 8)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use tracing_policy::policy::Policy;
    use tracing_policy::source::SourceText;

    use super::*;

    fn read_back(what: &Generate, match_binary: Option<&str>) -> (String, Policy) {
        let text = policy(what, match_binary).unwrap();
        let (policy, _warnings) = tracing_policy::read(&SourceText::new("generated", text.as_str())).unwrap();
        (text, policy)
    }

    // proves: CLI-12 (generate)
    #[test]
    fn what_is_generated_is_a_policy() {
        let this = std::env::current_exe().unwrap();
        let (text, _) = read_back(&Generate::AllSyscallsList, Some("/bin/x"));
        assert!(text.contains("- sys_openat\n") && text.contains("- /bin/x\n"), "{text}");
        let (text, _) = read_back(&Generate::AllSyscalls, None);
        assert!(text.contains("call: sys_openat\n") && !text.contains("matchBinaries"), "{text}");
        let (text, _) = read_back(&Generate::Uprobes { binary: this }, None);
        assert!(text.contains("symbols:"), "{text}");
    }

    #[test]
    fn an_empty_policy_names_what_to_fill_in() {
        let expected =
            "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata:\n  name: empty\nspec: {}\n";
        assert_eq!(policy(&Generate::Empty, None).unwrap(), expected);
    }

    #[test]
    fn what_has_nothing_to_hook_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        let refused = |what: &Generate| policy(what, None).unwrap_err().to_string();
        assert!(refused(&Generate::Uprobes { binary: path.clone() }).starts_with("cannot read"));
        fs::write(&path, "#!/bin/sh\n").unwrap();
        assert!(refused(&Generate::Uprobes { binary: path.clone() }).contains("cannot be hooked"));
        assert!(refused(&Generate::Usdts { binary: path }).contains("cannot be hooked"));
        let this = std::env::current_exe().unwrap();
        assert!(refused(&Generate::Usdts { binary: this }).contains("no static probes"));
        assert!(refused(&Generate::FtraceList { regex: "(".to_owned() }).contains("--regex"));
    }
}

//! The loader's hook: what is mapped to be run.

use bpf_probes::emulate::Context;
use tracing_policy::diagnostic::Code;
use tracing_policy::policy::{EventForm, ResolvedHook};
use tracing_policy::source::SourceText;

use crate::kernel::recorded;
use crate::run::{Emulated, resolved};

const POLICY: &str =
    "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n  loader: true\n";

// proves: POL-10 (match), HOOK-17 (what is mapped)
#[test]
fn files_that_are_mapped_to_be_run_are_reported_and_others_are_not() {
    const READ: u64 = 1;
    const EXEC: u64 = 4;
    for folder in ["5.10", "6.1", "6.12", "7.2"] {
        let view = recorded(folder);
        let policy = resolved(POLICY, &view);
        assert_eq!(policy.hooks[0].layout.form, EventForm::Loader);
        let mut it = Emulated::new(&[policy], &view);
        assert_eq!(it.compiled.bodies[0].target.to_string(), "kprobe security_mmap_file");
        let file = it.objects.file(&mut it.machine, &view, "/lib/x.so", 0o100_755);
        let nameless = it.objects.nameless(&mut it.machine, &view);
        for (file, protection, expected) in [
            (file, READ | EXEC, 1),
            (file, EXEC, 1),
            (file, READ, 0),
            (0, READ | EXEC, 0),
            (nameless, EXEC, 0),
        ] {
            it.run(Context::kprobe([file, protection, 2, 0, 0, 0]));
            let reports = it.reports();
            assert_eq!(reports.len(), expected, "{folder} {protection}");
            for report in reports {
                assert_eq!(report.values[0].1, b"/lib/x.so");
            }
        }
    }
}

// proves: POL-10
#[test]
fn the_loader_is_a_hook_beside_others_where_functions_can_be_traced_and_the_policy_asks() {
    let hooks = |spec: &str, folder: &str| {
        let text = format!(
            "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec: {{{spec}}}\n"
        );
        let (policy, _) = tracing_policy::read(&SourceText::new("test", text)).unwrap();
        let resolved = tracing_policy::resolve(policy, &recorded(folder));
        let forms =
            |hooks: Vec<ResolvedHook>| hooks.into_iter().map(|hook| hook.layout.form).collect::<Vec<_>>();
        resolved.map(|resolved| forms(resolved.hooks)).map_err(|errors| errors[0].code)
    };
    for folder in ["5.10", "6.1", "6.12", "7.2"] {
        assert_eq!(hooks("loader: true", folder), Ok(vec![EventForm::Loader]));
        assert_eq!(hooks("loader: false", folder), Ok(vec![]));
        let beside = hooks("loader: true, kprobes: [{call: security_mmap_file, syscall: false}]", folder);
        assert_eq!(beside, Ok(vec![EventForm::Kprobe, EventForm::Loader]));
    }
    assert_eq!(hooks("loader: true", "6.18"), Err(Code::NotOnThisKernel));
}

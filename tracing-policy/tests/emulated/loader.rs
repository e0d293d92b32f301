//! The loader's hook: what is mapped to be run.

use bpf_probes::emulate::Context;
use tracing_policy::policy::EventForm;

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

//! Operators at functions and hooks of the kernel; each with each type is in `pairs`.

use bpf_probes::kernel::KernelView;
use bpf_probes::spec::AttachSpec;
use tracing_policy::policy::Role;

use crate::kernel::recorded;
use crate::run::{Emulated, attached, policy, resolved};

fn kernels() -> [KernelView; 2] {
    [recorded("6.12"), recorded("5.10")]
}

/// A function whose second argument is a number.
const WITH_NUMBER: &str = "security_file_permission";

fn one<'k>(text: &str, view: &'k KernelView) -> Emulated<'k> {
    Emulated::new(&[resolved(text, view)], view)
}

#[test]
fn long_lists_of_numbers_are_looked_up() {
    let values: Vec<String> = (0..100).map(|number| format!("{}", 10 * number - 500)).collect();
    let ranges: Vec<String> = (0..100).map(|number| format!("{}:{}", 10 * number, 10 * number + 3)).collect();
    for view in &kernels() {
        for (operator, values, pass, fail) in [
            ("Equal", &values, [-500_i64, 0, 490], [-501, 1, 500]),
            ("NotEqual", &values, [-501, 1, 500], [-500, 0, 490]),
            ("InRange", &ranges, [0, 13, 993], [-1, 4, 994]),
            ("NotInRange", &ranges, [-1, 4, 994], [0, 13, 993]),
        ] {
            let filter = format!("{{matchArgs: [{{index: 1, operator: {operator}, values: {values:?}}}]}}");
            let mut it = one(&policy(WITH_NUMBER, "{index: 1, type: int64}", &filter), view);
            for (value, expected) in pass.map(|it| (it, true)).into_iter().chain(fail.map(|it| (it, false))) {
                it.call([0, value.cast_unsigned(), 0, 0, 0, 0]);
                assert_eq!(!it.reporters().is_empty(), expected, "{operator} {value}");
            }
        }
    }
}

// proves: ACT-04, ACT-05 (for kprobes)
#[test]
fn a_denial_is_returned_by_the_program_of_an_lsm_hook() {
    let selectors = "{matchArgs: [{index: 0, operator: Prefix, values: [/etc]}], matchActions: [{action: Override, argError: -13}]}";
    for view in &kernels() {
        let text = policy("security_file_open", "{index: 0, type: file}", selectors);
        for target in [
            AttachSpec::Lsm { hook: "file_open".to_owned() },
            AttachSpec::FmodRet { function: "security_file_open".to_owned() },
        ] {
            let policy = attached(resolved(&text, view), &target, Role::Deny);
            let mut it = Emulated::new(&[policy], view);
            let denied = it.objects.file(&mut it.machine, view, "/etc/shadow", 0);
            let allowed = it.objects.file(&mut it.machine, view, "/bin/ls", 0);
            let arguments = |file| bpf_probes::emulate::Context::arguments(&[file, 0]);
            for _ in 0..40 {
                assert_eq!(it.run(arguments(denied)).result(), -13);
                assert_eq!(it.run(arguments(allowed)).result(), 0);
            }
            it.monitor(0);
            assert_eq!(it.run(arguments(denied)).result(), 0);
            assert!(it.reports().is_empty());
        }
    }
}

//! Each operator with each type, both ways.

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

// proves: ARG-01, SEL-15, SEL-16, SEL-17, SEL-29
#[test]
fn numbers_pass_and_fail_as_their_operators_say() {
    /// type, operator, values, what passes, what fails
    type Row = (&'static str, &'static str, &'static str, &'static [u64], &'static [u64]);
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("int32", "Equal", "['-2', '7']", &[7, 0xffff_fffe, 0x1_0000_0007], &[8, 0x7fff_fffe]),
        ("int32", "NotEqual", "['-2', '7']", &[8, 0], &[7, 0xffff_fffe]),
        ("int32", "GT", "['-3']", &[0xffff_fffe, 0, 5], &[0xffff_fffd, 0x8000_0000]),
        ("int32", "LT", "['-3']", &[0xffff_fffc, 0x8000_0000], &[0xffff_fffd, 0, 5]),
        ("uint32", "GT", "['0xfffffff0']", &[0xffff_fff1, 0xffff_ffff], &[0, 0xffff_fff0]),
        ("uint32", "LT", "['1']", &[0, 0xffff_0000_0000_0000], &[1, 0xffff_ffff]),
        ("uint8", "InRange", "['10:20', '200:255']", &[10, 20, 200, 255, 0x1_0f], &[9, 21, 199]),
        ("int8", "NotInRange", "['-5:5']", &[6, 0xfa, 0x80], &[0xfb, 0, 5]),
        ("int16", "Mask", "['0x8000', '2']", &[0x8000, 2, 0xffff], &[1, 0x4000]),
        ("int64", "Equal", "['-1']", &[u64::MAX], &[0xffff_ffff, 0]),
        ("uint64", "GT", "['0xfffffffffffffff0']", &[u64::MAX], &[5, 0xffff_ffff_ffff_fff0]),
        ("uint64", "InRange", "['0:18446744073709551615']", &[0, u64::MAX], &[]),
        ("uint64", "NotInRange", "['0:18446744073709551615']", &[], &[0, u64::MAX]),
        ("int64", "LT", "['-9223372036854775808']", &[], &[0, 1 << 63]),
        ("uint64", "Mask", "['0x8000000000000000']", &[1 << 63], &[(1 << 63) - 1]),
        ("size_t", "Equal", "['4294967296']", &[1 << 32], &[0, 1]),
    ];
    for view in &kernels() {
        for (ty, operator, values, pass, fail) in table {
            let filter = format!("{{matchArgs: [{{index: 1, operator: {operator}, values: {values}}}]}}");
            let mut it = one(&policy(WITH_NUMBER, &format!("{{index: 1, type: {ty}}}"), &filter), view);
            let mut matches = |value: u64| {
                it.call([0, value, 0, 0, 0, 0]);
                !it.reporters().is_empty()
            };
            for value in *pass {
                assert!(matches(*value), "{ty} {operator} {values}: {value:#x} should pass");
            }
            for value in *fail {
                assert!(!matches(*value), "{ty} {operator} {values}: {value:#x} should fail");
            }
        }
    }
}

/// operator, values, what passes, what fails
type Row = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

const PATHS: &[Row] = &[
    (
        "Equal",
        &["/etc/shadow"],
        &["/etc/shadow"],
        &["/etc/shado", "/etc/shadow-", "/shadow", "/x/etc/shadow"],
    ),
    ("Equal", &["/"], &["/"], &["/a"]),
    ("Equal", &["/a", "/b/c/d/e/f/g/h"], &["/a", "/b/c/d/e/f/g/h"], &["/b", "/b/c/d/e/f/g/i", "/"]),
    ("NotEqual", &["/etc/shadow", "/a"], &["/etc", "/b"], &["/etc/shadow", "/a"]),
    (
        "Prefix",
        &["/etc/", "/usr/lib"],
        &["/etc/passwd", "/usr/lib", "/usr/lib64/x"],
        &["/etc", "/usr/bin", "/"],
    ),
    ("Prefix", &["/"], &["/", "/a"], &[]),
    ("NotPrefix", &["/etc"], &["/", "/et", "/usr/etc"], &["/etc", "/etcetera", "/etc/x"]),
    (
        "Postfix",
        &[".conf", "bin/ls"],
        &["/etc/a.conf", "/bin/ls", "/usr/sbin/ls"],
        &["/a.confx", "/ls", "/conf"],
    ),
    ("Postfix", &["/shadow"], &["/shadow", "/etc/shadow"], &["/gshadow", "/shadow/x"]),
    ("Postfix", &["a-long-name.txt"], &["/x/a-long-name.txt", "/xa-long-name.txt"], &["/x/long-name.txt"]),
    ("NotPostfix", &[".conf"], &["/etc/a", "/"], &["/etc/a.conf", "/.conf"]),
];

// proves: ARG-06 (file), SEL-02 (index), SEL-19, SEL-20, SEL-21, SEL-29
#[test]
fn paths_pass_and_fail_as_their_operators_say() {
    for view in &kernels() {
        for (operator, values, pass, fail) in PATHS {
            let filter = format!("{{matchArgs: [{{index: 0, operator: {operator}, values: {values:?}}}]}}");
            let mut it = one(&policy("security_file_open", "{index: 0, type: file}", &filter), view);
            for (path, expected) in pass.iter().map(|it| (it, true)).chain(fail.iter().map(|it| (it, false)))
            {
                assert_eq!(!it.open(path).is_empty(), expected, "{operator} {values:?}: {path}");
            }
        }
    }
}

// proves: ARG-02 (string), HOOK-04 (x86-64), SEL-19, SEL-20, SEL-21
#[test]
fn strings_pass_and_fail_as_paths_do() {
    for view in &kernels() {
        for (operator, values, pass, fail) in PATHS {
            let filter = format!("{{matchArgs: [{{index: 1, operator: {operator}, values: {values:?}}}]}}");
            let mut it = one(&policy("sys_openat", "{index: 1, type: string}", &filter), view);
            for (text, expected) in pass.iter().map(|it| (it, true)).chain(fail.iter().map(|it| (it, false)))
            {
                let address = it.machine.world_mut().user.string(text);
                let registers = it.machine.world_mut().syscall_registers(257, [7, address, 0, 0, 0, 0]);
                it.call([registers, 0, 0, 0, 0, 0]);
                assert_eq!(!it.reporters().is_empty(), expected, "{operator} {values:?}: {text}");
            }
        }
    }
}

#[test]
fn long_lists_pass_and_fail_as_short_ones_do() {
    let many: Vec<String> = (0..40).map(|number| format!("/nowhere/{number}/at/all")).collect();
    for view in &kernels() {
        for (operator, values, pass, fail) in PATHS {
            let mut list: Vec<&str> = many.iter().map(String::as_str).collect();
            list.extend(*values);
            let compiled = |ty: &str, index: u8, call: &str| {
                let filter =
                    format!("{{matchArgs: [{{index: {index}, operator: {operator}, values: {list:?}}}]}}");
                one(&policy(call, &format!("{{index: {index}, type: {ty}}}"), &filter), view)
            };
            let (mut file, mut string) =
                (compiled("file", 0, "security_file_open"), compiled("string", 1, "sys_openat"));
            for (path, expected) in pass.iter().map(|it| (it, true)).chain(fail.iter().map(|it| (it, false)))
            {
                assert_eq!(!file.open(path).is_empty(), expected, "{operator} {values:?}: {path}");
                let address = string.machine.world_mut().user.string(path);
                let registers = string.machine.world_mut().syscall_registers(257, [7, address, 0, 0, 0, 0]);
                string.call([registers, 0, 0, 0, 0, 0]);
                assert_eq!(!string.reporters().is_empty(), expected, "{operator} {values:?}: string {path}");
            }
        }
    }
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

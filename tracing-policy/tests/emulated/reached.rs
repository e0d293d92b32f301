//! Values that are reached through the kernel's types, that lie in the current task, and that are in registers.

use bpf_probes::abi::value_flag;
use bpf_probes::emulate::{Context, Registers};
use bpf_probes::kernel::KernelView;

use crate::kernel::{object, recorded, set_text};
use crate::run::{Emulated, resolved};

fn kernels() -> [KernelView; 4] {
    [recorded("5.10"), recorded("6.1"), recorded("6.12"), recorded("7.2")]
}

/// A policy on a kprobe or LSM hook with these fields.
fn policy(section: &str, fields: &str) -> String {
    format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec:\n  {section}:\n  - {{{fields}}}\n"
    )
}

fn emulated<'k>(fields: &str, view: &'k KernelView) -> Emulated<'k> {
    let fields = format!("call: security_bprm_check, syscall: false, {fields}");
    Emulated::new(&[resolved(&policy("kprobes", &fields), view)], view)
}

/// What the only record holds: flags, status and bytes of each value.
fn values(it: &mut Emulated<'_>) -> Vec<(u16, u16, Vec<u8>)> {
    let mut reports = it.reports();
    assert_eq!(reports.len(), 1);
    reports.remove(0).values.into_iter().map(|(header, bytes)| (header.flags, header.status, bytes)).collect()
}

/// A program about to run, of this file, and its credentials.
fn program(it: &mut Emulated<'_>, path: &str, uid: u64) -> u64 {
    let (view, machine) = (it.view, &mut it.machine);
    let file = it.objects.file(machine, view, path, 0o104_755);
    let cred = object(machine, view, "cred", &[("uid.val", uid), ("cap_effective", 7)]);
    object(machine, view, "linux_binprm", &[("file", file), ("cred", cred), ("argc", 3)])
}

fn run(it: &mut Emulated<'_>, bprm: u64) {
    it.call([bprm, 0, 0, 0, 0, 0]);
}

// proves: ARG-17
#[test]
fn a_path_leads_through_pointers_and_what_lies_inside() {
    let number = |number: u64| (0, 0, number.to_le_bytes().to_vec());
    for view in &kernels() {
        for (resolve, ty, expected) in [
            // the kernel's own type goes before the policy's
            ("argc", "uint64", number(3)),
            ("file.f_inode.i_mode", "int", number(0o104_755)),
            ("cred.uid.val", "int", number(1000)),
            // a struct that the language has no word for is read as the policy says
            ("cred.uid", "uint32", number(1000)),
            ("cred->cap_effective", "cap_effective", number(7)),
            ("file.f_path.dentry.d_name.name[1]", "uint8", number(b'u'.into())),
            ("file.f_path", "path", (0, 0o104_755, b"/usr/bin/su".to_vec())),
            ("file", "string", (0, 0o104_755, b"/usr/bin/su".to_vec())),
            ("file.f_path.dentry", "int", (0, 0o104_755, b"/usr/bin/su".to_vec())),
        ] {
            let fields = format!("args: [{{index: 0, type: {ty}, resolve: '{resolve}'}}]");
            let mut it = emulated(&fields, view);
            let bprm = program(&mut it, "/usr/bin/su", 1000);
            run(&mut it, bprm);
            assert_eq!(values(&mut it), [expected], "{resolve}");
        }
        // all kinds of types are found without a word of the policy
        let fields =
            "args: [{index: 0, resolve: file}, {index: 0, resolve: argc}, {index: 0, resolve: cred.uid.val}]";
        let mut it = emulated(fields, view);
        let bprm = program(&mut it, "/usr/bin/su", 1000);
        run(&mut it, bprm);
        let path = (0, 0o104_755, b"/usr/bin/su".to_vec());
        assert_eq!(values(&mut it), [path, number(3), number(1000)]);
    }
}

// proves: ARG-17 (filters), SEL-02 (args)
#[test]
fn what_is_reached_is_filtered_by_the_type_it_has() {
    for view in &kernels() {
        for (resolve, filter, pass) in [
            ("cred.uid.val", "operator: Equal, values: ['1000']", true),
            ("cred.uid.val", "operator: NotEqual, values: ['1000']", false),
            ("cred.uid.val", "operator: GT, values: ['999']", true),
            ("cred.uid.val", "operator: InRange, values: ['0:999']", false),
            ("file", "operator: Prefix, values: [/usr/]", true),
            ("file", "operator: NotPostfix, values: [su]", false),
            ("file.f_path", "operator: Equal, values: [/usr/bin/su]", true),
        ] {
            let fields = format!(
                "args: [{{index: 0, type: nop}}, {{index: 0, type: int, resolve: {resolve}}}], selectors: [{{matchArgs: [{{args: [1], {filter}}}]}}]"
            );
            let mut it = emulated(&fields, view);
            let bprm = program(&mut it, "/usr/bin/su", 1000);
            run(&mut it, bprm);
            assert_eq!(!it.reporters().is_empty(), pass, "{resolve}: {filter}");
        }
    }
}

// proves: ARG-17 (faults), ARG-21 (resolve)
#[test]
fn what_cannot_be_reached_is_an_error_and_matches_nothing() {
    for view in &kernels() {
        for (resolve, filters) in [
            ("cred.uid.val", ["operator: NotEqual, values: ['1']", "operator: LT, values: ['5']"]),
            ("file", ["operator: NotPrefix, values: [/x]", "operator: NotEqual, values: [/y]"]),
            ("file.f_path", ["operator: NotPrefix, values: [/x]", "operator: NotPostfix, values: [/y]"]),
        ] {
            for filter in filters {
                let fields = format!(
                    "args: [{{index: 0, type: int, resolve: {resolve}}}], selectors: [{{matchArgs: [{{index: 0, {filter}}}]}}, {{matchPIDs: [{{operator: NotIn, values: [77777]}}]}}]"
                );
                let mut it = emulated(&fields, view);
                let no_pointers = object(&mut it.machine, view, "linux_binprm", &[]);
                for bprm in [0, 0xdead_0000, no_pointers] {
                    run(&mut it, bprm);
                    let reports = it.reports();
                    assert_eq!(reports[0].record.selector, 1, "{resolve} {filter}");
                    let (header, bytes) = &reports[0].values[0];
                    assert_eq!((header.flags, header.status), (value_flag::ERROR, 14), "{resolve}");
                    assert!(bytes.is_empty());
                }
            }
        }
    }
}

// proves: ARG-17 (arrays, bit-fields), ARG-19 (current_task), SEL-03
#[test]
fn the_current_task_is_read_and_filtered() {
    let fields = "args: [{index: 0, type: nop}], data: [\
         {index: 0, type: string, source: current_task, resolve: comm, label: name}, \
         {index: 0, source: current_task, resolve: 'comm[1]'}, \
         {index: 0, type: int, source: current_task, resolve: in_execve}, \
         {index: 0, type: uint64, source: current_task, resolve: 'pending.signal.sig[0]'}]";
    for view in &kernels() {
        for (filter, pass) in [
            ("{index: 0, operator: Equal, values: [fifteen-letters]}", true),
            ("{index: 0, operator: Postfix, values: [letters]}", true),
            ("{operator: NotEqual, values: [fifteen-letters]}", false),
            ("{index: 2, operator: Equal, values: ['1']}", true),
            ("{index: 2, operator: Equal, values: ['0']}", false),
            ("{index: 3, operator: Mask, values: ['0x100']}", true),
        ] {
            let fields = format!("{fields}, selectors: [{{matchData: [{filter}]}}]");
            let mut it = emulated(&fields, view);
            let task = it.machine.world().task.address;
            let text = "fifteen-letters";
            set_text(&mut it.machine, view, (task, "task_struct", "comm"), text);
            crate::kernel::pending_kill(&mut it.machine, view);
            let btf = view.btf();
            let bits = btf.resolve(btf.struct_named("task_struct").unwrap(), "in_execve").unwrap();
            let (at, bits) = (bits.flat_offset().unwrap(), bits.leaf.bitfield.unwrap());
            // the bits beside it do not count
            it.machine
                .world_mut()
                .kernel
                .write(task + u64::from(at), &(1_u32 << bits.shift).to_le_bytes())
                .unwrap();
            run(&mut it, 0);
            let reports = it.reports();
            assert_eq!(!reports.is_empty(), pass, "{filter}");
            for report in reports {
                let values: Vec<_> = report.values.iter().map(|(_, bytes)| bytes.clone()).collect();
                let number = |number: u64| number.to_le_bytes().to_vec();
                let expected = [text.as_bytes().to_vec(), number(b'i'.into()), number(1), number(1 << 8)];
                assert_eq!(values, expected);
            }
        }
    }
}

// proves: ARG-19 (pt_regs)
#[test]
fn registers_at_the_hook_are_read_and_filtered() {
    let fields = "data: [{index: 0, type: int, source: pt_regs, resolve: eax}, \
         {index: 1, source: pt_regs, resolve: bl}, \
         {index: 2, type: linux_binprm, source: pt_regs, resolve: rdi}], \
         selectors: [{matchData: [{index: 0, operator: Equal, values: ['-2']}]}]";
    for view in &kernels() {
        let mut it = emulated(fields, view);
        let bprm = program(&mut it, "/bin/x", 0);
        let registers = Registers { ax: 0x7_ffff_fffe, bx: 0x1234, ..Registers::call([bprm, 0, 0, 0, 0, 0]) };
        it.run(Context::registers(registers));
        let values: Vec<_> = values(&mut it).into_iter().map(|(_, _, bytes)| bytes).collect();
        assert_eq!(
            values,
            [(-2_i64).to_le_bytes().to_vec(), 0x34_u64.to_le_bytes().to_vec(), b"/bin/x".to_vec()]
        );
        it.run(Context::registers(Registers { ax: 2, ..registers }));
        assert!(it.reporters().is_empty());
    }
}

// proves: ARG-18 (kernel's types)
#[test]
fn a_path_may_start_at_a_type_that_the_policy_names() {
    let fields = "call: security_file_open, syscall: false, args: [{index: 0, type: int, btfType: linux_binprm, resolve: argc}]";
    for view in &kernels() {
        let policies = [resolved(&policy("kprobes", fields), view)];
        let mut it = Emulated::new(&policies, view);
        let bprm = program(&mut it, "/bin/x", 0);
        run(&mut it, bprm);
        assert_eq!(values(&mut it), [(0, 0, 3_u64.to_le_bytes().to_vec())]);
    }
}

// proves: ARG-17 (LSM hooks)
#[test]
fn an_lsm_hook_denies_by_what_it_reaches() {
    let fields = "hook: bprm_check_security, args: [{index: 0, type: auto, resolve: cred.uid.val}], \
         selectors: [{matchArgs: [{index: 0, operator: Equal, values: ['1000']}], matchActions: [{action: Override, argError: -1}]}]";
    for folder in ["6.1", "6.12", "7.2"] {
        let view = &recorded(folder);
        let mut it = Emulated::new(&[resolved(&policy("lsmhooks", fields), view)], view);
        for (uid, denied) in [(1000, true), (0, false)] {
            let bprm = program(&mut it, "/bin/x", uid);
            let outcome = it.run(Context::arguments(&[bprm, 0]));
            assert_eq!(outcome.r0.cast_signed() == -1, denied, "{folder} {uid}");
        }
        let outcome = it.run(Context::arguments(&[0, 0]));
        assert_eq!(outcome.r0, 0);
    }
}

// proves: SEL-28 (matchData), SEL-03 (CelExpr)
#[test]
fn an_expression_looks_at_what_lies_elsewhere_too() {
    let fields = "args: [{index: 0, type: int, resolve: argc}], \
                  data: [{index: 0, source: current_task, resolve: pid}, \
                         {index: 1, source: current_task, resolve: comm, type: string}]";
    for view in &kernels() {
        for (filters, expected) in [
            ("matchData: [{operator: CelExpr, values: ['data0 == int32(7)']}]", true),
            ("matchData: [{operator: CelExpr, values: ['data0 + int32(1) == int32(7)']}]", false),
            // the entries of `data` are counted on behind those of `args`
            ("matchData: [{operator: CelExpr, values: ['arg0 == 3 && arg1 != 3 && arg2 == \"sh\"']}]", true),
            ("matchArgs: [{operator: CelExpr, values: ['arg0 == 3 && data1.startsWith(\"b\")']}]", false),
        ] {
            let mut it = emulated(&format!("{fields}, selectors: [{{{filters}}}]"), view);
            let task = it.machine.world().task.address;
            set_text(&mut it.machine, view, (task, "task_struct", "comm"), "sh\0");
            set_text(&mut it.machine, view, (task, "task_struct", "pid"), "\u{7}\0\0\0");
            let bprm = program(&mut it, "/usr/bin/su", 1000);
            run(&mut it, bprm);
            assert_eq!(!it.reports().is_empty(), expected, "{} {filters}", view.release());
        }
    }
}

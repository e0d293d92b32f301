//! Arguments that are objects of the kernel, and the operators that go with them.

use bpf_probes::abi::{
    CredentialsValue, MapValue, ModuleValue, PerfEventValue, ProgramValue, UserNamespaceValue, signature,
    value_flag,
};
use bpf_probes::kernel::KernelView;
use zerocopy::FromBytes;

use crate::kernel::{object, open_descriptor, recorded, set_text, text};
use crate::run::{Emulated, policy, resolved};

fn kernels() -> [KernelView; 4] {
    [recorded("5.10"), recorded("6.1"), recorded("6.12"), recorded("7.2")]
}

fn one<'k>(call: &str, arguments: &str, selectors: &str, view: &'k KernelView) -> Emulated<'k> {
    Emulated::new(&[resolved(&policy(call, arguments, selectors), view)], view)
}

/// Calls with these words in the registers of a function or of a system call.
fn call(it: &mut Emulated<'_>, is_syscall: bool, arguments: [u64; 6]) {
    if is_syscall {
        let registers = it.machine.world_mut().syscall_registers(1, arguments);
        it.call([registers, 0, 0, 0, 0, 0]);
    } else {
        it.call(arguments);
    }
}

fn value(it: &mut Emulated<'_>) -> Vec<u8> {
    let reports = it.reports();
    assert_eq!(reports.len(), 1);
    let (header, bytes) = &reports[0].values[0];
    assert_eq!(header.flags, 0);
    bytes.clone()
}

fn name(bytes: &[u8]) -> String {
    let text = bytes.split(|&byte| byte == 0).next().unwrap();
    String::from_utf8(text.to_vec()).unwrap()
}

// proves: ARG-06 (fd)
#[test]
fn a_descriptor_is_the_path_of_its_file_and_a_call_with_none_is_not_reported() {
    for view in &kernels() {
        let rows = [
            ("", vec!["/etc/shadow", "/tmp/x"]),
            ("{matchArgs: [{index: 0, operator: Prefix, values: [/etc]}]}", vec!["/etc/shadow"]),
            ("{matchArgs: [{index: 0, operator: NotPostfix, values: [shadow]}]}", vec!["/tmp/x"]),
            (
                "{matchArgs: [{index: 0, operator: Equal, values: [/tmp/x]}]}, {matchPIDs: [{operator: In, values: [1]}]}",
                vec!["/tmp/x"],
            ),
        ];
        for (selectors, expected) in rows {
            let mut it = one("sys_write", "{index: 0, type: fd}", selectors, view);
            let mut seen = Vec::new();
            for path in ["/etc/shadow", "/tmp/x"] {
                let file = it.objects.file(&mut it.machine, view, path, 0o100_600);
                open_descriptor(&mut it.machine, view, 3, file);
                for descriptor in [3, 0xffff_ffff_0000_0003, 4, 64, 0xffff_ffff] {
                    call(&mut it, true, [descriptor, 0, 0, 0, 0, 0]);
                    let reports = it.reports();
                    assert!(
                        descriptor.trailing_zeros() == 0 && descriptor != 0xffff_ffff || reports.is_empty()
                    );
                    for report in reports {
                        assert_eq!(report.values[0].0.status, 0o100_600);
                        seen.push(String::from_utf8(report.values[0].1.clone()).unwrap());
                    }
                }
            }
            seen.dedup();
            assert_eq!(seen, expected, "{selectors}");
        }
    }
}

// proves: ARG-06 (dentry)
#[test]
fn a_dentry_is_its_path_within_its_file_system() {
    for view in &kernels() {
        for (operator, value, expected) in [
            ("Equal", "/a/b/c", true),
            ("Prefix", "/a/b", true),
            ("Postfix", "/c", true),
            ("Postfix", "/b", false),
            ("NotEqual", "/a/b/c", false),
        ] {
            let filter = format!("{{matchArgs: [{{index: 1, operator: {operator}, values: [{value}]}}]}}");
            let mut it = one("security_inode_unlink", "{index: 1, type: dentry}", &filter, view);
            let dentry = it.objects.dentry(&mut it.machine, view, "/a/b/c");
            call(&mut it, false, [0, dentry, 0, 0, 0, 0]);
            assert_eq!(!it.reporters().is_empty(), expected, "{operator} {value}");
        }
        let mut it = one("security_inode_unlink", "{index: 1, type: dentry}", "", view);
        let paths = [("/", "/"), ("/x", "/x"), ("/a/b", "/a/b")];
        for (path, expected) in paths {
            let dentry = it.objects.dentry(&mut it.machine, view, path);
            call(&mut it, false, [0, dentry, 0, 0, 0, 0]);
            assert_eq!(value(&mut it), expected.as_bytes());
        }
        // not yet linked into its directory, as a file about to be made: nothing says that it is deleted
        it.objects.unlink(&mut it.machine, view, "/x");
        let dentry = it.objects.dentry(&mut it.machine, view, "/x");
        call(&mut it, false, [0, dentry, 0, 0, 0, 0]);
        assert_eq!(value(&mut it), b"/x");
    }
}

// proves: ARG-06 (kiocb), ARG-07 (linux_binprm)
#[test]
fn a_file_inside_another_object_is_its_path() {
    for view in &kernels() {
        let filter = "{matchArgs: [{index: 0, operator: Equal, values: [/bin/sh]}]}";
        let mut it = one("security_bprm_check", "{index: 0, type: linux_binprm}", filter, view);
        for (path, expected) in [("/bin/sh", true), ("/bin/ls", false)] {
            let file = it.objects.file(&mut it.machine, view, path, 0o100_755);
            let bprm = object(&mut it.machine, view, "linux_binprm", &[("file", file)]);
            call(&mut it, false, [bprm, 0, 0, 0, 0, 0]);
            assert_eq!(!it.reporters().is_empty(), expected, "{path}");
        }
        let mut it = one("sys_dup", "{index: 0, type: kiocb}", "", view);
        let file = it.objects.file(&mut it.machine, view, "/var/log/x", 0o100_644);
        let kiocb = object(&mut it.machine, view, "kiocb", &[("ki_filp", file)]);
        call(&mut it, true, [kiocb, 0, 0, 0, 0, 0]);
        assert_eq!(value(&mut it), b"/var/log/x");
    }
}

// proves: ARG-07 (filename), ARG-10
#[test]
fn names_in_the_kernel_are_text() {
    for view in &kernels() {
        let mut it = one("sys_dup2", "{index: 1, type: filename}", "", view);
        let path = text(&mut it.machine, "../x");
        let filename = object(&mut it.machine, view, "filename", &[("name", path)]);
        call(&mut it, true, [0, filename, 0, 0, 0, 0]);
        assert_eq!(value(&mut it), b"../x");
        for (operator, values, expected) in [
            ("Equal", "eth0", true),
            ("Prefix", "et", true),
            ("NotEqual", "eth0", false),
            ("Postfix", "1", false),
        ] {
            let filter = format!("{{matchArgs: [{{index: 0, operator: {operator}, values: ['{values}']}}]}}");
            let mut it = one("sys_dup", "{index: 0, type: net_device}", &filter, view);
            let device = object(&mut it.machine, view, "net_device", &[]);
            set_text(&mut it.machine, view, (device, "net_device", "name"), "eth0");
            call(&mut it, true, [device, 0, 0, 0, 0, 0]);
            let reports = it.reports();
            assert_eq!(!reports.is_empty(), expected, "{operator} {values}");
            assert!(reports.iter().all(|report| report.values[0].1 == b"eth0"));
        }
    }
}

// proves: ARG-11 (cred), ARG-12
#[test]
fn credentials_and_user_namespaces_are_read() {
    for view in &kernels() {
        let mut it = one("commit_creds", "{index: 0, type: cred}", "", view);
        let fields = [("level", 2), ("owner.val", 7), ("group.val", 8), ("ns.inum", 99)];
        let ns = object(&mut it.machine, view, "user_namespace", &fields);
        let fields = [("euid.val", 5), ("gid.val", 6), ("cap_effective", 1 << 40 | 1), ("user_ns", ns)];
        let cred = object(&mut it.machine, view, "cred", &fields);
        call(&mut it, false, [cred, 0, 0, 0, 0, 0]);
        let shown = CredentialsValue::read_from_bytes(&value(&mut it)).unwrap();
        assert_eq!((shown.credentials.euid, shown.credentials.gid), (5, 6));
        assert_eq!(shown.credentials.effective, 1 << 40 | 1);
        assert_eq!((shown.credentials.user_ns_uid, shown.user_ns), (7, 99));
        let arguments = "{index: 1, type: user_namespace}, {index: 2, type: capability}";
        let mut it = one("security_capable", arguments, "", view);
        let fields = [("level", 2), ("owner.val", 7), ("group.val", 8), ("ns.inum", 99)];
        let ns = object(&mut it.machine, view, "user_namespace", &fields);
        call(&mut it, false, [0, ns, 21, 0, 0, 0]);
        let reports = it.reports();
        let shown = UserNamespaceValue::read_from_bytes(&reports[0].values[0].1).unwrap();
        assert_eq!(shown, UserNamespaceValue { level: 2, uid: 7, gid: 8, inum: 99 });
        assert_eq!(reports[0].values[1].1, 21_u64.to_le_bytes());
    }
}

// proves: ARG-13
#[test]
fn objects_of_bpf_and_events_are_read() {
    for view in &kernels() {
        for is_syscall in [false, true] {
            let (function, index) = if is_syscall { ("sys_bpf", 1) } else { ("security_bpf", 1) };
            let arguments = format!("{{index: {index}, type: bpf_attr}}, {{index: 0, type: bpf_cmd}}");
            let filter = "{matchArgs: [{index: 0, operator: Equal, values: ['5']}]}";
            let mut it = one(function, &arguments, filter, view);
            let mut attr = [2_u32.to_le_bytes(), 9_u32.to_le_bytes()].concat();
            attr.resize(48, 0xff);
            attr.extend(b"my_program\0\0\0\0\0\0");
            let world = it.machine.world_mut();
            let space = if is_syscall { &mut world.user } else { &mut world.kernel };
            let attr = space.bytes("attr", &attr);
            call(&mut it, is_syscall, [4, attr, 0, 0, 0, 0]);
            assert!(it.reports().is_empty());
            call(&mut it, is_syscall, [5, attr, 0, 0, 0, 0]);
            let shown = ProgramValue::read_from_bytes(&value(&mut it)).unwrap();
            assert_eq!((shown.kind, shown.instructions, &*name(&shown.name)), (2, 9, "my_program"));
        }
        let mut it = one("security_bpf_prog", "{index: 0, type: bpf_prog}", "", view);
        let aux = object(&mut it.machine, view, "bpf_prog_aux", &[]);
        set_text(&mut it.machine, view, (aux, "bpf_prog_aux", "name"), "p");
        let program = object(&mut it.machine, view, "bpf_prog", &[("type", 29), ("len", 3), ("aux", aux)]);
        call(&mut it, false, [program, 0, 0, 0, 0, 0]);
        let shown = ProgramValue::read_from_bytes(&value(&mut it)).unwrap();
        assert_eq!((shown.kind, shown.instructions, &*name(&shown.name)), (29, 3, "p"));
        let mut it = one("security_bpf_map", "{index: 0, type: bpf_map}", "", view);
        let fields = [("map_type", 1), ("key_size", 4), ("value_size", 8), ("max_entries", 16)];
        let map = object(&mut it.machine, view, "bpf_map", &fields);
        set_text(&mut it.machine, view, (map, "bpf_map", "name"), "my_map");
        call(&mut it, false, [map, 0, 0, 0, 0, 0]);
        let shown = MapValue::read_from_bytes(&value(&mut it)).unwrap();
        assert_eq!((shown.kind, shown.key_size, shown.value_size, shown.max_entries), (1, 4, 8, 16));
        assert_eq!(name(&shown.name), "my_map");
    }
}

// proves: ARG-13 (perf_event), ARG-14
#[test]
fn events_and_modules_are_read() {
    for view in &kernels() {
        for (kind, expected) in [(6, "tcp_connect"), (2, "")] {
            let mut it = one("security_perf_event_alloc", "{index: 0, type: perf_event}", "", view);
            let function = text(&mut it.machine, "tcp_connect");
            let call_of = object(&mut it.machine, view, "trace_event_call", &[("name", function)]);
            let fields =
                [("attr.type", kind), ("attr.config", 1), ("attr.probe_offset", 7), ("tp_event", call_of)];
            let event = object(&mut it.machine, view, "perf_event", &fields);
            call(&mut it, false, [event, 0, 0, 0, 0, 0]);
            let shown = PerfEventValue::read_from_bytes(&value(&mut it)).unwrap();
            assert_eq!((u64::from(shown.kind), shown.config, shown.probe_offset), (kind, 1, 7));
            assert_eq!(name(&shown.function), expected);
        }
        let module = |it: &mut Emulated<'_>| {
            let module = object(&mut it.machine, view, "module", &[("sig_ok", 1), ("taints", 1 << 12)]);
            set_text(&mut it.machine, view, (module, "module", "name"), "dummy");
            module
        };
        let mut it = one("do_init_module", "{index: 0, type: module}", "", view);
        let loaded = module(&mut it);
        call(&mut it, false, [loaded, 0, 0, 0, 0, 0]);
        let shown = ModuleValue::read_from_bytes(&value(&mut it)).unwrap();
        assert_eq!((shown.taints, shown.signature, &*name(&shown.name)), (1 << 12, signature::GOOD, "dummy"));
        let mut it = one("sys_dup", "{index: 0, type: load_info}", "", view);
        let (loaded, text) = (module(&mut it), text(&mut it.machine, "later"));
        let fields = [("mod", loaded), ("name", text), ("sig_ok", 0)];
        let info = object(&mut it.machine, view, "load_info", &fields);
        call(&mut it, true, [info, 0, 0, 0, 0, 0]);
        let shown = ModuleValue::read_from_bytes(&value(&mut it)).unwrap();
        assert_eq!((shown.taints, shown.signature, &*name(&shown.name)), (1 << 12, signature::BAD, "later"));
    }
}

// proves: ARG-21 (objects, sets)
#[test]
fn an_object_that_is_not_there_is_an_error() {
    for view in &kernels() {
        for ty in ["cred", "bpf_prog", "module", "bpf_attr", "kernel_cap_t", "filename", "linux_binprm"] {
            let arguments = format!("{{index: 0, type: {ty}}}, {{index: 1, type: int}}");
            let mut it = one("sys_dup2", &arguments, "", view);
            call(&mut it, true, [0, 5, 0, 0, 0, 0]);
            let reports = it.reports();
            let [(error, none), (_, number)] = &reports[0].values[..] else { panic!("{ty}") };
            assert_eq!((error.flags, none.len()), (value_flag::ERROR, 0), "{ty}");
            assert_eq!(number, &5_u64.to_le_bytes(), "{ty}");
        }
    }
}

// proves: SEL-18 (numbers, ranges)
#[test]
fn thousands_of_keys_are_one_look_up() {
    let values: Vec<String> = (0..3000).map(|number| (3 * number).to_string()).collect();
    for view in &kernels() {
        for (operator, sense) in [("InMap", true), ("NotInMap", false)] {
            let filter = format!("{{matchArgs: [{{index: 0, operator: {operator}, values: {values:?}}}]}}");
            let mut it = one("sys_dup", "{index: 0, type: int32}", &filter, view);
            for (number, inside) in
                [(0, true), (1, false), (2997, true), (8997, true), (9000, false), (u64::MAX, false)]
            {
                call(&mut it, true, [number, 0, 0, 0, 0, 0]);
                assert_eq!(!it.reporters().is_empty(), inside == sense, "{operator} {number}");
            }
        }
    }
}

// proves: SEL-23
#[test]
fn the_type_of_a_file_is_tested_whether_it_has_a_path_or_not() {
    for view in &kernels() {
        for (operator, expected) in [("FileType", true), ("NotFileType", false)] {
            let filter = format!("{{matchArgs: [{{index: 0, operator: {operator}, values: [fifo]}}]}}");
            let mut it = one("security_file_open", "{index: 0, type: file}", &filter, view);
            let file = it.objects.nameless(&mut it.machine, view);
            call(&mut it, false, [file, 0, 0, 0, 0, 0]);
            assert_eq!(!it.reporters().is_empty(), expected, "{operator}");
        }
        let selectors = "{matchArgs: [{index: 0, operator: FileType, values: [dir]}, {index: 0, operator: Prefix, values: [/etc]}]}, \
                         {matchArgs: [{index: 0, operator: NotFileType, values: [dir]}, {index: 0, operator: Prefix, values: [/tmp]}]}";
        let mut it = one("security_path_truncate", "{index: 0, type: path}", selectors, view);
        for (path, mode, selector) in [
            ("/etc/a", 0o040_755, Some(0)),
            ("/etc/b", 0o100_644, None),
            ("/tmp/a", 0o100_644, Some(1)),
            ("/tmp/b", 0o040_755, None),
        ] {
            it.objects.file(&mut it.machine, view, path, mode);
            let object = it.objects.path(&mut it.machine, view, path);
            call(&mut it, false, [object, 0, 0, 0, 0, 0]);
            assert_eq!(it.reports().first().map(|report| report.record.selector), selector, "{path}");
        }
    }
}

#[test]
fn an_argument_that_is_not_read_leaves_no_value() {
    let view = recorded("6.12");
    let filter = "{matchArgs: [{index: 2, operator: Equal, values: ['7']}]}";
    let mut it = one("sys_mmap", "{index: 0, type: nop}, {index: 2, type: int}", filter, &view);
    call(&mut it, true, [1, 2, 7, 0, 0, 0]);
    assert_eq!(value(&mut it), 7_u64.to_le_bytes());
}

// proves: SEL-22
#[test]
fn texts_are_found_anywhere_in_strings_and_paths() {
    const MANY: &str = "[/etc/, shadow, PASSWD, a-text-of-more-than-sixteen-bytes]";
    for view in &kernels() {
        for (operator, values, subject, expected) in [
            ("SubString", "[shadow]", "/etc/shadow", true),
            ("SubString", "[shadow]", "/etc/gshadow-", true),
            ("SubString", "[Shadow]", "/etc/shadow", false),
            ("SubStringIgnCase", "[ShaDow]", "/etc/SHADOW", true),
            ("SubString", "[/etc]", "/etc", true),
            ("SubString", "[/etcetera]", "/etc", false),
            ("SubString", "[aab]", "/aaaaab", true),
            ("SubString", MANY, "/x/a-text-of-more-than-sixteen-bytes/y", true),
            ("SubString", MANY, "/passwd", false),
            ("SubStringIgnCase", MANY, "/x/passwd", true),
            ("SubString", "['[0-9]']", "/[0-9]", true),
        ] {
            let filter = format!("{{matchArgs: [{{index: 1, operator: {operator}, values: {values}}}]}}");
            let mut it = one("sys_openat", "{index: 1, type: string}", &filter, view);
            let address = it.machine.world_mut().user.string(subject);
            let registers = it.machine.world_mut().syscall_registers(257, [7, address, 0, 0, 0, 0]);
            it.call([registers, 0, 0, 0, 0, 0]);
            assert_eq!(!it.reporters().is_empty(), expected, "{operator} {values}: {subject}");
            let filter = filter.replace("index: 1", "index: 0");
            let mut it = one("security_file_open", "{index: 0, type: file}", &filter, view);
            assert_eq!(!it.open(subject).is_empty(), expected, "{operator} {values}: {subject}");
        }
        let filter = "{matchArgs: [{index: 1, operator: SubString, values: [needle]}]}";
        let mut it = one("sys_openat", "{index: 1, type: string}", filter, view);
        for (before, expected) in [(0, true), (3, true), (4000, true), (4089, true), (4092, false)] {
            let subject = format!("{}needle", "x".repeat(before));
            let address = it.machine.world_mut().user.string(&subject);
            let registers = it.machine.world_mut().syscall_registers(257, [7, address, 0, 0, 0, 0]);
            it.call([registers, 0, 0, 0, 0, 0]);
            assert_eq!(!it.reporters().is_empty(), expected, "behind {before} bytes");
        }
        // nothing of the longer string before is left behind the end of this one
        for (subject, expected) in [("a-needle", true), ("a-need", false), ("", false)] {
            let address = it.machine.world_mut().user.string(subject);
            let registers = it.machine.world_mut().syscall_registers(257, [7, address, 0, 0, 0, 0]);
            it.call([registers, 0, 0, 0, 0, 0]);
            assert_eq!(!it.reporters().is_empty(), expected, "{subject}");
        }
        let filter = "{matchArgs: [{index: 0, operator: SubString, values: ['']}]}";
        let mut it = one("security_file_open", "{index: 0, type: file}", filter, view);
        let file = it.objects.nameless(&mut it.machine, view);
        call(&mut it, false, [file, 0, 0, 0, 0, 0]);
        assert!(it.reporters().is_empty(), "what has no path matches nothing");
    }
}

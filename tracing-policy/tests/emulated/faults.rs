//! What cannot be read, has no path, or is not where one looks for it.

use bpf_probes::abi::value_flag;

use crate::kernel::recorded;
use crate::run::{Emulated, policy, resolved};

fn files<'k>(filters: &[&str], view: &'k bpf_probes::kernel::KernelView) -> Emulated<'k> {
    let policies: Vec<_> = filters
        .iter()
        .map(|filter| {
            let selector = format!("{{matchArgs: [{{index: 0, {filter}}}]}}");
            resolved(&policy("security_file_open", "{index: 0, type: file}", &selector), view)
        })
        .collect();
    Emulated::new(&policies, view)
}

// proves: ARG-21
#[test]
fn a_string_that_cannot_be_read_passes_no_filter_and_is_reported_as_an_error() {
    for view in [recorded("6.12"), recorded("5.10")] {
        let text =
            |selector: &str| resolved(&policy("sys_openat", "{index: 1, type: string}", selector), &view);
        let policies = [
            text("{matchArgs: [{index: 1, operator: NotEqual, values: [/x]}]}"),
            text("{matchArgs: [{index: 1, operator: NotPrefix, values: [/x]}]}"),
            text("{matchArgs: [{index: 1, operator: Equal, values: ['']}]}"),
            text("{}"),
        ];
        let mut it = Emulated::new(&policies, &view);
        let registers = it.machine.world_mut().syscall_registers(257, [0, 0x1234, 0, 0, 0, 0]);
        it.call([registers, 0, 0, 0, 0, 0]);
        let reports = it.reports();
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].record.layout, 103);
        let header = reports[0].values[0].0;
        assert_eq!((header.len, header.flags, header.status), (0, value_flag::ERROR, 14));
    }
}

#[test]
fn an_empty_string_is_a_string() {
    let view = recorded("6.12");
    let text = |selector: &str| resolved(&policy("sys_openat", "{index: 1, type: string}", selector), &view);
    let policies = [
        text("{matchArgs: [{index: 1, operator: NotEqual, values: [/x]}]}"),
        text("{matchArgs: [{index: 1, operator: Equal, values: ['']}]}"),
    ];
    let mut it = Emulated::new(&policies, &view);
    let empty = it.machine.world_mut().user.string("");
    let registers = it.machine.world_mut().syscall_registers(257, [0, empty, 0, 0, 0, 0]);
    it.call([registers, 0, 0, 0, 0, 0]);
    assert_eq!(it.reporters(), [0, 1]);
}

// proves: ARG-02 (string)
#[test]
fn a_string_longer_than_what_is_read_is_marked_and_one_of_full_length_is_not() {
    let view = recorded("6.12");
    let policy = resolved(&policy("sys_openat", "{index: 1, type: string}", "{}"), &view);
    let mut it = Emulated::new(&[policy], &view);
    for (length, flags) in [(4095, 0), (4096, value_flag::TRUNCATED), (9000, value_flag::TRUNCATED)] {
        let text = it.machine.world_mut().user.string("x".repeat(length));
        let registers = it.machine.world_mut().syscall_registers(257, [0, text, 0, 0, 0, 0]);
        it.call([registers, 0, 0, 0, 0, 0]);
        let header = it.reports()[0].values[0].0;
        assert_eq!((header.len, header.flags), (4095, flags), "{length}");
    }
}

// proves: SEL-30 (paths)
#[test]
fn a_file_without_a_path_passes_no_filter() {
    for view in [recorded("6.12"), recorded("5.10")] {
        let mut it = files(&["operator: NotEqual, values: [/x]", "operator: NotPostfix, values: [x]"], &view);
        let pipe = it.objects.nameless(&mut it.machine, &view);
        it.call([pipe, 0, 0, 0, 0, 0]);
        assert!(it.reporters().is_empty());
        assert_eq!(it.open("/a"), [0, 1]);
        it.call([0, 0, 0, 0, 0, 0]);
        assert!(it.reporters().is_empty());
    }
}

#[test]
fn a_short_path_does_not_end_in_what_a_longer_one_left_behind() {
    let view = recorded("6.12");
    let mut it =
        files(&["operator: Postfix, values: [/a/b/c]", "operator: NotPostfix, values: [/a/b/c]"], &view);
    assert_eq!(it.open("/x/a/b/c"), [0]);
    assert_eq!(it.open("/c"), [1]);
}

#[test]
fn an_unlinked_file_is_known_by_the_path_with_its_mark() {
    for view in [recorded("6.12"), recorded("5.10")] {
        let mut it =
            files(&["operator: Equal, values: [/a/b]", "operator: Postfix, values: ['b (deleted)']"], &view);
        assert_eq!(it.open("/a/b"), [0]);
        it.objects.unlink(&mut it.machine, &view, "/a/b");
        assert_eq!(it.open("/a/b"), [1]);
    }
}

#[test]
fn the_root_of_a_mount_is_known_by_the_name_of_its_mount_point() {
    for view in [recorded("6.12"), recorded("5.10")] {
        let mut it =
            files(&["operator: Equal, values: [/mnt/here]", "operator: Postfix, values: [/there]"], &view);
        let mount = it.objects.bind(&mut it.machine, &view, "/data/there", "/mnt/here");
        let file = it.objects.file_on(&mut it.machine, &view, mount, "/data/there");
        it.call([file, 0, 0, 0, 0, 0]);
        let reports = it.reports();
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].values[0].1, b"/mnt/here");
        assert_eq!(reports[0].record.layout, 100);
    }
}

// proves: SEL-19, SEL-20, SEL-21
#[test]
fn long_paths_and_long_values_are_compared_to_the_end() {
    let component = "c".repeat(200);
    let path = format!("/{component}/{component}/{component}/end");
    let longer = format!("{path}x");
    for view in [recorded("6.12"), recorded("5.10")] {
        let value = |operator: &str, value: &str| format!("operator: {operator}, values: ['{value}']");
        let filters = [
            value("Equal", &path),
            value("Prefix", &path),
            value("Postfix", &path),
            value("Equal", &longer),
            value("NotPrefix", &longer),
        ];
        let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
        let mut it = files(&filters, &view);
        assert_eq!(it.open(&path), [0, 1, 2, 4]);
        assert_eq!(it.open(&longer), [1, 3]);
    }
}

// proves: ARG-06 (path)
#[test]
fn a_path_argument_is_read_as_a_file_is() {
    for view in [recorded("6.12"), recorded("5.10")] {
        let filter = "{matchArgs: [{index: 0, operator: Prefix, values: [/tmp]}]}";
        let policy = resolved(&policy("security_path_truncate", "{index: 0, type: path}", filter), &view);
        let mut it = Emulated::new(&[policy], &view);
        let path = it.objects.path(&mut it.machine, &view, "/tmp/x");
        it.call([path, 0, 0, 0, 0, 0]);
        assert_eq!(it.reports()[0].values[0].1, b"/tmp/x");
    }
}

//! Tracepoints: fields of a record, and raw arguments.

use bpf_probes::emulate::Context;
use bpf_probes::kernel::{KernelView, TracepointFormat};

use crate::kernel::recorded;
use crate::run::{Emulated, resolved};

/// A format with a field of each kind; the first four are those of every tracepoint.
const FORMAT: &str = "name: event\nID: 7\nformat:\n\
    \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
    \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
    \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
    \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
    \tfield:int number;\toffset:8;\tsize:4;\tsigned:1;\n\
    \tfield:u16 port;\toffset:12;\tsize:2;\tsigned:0;\n\
    \tfield:char comm[8];\toffset:16;\tsize:8;\tsigned:0;\n\
    \tfield:__data_loc char[] filename;\toffset:24;\tsize:4;\tsigned:0;\n\
    \tfield:const char * text;\toffset:32;\tsize:8;\tsigned:0;\n\
    \tfield:long id;\toffset:40;\tsize:8;\tsigned:1;\n\n\
    print fmt: \"\"\n";

/// Where the text begins that `filename` points to.
const TEXT_AT: u32 = 0x30;

fn kernels() -> Vec<KernelView> {
    let with_formats = |folder| {
        let mut view = recorded(folder);
        for subsystem in ["made", "syscalls"] {
            view.add_tracepoint(subsystem, "up", TracepointFormat::parse(FORMAT).unwrap());
        }
        view
    };
    ["5.10", "6.12", "6.18", "7.2"].map(with_formats).into()
}

fn policy(name: &str, arguments: &str, selectors: &str) -> String {
    format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: p}}
spec:
  tracepoints:
  - {{{name}, args: [{arguments}], selectors: [{selectors}]}}
"
    )
}

fn made(arguments: &str, selectors: &str) -> String {
    policy("subsystem: made, event: up", arguments, selectors)
}

fn emulated<'k>(texts: &[String], view: &'k KernelView) -> Emulated<'k> {
    let policies: Vec<_> = texts.iter().map(|text| resolved(text, view)).collect();
    Emulated::new(&policies, view)
}

/// A record with these fields, and its text behind them.
fn record(number: i32, comm: [u8; 8], filename: &str, text: u64, id: u64) -> Context {
    let mut bytes = vec![0; 8];
    bytes.extend(number.to_le_bytes());
    bytes.extend(443_u16.to_le_bytes());
    bytes.extend([0xff; 2]);
    bytes.extend(comm);
    let len = u32::try_from(filename.len() + 1).unwrap();
    bytes.extend((TEXT_AT | len << 16).to_le_bytes());
    bytes.extend([0xff; 4]);
    bytes.extend(text.to_le_bytes());
    bytes.extend(id.to_le_bytes());
    bytes.extend(filename.bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(8) + 64, 0xff);
    Context::bytes(bytes)
}

// proves: HOOK-07 (types and indices, x86-64)
#[test]
fn fields_are_read_by_their_index_and_in_types_of_the_format() {
    for view in &kernels() {
        let arguments =
            "{index: 4}, {index: 5, type: uint64}, {index: 9, type: auto}, {index: 4, type: int64}";
        let mut it = emulated(&[made(arguments, "")], view);
        assert_eq!(it.compiled.bodies[0].target.to_string(), "tracepoint made/up");
        it.run(record(-7, *b"a\0\0\0\0\0\0\0", "f", 0, 1 << 40));
        let values: Vec<_> = it.reports().remove(0).values.into_iter().map(|(_, bytes)| bytes).collect();
        let minus_7 = (-7_i64).to_le_bytes();
        let expected = [minus_7, 443_u64.to_le_bytes(), (1_u64 << 40).to_le_bytes(), minus_7];
        assert_eq!(values, expected);
    }
}

// proves: HOOK-07 (filters)
#[test]
fn filters_on_fields_match_and_do_not_also_where_the_kernel_gives_the_type() {
    let filter = |argument: &str, operator: &str, value: &str| {
        made(argument, &format!("{{matchArgs: [{{index: 4, operator: {operator}, values: ['{value}']}}]}}"))
    };
    for view in &kernels() {
        let texts = [
            filter("{index: 4}", "Equal", "-7"),
            filter("{index: 4}", "NotEqual", "-7"),
            filter("{index: 4, type: int32}", "LessThan", "0"),
            filter("{index: 4, type: uint32}", "GT", "0"),
        ];
        let mut it = emulated(&texts, view);
        it.run(record(-7, *b"a\0\0\0\0\0\0\0", "f", 0, 0));
        assert_eq!(it.reporters(), [0, 2, 3]);
        it.run(record(7, *b"a\0\0\0\0\0\0\0", "f", 0, 0));
        assert_eq!(it.reporters(), [1, 3]);
    }
}

// proves: HOOK-07 (text), ARG-15 (data_loc)
#[test]
fn text_in_the_record_is_read_whole_and_no_further() {
    let filter = |argument: &str, operator: &str, value: &str| {
        made(argument, &format!("{{matchArgs: [{{args: [0], operator: {operator}, values: ['{value}']}}]}}"))
    };
    for view in &kernels() {
        let texts = [
            filter("{index: 6}", "Equal", "abcdefgh"),
            filter("{index: 6}", "NotEqual", "abcdefgh"),
            filter("{index: 7, type: data_loc}", "Postfix", "/su"),
            filter("{index: 7}", "NotPrefix", "/bin"),
        ];
        let mut it = emulated(&texts, view);
        it.run(record(0, *b"abcdefgh", "/bin/su", 0, 0));
        let reports = it.reports();
        assert_eq!(reports.iter().map(|report| report.record.layout - 100).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(reports[0].values[0].1, b"abcdefgh");
        assert_eq!(reports[1].values[0].1, b"/bin/su");
        it.run(record(0, *b"abc\0\0\0\0\0", "", 0, 0));
        let reports = it.reports();
        assert_eq!(reports.iter().map(|report| report.record.layout - 100).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(reports[0].values[0].1, b"abc");
        assert_eq!((reports[1].values[0].1.as_slice(), reports[1].values[0].0.flags), (b"".as_slice(), 0));
    }
}

#[test]
fn text_behind_a_pointer_is_the_kernels_or_of_a_system_call_the_users() {
    for view in &kernels() {
        let filter = "{matchArgs: [{index: 8, operator: Equal, values: [hello]}]}";
        let mut it = emulated(&[made("{index: 8}", filter)], view);
        let text = it.machine.world_mut().kernel.bytes("text", b"hello\0");
        it.run(record(0, *b"a\0\0\0\0\0\0\0", "", text, 0));
        assert_eq!(it.reporters(), [0]);
        let text = policy("subsystem: syscalls, event: up", "{index: 8, type: string}", filter);
        let mut it = emulated(&[text], view);
        let text = it.machine.world_mut().user.string("hello");
        it.run(record(0, *b"a\0\0\0\0\0\0\0", "", text, 0));
        assert_eq!(it.reporters(), [0]);
    }
}

// proves: SEL-18, HOOK-21 (numbers of 32-bit programs), POL-06 (as values)
#[test]
fn a_list_of_system_calls_is_a_value_of_their_numbers() {
    let raw = "subsystem: raw_syscalls, event: sys_enter, raw: true";
    let list = "{name: dups, type: syscalls, values: [sys_dup, x64/sys_dup2, __ia32_sys_dup, i386/sys_dup3]}";
    let with_list = |operator: &str| {
        let filter = format!(
            "{{matchArgs: [{{index: 1, operator: {operator}, values: ['list:dups', '7', '500:503']}}]}}"
        );
        policy(raw, "{index: 1, type: syscall64}", &filter)
            .replace("spec:", &format!("spec:\n  lists: [{list}]"))
    };
    for view in &kernels() {
        let mut it = emulated(&[with_list("InMap"), with_list("NotInMap")], view);
        for (number, is_32_bit, inside) in [
            (32, false, true),
            (33, false, true),
            (7, false, true),
            (500, false, true),
            (503, false, true),
            (499, false, false),
            (504, false, false),
            (292, false, false),
            (41, false, false),
            (41, true, true),
            (330, true, true),
            (32, true, false),
        ] {
            crate::kernel::from_32_bit(&mut it.machine, view, is_32_bit);
            it.run(Context::arguments(&[0, number]));
            assert_eq!(it.reporters(), [u32::from(!inside)], "{number} {is_32_bit}");
        }
    }
}

// proves: HOOK-09 (arguments), HOOK-21 (syscall64 of 64-bit programs)
#[test]
fn a_raw_tracepoint_has_its_arguments_and_a_system_call_its_number() {
    let raw = "subsystem: raw_syscalls, event: sys_enter, raw: true";
    let filter = "{matchArgs: [{index: 1, operator: Equal, values: ['59', '0x8000000b']}], matchActions: [{action: Signal, argSig: 12}]}";
    for view in &kernels() {
        let mut it = emulated(&[policy(raw, "{index: 1, type: syscall64}", filter)], view);
        assert_eq!(it.compiled.bodies[0].target.to_string(), "raw tracepoint sys_enter");
        let outcome = it.run(Context::arguments(&[0, 59]));
        assert_eq!(outcome.signals.len(), 1);
        assert_eq!(it.reports()[0].values[0].1, 59_u64.to_le_bytes());
        assert!(it.run(Context::arguments(&[0, 11])).signals.is_empty());
        assert!(it.reports().is_empty());
    }
}

// proves: HOOK-08
#[test]
fn the_size_of_a_buffer_is_another_field_or_that_of_the_array() {
    let filter = "{matchArgs: [{index: 8, operator: Prefix, values: [hel]}]}";
    for view in &kernels() {
        // the type is the kernel's to say, the size field is not among the arguments
        let text = policy("subsystem: syscalls, event: up", "{index: 8, sizeArgIndex: 10}", filter);
        let mut it = emulated(&[text], view);
        let text = it.machine.world_mut().user.string("hello world");
        it.run(record(0, *b"a\0\0\0\0\0\0\0", "", text, 5));
        let values = it.reports().remove(0).values;
        assert_eq!(values.len(), 1);
        assert_eq!(values[0].1, [5_u64.to_le_bytes().as_slice(), b"hello"].concat());
        it.run(record(0, *b"a\0\0\0\0\0\0\0", "", text, 2));
        assert!(it.reports().is_empty());
        let mut it = emulated(&[made("{index: 6, type: char_buf}", "")], view);
        it.run(record(0, *b"ab\0d\0\0\0h", "", 0, 0));
        let expected = [8_u64.to_le_bytes().as_slice(), b"ab\0d\0\0\0h"].concat();
        assert_eq!(it.reports().remove(0).values[0].1, expected);
    }
}

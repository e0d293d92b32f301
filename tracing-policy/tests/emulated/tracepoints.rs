//! Tracepoints: fields of a record, and raw arguments.

use bpf_probes::emulate::Context;
use bpf_probes::kernel::{KernelView, TracepointFormat};
use tracing_policy::diagnostic::Code;
use tracing_policy::policy::ValueKind;

use crate::kernel::{object, recorded};
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

// proves: ARG-15 (data_loc: filters), SEL-29
#[test]
fn text_in_the_record_passes_and_fails_as_its_operators_say() {
    let many: Vec<String> = (0..40).map(|number| format!("/none/{number}")).collect();
    for view in &kernels() {
        for (operator, value, hit, misses) in [
            ("Equal", "/bin/su", "/bin/su", ["/bin/s", "/bin/sudo", ""]),
            ("Prefix", "/bin/", "/bin/su", ["/bin", "/usr/bin/su", ""]),
            ("Postfix", "/su", "/usr/bin/su", ["/su/x", "su", ""]),
            ("SubString", "in/s", "/usr/bin/su", ["/usr/bin-su", "in/", ""]),
            ("SubStringIgnCase", "IN/s", "/usr/bin/SU", ["/usr/bin-su", "in/", ""]),
        ] {
            for values in [vec![value.to_owned()], [many.as_slice(), &[value.to_owned()]].concat()] {
                let filter = |operator: &str| {
                    made(
                        "{index: 7, type: data_loc}",
                        &format!("{{matchArgs: [{{index: 7, operator: {operator}, values: {values:?}}}]}}"),
                    )
                };
                let mut texts = vec![filter(operator)];
                let is_negated = !operator.starts_with("Sub");
                texts.extend(is_negated.then(|| filter(&format!("Not{operator}"))));
                let mut it = emulated(&texts, view);
                it.run(record(0, *b"abcdefgh", hit, 0, 0));
                assert_eq!(it.reporters(), [0], "{operator} {hit}");
                for miss in misses {
                    it.run(record(0, *b"abcdefgh", miss, 0, 0));
                    let expected: &[u32] = if is_negated { &[1] } else { &[] };
                    assert_eq!(it.reporters(), expected, "{operator} {miss}");
                }
            }
        }
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

/// A field: its type in the format, its size and sign, its bytes in the record; what it is read as where the policy leaves that to the kernel, and what the event
/// gets.
type FieldRow = (&'static str, bool, &'static [u8], ValueKind, &'static [u8]);

/// Minus two, and what is left of it in fewer bytes.
const FEWER: [u8; 8] = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

const FIELDS: [FieldRow; 16] = [
    ("s8", true, &[0xfe], ValueKind::Int32, &FEWER),
    ("u8", false, &[0xfe], ValueKind::Uint32, &[0xfe, 0, 0, 0, 0, 0, 0, 0]),
    ("bool", false, &[1], ValueKind::Uint32, &[1, 0, 0, 0, 0, 0, 0, 0]),
    ("short", true, &[0xfe, 0xff], ValueKind::Int32, &FEWER),
    ("__u16", false, &[0xfe, 0xff], ValueKind::Uint32, &[0xfe, 0xff, 0, 0, 0, 0, 0, 0]),
    ("int", true, &[0xfe, 0xff, 0xff, 0xff], ValueKind::Int32, &FEWER),
    ("pid_t", true, &[0xfe, 0xff, 0xff, 0xff], ValueKind::Int32, &FEWER),
    (
        "unsigned int",
        false,
        &[0xfe, 0xff, 0xff, 0xff],
        ValueKind::Uint32,
        &[0xfe, 0xff, 0xff, 0xff, 0, 0, 0, 0],
    ),
    ("enum made_up", false, &[7, 0, 0, 0], ValueKind::Uint32, &[7, 0, 0, 0, 0, 0, 0, 0]),
    ("long", true, &FEWER, ValueKind::Int64, &FEWER),
    ("unsigned long", false, &FEWER, ValueKind::Uint64, &FEWER),
    ("s64", true, &FEWER, ValueKind::Int64, &FEWER),
    ("u64", false, &FEWER, ValueKind::Uint64, &FEWER),
    ("size_t", false, &FEWER, ValueKind::Uint64, &FEWER),
    ("char[8]", false, b"abc\0defg", ValueKind::String, b"abc"),
    (
        "u32[2]",
        false,
        &[1, 0, 0, 0, 2, 0, 0, 0],
        ValueKind::Bytes,
        &[8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0],
    ),
];

/// A format with this field behind the common ones, and a record of it.
fn with_field((c_type, signed, bytes, ..): FieldRow) -> (TracepointFormat, Context) {
    let (head, _) = FORMAT.split_once("\tfield:int number").unwrap();
    let (ty, brackets) =
        c_type.split_once('[').map_or((c_type, String::new()), |(ty, rest)| (ty, format!("[{rest}")));
    let text = format!(
        "{head}\tfield:{ty} it{brackets};\toffset:8;\tsize:{};\tsigned:{};\n",
        bytes.len(),
        u8::from(signed)
    );
    let mut record = vec![0xff; 8];
    record.extend(bytes);
    record.resize(64, 0xff);
    (TracepointFormat::parse(&text).unwrap(), Context::bytes(record))
}

// proves: HOOK-07
#[test]
fn the_format_gives_each_field_its_type_and_its_index_counts_the_common_ones() {
    for folder in ["5.10", "6.12", "6.18", "7.2"] {
        for field in FIELDS {
            let (format, record) = with_field(field);
            let (c_type, _, _, kind, expected) = field;
            let mut view = recorded(folder);
            view.add_tracepoint("made", "up", format);
            let policy = resolved(&made("{index: 4}", ""), &view);
            assert_eq!(policy.hooks[0].layout.values[0].kind, kind, "{folder} {c_type}");
            let mut it = Emulated::new(&[policy], &view);
            it.run(record);
            let report = it.reports().remove(0);
            assert_eq!(report.values[0].1, expected, "{folder} {c_type}");
        }
    }
    let codes = |index: u32| {
        let text = made(&format!("{{index: {index}}}"), "");
        let errors =
            tracing_policy::read(&tracing_policy::source::SourceText::new("test", text)).unwrap_err();
        errors.iter().map(|error| error.code).collect::<Vec<_>>()
    };
    for common in 0..4 {
        // the kernel puts something else there before programs see the record
        assert_eq!(codes(common), [Code::ArgumentIndex]);
    }
}

// proves: HOOK-09
#[test]
fn a_path_leads_from_an_argument_of_a_raw_tracepoint() {
    let raw = "subsystem: sched, event: sched_process_exec, raw: true";
    let arguments = "{index: 0, btfType: task_struct, resolve: tgid}, {index: 1, type: int32}, {index: 2, btfType: linux_binprm, resolve: file}, {index: 2, btfType: linux_binprm, resolve: argc}";
    let filter = "{matchArgs: [{args: [2], operator: Postfix, values: [/su]}, {args: [0], operator: GT, values: ['40']}], matchActions: [{action: Signal, argSig: 12}]}";
    for view in &kernels() {
        let policy = resolved(&policy(raw, arguments, filter), view);
        let mut it = Emulated::new(&[policy], view);
        assert_eq!(it.compiled.bodies[0].target.to_string(), "raw tracepoint sched_process_exec");
        for (path, tgid, matches) in [("/bin/su", 42, true), ("/bin/ls", 42, false), ("/bin/su", 40, false)] {
            let task = object(&mut it.machine, view, "task_struct", &[("tgid", tgid)]);
            let file = it.objects.file(&mut it.machine, view, path, 0o104_755);
            let bprm = object(&mut it.machine, view, "linux_binprm", &[("file", file), ("argc", 3)]);
            let outcome = it.run(Context::arguments(&[task, 7, bprm]));
            assert_eq!(outcome.signals.len(), usize::from(matches), "{path} {tgid}");
            let reports = it.reports();
            assert_eq!(reports.len(), usize::from(matches));
            for report in reports {
                let values: Vec<&[u8]> = report.values.iter().map(|(_, bytes)| &**bytes).collect();
                let numbers = [42_u64, 7, 3].map(u64::to_le_bytes);
                assert_eq!(values, [&numbers[0][..], &numbers[1], b"/bin/su", &numbers[2]]);
            }
        }
        // what cannot be reached passes no filter
        let outcome = it.run(Context::arguments(&[0xdead_0000, 7, 0xdead_0000]));
        assert_eq!((outcome.signals.len(), it.reports().len()), (0, 0));
    }
}

// proves: ARG-16, HOOK-21 (syscall64 of 32-bit programs)
#[test]
fn a_system_call_of_a_32_bit_program_has_a_bit_that_says_so() {
    let raw = "subsystem: raw_syscalls, event: sys_enter, raw: true";
    let equal = |number: &str| {
        let filter = format!("{{matchArgs: [{{index: 1, operator: Equal, values: ['{number}']}}]}}");
        policy(raw, "{index: 1, type: syscall64}", &filter)
    };
    for view in &kernels() {
        let mut it = emulated(
            &[equal("11"), equal("0x8000000b"), policy(raw, "{index: 1, type: syscall64}", "")],
            view,
        );
        for (is_32_bit, value, reporters) in [(false, 11_u64, [0, 2]), (true, 0x8000_000b, [1, 2])] {
            crate::kernel::from_32_bit(&mut it.machine, view, is_32_bit);
            it.run(Context::arguments(&[0, 11]));
            let reports = it.reports();
            assert_eq!(
                reports.iter().map(|report| report.record.layout - 100).collect::<Vec<_>>(),
                reporters
            );
            assert!(reports.iter().all(|report| report.values[0].1 == value.to_le_bytes()));
        }
        let kinds = resolved(&equal("11"), view).hooks[0].layout.values.clone();
        assert_eq!(kinds[0].kind, ValueKind::Syscall);
    }
}

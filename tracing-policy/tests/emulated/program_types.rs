//! What is reached from arguments of programs, through types that a file of the policy has.

use bpf_probes::abi::value_flag;
use bpf_probes::attach::FileId;
use bpf_probes::btf::{BtfWriter, IntEncoding, Linkage, WriteMember};
use bpf_probes::emulate::{Context, Registers};
use bpf_probes::kernel::KernelView;
use tracing_policy::diagnostic::Code;
use tracing_policy::files::{Binaries, BinaryFile};
use tracing_policy::policy::Resolved;
use tracing_policy::source::SourceText;

use crate::image::{CODE, Image, Symbol, note, words};
use crate::kernel::recorded;
use crate::run::Emulated;
use crate::uprobes::kernels;

const TEXT: u64 = 0x40_1000;

/// `struct inner { int code; char tag[8]; }`, `struct message { unsigned long id; struct inner *inner; char *text; struct file *file; }`, and functions
/// `struct message *handle(int, struct message *)`.
fn types() -> Vec<u8> {
    let mut btf = BtfWriter::new();
    let int = btf.int("int", 4, IntEncoding::Signed).unwrap();
    let long = btf.int("unsigned long", 8, IntEncoding::Unsigned).unwrap();
    let char = btf.int("char", 1, IntEncoding::Char).unwrap();
    let tag = btf.array(char, int, 8).unwrap();
    let member = |name, type_id, offset| WriteMember { name, type_id, offset };
    let inner = btf.structure("inner", 12, &[member("code", int, 0), member("tag", tag, 4)]).unwrap();
    let inner = btf.pointer(inner).unwrap();
    let text = btf.pointer(char).unwrap();
    let file = btf.structure("file", 8, &[member("number", long, 0)]).unwrap();
    let file = btf.pointer(file).unwrap();
    let members = [
        member("id", long, 0),
        member("inner", inner, 8),
        member("text", text, 16),
        member("file", file, 24),
    ];
    let message = btf.structure("message", 32, &members).unwrap();
    let message = btf.pointer(message).unwrap();
    let prototype = btf.prototype(message, &[("", int), ("", message)]).unwrap();
    btf.function("handle", prototype, Linkage::Global).unwrap();
    btf.finish()
}

fn file(inode: u64, path: &str, bytes: Vec<u8>) -> BinaryFile {
    BinaryFile { id: FileId { device: 7, inode }, path: path.to_owned(), bytes: bytes.into(), hold: None }
}

/// A program with the function `handle` and a static probe that passes a message; it carries its types.
fn program() -> BinaryFile {
    let content = [words(&[TEXT + 0x20, 0, 0]), b"app\0run\08@%r12 4@%eax\0".to_vec()].concat();
    let bytes = Image::default()
        .loaded(TEXT, CODE, vec![0x90; 0x400])
        .symbols(2, &[Symbol::function("handle", TEXT + 0x10)])
        .section(".note.stapsdt", 7, 0, 0, note(b"stapsdt\0", 3, &content))
        .section(".BTF", 1, 0, 0, types())
        .build();
    file(9, "/bin/app", bytes)
}

fn resolve(view: &KernelView, section: &str, hook: &str) -> Result<Resolved, Vec<(Code, String)>> {
    let text = format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec:\n  {section}:\n  - {{path: /bin/app, {hook}}}\n"
    );
    let told = |errors: Vec<tracing_policy::diagnostic::Diagnostic>| {
        errors.into_iter().map(|error| (error.code, error.message)).collect::<Vec<_>>()
    };
    let (policy, _) = tracing_policy::read(&SourceText::new("test", text)).map_err(told)?;
    let mut opened: Vec<&str> = policy.binaries().collect();
    opened.sort_unstable();
    let mut binaries = Binaries::none();
    for path in opened {
        let found = match path {
            "/bin/app" => Ok(program()),
            "/types" => Ok(file(10, "/types", types())),
            "/text" => Ok(file(11, "/text", b"no types".to_vec())),
            other => Err(format!("{other}: No such file")),
        };
        binaries.insert(path, found);
    }
    tracing_policy::resolve_in(policy, view, &binaries).map_err(told)
}

/// A message in the memory of the program: id 77, code -5, tag `ab`, text `hello`.
fn message(it: &mut Emulated<'_>) -> u64 {
    let user = &mut it.machine.world_mut().user;
    let text = user.string("hello");
    let inner = [&(-5_i32).to_le_bytes()[..], b"ab\0\0\0\0\0\0"].concat();
    let inner = user.bytes("inner", &inner);
    user.bytes("message", &words(&[77, inner, text, 3]))
}

const REACHED: &str = "args: [{index: 1, btfType: message, resolve: id}, {index: 1, btfType: message, resolve: inner.code}, {index: 1, btfType: message, resolve: inner.tag}, {index: 1, btfType: message, resolve: text}, {index: 0, type: int}]";

// proves: ARG-17 (types of programs)
#[test]
fn fields_of_a_programs_structs_are_reached_and_filtered_by_their_types() {
    for view in &kernels() {
        for types in ["/types", "/bin/app"] {
            let filter = "selectors: [{matchArgs: [{args: [1], operator: LT, values: ['0']}, {args: [2], operator: Prefix, values: [a]}]}]";
            let hook = format!("btfPath: {types}, offsets: [0x80], {REACHED}, {filter}");
            let mut it = Emulated::new(&[resolve(view, "uprobes", &hook).unwrap()], view);
            let message = message(&mut it);
            it.call([1, message, 0, 0, 0, 0]);
            let values: Vec<_> = it.reports().remove(0).values.into_iter().map(|(_, bytes)| bytes).collect();
            let numbers = [77, (-5_i64).cast_unsigned(), 1].map(u64::to_le_bytes);
            let expected: [&[u8]; 5] = [&numbers[0], &numbers[1], b"ab", b"hello", &numbers[2]];
            assert_eq!(values, expected, "{}", view.release());
            // what is not there is an error and matches nothing
            it.call([1, 0, 0, 0, 0, 0]);
            assert!(it.reports().is_empty());
        }
    }
}

#[test]
fn what_cannot_be_reached_in_a_program_is_an_error_of_that_argument() {
    for view in &kernels() {
        let hook = format!("btfPath: /types, offsets: [0x80], {REACHED}");
        let mut it = Emulated::new(&[resolve(view, "uprobes", &hook).unwrap()], view);
        let broken = it.machine.world_mut().user.bytes("broken", &words(&[78, 1, 0, 0]));
        it.call([1, broken, 0, 0, 0, 0]);
        let report = it.reports().remove(0);
        let errors: Vec<_> =
            report.values.iter().map(|(header, _)| header.flags & value_flag::ERROR != 0).collect();
        assert_eq!(errors, [false, true, true, true, false], "{}", view.release());
    }
}

#[test]
fn a_function_that_the_types_know_needs_no_other_type_and_a_probe_passes_pointers_too() {
    for view in &kernels() {
        let by_name = "btfPath: /bin/app, symbols: [handle], args: [{index: 1, resolve: id}]";
        let mut it = Emulated::new(&[resolve(view, "uprobes", by_name).unwrap()], view);
        let first = message(&mut it);
        it.call([1, first, 0, 0, 0, 0]);
        assert_eq!(it.reports().remove(0).values[0].1, 77_u64.to_le_bytes());
        let probe = "btfPath: /bin/app, provider: app, name: run, args: [{index: 0, btfType: message, resolve: inner.code}]";
        let mut it = Emulated::new(&[resolve(view, "usdts", probe).unwrap()], view);
        let r12 = message(&mut it);
        it.run(Context::registers(Registers { r12, ..Registers::default() }));
        assert_eq!(it.reports().remove(0).values[0].1, (-5_i64).to_le_bytes());
    }
}

#[test]
fn what_a_program_returned_is_followed_too() {
    let view = recorded("6.12");
    let asked =
        "btfPath: /bin/app, symbols: [handle], return: true, returnArg: {index: 0, resolve: inner.code}";
    let policy = resolve(&view, "uprobes", asked).unwrap();
    let mut it = Emulated::new(&[policy], &view);
    let ax = message(&mut it);
    let sp = crate::returns::STACK;
    crate::returns::run(&mut it, false, |_| Context::registers(Registers { sp, ..Registers::default() }));
    crate::returns::run(&mut it, true, |_| {
        Context::registers(Registers { sp: sp + 8, ax, ..Registers::default() })
    });
    let halves = crate::returns::halves(&mut it);
    assert_eq!(halves[1].values[0], (-5_i64).to_le_bytes());
}

#[test]
fn what_the_types_of_a_program_do_not_have_is_refused_with_the_reason() {
    let view = recorded("6.12");
    let place = "offsets: [0x80]";
    let of = |hook: &str| resolve(&view, "uprobes", hook).unwrap_err();
    let argument = |rest: &str| format!("{place}, args: [{{index: 1, {rest}}}]");
    let cases = [
        (argument("btfType: message, resolve: id"), Code::ArgumentType, "types of the program are not known"),
        (
            format!("btfPath: /types, {}", argument("btfType: massage, resolve: id")),
            Code::PrototypeMismatch,
            "no struct `massage`",
        ),
        (
            format!("btfPath: /types, {}", argument("btfType: message, resolve: number")),
            Code::PrototypeMismatch,
            "number",
        ),
        (
            format!("btfPath: /types, {}", argument("resolve: id")),
            Code::PrototypeMismatch,
            "do not say what this argument points to",
        ),
        (format!("btfPath: /gone, {place}"), Code::BadFile, "/gone: No such file"),
        (format!("btfPath: /text, {place}"), Code::BadFile, "/text: "),
        // it has the name of an object of the kernel, and is none
        (
            format!("btfPath: /types, {}", argument("btfType: message, resolve: file")),
            Code::ArgumentType,
            "no type can be derived",
        ),
    ];
    for (hook, code, words) in cases {
        let errors = of(&hook);
        assert!(
            errors.len() == 1 && errors[0].0 == code && errors[0].1.contains(words),
            "{hook}: {errors:?}"
        );
    }
    let narrow =
        "btfPath: /types, provider: app, name: run, args: [{index: 1, btfType: message, resolve: id}]";
    assert_eq!(resolve(&view, "usdts", narrow).unwrap_err()[0].0, Code::PrototypeMismatch);
}

//! Functions and types of a kernel's module, and what is reached from what a function returns.

use std::sync::Arc;

use bpf_probes::abi::{ValueHeader, value_flag};
use bpf_probes::btf::{Btf, Kind};
use bpf_probes::emulate::{Context, Outcome, Registers};
use bpf_probes::kernel::KernelView;
use bpf_probes::spec::AttachSpec;
use tracing_policy::diagnostic::Code;
use tracing_policy::source::SourceText;

use crate::copies::halves;
use crate::kernel::{recorded, set_text};
use crate::returns::{STACK, left, lost, run};
use crate::run::{Base, Emulated, resolved};

/// Bytes of the module's own `struct ovl_made`.
const SIZE: usize = 40;

/// Types of a module, whose numbers and strings go on where the kernel's end.
struct Writer<'k> {
    kernel: &'k Arc<Btf>,
    types: Vec<u32>,
    strings: Vec<u8>,
    next: u32,
}

impl<'k> Writer<'k> {
    fn new(kernel: &'k Arc<Btf>) -> Self {
        Self { kernel, types: Vec::new(), strings: Vec::new(), next: kernel.end_id() }
    }

    fn string(&mut self, text: &str) -> u32 {
        let base = u32::from_le_bytes(self.kernel.bytes()[20..24].try_into().unwrap());
        let at = base + u32::try_from(self.strings.len()).unwrap();
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        at
    }

    /// A type of that kind: what stands in its third word, and what follows.
    fn add(&mut self, name: &str, kind: u32, count: usize, third: u32, rest: &[u32]) -> u32 {
        let name = if name.is_empty() { 0 } else { self.string(name) };
        self.types.extend([name, kind << 24 | u32::try_from(count).unwrap(), third]);
        self.types.extend(rest);
        self.next += 1;
        self.next - 1
    }

    fn pointer(&mut self, to: u32) -> u32 {
        self.add("", 2, 0, to, &[])
    }

    fn function(&mut self, name: &str, returns: u32, parameters: &[(&str, u32)]) {
        let rest: Vec<u32> = parameters.iter().flat_map(|(name, ty)| [self.string(name), *ty]).collect();
        let prototype = self.add("", 13, parameters.len(), returns, &rest);
        self.add(name, 12, 0, prototype, &[]);
    }

    fn finish(self) -> Btf {
        let len = |words: usize| u32::try_from(words).unwrap();
        let (types, strings) = (len(4 * self.types.len()), len(self.strings.len()));
        let header = [0x0001_eb9f, 24, 0, types, types, strings];
        let words = header.into_iter().chain(self.types).flat_map(u32::to_le_bytes);
        Btf::parse_module(words.chain(self.strings).collect(), self.kernel).unwrap()
    }
}

/// The types of a module with a struct of its own and functions on it.
fn types(kernel: &Arc<Btf>) -> Btf {
    let of_kernel = |kind, name| kernel.find(kind, name).unwrap().get();
    let (int, char) = (of_kernel(Kind::Int, "int"), of_kernel(Kind::Int, "char"));
    let (long, file) = (of_kernel(Kind::Int, "long unsigned int"), of_kernel(Kind::Struct, "file"));
    let mut it = Writer::new(kernel);
    let file = it.pointer(file);
    let name = it.add("", 3, 0, 0, &[char, int, 16]);
    // the struct is the type behind the pointer to it
    let made = it.next + 1;
    let pointer = it.pointer(made);
    let members = [("upper", file, 0), ("name", name, 8), ("mode", int, 24), ("next", pointer, 32)];
    let rest: Vec<u32> = members.iter().flat_map(|(name, ty, at)| [it.string(name), *ty, 8 * at]).collect();
    assert_eq!(it.add("ovl_made", 4, members.len(), u32::try_from(SIZE).unwrap(), &rest), made);
    it.function("ovl_find", pointer, &[("from", pointer), ("length", long)]);
    it.function("ovl_read", pointer, &[("from", pointer), ("length", int)]);
    it.function("ovl_count", int, &[("from", pointer)]);
    it.finish()
}

/// The kernels where functions can be hooked, with the module.
fn kernels() -> [KernelView; 4] {
    ["5.10", "6.1", "6.12", "7.2"].map(|folder| {
        let mut view = recorded(folder);
        let types = types(view.btf());
        view.add_module("overlay", Arc::new(types));
        view.add_functions(&["ovl_find", "ovl_read", "ovl_count"].map(str::to_owned));
        view
    })
}

fn policy(section: &str, call: &str, fields: &str) -> String {
    format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec:\n  {section}:\n  - {{call: {call}, syscall: false, {fields}}}\n"
    )
}

fn emulated<'k>(call: &str, fields: &str, base: &Base<'k>) -> Emulated<'k> {
    base.load(&[resolved(&policy("kprobes", call, fields), base.view)])
}

/// What is wrong with a policy.
fn codes(call: &str, fields: &str, view: &KernelView) -> Vec<Code> {
    let text = policy("kprobes", call, fields);
    let (policy, _warnings) = tracing_policy::read(&SourceText::new("test", text)).unwrap();
    let refused = tracing_policy::resolve(policy, view).err();
    refused.into_iter().flatten().map(|error| error.code).collect()
}

/// A `struct ovl_made` of that name, and another behind it.
fn made(it: &mut Emulated<'_>, name: &str, mode: i32, next: u64) -> u64 {
    let file = it.objects.file(&mut it.machine, it.view, &format!("/upper/{name}"), 0o100_600);
    let mut bytes = vec![0; SIZE];
    bytes[..8].copy_from_slice(&file.to_le_bytes());
    bytes[8..8 + name.len()].copy_from_slice(name.as_bytes());
    bytes[24..28].copy_from_slice(&mode.to_le_bytes());
    bytes[32..].copy_from_slice(&next.to_le_bytes());
    it.machine.world_mut().kernel.bytes("ovl_made", &bytes)
}

fn number(number: i64) -> (u16, Vec<u8>) {
    (0, number.to_le_bytes().to_vec())
}

fn shown(values: &[(ValueHeader, Vec<u8>)]) -> Vec<(u16, Vec<u8>)> {
    values.iter().map(|(header, bytes)| (header.flags, bytes.clone())).collect()
}

// proves: HOOK-19 (emulated), ARG-18 (a module's types)
#[test]
fn arguments_of_a_modules_function_are_reached_through_the_modules_types() {
    let own = "args: [{index: 0, type: int, resolve: next.upper}, {index: 0, resolve: name}, {index: 0, resolve: next.mode}]";
    let named = "args: [{index: 0, type: int, resolve: next.upper, btfType: ovl_made, btfTypeModule: overlay}, \
        {index: 0, resolve: name, btfType: ovl_made, btfTypeModule: overlay}, \
        {index: 0, resolve: next.mode, btfType: ovl_made, btfTypeModule: overlay}]";
    for view in &kernels() {
        let base = Base::of(view);
        // a function of the kernel gets the module's objects as what they are not
        for (call, fields) in [("ovl_find", own), ("ovl_find", named), ("security_bprm_check", named)] {
            for (filter, passes) in [
                ("", true),
                ("args: [0], operator: Prefix, values: [/upper/]", true),
                ("args: [0], operator: NotPrefix, values: [/upper/]", false),
                ("args: [1], operator: Equal, values: [first]", true),
                ("args: [2], operator: GT, values: ['-8']", true),
                ("args: [2], operator: Equal, values: ['7']", false),
            ] {
                let matches =
                    if filter.is_empty() { String::new() } else { format!("matchArgs: [{{{filter}}}]") };
                let fields = format!("{fields}, selectors: [{{{matches}}}]");
                let mut it = emulated(call, &fields, &base);
                let second = made(&mut it, "second", -7, 0);
                let first = made(&mut it, "first", 5, second);
                it.call([first, 0, 0, 0, 0, 0]);
                let values: Vec<_> = it.reports().iter().flat_map(|it| shown(&it.values)).collect();
                let path = (0, b"/upper/second".to_vec());
                let all = vec![path, (0, b"first".to_vec()), number(-7)];
                assert_eq!(values, if passes { all } else { Vec::new() }, "{call} {filter}");
            }
        }
    }
}

// proves: HOOK-19 (refusals), ARG-18 (a module's types: refusals)
#[test]
fn what_a_module_does_not_have_is_refused_with_its_place() {
    for view in &kernels() {
        for (call, fields, expected) in [
            ("ovl_find", "args: [{index: 0, type: int, resolve: none}]", Code::PrototypeMismatch),
            ("ovl_find", "args: [{index: 2, type: int}]", Code::BeyondPrototype),
            ("ovl_find", "args: [{index: 0, type: file}]", Code::PrototypeMismatch),
            ("ovl_find", "return: true, returnArg: {index: 0, type: file}", Code::PrototypeMismatch),
            ("ovl_none", "args: [{index: 0, type: int}]", Code::NoSuchFunction),
            ("ovl_none", "args: [{index: 0, resolve: mode}]", Code::NoSuchFunction),
            ("ovl_none", "return: true, returnArg: {index: 0, resolve: mode}", Code::NoSuchFunction),
            (
                "ovl_find",
                "args: [{index: 0, type: int, resolve: mode, btfType: ovl_made}]",
                Code::NotOnThisKernel,
            ),
            (
                "ovl_find",
                "args: [{index: 0, type: int, resolve: mode, btfType: ovl_made, btfTypeModule: xfs}]",
                Code::NotOnThisKernel,
            ),
        ] {
            assert_eq!(codes(call, fields, view), [expected], "{call}: {fields}");
        }
    }
}

/// Runs a call of `function` with these arguments to its end.
fn call(it: &mut Emulated<'_>, arguments: [u64; 2], returned: u64) -> Outcome {
    let [first, second] = arguments;
    run(it, false, |target| {
        assert!(matches!(target, AttachSpec::Kprobe { .. }), "{target}");
        Context::registers(Registers { sp: STACK, ..Registers::call([first, second, 0, 0, 0, 0]) })
    });
    run(it, true, |target| {
        assert!(matches!(target, AttachSpec::Kretprobe { .. }), "{target}");
        Context::registers(Registers { sp: STACK + 8, ax: returned, ..Registers::default() })
    })
}

// proves: ARG-17 (returnArg), ARG-18 (returnArg), HOOK-02 (returnArg: resolve)
#[test]
fn a_value_is_reached_from_what_a_function_returns_and_filtered() {
    let none = || (value_flag::ERROR, Vec::new());
    for view in &kernels() {
        let base = Base::of(view);
        for (fields, operator, expected) in [
            ("type: int, resolve: next.mode", "operator: Equal, values: ['-7']", number(-7)),
            ("resolve: next.mode", "operator: LT, values: ['-6']", number(-7)),
            ("type: string, resolve: name", "operator: Equal, values: [first]", (0, b"first".to_vec())),
            ("resolve: upper", "operator: Postfix, values: [/first]", (0, b"/upper/first".to_vec())),
            (
                "resolve: name, btfType: ovl_made, btfTypeModule: overlay",
                "operator: Prefix, values: [fi]",
                (0, b"first".to_vec()),
            ),
        ] {
            for (is_not, returns) in [(false, true), (true, true), (false, false), (true, false)] {
                let operator = if !is_not {
                    operator.to_owned()
                } else if operator.contains("LT") {
                    "operator: GT, values: ['-7']".to_owned()
                } else {
                    operator.replace("operator: ", "operator: Not")
                };
                let fields = format!(
                    "return: true, returnArg: {{index: 0, {fields}}}, selectors: [{{matchReturnArgs: [{{index: 0, {operator}}}]}}]"
                );
                let mut it = emulated("ovl_find", &fields, &base);
                let second = made(&mut it, "second", -7, 0);
                let first = made(&mut it, "first", 5, second);
                call(&mut it, [first, 0], if returns { first } else { 8 });
                let [_, values] = halves(&mut it);
                let expected = if returns && !is_not { vec![expected.clone()] } else { Vec::new() };
                assert_eq!(shown(&values), expected, "{fields}");
            }
        }
        // what is not there is an error of that value
        let mut it =
            emulated("ovl_find", "return: true, returnArg: {index: 0, type: int, resolve: next.mode}", &base);
        let alone = made(&mut it, "alone", 5, 0);
        for returned in [0, 8, alone] {
            call(&mut it, [alone, 0], returned);
            assert_eq!(shown(&halves(&mut it)[1]), [none()]);
        }
        // a number of a function leads nowhere, unless the policy says where
        let fields = "return: true, returnArg: {index: 0, type: int, resolve: mode}";
        assert_eq!(codes("ovl_count", fields, view), [Code::PrototypeMismatch]);
        let fields =
            "return: true, returnArg: {index: 0, resolve: mode, btfType: ovl_made, btfTypeModule: overlay}";
        let mut it = emulated("ovl_count", fields, &base);
        let alone = made(&mut it, "alone", 5, 0);
        call(&mut it, [alone, 0], alone);
        assert_eq!(shown(&halves(&mut it)[1]), [number(5)]);
    }
}

// proves: ARG-02 (returnArg: sizeArgIndex)
#[test]
fn a_buffer_that_is_returned_has_the_size_that_the_entry_says() {
    let fields = "return: true, returnArg: {index: 0, type: char_buf, sizeArgIndex: 2}";
    let long = [vec![b'a'; 4000], vec![b'b'; 1000]].concat();
    for view in &kernels() {
        let base = Base::of(view);
        for (function, size, whole, expected) in [
            ("ovl_find", 5, 5, Some("aaaaa")),
            ("ovl_find", 0, 0, Some("")),
            ("ovl_find", 5000, 5000, None),
            ("ovl_read", 3, 3, Some("aaa")),
            ("ovl_read", 0xffff_0000_0000_0002, 2, Some("aa")),
        ] {
            let mut it = emulated(function, fields, &base);
            let at = it.machine.world_mut().kernel.bytes("buffer", &long);
            call(&mut it, [0, size], at);
            assert_eq!((left(&it), lost(&it)), (0, 0), "nothing stays behind");
            let [entry, returned] = halves(&mut it);
            assert!(entry.is_empty(), "the size is not reported");
            let expected = expected.map_or(&long[..4095], str::as_bytes);
            let flags = if whole > 4095 { value_flag::TRUNCATED } else { 0 };
            let bytes = [&u64::to_le_bytes(whole), expected].concat();
            assert_eq!(shown(&returned), [(flags, bytes)], "{function} {size}");
        }
        // what is no address, or of no size, is an error
        let mut it = emulated("ovl_read", fields, &base);
        let at = it.machine.world_mut().kernel.bytes("buffer", &long);
        for (size, returned) in [(4, 0), (4, (-12_i64).cast_unsigned()), (u64::from(u32::MAX), at)] {
            call(&mut it, [0, size], returned);
            assert_eq!(shown(&halves(&mut it)[1]), [(value_flag::ERROR, Vec::new())], "{size} {returned}");
        }
    }
}

// proves: SEL-04 (buffers), ACT-12 (buffers)
#[test]
fn a_returned_buffer_is_filtered_also_where_the_entry_is_not_reported() {
    for view in &kernels() {
        let base = Base::of(view);
        for (operator, passes) in [("Equal", true), ("NotEqual", false), ("SubString", true)] {
            let fields = format!(
                "return: true, returnArg: {{index: 0, type: char_buf, sizeArgIndex: 2}}, \
                 selectors: [{{matchActions: [{{action: NoPost}}], matchReturnArgs: [{{index: 0, operator: {operator}, values: [abc]}}], \
                 matchReturnActions: [{{action: Signal, argSig: 10}}]}}]"
            );
            let mut it = emulated("ovl_find", &fields, &base);
            let at = it.machine.world_mut().kernel.bytes("buffer", b"abcdef");
            let outcome = call(&mut it, [0, 3], at);
            assert_eq!((outcome.signals.len(), left(&it)), (usize::from(passes), 0), "{operator}");
        }
    }
}

// proves: ARG-04 (data), ARG-19 (returnCopy)
#[test]
fn a_buffer_that_data_lead_to_is_read_when_the_call_has_filled_it() {
    for view in &kernels() {
        let base = Base::of(view);
        for source in ["source: pt_regs, resolve: rsi", "source: pt_regs, resolve: rdi"] {
            let fields =
                format!("data: [{{index: 0, type: char_buf, returnCopy: true, {source}, label: filled}}]");
            let mut it = emulated("ovl_count", &fields, &base);
            let kernel = it.machine.world_mut().kernel.bytes("buffer", b"of the kernel");
            let user = it.machine.world_mut().user.bytes("buffer", b"of a program");
            for (at, returned, expected) in
                [(kernel, 6, "of the"), (user, 4, "of a"), (user, u64::from(u32::MAX), ""), (user, 0, "")]
            {
                call(&mut it, [at, at], returned);
                let [entry, values] = halves(&mut it);
                assert!(entry.is_empty());
                let whole = if expected.is_empty() { 0 } else { returned };
                let bytes = [&whole.to_le_bytes(), expected.as_bytes()].concat();
                assert_eq!(shown(&values), [(0, bytes)], "{source}");
            }
            call(&mut it, [8, 8], 4);
            assert_eq!(shown(&halves(&mut it)[1]), [(value_flag::ERROR, Vec::new())]);
        }
        // what the task holds, read after the call
        let fields =
            "data: [{index: 0, type: char_buf, source: current_task, resolve: comm, returnCopy: true}]";
        let mut it = emulated("ovl_count", fields, &base);
        let comm = (it.machine.world().task.address, "task_struct", "comm");
        set_text(&mut it.machine, view, comm, "before");
        run(&mut it, false, |_| Context::registers(Registers { sp: STACK, ..Registers::default() }));
        set_text(&mut it.machine, view, comm, "afterwards");
        run(&mut it, true, |_| {
            Context::registers(Registers { sp: STACK + 8, ax: 5, ..Registers::default() })
        });
        let [_, values] = halves(&mut it);
        assert_eq!(shown(&values), [(0, [&5_u64.to_le_bytes()[..], b"after"].concat())]);
    }
}

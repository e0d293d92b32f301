//! Buffers that a call fills: found at its entry, read when it returns, as far as it says.

use bpf_probes::abi::{Counter, RecordKind, ValueHeader, map_name, value_flag};
use bpf_probes::emulate::{Context, Outcome, Registers};
use bpf_probes::kernel::KernelView;
use bpf_probes::spec::AttachSpec;
use tracing_policy::policy::Role;
use zerocopy::FromBytes;

use crate::kernel::{on_stack, recorded};
use crate::returns::STACK;
use crate::run::{Emulated, resolved};

/// `sys_read`, `sys_readv`
const CALLS: [u64; 2] = [0, 19];

/// A policy whose buffer is the second argument; the third is reported too.
fn policy(call: &str, ty: &str, more: &str) -> String {
    let syscall = call.starts_with("sys_");
    format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: p}}
spec:
  kprobes:
  - call: {call}
    syscall: {syscall}
    args:
    - {{index: 0, type: int}}
    - {{index: 1, type: {ty}, returnCopy: true, sizeArgIndex: 3}}
    - {{index: 2, type: size_t}}
{more}"
    )
}

const RETURNED: &str = "    return: true\n    returnArg: {index: 0, type: long}\n";

fn run(it: &mut Emulated<'_>, is_return: bool, context: impl FnOnce(&AttachSpec) -> Context) -> Outcome {
    let body = it.compiled.bodies.iter().find(|body| (body.role == Role::Return) == is_return).unwrap();
    let context = context(&body.target);
    it.machine.load(&body.collection).unwrap();
    it.run(context)
}

fn enter(it: &mut Emulated<'_>, number: u64, arguments: [u64; 6]) {
    let registers = on_stack(&mut it.machine, it.view, number, arguments);
    run(it, false, |target| {
        let is_call = target.to_string().contains("__x64_sys_");
        if matches!(target, AttachSpec::RawTracepoint { .. }) {
            Context::arguments(&[registers, number])
        } else if let AttachSpec::Kprobe { .. } = target {
            let of_call = Registers::call([registers, 0, 0, 0, 0, 0]);
            let of_function = Registers { sp: STACK, ..Registers::call(arguments) };
            Context::registers(if is_call { of_call } else { of_function })
        } else {
            Context::arguments(&if is_call { [registers, 0, 0, 0, 0, 0] } else { arguments })
        }
    });
}

fn leave(it: &mut Emulated<'_>, number: u64, value: i64) {
    let registers = on_stack(&mut it.machine, it.view, number, [0; 6]);
    let (value, view) = (value.cast_unsigned(), it.view);
    run(it, true, |target| {
        if let AttachSpec::Fexit { function } = target {
            let prototype = view.btf().prototype(view.function_btf(function).unwrap()).unwrap();
            let mut arguments = vec![0; prototype.parameters().len()];
            arguments.push(value);
            Context::arguments(&arguments)
        } else if matches!(target, AttachSpec::RawTracepoint { .. }) {
            Context::arguments(&[registers, value])
        } else {
            Context::registers(Registers { sp: STACK + 8, ax: value, ..Registers::default() })
        }
    });
}

/// Each value of a record: its header and its bytes.
pub(crate) type Values = Vec<(ValueHeader, Vec<u8>)>;

/// The values of the two records of a call.
pub(crate) fn halves(it: &mut Emulated<'_>) -> [Values; 2] {
    let mut halves = [Vec::new(), Vec::new()];
    for record in it.machine.ring_mut(map_name::EVENTS).unwrap().drain() {
        assert_eq!(record.unwritten, 0);
        let (hook, mut rest) = bpf_probes::abi::HookRecord::read_from_prefix(&record.bytes).unwrap();
        let is_return = RecordKind::from_number(hook.header.kind) == Some(RecordKind::Return);
        for _ in 0..hook.values {
            let (header, tail) = ValueHeader::read_from_prefix(rest).unwrap();
            let length = header.len as usize;
            let padded = length.next_multiple_of(8);
            assert!(tail[length..padded].iter().all(|byte| *byte == 0), "padding is zero");
            halves[usize::from(is_return)].push((header, tail[..length].to_vec()));
            rest = &tail[padded..];
        }
        assert!(rest.is_empty());
    }
    halves
}

/// The last value of the return: how much there was and what was read, or why nothing.
fn filled(it: &mut Emulated<'_>) -> Result<(u64, Vec<u8>, bool), u16> {
    let [_, mut returned] = halves(it);
    let (header, bytes) = returned.pop().unwrap();
    if header.flags & value_flag::ERROR != 0 {
        return Err(header.status);
    }
    let (whole, rest) = bytes.split_first_chunk().unwrap();
    Ok((u64::from_le_bytes(*whole), rest.to_vec(), header.flags & value_flag::TRUNCATED != 0))
}

fn emulated<'k>(text: &str, view: &'k KernelView) -> Emulated<'k> {
    Emulated::new(&[resolved(text, view)], view)
}

fn left(it: &Emulated<'_>) -> usize {
    it.machine.map(map_name::CALLS).unwrap().len()
}

fn kernels() -> [KernelView; 5] {
    ["5.10", "6.1", "6.12", "6.18", "7.2"].map(recorded)
}

// proves: ARG-04 (char_buf, emulated)
#[test]
fn a_buffer_is_read_when_the_call_has_filled_it_and_as_far_as_it_says() {
    for view in &kernels() {
        for returned in ["", RETURNED] {
            let mut it = emulated(&policy("sys_read", "char_buf", returned), view);
            let at = it.machine.world_mut().user.bytes("buffer", &[b'-'; 5000]);
            enter(&mut it, 0, [3, at, 5000, 0, 0, 0]);
            assert_eq!(left(&it), 2, "the call and its buffer");
            it.machine.world_mut().user.write(at, b"hel\0o").unwrap();
            leave(&mut it, 0, 5);
            assert_eq!(left(&it), 0);
            let [entry, returns] = halves(&mut it);
            let entry: Vec<Vec<u8>> = entry.into_iter().map(|(_, bytes)| bytes).collect();
            assert_eq!(entry, [3_u64.to_le_bytes(), 5000_u64.to_le_bytes()], "without the buffer");
            let expected = if returned.is_empty() { 1 } else { 2 };
            assert_eq!(returns.len(), expected, "{}", view.release());
            assert_eq!(returns.last().unwrap().1, [&5_u64.to_le_bytes()[..], b"hel\0o"].concat());
            // nothing of the one before is left; a call that failed has filled nothing
            for (value, expected) in [
                (2, Ok((2, b"he".to_vec(), false))),
                (0, Ok((0, Vec::new(), false))),
                (-14, Ok((0, Vec::new(), false))),
                (4095, Ok((4095, [b"hel\0o".as_slice(), &[b'-'; 4090]].concat(), false))),
                (5000, Ok((5000, [b"hel\0o".as_slice(), &[b'-'; 4090]].concat(), true))),
            ] {
                enter(&mut it, 0, [3, at, 5000, 0, 0, 0]);
                leave(&mut it, 0, value);
                assert_eq!(filled(&mut it), expected, "{} {value}", view.release());
            }
            enter(&mut it, 0, [3, 8, 5000, 0, 0, 0]);
            leave(&mut it, 0, 5);
            assert_eq!(filled(&mut it), Err(14), "what is not there cannot be read");
            assert_eq!(it.count(0, 0, Counter::Post), 7);
        }
    }
}

// proves: ARG-04 (char_iovec, emulated)
#[test]
fn the_pieces_that_a_call_has_filled_are_put_together() {
    for view in &kernels() {
        let mut it = emulated(&policy("sys_readv", "char_iovec", RETURNED), view);
        let user = &mut it.machine.world_mut().user;
        let (first, second) = (user.bytes("first", b"one"), user.bytes("second", &[b'2'; 5000]));
        // the third piece is not in memory, as long as it is not filled
        let pieces = [first, 3, second, 5000, 8, 100].map(u64::to_le_bytes).concat();
        let list = user.bytes("list", &pieces);
        for (value, expected) in [
            (0, Ok((0, Vec::new(), false))),
            (-4, Ok((0, Vec::new(), false))),
            (2, Ok((2, b"on".to_vec(), false))),
            (3, Ok((3, b"one".to_vec(), false))),
            (5, Ok((5, b"one22".to_vec(), false))),
            (5003, Ok((5003, [b"one".as_slice(), &[b'2'; 4092]].concat(), true))),
        ] {
            enter(&mut it, 19, [3, list, 3, 0, 0, 0]);
            leave(&mut it, 19, value);
            assert_eq!(filled(&mut it), expected, "{} {value}", view.release());
        }
        // fewer pieces than the call says that it has filled
        enter(&mut it, 19, [3, list, 1, 0, 0, 0]);
        leave(&mut it, 19, 5);
        assert_eq!(filled(&mut it), Ok((5, b"one".to_vec(), true)));
    }
}

// proves: ARG-04 (functions, emulated)
#[test]
fn a_functions_buffer_is_read_at_its_return_wherever_it_lies() {
    for folder in ["5.10", "6.1", "6.12", "7.2"] {
        let mut view = recorded(folder);
        view.add_functions(&["fill".to_owned()]);
        let mut it = emulated(&policy("fill", "char_buf", RETURNED), &view);
        let of_user = it.machine.world_mut().user.bytes("buffer", b"of user");
        let of_kernel = it.machine.world_mut().kernel.bytes("buffer", b"of kernel");
        for (at, text) in [(of_user, "of user"), (of_kernel, "of kernel")] {
            enter(&mut it, CALLS[0], [0, at, 100, 0, 0, 0]);
            leave(&mut it, CALLS[0], 7);
            assert_eq!(filled(&mut it), Ok((7, text.as_bytes()[..7].to_vec(), false)), "{folder}");
        }
    }
}

#[test]
fn each_policy_finds_the_buffer_of_its_own_call() {
    for view in &kernels() {
        let only = "    selectors: [{matchArgs: [{index: 0, operator: Equal, values: ['7']}]}]\n";
        let texts = [policy("sys_read", "char_buf", ""), policy("sys_read", "char_buf", only)];
        let policies: Vec<_> = texts.iter().map(|text| resolved(text, view)).collect();
        let mut it = Emulated::new(&policies, view);
        let at = it.machine.world_mut().user.bytes("buffer", b"filled");
        for (descriptor, count) in [(3, 1), (7, 2)] {
            enter(&mut it, 0, [descriptor, at, 6, 0, 0, 0]);
            leave(&mut it, 0, 6);
            let [entry, returned] = halves(&mut it);
            assert_eq!((entry.len(), returned.len()), (2 * count, count), "{}", view.release());
            assert!(returned.iter().all(|(_, bytes)| bytes.ends_with(b"filled")));
            assert_eq!(left(&it), 0);
        }
    }
}

// proves: ARG-04 (refusals)
#[test]
fn what_no_return_says_the_size_of_is_refused() {
    let view = recorded("6.12");
    let codes = |text: &str| -> Vec<String> {
        let source = tracing_policy::source::SourceText::new("test", text);
        let findings = match tracing_policy::read(&source) {
            Ok((policy, warnings)) => match tracing_policy::resolve(policy, &view) {
                Ok(_) => warnings,
                Err(findings) => findings,
            },
            Err(findings) => findings,
        };
        findings.iter().map(|finding| finding.code.to_string()).collect()
    };
    assert!(codes(&policy("sys_read", "char_buf", "")).is_empty());
    // it returns a pointer
    assert_eq!(codes(&policy("do_filp_open", "char_buf", "")), ["P0045"]);
    let tested = "    selectors: [{matchArgs: [{index: 1, operator: Prefix, values: [a]}]}]\n";
    assert_eq!(codes(&policy("sys_read", "char_buf", tested)), ["P0030"]);
    let all =
        policy("sys_read", "char_buf", "").replace("returnCopy: true", "returnCopy: true, maxData: true");
    assert_eq!(codes(&all), ["P0027"]);
    assert_eq!(codes(&policy("sys_read", "string", "")), ["P0039", "P0039"], "warnings");
}

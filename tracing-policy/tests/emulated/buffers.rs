//! Buffers: bytes with a length, in one piece and in several.

use bpf_probes::abi::{
    DATA_CHUNK, DataRecord, HookRecord, MAX_ARGUMENTS, ProcessKey, ValueHeader, map_name, value_flag,
};
use bpf_probes::kernel::KernelView;
use zerocopy::FromBytes;

use crate::kernel::{object, recorded, set_text};
use crate::run::{Emulated, policy, resolved};

fn kernels() -> [KernelView; 4] {
    [recorded("5.10"), recorded("6.1"), recorded("6.12"), recorded("7.2")]
}

fn one<'k>(call: &str, arguments: &str, selectors: &str, view: &'k KernelView) -> Emulated<'k> {
    Emulated::new(&[resolved(&policy(call, arguments, selectors), view)], view)
}

fn syscall(it: &mut Emulated<'_>, arguments: [u64; 6]) {
    let registers = it.machine.world_mut().syscall_registers(1, arguments);
    it.call([registers, 0, 0, 0, 0, 0]);
}

/// Flags, status, how much there was, and what was read.
fn buffer(it: &mut Emulated<'_>) -> (u16, u16, u64, Vec<u8>) {
    let reports = it.reports();
    assert_eq!(reports.len(), 1);
    let (header, bytes) = &reports[0].values[0];
    if header.flags & value_flag::ERROR != 0 {
        assert!(bytes.is_empty());
        return (header.flags, header.status, 0, Vec::new());
    }
    let (whole, rest) = bytes.split_first_chunk().unwrap();
    (header.flags, header.status, u64::from_le_bytes(*whole), rest.to_vec())
}

fn user(it: &mut Emulated<'_>, bytes: &[u8]) -> u64 {
    it.machine.world_mut().user.bytes("buffer", bytes)
}

const WRITE: &str = "{index: 1, type: char_buf, sizeArgIndex: 3}, {index: 2, type: size_t}";

// proves: ARG-02 (char_buf), ARG-05
#[test]
fn a_buffer_is_read_to_its_length_and_no_further() {
    for view in &kernels() {
        let mut it = one("sys_write", WRITE, "", view);
        let at = user(&mut it, b"hel\0o world");
        syscall(&mut it, [1, at, 5, 0, 0, 0]);
        assert_eq!(buffer(&mut it), (0, 0, 5, b"hel\0o".to_vec()));
        // nothing of the one before is left
        syscall(&mut it, [1, at, 2, 0, 0, 0]);
        assert_eq!(buffer(&mut it), (0, 0, 2, b"he".to_vec()));
        syscall(&mut it, [1, at, 0, 0, 0, 0]);
        assert_eq!(buffer(&mut it), (0, 0, 0, Vec::new()));
        syscall(&mut it, [1, 0, 0, 0, 0, 0]);
        assert_eq!(buffer(&mut it), (0, 0, 0, Vec::new()));
        let long: Vec<u8> = (0..6000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let at = user(&mut it, &long);
        for (size, flags) in [(4095, 0), (4096, value_flag::TRUNCATED), (6000, value_flag::TRUNCATED)] {
            syscall(&mut it, [1, at, size, 0, 0, 0]);
            assert_eq!(buffer(&mut it), (flags, 0, size, long[..4095].to_vec()), "{size}");
        }
        for (at, size, errno) in [(0x1234, 5, 14), (at, u64::MAX, 7)] {
            syscall(&mut it, [1, at, size, 0, 0, 0]);
            assert_eq!(buffer(&mut it), (value_flag::ERROR, errno, 0, Vec::new()));
        }
    }
}

// proves: ARG-02 (filters)
#[test]
fn buffers_pass_and_fail_as_their_operators_say() {
    let many: Vec<String> = (0..40).map(|number| format!("value-{number}")).collect();
    let many = format!("{many:?}");
    for view in &kernels() {
        for (operator, values, subject, expected) in [
            ("Equal", "[GET]", b"GET".as_slice(), true),
            ("Equal", "[GET]", b"GET /", false),
            ("Equal", "['']", b"", true),
            ("NotEqual", "[GET]", b"POST", true),
            ("Equal", "[!!binary 'YQBi']", b"a\0b", true),
            ("Equal", "[!!binary 'YQA=']", b"a", false),
            ("Prefix", "[GET, PUT]", b"PUT /index", true),
            ("Prefix", "[GET, PUT]", b"PU", false),
            ("Prefix", "[!!binary 'YQA=']", b"a", false),
            ("Prefix", "[!!binary 'YQA=']", b"a\0b", true),
            ("NotPrefix", "[GET, PUT]", b"POST", true),
            ("Postfix", "[\"\\r\\n\"]", b"line\r\n", true),
            ("NotPostfix", "[end]", b"the end", false),
            ("SubString", "[needle]", b"a \0 needle", true),
            ("SubStringIgnCase", "[Needle]", b"NEEDLES", true),
            ("SubString", "[needle]", b"needl", false),
            ("Equal", &many, b"value-39", true),
            ("Equal", &many, b"value-39\0", false),
            ("NotEqual", &many, b"value-40", true),
        ] {
            let filter = format!("{{matchArgs: [{{index: 1, operator: {operator}, values: {values}}}]}}");
            let mut it = one("sys_write", WRITE, &filter, view);
            let at = user(&mut it, subject);
            syscall(&mut it, [1, at, subject.len() as u64, 0, 0, 0]);
            assert_eq!(!it.reporters().is_empty(), expected, "{operator} {values}: {subject:?}");
            // what cannot be read, or has no size, matches nothing
            for (at, size) in [(0x1234, 4), (at, u64::MAX)] {
                syscall(&mut it, [1, at, size, 0, 0, 0]);
                assert!(it.reporters().is_empty(), "{operator} {values}: {size}");
            }
        }
    }
}

// proves: ARG-02 (functions), ARG-05 (signed sizes)
#[test]
fn a_functions_buffer_is_read_wherever_it_lies() {
    let arguments = "{index: 1, type: char_buf, sizeArgIndex: 3}";
    for view in &kernels() {
        let mut it = one("security_kernel_post_read_file", arguments, "", view);
        let ours = it.machine.world_mut().kernel.bytes("buffer", b"of the kernel");
        let theirs = user(&mut it, b"of the user");
        for (at, text) in [(ours, "of the kernel"), (theirs, "of the user")] {
            it.call([0, at, text.len() as u64, 0, 0, 0]);
            assert_eq!(buffer(&mut it), (0, 0, text.len() as u64, text.as_bytes().to_vec()));
        }
        it.call([0, ours, (-1_i64).cast_unsigned(), 0, 0, 0]);
        assert_eq!(buffer(&mut it), (value_flag::ERROR, 7, 0, Vec::new()));
    }
}

/// A list of pieces, in user memory or the kernel's.
fn pieces(it: &mut Emulated<'_>, pieces: &[(u64, u64)], in_kernel: bool) -> u64 {
    let words = pieces.iter().flat_map(|(at, len)| [*at, *len]);
    let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    let world = it.machine.world_mut();
    if in_kernel { world.kernel.bytes("pieces", &bytes) } else { world.user.bytes("pieces", &bytes) }
}

// proves: ARG-02 (char_iovec)
#[test]
fn the_pieces_of_a_vector_are_put_together() {
    let arguments = "{index: 1, type: char_iovec, sizeArgIndex: 3}";
    for view in &kernels() {
        let mut it = one("sys_writev", arguments, "", view);
        let (a, b, c) = (user(&mut it, b"abcd"), user(&mut it, b"efgh"), user(&mut it, &[b'x'; 4000]));
        let vector = pieces(&mut it, &[(a, 3), (0, 0), (b, 4)], false);
        syscall(&mut it, [1, vector, 3, 0, 0, 0]);
        assert_eq!(buffer(&mut it), (0, 0, 7, b"abcefgh".to_vec()));
        syscall(&mut it, [1, vector, 1, 0, 0, 0]);
        assert_eq!(buffer(&mut it), (0, 0, 3, b"abc".to_vec()));
        syscall(&mut it, [1, vector, 0, 0, 0, 0]);
        assert_eq!(buffer(&mut it), (0, 0, 0, Vec::new()));
        // more than is kept
        let vector = pieces(&mut it, &[(a, 4), (c, 4000), (c, 1000), (b, 4)], false);
        syscall(&mut it, [1, vector, 4, 0, 0, 0]);
        let expected = [b"abcd".as_slice(), &[b'x'; 4091]].concat();
        assert_eq!(buffer(&mut it), (value_flag::TRUNCATED, 0, 5008, expected));
        // more pieces than are looked at
        let vector = pieces(&mut it, &[(a, 1); 20], false);
        syscall(&mut it, [1, vector, 16, 0, 0, 0]);
        assert_eq!(buffer(&mut it), (0, 0, 16, vec![b'a'; 16]));
        syscall(&mut it, [1, vector, 20, 0, 0, 0]);
        assert_eq!(buffer(&mut it), (value_flag::TRUNCATED, 0, 20, vec![b'a'; 16]));
        // a piece, or the list, that cannot be read
        let vector = pieces(&mut it, &[(a, 1), (0x1234, 1)], false);
        for (at, errno) in [(vector, 14), (0x1234, 14)] {
            syscall(&mut it, [1, at, 2, 0, 0, 0]);
            assert_eq!(buffer(&mut it), (value_flag::ERROR, errno, 0, Vec::new()));
        }
        let vector = pieces(&mut it, &[(a, u64::MAX)], false);
        syscall(&mut it, [1, vector, 1, 0, 0, 0]);
        assert_eq!(buffer(&mut it), (value_flag::ERROR, 7, 0, Vec::new()));
    }
}

/// How a kernel's `struct iov_iter` says what it goes over.
struct Iterators {
    /// The field with its kind.
    kind: &'static str,
    /// The field with the list of pieces.
    list: &'static str,
    user: Option<u64>,
    vector: u64,
    kernel_vector: u64,
    other: u64,
}

impl Iterators {
    fn of(view: &KernelView) -> Self {
        let btf = view.btf();
        let iter = btf.struct_named("iov_iter").unwrap();
        let has = |field| btf.resolve(iter, field).is_ok();
        let list = if has("__iov") { "__iov" } else { "iov" };
        let kind = if has("iter_type") { "iter_type" } else { "type" };
        // as numbered from 6.7, from 6.0, from 5.14, and before, where the lowest bit says that something is written
        let (user, vector, kernel_vector, other) = match (has("iter_type"), has("ubuf"), has("__iov")) {
            (true, true, true) => (Some(0), 1, 3, 2),
            (true, true, false) => (Some(6), 0, 1, 2),
            (true, false, _) => (None, 0, 1, 2),
            (false, ..) => (None, 4 | 1, 8 | 1, 16),
        };
        Self { kind, list, user, vector, kernel_vector, other }
    }
}

/// A text in two pieces of user memory: the list of them, in the kernel's memory or the program's, and how many they are.
fn in_pieces(it: &mut Emulated<'_>, text: &[u8], in_kernel: bool) -> (u64, u64) {
    let (first, second) = text.split_at(text.len() / 2);
    let lengths = (first.len() as u64, second.len() as u64);
    let (first, second) = (user(it, first), user(it, second));
    (pieces(it, &[(first, lengths.0), (second, lengths.1)], in_kernel), 2)
}

/// The arguments of a call that gets a text as a vector: its list, and how many pieces it has.
pub(crate) fn vector_of(it: &mut Emulated<'_>, text: &[u8]) -> [u64; 2] {
    in_pieces(it, text, false).into()
}

/// An iterator over a text.
pub(crate) fn iterator_over(it: &mut Emulated<'_>, text: &[u8]) -> u64 {
    let kinds = Iterators::of(it.view);
    let (list, count) = in_pieces(it, text, true);
    let size = text.len() as u64;
    let fields = [(kinds.kind, kinds.vector), (kinds.list, list), ("nr_segs", count), ("count", size)];
    object(&mut it.machine, it.view, "iov_iter", &fields)
}

// proves: ARG-15 (iov_iter)
#[test]
fn an_iterator_is_read_in_each_of_its_forms() {
    for view in &kernels() {
        let Iterators { kind, list, user: user_kind, vector, kernel_vector, other } = Iterators::of(view);
        let mut it = one("sys_dup", "{index: 0, type: iov_iter}", "", view);
        let (a, b) = (user(&mut it, b"abcd"), user(&mut it, b"efgh"));
        let ours = it.machine.world_mut().kernel.bytes("buffer", b"kernel");
        let theirs = pieces(&mut it, &[(a, 4), (b, 4)], true);
        let own = pieces(&mut it, &[(ours, 6)], true);
        let mut rows = vec![
            (vector, list, theirs, 2, 0, 8, b"abcdefgh".as_slice()),
            (vector, list, theirs, 2, 1, 5, b"bcdef"),
            (vector, list, theirs, 1, 0, 4, b"abcd"),
            (kernel_vector, list, own, 1, 2, 4, b"rnel"),
        ];
        rows.extend(user_kind.map(|kind| (kind, "ubuf", a, 1, 1, 3, b"bcd".as_slice())));
        for (number, field, at, count, offset, size, expected) in rows {
            let fields =
                [(kind, number), (field, at), ("nr_segs", count), ("iov_offset", offset), ("count", size)];
            // in newer kernels one field lies in another's place
            let fields: Vec<_> =
                fields.into_iter().filter(|(name, _)| field != "ubuf" || *name != "nr_segs").collect();
            let iter = object(&mut it.machine, view, "iov_iter", &fields);
            syscall(&mut it, [iter, 0, 0, 0, 0, 0]);
            assert_eq!(buffer(&mut it), (0, 0, size, expected.to_vec()), "{} {number}", view.release());
        }
        let pages = object(&mut it.machine, view, "iov_iter", &[(kind, other), ("count", 9)]);
        syscall(&mut it, [pages, 0, 0, 0, 0, 0]);
        assert_eq!(buffer(&mut it), (0, 0, 0, Vec::new()));
        syscall(&mut it, [0x1234, 0, 0, 0, 0, 0]);
        assert_eq!(buffer(&mut it), (value_flag::ERROR, 14, 0, Vec::new()));
    }
}

#[test]
fn an_array_that_a_path_leads_to_is_a_buffer_of_its_size() {
    for view in &kernels() {
        let text = "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n  kprobes:\n  - \
             {call: sys_dup, data: [{index: 0, type: char_buf, source: current_task, resolve: comm}]}\n";
        let mut it = Emulated::new(&[resolved(text, view)], view);
        let task = it.machine.world().task.address;
        set_text(&mut it.machine, view, (task, "task_struct", "comm"), "cat");
        syscall(&mut it, [0; 6]);
        assert_eq!(buffer(&mut it), (0, 0, 16, b"cat\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec()));
    }
}

// proves: ARG-05 (refusals)
#[test]
fn a_buffer_without_a_size_is_refused() {
    let view = recorded("6.12");
    for arguments in [
        "{index: 1, type: char_buf}",
        "{index: 1, type: char_buf, sizeArgIndex: 2}",
        "{index: 1, type: char_buf, sizeArgIndex: 6}",
    ] {
        let text = policy("sys_write", arguments, "");
        let source = tracing_policy::source::SourceText::new("test", text);
        let (policy, _warnings) = tracing_policy::read(&source).unwrap();
        assert!(tracing_policy::resolve(policy, &view).is_err(), "{arguments}");
    }
}

/// What was sent of a long buffer: the pieces, put together, the key of each, and what the record says.
fn long(it: &mut Emulated<'_>) -> (Vec<u8>, Vec<ProcessKey>, ValueHeader, Vec<u8>) {
    let (mut joined, mut keys) = (Vec::new(), Vec::new());
    for record in it.machine.ring_mut(map_name::EVENTS).unwrap().drain() {
        assert_eq!(record.unwritten, 0);
        if let Ok((data, payload)) = DataRecord::read_from_prefix(&record.bytes)
            && data.header.kind == 5
        {
            assert_eq!((data.len as usize, data.sequence as usize), (payload.len(), keys.len()));
            joined.extend_from_slice(payload);
            keys.push(data.process);
            continue;
        }
        let (hook, rest) = HookRecord::read_from_prefix(&record.bytes).unwrap();
        assert_eq!((hook.header.kind, hook.values), (4, 1));
        let (header, value) = ValueHeader::read_from_prefix(rest).unwrap();
        return (joined, keys, header, value.to_vec());
    }
    panic!("no record");
}

// proves: ARG-03
#[test]
fn a_buffer_that_does_not_fit_comes_in_pieces_before_its_record() {
    let arguments = "{index: 1, type: char_buf, sizeArgIndex: 3, maxData: true}";
    let filter = "{matchArgs: [{index: 1, operator: Prefix, values: [start]}]}";
    let two = format!("{filter}, {{matchArgs: [{{index: 1, operator: Equal, values: [x]}}]}}");
    for view in &kernels() {
        for selectors in [filter, &two] {
            let mut it = one("sys_write", arguments, selectors, view);
            let mut text = b"start".to_vec();
            text.extend((0..400_000_u32).map(|at| at.to_le_bytes()[1]));
            let at = user(&mut it, &text);
            for size in [4096_u32, DATA_CHUNK + 1, 20_000, MAX_ARGUMENTS, MAX_ARGUMENTS + 1] {
                syscall(&mut it, [1, at, size.into(), 0, 0, 0]);
                let (joined, keys, header, value) = long(&mut it);
                let sent = size.min(MAX_ARGUMENTS);
                assert!(joined == text[..sent as usize], "{size}: {}", joined.len());
                assert_eq!(header.flags, value_flag::TRUNCATED | value_flag::PIECES);
                let words: Vec<u64> =
                    value.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
                let tid = it.machine.world().task.tid;
                assert_eq!(words, [size.into(), keys[0].ktime, sent.into()]);
                assert!(keys.iter().all(|key| *key == keys[0] && key.tgid == tid));
            }
            // one that fits is in the record
            syscall(&mut it, [1, at, 4095, 0, 0, 0]);
            assert_eq!(buffer(&mut it), (0, 0, 4095, text[..4095].to_vec()));
            // what does not match is not sent
            syscall(&mut it, [1, at + 5, 20_000, 0, 0, 0]);
            assert_eq!(it.machine.ring_mut(map_name::EVENTS).unwrap().drain().len(), 0);
            // the part that can be read
            let end = user(&mut it, &[b"start".as_slice(), &[b'y'; 9000]].concat());
            syscall(&mut it, [1, end, 20_000, 0, 0, 0]);
            let (joined, _, _, value) = long(&mut it);
            assert_eq!(joined.len(), DATA_CHUNK as usize);
            assert_eq!(value[16..24], u64::from(DATA_CHUNK).to_le_bytes());
        }
    }
}

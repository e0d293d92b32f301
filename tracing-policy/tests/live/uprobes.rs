//! Functions of this very program, hooked.

use std::ffi::{CStr, c_char};
use std::hint::black_box;
use std::mem::offset_of;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bpf_probes::attach::FileId;
use bpf_probes::btf::{BtfWriter, IntEncoding, WriteMember};
use bpf_probes::kernel::{Feature, KernelView};
use bpf_probes::load::probe::{ProbeOptions, kernel_view};
use tracing_policy::files::{Binaries, BinaryFile};
use tracing_policy::policy::Resolved;
use tracing_policy::source::SourceText;

use crate::running::{Report, Running};

/// A kernel with uprobes; `None`, said aloud, where there are none.
pub(crate) fn kernel_with(feature: Feature) -> Option<KernelView> {
    let view = kernel_view(&ProbeOptions::default()).unwrap();
    if view.has(feature) {
        return Some(view);
    }
    eprintln!("{} lacks {feature}: not run here", view.release());
    None
}

/// What is hooked. Each test has a function of its own, since tests run beside each other.
macro_rules! hooked {
    ($name:ident) => {
        #[inline(never)]
        extern "C" fn $name(number: i64, text: *const c_char, small: u32) -> i64 {
            // a body of its own, so that no other function shares the code
            black_box(concat!(stringify!($name), "\0"));
            black_box(number).wrapping_add(i64::from(black_box(small))).wrapping_add(text.is_null().into())
        }
    };
}

/// The offset in this program's file of a function.
fn offset_of(function: extern "C" fn(i64, *const c_char, u32) -> i64) -> u64 {
    offset_of_address(function as usize as u64)
}

/// The offset in the file that it is mapped from of an address of this process.
pub(crate) fn offset_of_address(address: u64) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let found = maps.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let offset = hex(words.nth(1)?);
        (hex(start)..hex(end)).contains(&address).then(|| offset + address - hex(start))
    });
    found.unwrap()
}

fn file(path: &Path) -> (String, BinaryFile) {
    let metadata = std::fs::metadata(path).unwrap();
    let file = BinaryFile {
        id: FileId { device: metadata.dev(), inode: metadata.ino() },
        path: path.to_str().unwrap().to_owned(),
        bytes: std::fs::read(path).unwrap().into(),
        hold: None,
    };
    (file.path.clone(), file)
}

/// A policy with these options on a place of this program, resolved.
pub(crate) fn resolve(kernel: &KernelView, options: &str, hook: &str) -> Resolved {
    resolve_file(kernel, options, &std::env::current_exe().unwrap(), hook)
}

/// The same on a place of another file.
pub(crate) fn resolve_file(kernel: &KernelView, options: &str, path: &Path, hook: &str) -> Resolved {
    resolve_files(kernel, options, path, hook, &[path])
}

/// The same with all the files that the policy names.
fn resolve_files(kernel: &KernelView, options: &str, path: &Path, hook: &str, files: &[&Path]) -> Resolved {
    let path = path.display();
    let text = format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: t}}\nspec:\n  options: [{options}]\n  uprobes:\n  - {{path: '{path}', {hook}}}\n"
    );
    let (policy, _) = tracing_policy::read(&SourceText::new("test", text)).unwrap();
    let mut binaries = Binaries::none();
    for (path, file) in files.iter().map(|path| file(path)) {
        binaries.insert(path, Ok(file));
    }
    match tracing_policy::resolve_in(policy, kernel, &binaries) {
        Ok(resolved) => resolved,
        Err(errors) => panic!("{errors:?}"),
    }
}

fn call(function: extern "C" fn(i64, *const c_char, u32) -> i64, number: i64, text: &CStr, small: u32) {
    black_box(black_box(function)(number, text.as_ptr(), small));
}

const ARGUMENTS: &str = "args: [{index: 0, type: int64}, {index: 1, type: string}, {index: 2, type: uint8}]";
pub(crate) const SINGLE: &str = "{name: disable-uprobe-multi, value: '1'}";

fn reports_what_it_is_called_with(
    kernel: &KernelView,
    options: &str,
    function: extern "C" fn(i64, *const c_char, u32) -> i64,
    mechanism: &str,
) {
    let offset = offset_of(function);
    let filter = "selectors: [{matchArgs: [{index: 1, operator: Prefix, values: [hel]}, {index: 2, operator: GT, values: ['7']}]}]";
    let policy = resolve(kernel, options, &format!("offsets: [{offset}], {ARGUMENTS}, {filter}"));
    let mut running = Running::start(std::slice::from_ref(&policy), kernel);
    let target = policy.hooks[0].attachments[0].target.to_string();
    assert!(target.starts_with(mechanism), "{target}");
    call(function, -5, c"hello", 0x1_08);
    call(function, -5, c"hello", 0x1_07);
    call(function, -5, c"no", 0x1_08);
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let values: Vec<&[u8]> = reports[0].values.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    assert_eq!(values, [(-5_i64).to_le_bytes().as_slice(), b"hello", 8_u64.to_le_bytes().as_slice()]);
    drop(running);
    // nobody is there any more
    call(function, -5, c"hello", 8);
}

hooked!(called_beside_others);
hooked!(called_alone);

// proves: HOOK-10 (file offset, natively), HOOK-12 (uprobe.multi, natively)
#[test]
fn root_a_uprobe_reports_what_a_function_is_called_with() {
    let Some(kernel) = kernel_with(Feature::UprobeMulti) else { return };
    reports_what_it_is_called_with(&kernel, "", called_beside_others, "uprobe.multi ");
}

// proves: HOOK-10 (perf, natively), HOOK-12 (opt-out, natively)
#[test]
fn root_a_perf_uprobe_reports_the_same() {
    let Some(kernel) = kernel_with(Feature::Uprobe) else { return };
    reports_what_it_is_called_with(&kernel, SINGLE, called_alone, "uprobe ");
}

hooked!(called_in_a_thread);

// proves: ACT-02 (uprobe, natively)
#[test]
fn root_a_signal_reaches_who_calls_and_nobody_else() {
    let Some(kernel) = kernel_with(Feature::Uprobe) else { return };
    let offset = offset_of(called_in_a_thread);
    // SIGURG, which nobody minds; blocked, so that it is there to be seen
    let policy = resolve(
        &kernel,
        "",
        &format!(
            "offsets: [{offset}], {ARGUMENTS}, selectors: [{{matchArgs: [{{index: 0, operator: Equal, values: ['1']}}], matchActions: [{{action: Signal, argSig: 23}}]}}]"
        ),
    );
    let mut running = Running::start(&[policy], &kernel);
    call(called_in_a_thread, 2, c"no", 0);
    call(called_in_a_thread, 1, c"yes", 0);
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].enforced);
    assert_eq!(reports[0].values[1].1, b"yes");
    eprintln!("verified: {:?}", running.verified);
}

/// Behind so many bytes the second page of the text begins, which the kernel does not bring along with the first (64 KiB at a time).
const EDGE: usize = 1 << 17;
const BEFORE: usize = 4;

/// Text far from everything else in this program, so that its page is not there before it is read; it goes on in the next page.
#[repr(C, align(65536))]
struct Far {
    before: [u8; EDGE - BEFORE],
    text: [u8; 14],
    after: [u8; EDGE],
}

static FOR_ONE: Far = Far { before: [b'-'; EDGE - BEFORE], text: *b"over the edge\0", after: [b'-'; EDGE] };
static FOR_MANY: Far = Far { before: [b'+'; EDGE - BEFORE], text: *b"over the edge\0", after: [b'+'; EDGE] };

hooked!(called_with_far_text);
hooked!(called_with_far_text_too);

// proves: HOOK-10 (text that is not in memory yet, natively)
#[test]
fn root_text_that_the_thread_has_not_touched_yet_is_read() {
    let Some(kernel) = kernel_with(Feature::UprobeSleepable) else { return };
    type Hooked = extern "C" fn(i64, *const c_char, u32) -> i64;
    let cases: [(&str, &Far, Hooked); 2] =
        [(SINGLE, &FOR_ONE, called_with_far_text), ("", &FOR_MANY, called_with_far_text_too)];
    for (options, text, function) in cases {
        let policy = resolve(&kernel, options, &format!("offsets: [{}], {ARGUMENTS}", offset_of(function)));
        let mut running = Running::start(&[policy], &kernel);
        black_box(black_box(function)(1, text.text.as_ptr().cast(), 2));
        let reports = running.reports();
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert_eq!(String::from_utf8_lossy(&reports[0].values[1].1), "over the edge");
        assert_eq!(text.before[0], text.after[0]);
    }
}

/// A struct of this program.
#[repr(C)]
struct Message {
    before: u64,
    number: i32,
    text: *const c_char,
}

/// The types of it, as BTF.
fn types() -> Vec<u8> {
    let mut btf = BtfWriter::new();
    let int = btf.int("int", 4, IntEncoding::Signed).unwrap();
    let char = btf.int("char", 1, IntEncoding::Char).unwrap();
    let text = btf.pointer(char).unwrap();
    let at = |name, type_id, offset: usize| WriteMember { name, type_id, offset: offset.try_into().unwrap() };
    let members =
        [at("number", int, offset_of!(Message, number)), at("text", text, offset_of!(Message, text))];
    btf.structure("message", size_of::<Message>().try_into().unwrap(), &members).unwrap();
    btf.finish()
}

hooked!(called_with_a_message);

// proves: ARG-17 (types of programs, natively)
#[test]
fn root_a_structs_fields_are_reached_by_the_types_of_the_program() {
    let Some(kernel) = kernel_with(Feature::Uprobe) else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("types");
    std::fs::write(&file, types()).unwrap();
    let arguments =
        "args: [{index: 1, btfType: message, resolve: number}, {index: 1, btfType: message, resolve: text}]";
    let filter = "selectors: [{matchArgs: [{args: [0], operator: LT, values: ['0']}]}]";
    let offset = offset_of(called_with_a_message);
    let hook = format!("btfPath: '{}', offsets: [{offset}], {arguments}, {filter}", file.display());
    let program = std::env::current_exe().unwrap();
    let policy = resolve_files(&kernel, "", &program, &hook, &[&program, &file]);
    let mut running = Running::start(&[policy], &kernel);
    for (number, text) in [(-5, c"five"), (5, c"no")] {
        let message = Message { before: 1, number, text: text.as_ptr() };
        let pointer = (&raw const message).cast();
        black_box(black_box(called_with_a_message as extern "C" fn(i64, *const c_char, u32) -> i64)(
            1, pointer, 2,
        ));
        assert_eq!(black_box(&message).before, 1);
    }
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let values: Vec<&[u8]> = reports[0].values.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    assert_eq!(values, [(-5_i64).to_le_bytes().as_slice(), b"five"]);
}

/// The C library of this process; `None`, said aloud, where there is none.
fn c_library() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    let library = paths.find(|path| path.ends_with("/libc.so.6")).map(PathBuf::from);
    if library.is_none() {
        eprintln!("this program is not linked to a libc.so.6: not run here");
    }
    library
}

// proves: HOOK-12 (many symbols by one link, natively)
#[test]
fn root_many_functions_of_a_library_share_a_link_and_each_is_told_by_its_name() {
    let Some(kernel) = kernel_with(Feature::UprobeMulti) else { return };
    let Some(library) = c_library() else { return };
    let pid = std::process::id();
    let hook = format!(
        "symbols: [getpgid, getsid, getppid, getpriority, sched_yield], selectors: [{{matchPIDs: [{{operator: In, values: [{pid}]}}]}}]"
    );
    let policy = resolve_file(&kernel, "", &library, &hook);
    assert_eq!(policy.hooks.len(), 1);
    let mut running = Running::start(std::slice::from_ref(&policy), &kernel);
    std::thread::yield_now();
    let _parent = std::os::unix::process::parent_id();
    let layouts: Vec<String> = policy.hooks[0].layouts().map(|layout| layout.function_name).collect();
    let of = |report: &Report| layouts[(report.record.layout - 100) as usize].clone();
    let seen: Vec<String> = running.reports().iter().map(of).collect();
    // tests beside this one may call these functions too
    for expected in ["sched_yield", "getppid"] {
        assert!(seen.contains(&expected.to_owned()), "{seen:?}");
    }
}

// proves: HOOK-10 (symbol, natively)
#[test]
fn root_a_function_is_hooked_by_its_symbol() {
    let Some(kernel) = kernel_with(Feature::Uprobe) else { return };
    let Some(library) = c_library() else { return };
    // nobody else asks it for that variable
    let filter = "selectors: [{matchArgs: [{index: 0, operator: Equal, values: [ENFORCER_UPROBE_TEST]}]}]";
    let hook = format!("symbols: [getenv], args: [{{index: 0, type: string}}], {filter}");
    let policy = resolve_file(&kernel, "", &library, &hook);
    let mut running = Running::start(&[policy], &kernel);
    assert!(std::env::var_os("ENFORCER_UPROBE_TEST").is_none());
    assert!(std::env::var_os("ENFORCER_UPROBE_TEST_").is_none());
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(reports[0].values[0].1, b"ENFORCER_UPROBE_TEST");
}

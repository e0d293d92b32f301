//! Static probes of this very program, hooked.
#![expect(unsafe_code, reason = "a probe is a note and a nop, which only assembly can say")]

use std::arch::asm;
use std::ffi::{CStr, c_char};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicI32, AtomicU16, Ordering};

use bpf_probes::abi::{Action, Counter, hook_flag, value_flag};
use bpf_probes::attach::FileId;
use bpf_probes::kernel::{Feature, KernelView};
use bpf_probes::load::probe::{ProbeOptions, kernel_view};
use tracing_policy::files::{Binaries, BinaryFile};
use tracing_policy::policy::Resolved;
use tracing_policy::source::SourceText;

use crate::running::Running;

/// A kernel with uprobes; `None`, said aloud, where there are none.
fn kernel() -> Option<KernelView> {
    let view = kernel_view(&ProbeOptions::default()).unwrap();
    if view.has(Feature::Uprobe) || view.has(Feature::UprobeMulti) {
        return Some(view);
    }
    eprintln!("{} lacks uprobes: not run here", view.release());
    None
}

/// This program's file.
fn program() -> (String, BinaryFile) {
    let path = std::env::current_exe().unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    let file = BinaryFile {
        id: FileId { device: metadata.dev(), inode: metadata.ino() },
        path: path.to_str().unwrap().to_owned(),
        bytes: std::fs::read(&path).unwrap().into(),
        hold: None,
    };
    (file.path.clone(), file)
}

fn resolve(kernel: &KernelView, options: &str, hook: &str) -> Resolved {
    let (path, file) = program();
    let text = format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: t}}\nspec:\n  options: [{options}]\n  usdts:\n  - {{path: '{path}', provider: enforcer, {hook}}}\n"
    );
    let (policy, _) = tracing_policy::read(&SourceText::new("test", text)).unwrap();
    let mut binaries = Binaries::none();
    binaries.insert(path, Ok(file));
    match tracing_policy::resolve_in(policy, kernel, &binaries) {
        Ok(resolved) => resolved,
        Err(errors) => panic!("{errors:?}"),
    }
}

/// Counts who watches; the kernel raises it. It must be in the file, and zeros of a program are not.
#[unsafe(link_section = ".probes")]
static SEMAPHORE: AtomicU16 = AtomicU16::new(0);
static COUNTER: AtomicI32 = AtomicI32::new(-77);

/// Hits a probe of this name with arguments of every kind: a constant, registers, memory, a variable.
macro_rules! probe {
    ($name:literal, $number:expr, $byte:expr, $text:expr, $word:expr) => {
        // SAFETY: the only instruction is a nop; what a policy writes through `$word` is declared as memory that may change
        unsafe {
            asm!(
                "990: nop",
                ".pushsection .note.stapsdt, \"\", \"note\"",
                ".balign 4",
                ".4byte 992f - 991f, 994f - 993f, 3",
                "991: .asciz \"stapsdt\"",
                "992: .balign 4",
                "993: .8byte 990b",
                ".8byte 0",
                ".8byte {semaphore}",
                ".asciz \"enforcer\"",
                concat!(".asciz \"", $name, "\""),
                ".asciz \"-4@$-3 -4@{number:e} 1@{byte:l} 8@{text} 4@4({word}) -4@{counter}(%rip) 4@(,{index},4)\"",
                "994: .balign 4",
                ".popsection",
                number = in(reg) $number,
                byte = in(reg_abcd) $byte,
                text = in(reg) $text,
                word = in(reg) $word,
                index = in(reg) $word.expose_provenance() / 4,
                semaphore = sym SEMAPHORE,
                counter = sym COUNTER,
                options(att_syntax, nostack),
            );
        }
    };
}

const ARGUMENTS: &str = "args: [{index: 0, type: int32}, {index: 1, type: int64}, {index: 2, type: uint8}, {index: 3, type: string}, {index: 4, type: uint32}, {index: 5, type: int32}]";

fn values(report: &crate::running::Report) -> Vec<&[u8]> {
    report.values.iter().map(|(_, bytes)| bytes.as_slice()).collect()
}

#[inline(never)]
fn watched(number: i32, text: *const c_char, words: &mut [u32; 2]) {
    let words: *mut u32 = words.as_mut_ptr();
    probe!("watched", number, 0x1_80_u64, text, words);
}

fn reports_what_it_passes(kernel: &KernelView, options: &str) {
    let filter = "selectors: [{matchArgs: [{index: 1, operator: LT, values: ['0']}, {index: 3, operator: Prefix, values: [hel]}]}]";
    let policy = resolve(kernel, options, &format!("name: watched, {ARGUMENTS}, {filter}"));
    let mut running = Running::start(&[policy], kernel);
    let mut words = [1, 0xffff_fffe];
    let call = |number: i32, text: &CStr, words: &mut [u32; 2]| watched(number, text.as_ptr(), words);
    call(-5, c"hello", &mut words);
    call(5, c"hello", &mut words);
    call(-5, c"no", &mut words);
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let number = |value: i64| value.to_le_bytes();
    let numbers = [number(-3), number(-5), number(0x80), number(0xffff_fffe), number(-77)];
    let expected: [&[u8]; 6] = [&numbers[0], &numbers[1], &numbers[2], b"hello", &numbers[3], &numbers[4]];
    assert_eq!(values(&reports[0]), expected);
    // what is not there is told apart from what is
    watched(-5, std::ptr::null(), &mut words);
    assert!(running.reports().is_empty());
}

// proves: HOOK-15 (natively), HOOK-15 (semaphores, natively)
#[test]
fn root_a_probe_reports_what_it_passes_and_its_semaphore_is_raised_meanwhile() {
    let Some(kernel) = kernel() else { return };
    let before = SEMAPHORE.load(Ordering::SeqCst);
    let policy = resolve(&kernel, "", "name: watched");
    let running = Running::start(&[policy], &kernel);
    assert!(SEMAPHORE.load(Ordering::SeqCst) > before);
    drop(running);
    reports_what_it_passes(&kernel, "");
    reports_what_it_passes(&kernel, "{name: disable-uprobe-multi, value: '1'}");
    assert_eq!(SEMAPHORE.load(Ordering::SeqCst), before);
    assert_eq!(COUNTER.load(Ordering::SeqCst), -77);
}

#[inline(never)]
fn unreadable(text: *const c_char, words: *mut u32) {
    probe!("unreadable", 1, 1_u64, text, words);
}

// proves: HOOK-15 (faults, natively), ARG-21 (USDT, natively)
#[test]
fn root_an_argument_that_cannot_be_read_is_an_error() {
    let Some(kernel) = kernel() else { return };
    let policy = resolve(&kernel, "", &format!("name: unreadable, {ARGUMENTS}"));
    let mut running = Running::start(&[policy], &kernel);
    unreadable(std::ptr::null(), std::ptr::null_mut());
    let reports = running.reports();
    let errors: Vec<_> =
        reports[0].values.iter().map(|(header, _)| header.flags & value_flag::ERROR != 0).collect();
    assert_eq!(errors, [false, false, false, true, true, false]);
}

#[inline(never)]
fn written(number: i32, words: *mut u32) {
    probe!("written", number, 1_u64, c"text".as_ptr(), words);
}

// proves: ACT-08 (natively)
#[test]
fn root_set_writes_the_word_that_the_probe_passes() {
    let Some(kernel) = kernel() else { return };
    if !kernel.has(Feature::ProbeWriteUser) {
        eprintln!("{} lets no program write memory of user space: not run here", kernel.release());
        return;
    }
    let set = "selectors: [{matchArgs: [{index: 1, operator: Equal, values: ['1']}], matchActions: [{action: Set, argIndex: 4, argValue: 32}]}]";
    let policy = resolve(&kernel, "", &format!("name: written, {ARGUMENTS}, {set}"));
    let mut running = Running::start(&[policy], &kernel);
    let mut words = [7_u32, 7];
    written(2, words.as_mut_ptr());
    assert_eq!(words, [7, 7]);
    written(1, words.as_mut_ptr());
    assert_eq!(words, [7, 32]);
    running.monitor(0, true);
    words = [7, 7];
    written(1, words.as_mut_ptr());
    assert_eq!(words, [7, 7]);
    running.monitor(0, false);
    written(1, std::ptr::null_mut());
    let mut reports = running.reports();
    reports.sort_by_key(|report| report.record.header.ktime);
    let told: Vec<_> =
        reports.iter().map(|report| (report.record.action, report.record.flags & !1)).collect();
    let set = Action::Set as u8;
    assert_eq!(told, [(set, 0), (set, hook_flag::MONITOR), (set, hook_flag::ACTION_FAILED)]);
    assert_eq!((running.count(0, 0, Counter::Set), running.count(0, 0, Counter::MonitorSet)), (2, 1));
}

//! Buffers, and values that are reached through the kernel's types, in live calls.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::os::unix::fs::FileExt;
use std::process::Command;

use bpf_probes::abi::{RecordKind, value_flag};
use bpf_probes::kernel::KernelView;
use bpf_probes::load::probe::{ProbeOptions, kernel_view, tracepoint_format};
use tracing_policy::source::SourceText;

use crate::running::Running;

/// Policies with one hook each, `hook` below its section, live on a kernel.
fn start(hooks: &[String]) -> Running {
    start_on(hooks, kernel_view(&ProbeOptions::default()).unwrap())
}

fn start_on(hooks: &[String], mut kernel: KernelView) -> Running {
    let mut policies = Vec::new();
    for hook in hooks {
        let text = format!(
            "{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {{name: p}}, spec: {{{hook}}}}}"
        );
        let (policy, _warnings) = tracing_policy::read(&SourceText::new("test", text)).unwrap();
        for one in policy.tracepoints() {
            let format = tracepoint_format(&one.subsystem, &one.event).unwrap();
            kernel.add_tracepoint(&one.subsystem, &one.event, format);
        }
        policies.push(match tracing_policy::resolve(policy, &kernel) {
            Ok(policy) => policy,
            Err(errors) => panic!("{errors:?}"),
        });
    }
    let running = Running::start_within(&policies, &kernel, 100_000);
    eprintln!("verified: {:?}", running.verified);
    running
}

fn call(name: &str, arguments: &str, selectors: &str) -> String {
    format!("kprobes: [{{call: {name}, args: [{arguments}], selectors: [{selectors}]}}]")
}

/// How much there was, and what was read.
fn buffer(bytes: &[u8]) -> (u64, &[u8]) {
    let (whole, rest) = bytes.split_first_chunk().unwrap();
    (u64::from_le_bytes(*whole), rest)
}

// proves: ARG-02 (natively), ARG-03 (natively), ARG-05 (natively)
#[test]
fn root_what_is_written_is_read() {
    let filter = "{matchArgs: [{index: 1, operator: Prefix, values: [a-text-of-this-test]}]}";
    let filters = format!("{filter}, {}", filter.replace("a-text", "no-text"));
    let write = call("sys_write", "{index: 1, type: char_buf, sizeArgIndex: 3}", filter);
    let many =
        call("sys_write", "{index: 1, type: char_buf, sizeArgIndex: 3}, {index: 0, type: fd}", &filters);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let long = format!("a-text-of-this-test{}", "y".repeat(9000));
    for hooks in [vec![write.clone()], vec![write, many]] {
        let mut running = start(&hooks);
        let mut file = File::create(&path).unwrap();
        file.write_all(b"a-text-of-this-test\0.").unwrap();
        file.write_all(long.as_bytes()).unwrap();
        file.write_all(b"another").unwrap();
        let reports = running.reports();
        assert_eq!(reports.len(), 2 * hooks.len(), "{reports:?}");
        for report in &reports {
            let (whole, text) = buffer(&report.values[0].1);
            let expected: (u64, &[u8]) =
                if whole == 21 { (21, b"a-text-of-this-test\0.") } else { (9019, &long.as_bytes()[..4095]) };
            assert_eq!((whole, text), expected);
        }
    }
    let whole = call("sys_write", "{index: 1, type: char_buf, sizeArgIndex: 3, maxData: true}", filter);
    let mut running = start(&[whole.clone(), whole]);
    let mut file = File::create(&path).unwrap();
    file.write_all(long.as_bytes()).unwrap();
    for report in running.reports() {
        let (header, place) = &report.values[0];
        assert_eq!(header.flags, value_flag::TRUNCATED | value_flag::PIECES);
        assert_eq!(
            (place[..8].to_vec(), place[16..].to_vec()),
            (9019_u64.to_le_bytes().to_vec(), 9019_u64.to_le_bytes().to_vec())
        );
    }
    drop(running);
    let gather = call(
        "sys_writev",
        "{index: 1, type: char_iovec, sizeArgIndex: 3}",
        "{matchArgs: [{index: 1, operator: Equal, values: [one-two-three]}]}",
    );
    let mut running = start(&[gather]);
    let mut file = File::create(&path).unwrap();
    let pieces = [b"one-".as_slice(), b"two-", b"three"].map(IoSlice::new);
    assert_eq!(file.write_vectored(&pieces).unwrap(), 13);
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(buffer(&reports[0].values[0].1), (13, b"one-two-three".as_slice()));
}

// proves: ARG-04 (natively)
#[test]
fn root_what_a_call_fills_is_read_when_it_returns() {
    let dir = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(dir.path()).unwrap().join("filled");
    std::fs::write(&path, "what the file holds").unwrap();
    let selector = format!("{{matchArgs: [{{index: 0, operator: Equal, values: ['{}']}}]}}", path.display());
    let reads = |name: &str, ty: &str, selectors: &str| {
        let arguments =
            format!("{{index: 0, type: fd}}, {{index: 1, type: {ty}, returnCopy: true, sizeArgIndex: 3}}");
        call(name, &arguments, selectors)
    };
    // alone, and together with one that tests more
    let twice = format!("{}, {selector}", selector.replace("Equal", "Postfix").replace("filled'", "other'"));
    for hooks in [
        vec![reads("sys_pread64", "char_buf", &selector)],
        vec![reads("sys_pread64", "char_buf", &selector), reads("sys_pread64", "char_buf", &twice)],
    ] {
        let mut running = start(&hooks);
        let file = File::open(&path).unwrap();
        let mut bytes = [b'-'; 64];
        assert_eq!(file.read_at(&mut bytes, 5).unwrap(), 14);
        let reports = running.reports();
        let returned: Vec<_> = reports.iter().filter(|report| report.kind() == RecordKind::Return).collect();
        assert_eq!((reports.len(), returned.len()), (2 * hooks.len(), hooks.len()), "{reports:?}");
        for report in returned {
            assert_eq!(buffer(&report.values[0].1), (14, b"the file holds".as_slice()));
        }
    }
    let mut running = start(&[reads("sys_readv", "char_iovec", &selector)]);
    let mut file = File::open(&path).unwrap();
    let (mut first, mut second) = ([0; 4], [0; 64]);
    let mut pieces = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    assert_eq!(file.read_vectored(&mut pieces).unwrap(), 19);
    let reports = running.reports();
    assert_eq!(reports.len(), 2, "{reports:?}");
    assert_eq!(buffer(&reports[1].values[0].1), (19, b"what the file holds".as_slice()));
}

// proves: ARG-15 (verifier)
#[test]
fn root_an_iterator_that_is_none_harms_nobody() {
    let iterator = call("sys_dup2", "{index: 0, type: iov_iter}", "");
    drop(start(&[iterator.clone(), iterator]));
}

// proves: ARG-17 (natively), ARG-19 (natively)
#[test]
fn root_a_raw_tracepoint_and_the_task_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(dir.path()).unwrap().join("true-of-test");
    std::fs::copy("/bin/true", &path).unwrap();
    let shown = path.to_str().unwrap();
    let exec = format!(
        "tracepoints: [{{subsystem: sched, event: sched_process_exec, raw: true, args: [{{index: 2, resolve: file}}, \
         {{index: 2, resolve: argc}}, {{index: 2, resolve: cred.uid.val}}, {{index: 0, resolve: cred.uid.val}}, {{index: 0, resolve: comm}}], \
         selectors: [{{matchArgs: [{{args: [0], operator: Equal, values: ['{shown}']}}]}}]}}]"
    );
    let mut running = start(&[exec]);
    assert!(Command::new(&path).args(["a", "b"]).status().unwrap().success());
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let values: Vec<&[u8]> = reports[0].values.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let (three, root) = (3_u64.to_le_bytes(), 0_u64.to_le_bytes());
    // the program has given its credentials to the task: there are none behind its pointer
    assert_eq!(values, [shown.as_bytes(), &three, b"", &root, b"true-of-test"]);
    assert_eq!((reports[0].values[2].0.flags, reports[0].values[2].0.status), (1, 14));
    let data = format!(
        "kprobes: [{{call: sys_getcwd, data: [{{index: 0, type: int, source: current_task, resolve: tgid}}, \
         {{index: 0, source: current_task, resolve: group_leader.comm}}], \
         selectors: [{{matchData: [{{index: 0, operator: Equal, values: ['{}']}}]}}]}}]",
        std::process::id()
    );
    let mut running = start(&[data]);
    std::env::current_dir().unwrap();
    let reports = running.reports();
    assert!(!reports.is_empty());
    let name = std::fs::read_to_string(format!("/proc/{}/comm", std::process::id())).unwrap();
    assert_eq!(reports[0].values[1].1, name.trim_end().as_bytes());
}

// proves: HOOK-08 (natively)
#[test]
fn root_a_tracepoints_buffer_has_its_size_in_another_field() {
    let write = "tracepoints: [{subsystem: syscalls, event: sys_enter_write, args: [{index: 6, sizeArgIndex: 8}], \
         selectors: [{matchArgs: [{index: 6, operator: Equal, values: [seen-by-a-tracepoint]}]}]}]";
    let mut running = start(&[write.to_owned()]);
    let dir = tempfile::tempdir().unwrap();
    let mut file = File::create(dir.path().join("x")).unwrap();
    file.write_all(b"seen-by-a-tracepoint").unwrap();
    file.write_all(b"seen-by-a-tracepoint, not").unwrap();
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(buffer(&reports[0].values[0].1), (20, b"seen-by-a-tracepoint".as_slice()));
}

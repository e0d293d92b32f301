//! Every type of argument and every operator passes the verifier of the running kernel. System calls serve where functions cannot be traced: what is read
//! through their words as if they were pointers is not there, and must harm nobody.

use std::io::Write;

use bpf_probes::kernel::KernelView;
use bpf_probes::load::probe::{ProbeOptions, kernel_view};

use crate::acts::secret;
use crate::running::{Running, resolve};

/// Instructions that a search in a bounded loop may take.
const MOST: u32 = 400_000;

fn policy(call: &str, arguments: &str, selectors: &str) -> String {
    format!(
        "{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {{name: p}}, spec: {{kprobes: [{{call: {call}, args: [{arguments}], selectors: [{selectors}]}}]}}}}"
    )
}

fn start(texts: &[String], kernel: &KernelView) -> Running {
    let policies: Vec<_> = texts.iter().map(|text| resolve(text, kernel)).collect();
    Running::start_within(&policies, kernel, MOST)
}

// proves: ARG-11 (verifier), ARG-12 (verifier), ARG-13 (verifier), ARG-14 (verifier)
#[test]
fn root_programs_for_every_type_are_verified() {
    let kernel = kernel_view(&ProbeOptions::default()).unwrap();
    let groups: [&[&str]; 5] = [
        &["cred", "user_namespace", "bpf_attr", "bpf_prog", "bpf_map"],
        &["perf_event", "module", "load_info", "capability", "bpf_cmd"],
        &["fd", "kiocb", "dentry", "linux_binprm"],
        &["filename", "net_device", "nop"],
        &["kernel_cap_t", "cap_inheritable", "cap_permitted", "cap_effective"],
    ];
    for group in groups {
        let of = |ty: &&str| policy("sys_dup2", &format!("{{index: 0, type: {ty}}}"), "");
        // a kernel without modules has none of their types
        let is_there = |ty: &&&str| {
            kernel.btf().struct_named(ty).is_ok() || !matches!(**ty, "module" | "load_info" | "perf_event")
        };
        let all: Vec<String> = group.iter().filter(is_there).map(of).collect();
        drop(start(&all, &kernel));
        for text in &all {
            drop(start(std::slice::from_ref(text), &kernel));
        }
    }
}

// proves: SEL-18 (verifier), SEL-23 (verifier), SEL-27 (verifier), SEL-28 (verifier)
#[test]
fn root_programs_for_every_operator_are_verified() {
    let kernel = kernel_view(&ProbeOptions::default()).unwrap();
    let filters = [
        ("{index: 0, type: dentry}", "{index: 0, operator: Postfix, values: [/shadow]}"),
        ("{index: 0, type: linux_binprm}", "{index: 0, operator: Prefix, values: [/bin/]}"),
        ("{index: 0, type: net_device}", "{index: 0, operator: NotPrefix, values: [eth]}"),
        ("{index: 0, type: file}", "{index: 0, operator: FileType, values: [reg, dir]}"),
        ("{index: 0, type: path}", "{index: 0, operator: NotFileType, values: [sock]}"),
        ("{index: 0, type: path}", "{index: 0, operator: SubStringIgnCase, values: [secret, shadow]}"),
        ("{index: 0, type: int}", "{index: 0, operator: NotInMap, values: ['0:100', '7000']}"),
        ("{index: 0, type: kernel_cap_t}", "{index: 0, operator: Mask, values: ['CAP_BPF,CAP_SYS_ADMIN']}"),
        (
            "{index: 0, type: kernel_cap_t}, {index: 1, type: cap_effective}",
            "{args: [0, 1], operator: CapabilitiesGained}",
        ),
        (
            "{index: 0, type: path}, {index: 1, type: file}",
            "{operator: CelExpr, values: [\"arg0.startsWith('/a') != arg1.contains('b') || size(arg0) == 3\"]}",
        ),
        (
            "{index: 0, type: int}, {index: 1, type: uint64}",
            "{operator: CelExpr, values: [\"(arg0 + 1 == -3 ? not(arg1) : arg1 - 7) > and(arg1, uint(arg0)) == true\"]}",
        ),
    ];
    let of = |(arguments, filter): &(&str, &str)| {
        policy("sys_dup2", arguments, &format!("{{matchArgs: [{filter}]}}"))
    };
    let all: Vec<String> = filters.iter().map(of).collect();
    for group in all.chunks(5) {
        drop(start(group, &kernel));
    }
    for text in &all {
        drop(start(std::slice::from_ref(text), &kernel));
    }
}

// proves: SEL-28 (live)
#[test]
fn root_an_expression_is_decided_in_live_calls() {
    let kernel = kernel_view(&ProbeOptions::default()).unwrap();
    let (_dir, path) = secret("expressed");
    let shown = path.to_str().unwrap();
    let expression =
        format!("arg0.endsWith('/expressed') && (arg0 == '{shown}' || arg1 == 7) && and(arg1, 3) != 1");
    let selector = format!("{{matchArgs: [{{operator: CelExpr, values: [\"{expression}\"]}}]}}");
    let arguments = "{index: 1, type: string}, {index: 2, type: int}";
    let mut running = start(&[policy("sys_openat", arguments, &selector)], &kernel);
    drop(std::fs::File::open(&path).unwrap());
    drop(std::fs::File::options().write(true).open(&path).unwrap());
    drop(std::fs::File::open("/dev/null").unwrap());
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(reports[0].values[0].1, shown.as_bytes());
}

// proves: ARG-06 (fd), SEL-22
#[test]
fn root_descriptors_and_texts_are_found_in_live_calls() {
    let kernel = kernel_view(&ProbeOptions::default()).unwrap();
    let (_dir, path) = secret("a-needle-in-hay");
    let shown = path.to_str().unwrap();
    let by_descriptor = format!("{{matchArgs: [{{index: 0, operator: Equal, values: ['{shown}']}}]}}");
    let mut running = start(&[policy("sys_write", "{index: 0, type: fd}", &by_descriptor)], &kernel);
    std::fs::File::create(&path).unwrap().write_all(b"x").unwrap();
    let reports = running.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(reports[0].values[0].1, shown.as_bytes());
    assert_eq!(reports[0].values[0].0.status & 0o170_000, 0o100_000);
    drop(running);
    let texts = "[nowhere-to-be-found, a-needle-in, NEEDLE]";
    let selector =
        |operator: &str| format!("{{matchArgs: [{{index: 1, operator: {operator}, values: {texts}}}]}}");
    let policies = ["SubString", "SubStringIgnCase"]
        .map(|operator| policy("sys_openat", "{index: 1, type: string}", &selector(operator)));
    let mut running = start(&policies, &kernel);
    drop(std::fs::File::open(&path).unwrap());
    // another one, which only the second finds
    let loud = path.with_file_name("A-Needle");
    std::fs::write(&loud, "x").unwrap();
    let mut found: Vec<(u32, Vec<u8>)> = running
        .reports()
        .iter()
        .map(|report| (report.record.layout - 100, report.values[0].1.clone()))
        .collect();
    found.sort();
    let (shown, loud) = (shown.as_bytes().to_vec(), loud.to_str().unwrap().as_bytes().to_vec());
    assert_eq!(found, [(0, shown.clone()), (1, loud), (1, shown)]);
}

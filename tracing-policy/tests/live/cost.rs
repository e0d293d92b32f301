//! Verification is cheap on the running kernel: for every type, every family of operators, many policies and long lists.

use std::hint::black_box;
use std::time::Duration;

use bpf_probes::kernel::{Feature, KernelView};
use bpf_probes::load::probe::{ProbeOptions, kernel_view};
use bpf_probes::load::{Collection, LoadContext, MapSet, Program};
use bpf_probes::sensor::shared::{hashes, limits, registers, sockets};
use bpf_probes::sensor::{BaseOptions, base};
use bpf_probes::spec::{CollectionSpec, ProgramSpec};
use nix::time::ClockId;
use tracing_policy::policy::Resolved;
use tracing_policy::{Rider, compile_hook};

use crate::running::resolve;
use crate::uprobes::{self, offset_of_address};

/// Instructions that the verifier may walk for one program.
const MOST: u32 = 100_000;
/// How long loading one program may take of a CPU natively.
const LONGEST: Duration = Duration::from_millis(100);
/// How much longer a list of a thousand values may take.
const LONGER: Duration = Duration::from_millis(50);

/// A policy with one hook of a section.
fn hook(section: &str, hook: &str) -> String {
    format!(
        "{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {{name: p}}, spec: {{{section}: [{{{hook}}}]}}}}"
    )
}

/// System calls can be hooked wherever functions cannot.
fn policy(arguments: &str, selectors: &str) -> String {
    format!(
        "{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {{name: p}}, spec: {{kprobes: [{{call: sys_mmap, syscall: true, args: [{arguments}], selectors: [{selectors}]}}]}}}}"
    )
}

/// The kernel, and the maps that programs share.
struct Bench {
    kernel: KernelView,
    /// Those of the base programs, and those that are there only while a policy needs them.
    maps: MapSet,
    base: Collection,
    _needed: Collection,
}

/// What loading a program took.
struct Cost {
    walked: u32,
    time: Duration,
}

impl Bench {
    fn new() -> Self {
        let kernel = kernel_view(&ProbeOptions::default()).unwrap();
        let context = LoadContext::new(Some(kernel.btf())).unwrap();
        let spec = base(&kernel, BaseOptions::default()).unwrap();
        let base = Collection::load(&spec, &MapSet::new(), &context).unwrap();
        let maps = vec![limits(), sockets(), registers(), hashes()];
        let needed = CollectionSpec { maps, imports: Vec::new(), programs: Vec::new() };
        let needed = Collection::load(&needed, &MapSet::new(), &context).unwrap();
        let mut maps = base.maps().clone();
        maps.extend(needed.maps().iter().cloned());
        Self { kernel, maps, base, _needed: needed }
    }

    fn resolved(&self, texts: &[String]) -> Vec<Resolved> {
        texts.iter().map(|text| resolve(text, &self.kernel)).collect()
    }

    /// What the programs of the policies' hook cost, each.
    fn costs(&self, policies: &[Resolved]) -> Vec<Cost> {
        let numbers: Vec<u32> = (0..64).collect();
        let riders: Vec<Rider<'_>> = policies
            .iter()
            .zip(0..)
            .map(|(policy, number)| Rider {
                hook: &policy.hooks[0],
                policy_number: number,
                layout_number: number,
                first_selector: 8 * number,
                class_numbers: &numbers,
            })
            .collect();
        let compiled = compile_hook(&riders, &self.kernel).unwrap();
        compiled.bodies.iter().map(|body| self.cost(&body.collection)).collect()
    }

    fn cost(&self, spec: &CollectionSpec) -> Cost {
        let context = LoadContext::new(Some(self.kernel.btf())).unwrap();
        let load = || {
            let begin = spent();
            let collection = Collection::load(spec, &self.maps, &context).unwrap();
            (spent().saturating_sub(begin), collection)
        };
        // the least of several: what else runs on this machine only adds
        let again = if emulated() { 0 } else { 4 };
        let mut times: Vec<Duration> = (0..again).map(|_| load().0).collect();
        let (time, collection) = load();
        times.push(time);
        let [body] = spec.programs.as_slice() else { panic!("a hook has one program: {spec:?}") };
        Cost { walked: self.walked(body, &collection), time: times.into_iter().min().unwrap() }
    }

    /// What the verifier walked of a program, from its log where the kernel does not count it for each program.
    fn walked(&self, program: &ProgramSpec, collection: &Collection) -> u32 {
        use std::os::fd::AsFd;
        let counted = collection.program(&program.name).unwrap().info().unwrap().verified_insns;
        if counted > 0 {
            return counted;
        }
        let maps = [collection.maps(), &self.maps];
        let find = |name: &str| maps.iter().find_map(|maps| maps.get(name)).map(|map| map.as_fd());
        let context = LoadContext::new(Some(self.kernel.btf())).unwrap();
        Program::walked(program, &find, &context).unwrap().unwrap()
    }

    fn check(&self, what: &str, texts: &[String]) {
        self.check_resolved(what, &self.resolved(texts));
    }

    fn check_resolved(&self, what: &str, policies: &[Resolved]) {
        for cost in self.costs(policies) {
            eprintln!("{what}: {} instructions walked, {:?}", cost.walked, cost.time);
            assert!(cost.walked > 0 && cost.walked < MOST, "{what}: {} instructions", cost.walked);
            assert!(emulated() || cost.time < LONGEST, "{what}: {:?}", cost.time);
        }
    }
}

/// What this thread has had of a CPU: the verifier works in it, and what else runs on the machine does not count.
fn spent() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().unwrap().into()
}

/// Whether times mean nothing here.
fn emulated() -> bool {
    std::fs::read_to_string("/proc/cpuinfo").unwrap().contains("QEMU")
}

const TYPES: [&str; 31] = [
    "int8",
    "uint16",
    "int32",
    "uint64",
    "size_t",
    "string",
    "file",
    "path",
    "fd",
    "kiocb",
    "dentry",
    "linux_binprm",
    "filename",
    "net_device",
    "sock",
    "socket",
    "skb",
    "sockaddr",
    "sockaddr_un",
    "cred",
    "user_namespace",
    "capability",
    "kernel_cap_t",
    "cap_inheritable",
    "cap_permitted",
    "cap_effective",
    "bpf_attr",
    "bpf_prog",
    "bpf_map",
    "bpf_cmd",
    "nop",
];

/// Types, and filters of which each is verified alone, and all together.
const FILTERS: [(&[&str], &[&str]); 5] = [
    (
        &["int32", "uint8", "int64"],
        &[
            "Equal, values: ['1', '2']",
            "NotEqual, values: ['1']",
            "GT, values: ['5']",
            "LT, values: ['5']",
            "Mask, values: ['6']",
            "InRange, values: ['1:5', '7:9']",
            "NotInMap, values: ['0:50', '70']",
        ],
    ),
    (
        &["string", "file", "path", "fd", "dentry", "linux_binprm", "net_device"],
        &[
            "Equal, values: [/etc/shadow, /a]",
            "NotEqual, values: [/etc/shadow]",
            "Prefix, values: [/etc/, /usr]",
            "NotPostfix, values: [.conf]",
            "SubString, values: [needle, a-longer-one]",
            "SubStringIgnCase, values: [NEEDLE]",
        ],
    ),
    (&["file", "path"], &["FileType, values: [reg, dir]", "NotFileType, values: [sock]"]),
    (
        &["sock", "socket", "skb"],
        &[
            "SAddr, values: [10.0.0.0/8, '::1']",
            "NotDAddr, values: [127.0.0.1]",
            "DPort, values: ['443', '8000:9000']",
            "SPortPriv",
            "Protocol, values: [IPPROTO_TCP]",
            "Family, values: [AF_INET6]",
            "State, values: [TCP_LISTEN]",
        ],
    ),
    (&["kernel_cap_t"], &["Equal, values: [CAP_BPF]", "Mask, values: ['CAP_BPF,CAP_SYS_ADMIN']"]),
];

fn argument(ty: &str) -> String {
    format!("{{index: 1, type: {ty}}}")
}

fn filtered(ty: &str, filter: &str) -> String {
    policy(&argument(ty), &format!("{{matchArgs: [{{index: 1, operator: {filter}}}]}}"))
}

#[test]
fn root_no_program_of_the_language_is_expensive_to_verify() {
    let bench = Bench::new();
    for ty in TYPES {
        bench.check(ty, &[policy(&argument(ty), "")]);
    }
    for (types, filters) in FILTERS {
        for ty in types {
            for filter in filters {
                bench.check(&format!("{ty} {filter}"), &[filtered(ty, filter)]);
            }
            let all: Vec<String> = filters.iter().map(|filter| filtered(ty, filter)).collect();
            bench.check(&format!("{ty} with all of its operators"), &all);
        }
    }
    let text = |number: usize| {
        let operator = ["Equal", "Prefix", "Postfix", "NotEqual"][number % 4];
        filtered(["string", "path"][number % 2], &format!("{operator}, values: [/somewhere/{number}]"))
    };
    bench.check("a hundred policies", &(0..100).map(text).collect::<Vec<_>>());
    let process = "{matchPIDs: [{operator: NotIn, values: [1, 2, 3]}], matchCapabilities: [{operator: In, values: [CAP_BPF]}], \
                   matchNamespaces: [{namespace: Pid, operator: NotIn, values: ['1']}]}";
    bench.check("the process", &[policy(&argument("int"), process)]);
}

/// A buffer of a call, tested and reported as far as it goes; those in pieces; those that the call fills; stacks.
const OF_CALLS: [(&str, &str); 6] = [
    (
        "char_buf",
        "call: sys_write, args: [{index: 1, type: char_buf, sizeArgIndex: 3}], \
         selectors: [{matchArgs: [{index: 1, operator: SubString, values: [needle]}]}]",
    ),
    (
        "maxData",
        "call: sys_write, args: [{index: 1, type: char_buf, sizeArgIndex: 3, maxData: true}], \
         selectors: [{matchArgs: [{index: 1, operator: Prefix, values: [GET, PUT]}]}]",
    ),
    (
        "char_iovec",
        "call: sys_writev, args: [{index: 1, type: char_iovec, sizeArgIndex: 3}], \
         selectors: [{matchArgs: [{index: 1, operator: Postfix, values: [end]}]}]",
    ),
    (
        "returnCopy",
        "call: sys_read, args: [{index: 0, type: fd}, {index: 1, type: char_buf, returnCopy: true, sizeArgIndex: 3}], \
         return: true, returnArg: {index: 0, type: int}, selectors: [{matchArgs: [{index: 0, operator: Prefix, values: [/etc/]}], \
         matchReturnArgs: [{index: 0, operator: GT, values: ['5']}], matchReturnActions: [{action: Signal, argSig: 10}]}]",
    ),
    (
        "returnCopy of pieces",
        "call: sys_readv, args: [{index: 1, type: char_iovec, returnCopy: true, sizeArgIndex: 3}]",
    ),
    (
        "stacks",
        "call: sys_mmap, args: [{index: 1, type: uint64}], return: true, returnArg: {index: 0, type: long}, \
         selectors: [{matchActions: [{action: Post, kernelStackTrace: true, userStackTrace: true, rateLimit: 1m}], \
         matchReturnActions: [{action: Post, kernelStackTrace: true, userStackTrace: true}]}]",
    ),
];

/// What is reached from what a function returns, a buffer of its own, iterators, and what registers lead to.
const OF_FUNCTIONS: [(&str, &str); 4] = [
    (
        "returnArg with resolve",
        "call: dentry_open, syscall: false, return: true, returnArg: {index: 0, type: string, resolve: f_path.dentry.d_name.name}, \
         selectors: [{matchReturnArgs: [{index: 0, operator: Postfix, values: [.conf]}]}]",
    ),
    (
        "returnArg with sizeArgIndex",
        "call: memdup_user, syscall: false, return: true, returnArg: {index: 0, type: char_buf, sizeArgIndex: 2}, \
         selectors: [{matchReturnArgs: [{index: 0, operator: Prefix, values: [x]}]}]",
    ),
    (
        "iov_iter",
        "call: vfs_iter_write, syscall: false, args: [{index: 0, type: file}, {index: 1, type: iov_iter}], \
         selectors: [{matchArgs: [{index: 1, operator: SubString, values: [needle]}]}]",
    ),
    (
        "returnCopy of data",
        "call: vfs_read, syscall: false, args: [{index: 0, type: file}], \
         data: [{index: 0, type: char_buf, source: pt_regs, resolve: rsi, returnCopy: true}]",
    ),
];

/// Called by nobody: its place is what matters.
#[inline(never)]
extern "C" fn overridden(number: i64) -> i64 {
    black_box(number) + 1
}

#[test]
fn root_no_program_of_buffers_returns_and_overrides_is_expensive_to_verify() {
    let bench = Bench::new();
    for (what, call) in OF_CALLS {
        bench.check(what, &[hook("kprobes", call)]);
    }
    if bench.kernel.has(Feature::Kprobe) {
        for (what, function) in OF_FUNCTIONS {
            bench.check(what, &[hook("kprobes", function)]);
        }
    }
    if bench.kernel.runs_lsm_programs() {
        let hashed = "hook: bprm_check_security, args: [{index: 0, type: linux_binprm}], \
             selectors: [{matchActions: [{action: Override, argError: -13}, {action: Post, imaHash: true}]}]";
        bench.check("imaHash", &[hook("lsmhooks", hashed)]);
    }
    if bench.kernel.has(Feature::UprobeRegisterWrite) {
        let offset = offset_of_address(overridden as *const () as usize as u64);
        for action in ["argError: -13", "argRegs: ['rdi=8(%rsi)', 'esi=%edx', 'rdx=5']"] {
            let hook = format!(
                "offsets: [{offset}], selectors: [{{matchActions: [{{action: Override, {action}}}]}}]"
            );
            let policy = uprobes::resolve(&bench.kernel, "", &hook);
            bench.check_resolved(&format!("Override with {action}"), &[policy]);
        }
    }
}

#[test]
fn root_no_program_of_the_sensors_is_expensive_to_verify() {
    let bench = Bench::new();
    for program in base(&bench.kernel, BaseOptions::default()).unwrap().programs {
        let (name, walked) = (&program.name, bench.walked(&program, &bench.base));
        eprintln!("{name}: {walked} instructions walked");
        assert!(walked > 0 && walked < MOST, "{name}: {walked} instructions");
    }
}

#[test]
fn root_a_thousand_values_load_about_as_fast_as_one() {
    let bench = Bench::new();
    let list = |of: &dyn Fn(usize) -> String, count: usize| (0..count).map(of).collect::<Vec<_>>();
    let path = |number: usize| format!("/somewhere/file-{number:05}");
    let number = |number: usize| (3 * number).to_string();
    let range = |number: usize| format!("{}:{}", 3 * number, 3 * number + 1);
    let network = |number: usize| format!("10.{}.{}.0/24", number / 256, number % 256);
    let port = |number: usize| (3 * number).to_string();
    /// Type, operator, the values by their number.
    type Line<'a> = (&'static str, &'static str, &'a dyn Fn(usize) -> String);
    let rows: [Line<'_>; 10] = [
        ("string", "Equal", &path),
        ("string", "Prefix", &path),
        ("path", "Postfix", &path),
        ("path", "NotPrefix", &path),
        ("string", "SubString", &path),
        ("int32", "Equal", &number),
        ("int64", "NotInRange", &range),
        ("uint32", "InMap", &number),
        ("sock", "DAddr", &network),
        ("sock", "DPort", &port),
    ];
    for (ty, operator, of) in rows {
        let costs = |count| {
            let values = list(of, count);
            bench.costs(&bench.resolved(&[filtered(ty, &format!("{operator}, values: {values:?}"))]))
        };
        // one after the other, so that what disturbs one disturbs both
        for (one, thousand) in costs(1).into_iter().zip(costs(1000)) {
            eprintln!("{ty} {operator}: {:?} for one value, {:?} for a thousand", one.time, thousand.time);
            assert!(thousand.walked < MOST, "{ty} {operator}: {} instructions", thousand.walked);
            let more = thousand.time.saturating_sub(one.time);
            assert!(emulated() || more < LONGER, "{ty} {operator}: {more:?} longer");
        }
    }
}

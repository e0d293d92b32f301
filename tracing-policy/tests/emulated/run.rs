//! Policies loaded into the interpreter.

use std::mem::offset_of;

use bpf_probes::abi::{
    ClassSet, Control, Counter, Counters, HookRecord, ProcessState, SELECTOR_COUNTERS, ValueHeader,
    hook_flag, map_name,
};
use bpf_probes::builder::Facts;
use bpf_probes::emulate::{Context, Machine, Outcome};
use bpf_probes::kernel::KernelView;
use bpf_probes::sensor::{BaseOptions, BaseTargets, base, recording, shared};
use bpf_probes::spec::CollectionSpec;
use tracing_policy::policy::{Attachment, Exactness, Resolved, Role};
use tracing_policy::source::SourceText;
use tracing_policy::{CompiledBody, CompiledHook, Rider, compile_hook};
use zerocopy::{FromBytes, IntoBytes};

use crate::kernel::{Objects, populate};

/// A reported match.
#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) record: HookRecord,
    pub(crate) enforced: bool,
    pub(crate) values: Vec<(ValueHeader, Vec<u8>)>,
    /// The stacks behind the values.
    pub(crate) stacks: Vec<(ValueHeader, Vec<u8>)>,
}

/// A kernel with the base programs, on which policies can be loaded again and again.
pub(crate) struct Base<'k> {
    pub(crate) view: &'k KernelView,
    pub(crate) machine: Machine,
    pub(crate) objects: Objects,
}

/// Policies on one hook of one kernel.
pub(crate) struct Emulated<'k> {
    pub(crate) view: &'k KernelView,
    pub(crate) machine: Machine,
    pub(crate) objects: Objects,
    pub(crate) compiled: CompiledHook,
    /// Steps of the last run.
    pub(crate) steps: u64,
}

/// A policy's text with one hook.
pub(crate) fn policy(call: &str, arguments: &str, selectors: &str) -> String {
    let syscall = call.starts_with("sys_");
    format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: p}}
spec:
  kprobes:
  - call: {call}
    syscall: {syscall}
    args: [{arguments}]
    selectors: [{selectors}]
"
    )
}

/// A policy on a made-up function with these arguments, so that any type may stand at any place.
pub(crate) fn resolved(text: &str, kernel: &KernelView) -> Resolved {
    let (policy, _warnings) = tracing_policy::read(&SourceText::new("test", text)).unwrap();
    tracing_policy::resolve(policy, kernel).unwrap()
}

/// What is wrong with a policy of this specification on any kernel.
pub(crate) fn policy_codes(spec: &str) -> Vec<tracing_policy::diagnostic::Code> {
    let text = format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec: {{{spec}}}\n"
    );
    let read = tracing_policy::read(&SourceText::new("test", text));
    read.err().into_iter().flatten().map(|error| error.code).collect()
}

/// The same with one attachment only.
pub(crate) fn attached(mut policy: Resolved, target: &bpf_probes::spec::AttachSpec, role: Role) -> Resolved {
    for hook in &mut policy.hooks {
        let attachment =
            Attachment { target: target.clone(), role, reason: String::new(), exactness: Exactness::Exact };
        hook.attachments = vec![attachment];
    }
    policy
}

impl<'k> Base<'k> {
    /// The base programs of a kernel.
    pub(crate) fn of(view: &'k KernelView) -> Self {
        let mut machine = Machine::new(&base(view, BaseOptions::default()).unwrap()).unwrap();
        let objects = populate(&mut machine, view);
        Self { view, machine, objects }
    }

    /// Compiles the first hooks of the policies together; class `n` of policy `p` is number `8 p + n`.
    pub(crate) fn load(&self, policies: &[Resolved]) -> Emulated<'k> {
        self.load_numbered(policies, 8)
    }

    /// The same with so many numbers for the classes of each policy.
    pub(crate) fn load_numbered(&self, policies: &[Resolved], classes: u32) -> Emulated<'k> {
        let view = self.view;
        let numbers: Vec<Vec<u32>> = (0..)
            .take(policies.len())
            .map(|policy| (policy * classes..(policy + 1) * classes).collect())
            .collect();
        let riders: Vec<Rider<'_>> = policies
            .iter()
            .zip(0..)
            .zip(&numbers)
            .map(|((policy, number), classes)| Rider {
                hook: &policy.hooks[0],
                policy_number: number,
                layout_number: 100 + number,
                first_selector: 4 * number,
                class_numbers: classes,
            })
            .collect();
        let compiled = compile_hook(&riders, view).unwrap();
        let mut machine = self.machine.clone();
        let asks_for_changes =
            |body: &CompiledBody| body.collection.imports.iter().any(|map| map.name == map_name::RECORDED);
        if compiled.bodies.iter().any(asks_for_changes) {
            let facts = Facts::of(view);
            let recording = recording(&facts, &BaseTargets::of(view).unwrap(), 64).unwrap();
            machine.load(&recording).unwrap();
        }
        for map in
            [shared::limits(), shared::sockets(), shared::pending(), shared::registers(), shared::hashes()]
        {
            let asks_for_it =
                |body: &CompiledBody| body.collection.imports.iter().any(|import| import.name == map.name);
            if compiled.bodies.iter().any(asks_for_it) {
                machine.load(&CollectionSpec { maps: vec![map], ..CollectionSpec::default() }).unwrap();
            }
        }
        for body in &compiled.bodies {
            machine.load(&body.collection).unwrap();
        }
        Emulated { view, machine, objects: self.objects.clone(), compiled, steps: 0 }
    }
}

impl<'k> Emulated<'k> {
    /// Compiles the first hooks of the policies together, as [`Base::load`] does.
    pub(crate) fn new(policies: &[Resolved], view: &'k KernelView) -> Self {
        Base::of(view).load(policies)
    }

    /// Runs the program that was loaded last at the entry of a function.
    pub(crate) fn call(&mut self, arguments: [u64; 6]) -> Outcome {
        self.run(Context::kprobe(arguments))
    }

    pub(crate) fn run(&mut self, context: Context) -> Outcome {
        match self.machine.run("body", context) {
            Ok(outcome) => {
                self.steps = outcome.steps;
                outcome
            }
            Err(fault) => panic!("{fault}"),
        }
    }

    /// Opens a path and returns which policies reported.
    pub(crate) fn open(&mut self, path: &str) -> Vec<u32> {
        let file = self.objects.file(&mut self.machine, self.view, path, 0o100_644);
        self.call([file, 0, 0, 0, 0, 0]);
        self.reporters()
    }

    /// The policies that reported since the last look.
    pub(crate) fn reporters(&mut self) -> Vec<u32> {
        self.reports().iter().map(|report| report.record.layout - 100).collect()
    }

    pub(crate) fn reports(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        for (ring, enforced) in [(map_name::EVENTS, false), (map_name::ENFORCEMENT, true)] {
            for record in self.machine.ring_mut(ring).unwrap().drain() {
                assert_eq!(record.unwritten, 0);
                reports.push(report(&record.bytes, enforced));
            }
        }
        reports.sort_by_key(|report| report.record.layout);
        reports
    }

    /// Makes the process known, in these classes.
    pub(crate) fn process(&mut self, ktime: u64, classes: &[u32]) {
        let mut state = ProcessState { ktime, ..ProcessState::default() };
        let mut set = ClassSet::default();
        for class in classes {
            set.insert(*class);
        }
        state.classes = set;
        let key = self.machine.world().task.tgid.to_ne_bytes();
        let map = self.machine.map_mut(map_name::PROCESSES).unwrap();
        map.update(&key, state.as_bytes()).unwrap();
    }

    /// Makes the process known, and its parent `parent` with these classes; the kernel calls `real` its parent.
    pub(crate) fn family(&mut self, classes: &[u32], parent: u32, parent_classes: Option<&[u32]>, real: u32) {
        self.process(1, classes);
        let key = self.machine.world().task.tgid.to_ne_bytes();
        let map = self.machine.map_mut(map_name::PROCESSES).unwrap();
        let mut state = ProcessState::read_from_bytes(map.lookup(&key).unwrap()).unwrap();
        state.parent.tgid = parent;
        map.update(&key, state.as_bytes()).unwrap();
        // it may not be there
        let _absent = map.delete(&parent.to_ne_bytes());
        if let Some(classes) = parent_classes {
            let mut state = ProcessState { ktime: 1, ..ProcessState::default() };
            for class in classes {
                state.classes.insert(*class);
            }
            map.update(&parent.to_ne_bytes(), state.as_bytes()).unwrap();
        }
        crate::kernel::real_parent(&mut self.machine, self.view, real);
    }

    /// Puts a policy into monitor mode.
    pub(crate) fn monitor(&mut self, policy: usize) {
        self.mode(policy, 1);
    }

    /// Takes a policy out of monitor mode.
    pub(crate) fn enforce(&mut self, policy: usize) {
        self.mode(policy, 0);
    }

    fn mode(&mut self, policy: usize, mode: u8) {
        let map = self.machine.map_mut(map_name::CONTROL).unwrap();
        let mut control = map.lookup(&[0; 4]).unwrap().to_vec();
        control[offset_of!(Control, mode) + 4 * policy] = mode;
        map.update(&[0; 4], &control).unwrap();
    }

    pub(crate) fn count(&self, policy: usize, selector: usize, counter: Counter) -> u64 {
        let counters = self.machine.map(map_name::COUNTERS).unwrap().lookup(&[0; 4]).unwrap();
        let number = 4 * policy + selector;
        let at = offset_of!(Counters, selectors) + 8 * (SELECTOR_COUNTERS * number + counter as usize);
        u64::read_from_bytes(&counters[at..at + 8]).unwrap()
    }
}

fn report(bytes: &[u8], enforced: bool) -> Report {
    let (record, mut rest) = HookRecord::read_from_prefix(bytes).unwrap();
    assert_eq!((record.header.kind, record.header.size as usize), (4, bytes.len()));
    let mut values = Vec::new();
    let stacks = [hook_flag::KERNEL_STACK, hook_flag::USER_STACK];
    let stacks = stacks.into_iter().filter(|flag| record.flags & flag != 0).count();
    for _ in 0..record.values as usize + stacks {
        let (header, tail) = ValueHeader::read_from_prefix(rest).unwrap();
        let len = header.len as usize;
        let padded = len.next_multiple_of(8);
        assert!(tail[len..padded].iter().all(|&byte| byte == 0), "padding is zero");
        values.push((header, tail[..len].to_vec()));
        rest = &tail[padded..];
    }
    assert!(rest.is_empty(), "{} bytes too many", rest.len());
    let stacks = values.split_off(record.values as usize);
    Report { record, enforced, values, stacks }
}

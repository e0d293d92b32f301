//! Policies made live as the daemon does, without the daemon.

use std::mem::{offset_of, size_of};

use bpf_probes::abi::{
    BinaryKey, ClassSet, Control, Counter, Counters, HookRecord, NumberKey, ProcessState, RecordKind,
    SELECTOR_COUNTERS, ValueHeader, hook_flag, map_name,
};
use bpf_probes::kernel::{Feature, KernelView};
use bpf_probes::load::probe::{ProbeOptions, kernel_view};
use bpf_probes::load::{Collection, Head, LoadContext, MapSet, MappedArray, Ring};
use bpf_probes::sensor::shared::{limits, registers, sockets};
use bpf_probes::sensor::{BaseOptions, SLOTS, base, stub};
use bpf_probes::spec::CollectionSpec;
use tracing_policy::policy::{Children, ClassTest, PidNamespace, Resolved, Role, StringForm};
use tracing_policy::source::SourceText;
use tracing_policy::{CompiledHook, Rider, compile_hook};
use zerocopy::{FromBytes, IntoBytes};

/// A kernel on which functions can be traced; `None`, said aloud, where they cannot.
pub(crate) fn traceable_kernel() -> Option<KernelView> {
    let view = kernel_view(&ProbeOptions::default()).unwrap();
    if view.has(Feature::Kprobe) {
        return Some(view);
    }
    eprintln!("{} lacks kprobes: not run here", view.release());
    None
}

/// What a policy's text becomes on a kernel.
pub(crate) fn resolve(text: &str, kernel: &KernelView) -> Resolved {
    let (policy, _warnings) = tracing_policy::read(&SourceText::new("test", text)).unwrap();
    tracing_policy::resolve(policy, kernel).unwrap()
}

/// One reported match.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) record: HookRecord,
    pub(crate) enforced: bool,
    pub(crate) values: Vec<(ValueHeader, Vec<u8>)>,
    /// The stacks behind the values.
    pub(crate) stacks: Vec<(ValueHeader, Vec<u8>)>,
}

/// Records of hooks; those of returns have the same fields in the same places.
const KINDS: [RecordKind; 2] = [RecordKind::Hook, RecordKind::Return];

impl Report {
    pub(crate) fn kind(&self) -> RecordKind {
        RecordKind::from_number(self.record.header.kind).unwrap()
    }
}

/// Policies at work on one hook.
pub(crate) struct Running {
    rings: [Ring; 2],
    control: MappedArray,
    counters: MappedArray,
    /// By role: instructions that the verifier looked at.
    pub(crate) verified: Vec<(Role, u32)>,
    // dropped in order: stubs are detached first
    #[expect(dead_code, reason = "held for what it does when dropped: the stubs detach")]
    stubs: Vec<Collection>,
    _bodies: Vec<Collection>,
    base: Collection,
}

impl Running {
    /// Makes the first hooks of all policies, which must be the same, live.
    pub(crate) fn start(policies: &[Resolved], kernel: &KernelView) -> Self {
        Self::start_within(policies, kernel, 20_000)
    }

    /// The same, with so many instructions that the verifier may look at.
    pub(crate) fn start_within(policies: &[Resolved], kernel: &KernelView, most: u32) -> Self {
        let context = LoadContext::new(Some(kernel.btf())).unwrap();
        let options = BaseOptions { ring_bytes: 1 << 22, ..BaseOptions::default() };
        let mut base = load(&base(kernel, options).unwrap(), &MapSet::new(), &context);
        let control = base.map(map_name::CONTROL).unwrap().mapped().unwrap();
        let counters = base.map(map_name::COUNTERS).unwrap().mapped().unwrap();
        let rings = [map_name::EVENTS, map_name::ENFORCEMENT]
            .map(|name| Ring::open(base.map(name).unwrap()).unwrap());
        let classes = set_up_classes(policies, &base, &control);
        base.attach_all().unwrap();
        let riders: Vec<Rider<'_>> = policies
            .iter()
            .zip(0..)
            .zip(&classes)
            .map(|((policy, number), classes)| Rider {
                hook: &policy.hooks[0],
                policy_number: number,
                layout_number: 100 + number,
                first_selector: 8 * number,
                class_numbers: classes,
            })
            .collect();
        let CompiledHook { bodies } = compile_hook(&riders, kernel).unwrap();
        let limits = CollectionSpec {
            maps: vec![limits(), sockets(), registers()],
            imports: Vec::new(),
            programs: Vec::new(),
        };
        let limits = load(&limits, &MapSet::new(), &context);
        let mut maps = base.maps().clone();
        maps.extend(limits.maps().iter().cloned());
        let (mut stubs, mut loaded, mut verified) = (Vec::new(), Vec::new(), Vec::new());
        for (number, body) in bodies.into_iter().enumerate() {
            let number = u32::try_from(number).unwrap();
            let mut collection = load(&body.collection, &maps, &context);
            if body.role.is_attached() {
                collection.attach_all().unwrap();
                stubs.push(collection);
                continue;
            }
            let program = collection.program("body").unwrap();
            let insns = program.info().unwrap().verified_insns;
            assert!(insns < most, "{:?} on {} is expensive to verify: {insns}", body.role, body.target);
            verified.push((body.role, insns));
            let mut stub = load(&stub(&body.target, number).unwrap(), base.maps(), &context);
            stub.map(SLOTS).unwrap().set_program(0, program).unwrap();
            let cell = offset_of!(Control, live_slot) + 4 * number as usize;
            control.store_u32(0, narrow(cell), 0).unwrap();
            stub.attach_all().unwrap();
            stubs.push(stub);
            loaded.push(collection);
        }
        Self { rings, control, counters, verified, stubs, _bodies: loaded, base }
    }

    /// Puts a policy into monitor mode, or out of it.
    pub(crate) fn monitor(&self, policy: usize, monitors: bool) {
        let cell = offset_of!(Control, mode) + 4 * policy;
        self.control.store_u32(0, narrow(cell), monitors.into()).unwrap();
    }

    /// A counter of a policy's selector.
    pub(crate) fn count(&self, policy: usize, selector: usize, counter: Counter) -> u64 {
        let number = 8 * policy + selector;
        let at = offset_of!(Counters, selectors) + 8 * (SELECTOR_COUNTERS * number + counter as usize);
        self.counters.load_u64(0, narrow(at)).unwrap()
    }

    /// Adds the test's own process to a class.
    pub(crate) fn put_in_class(&self, class: u32) {
        let processes = self.base.map(map_name::PROCESSES).unwrap();
        let mut state = ProcessState { ktime: 1, ..ProcessState::default() };
        state.classes.insert(class);
        processes.update(&std::process::id().to_ne_bytes(), state.as_bytes()).unwrap();
    }

    /// Says that a cgroup on that level is a container's, and which class it has.
    pub(crate) fn put_workload(&self, cgroup: u64, level: u64, class: u32) {
        let mut classes = ClassSet::default();
        classes.insert(class);
        let workloads = self.base.map(map_name::WORKLOADS).unwrap();
        workloads.update(cgroup.as_bytes(), classes.as_bytes()).unwrap();
        self.control.store_u64(0, narrow(offset_of!(Control, levels)), level).unwrap();
    }

    /// What was reported since the last call, observations first.
    pub(crate) fn reports(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        for (ring, enforced) in self.rings.iter_mut().zip([false, true]) {
            loop {
                match ring.peek() {
                    Head::Empty => break,
                    Head::Busy => continue,
                    Head::Record(bytes) => reports.extend(report(bytes, enforced)),
                    Head::Corrupt => panic!("the ring is corrupt"),
                }
                ring.advance();
                ring.release();
            }
        }
        reports
    }
}

fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap()
}

fn load(spec: &CollectionSpec, imports: &MapSet, context: &LoadContext<'_>) -> Collection {
    match Collection::load(spec, imports, context) {
        Ok(collection) => collection,
        Err(error) => panic!("{error}\n{error:#?}"),
    }
}

fn report(bytes: &[u8], enforced: bool) -> Option<Report> {
    if !KINDS.iter().any(|kind| bytes.first() == Some(&(*kind as u8))) {
        return None;
    }
    let (record, mut rest) = HookRecord::read_from_prefix(bytes).unwrap();
    assert_eq!(record.header.size as usize, bytes.len());
    let mut values = Vec::new();
    let stacks = [hook_flag::KERNEL_STACK, hook_flag::USER_STACK];
    let stacks = stacks.into_iter().filter(|flag| record.flags & flag != 0).count();
    for _ in 0..record.values as usize + stacks {
        let (header, tail) = ValueHeader::read_from_prefix(rest).unwrap();
        let len = header.len as usize;
        values.push((header, tail[..len].to_vec()));
        rest = &tail[len.next_multiple_of(8)..];
    }
    assert_eq!(rest, [0_u8; 0], "{record:?}");
    let stacks = values.split_off(record.values as usize);
    Some(Report { record, enforced, values, stacks })
}

/// Says that who has the number from its fork on is in the class.
fn put_number(base: &Collection, control: &MappedArray, namespace: PidNamespace, number: u32, class: u32) {
    let namespace = if namespace == PidNamespace::Own { NumberKey::OWN } else { NumberKey::HOST };
    let numbers = base.map(map_name::NUMBERS).unwrap();
    let key = NumberKey { number, namespace };
    let before = numbers.lookup(key.as_bytes()).unwrap();
    let mut set = before.map_or_else(ClassSet::default, |set| ClassSet::read_from_bytes(&set).unwrap());
    set.insert(class);
    numbers.update(key.as_bytes(), set.as_bytes()).unwrap();
    control.store_u32(0, narrow(offset_of!(Control, tables)), 4).unwrap();
}

/// Gives every class of every policy a number and tells the kernel side of it.
fn set_up_classes(policies: &[Resolved], base: &Collection, control: &MappedArray) -> Vec<Vec<u32>> {
    let mut next = 0;
    let mut followed = ClassSet::default();
    let mut numbers = Vec::new();
    for policy in policies {
        let mut own = Vec::new();
        for class in &policy.hooks[0].classes {
            own.push(next);
            match class {
                ClassTest::Descendants { namespace, pids } => {
                    followed.insert(next);
                    for pid in pids {
                        put_number(base, control, *namespace, *pid, next);
                    }
                }
                ClassTest::InPidNamespace => {
                    followed.insert(next);
                    put_number(base, control, PidNamespace::Own, 0, next);
                }
                ClassTest::Binary { form: StringForm::Exact, values, children } => {
                    if *children == Children::Followed {
                        followed.insert(next);
                    }
                    for value in values {
                        let mut key = BinaryKey { prefix_bits: 0, path: [0; 256] };
                        key.path[..value.len()].copy_from_slice(value);
                        key.prefix_bits = 8 * (u32::try_from(value.len()).unwrap() + 1);
                        let mut set = ClassSet::default();
                        set.insert(next);
                        let table = base.map(map_name::BINARIES).unwrap();
                        table.update(key.as_bytes(), set.as_bytes()).unwrap();
                        control.store_u32(0, narrow(offset_of!(Control, tables)), 1).unwrap();
                    }
                }
                ClassTest::Binary { .. } => panic!("not in these tests"),
                ClassTest::Workload(scope) if scope.host => {
                    let at = offset_of!(Control, host) + size_of::<u64>() * (next as usize / 64);
                    control.store_u64(0, narrow(at), 1 << (next % 64)).unwrap();
                }
                ClassTest::Workload(_) => {}
            }
            next += 1;
        }
        numbers.push(own);
    }
    for (index, word) in followed.words.iter().enumerate() {
        let at = offset_of!(Control, followed) + size_of::<u64>() * index;
        control.store_u64(0, narrow(at), *word).unwrap();
    }
    numbers
}

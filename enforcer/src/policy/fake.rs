//! A made-up kernel, compiler and proc for the tests of this folder. It keeps to the rules of the real one: a program array is emptied with its
//! stub, a body runs only where an attached stub's live slot holds it.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use bpf_probes::abi::{ClassSet, ProcessState};
use bpf_probes::spec::{AttachSpec, CollectionSpec};
use tracing_policy::diagnostic::Diagnostic;
use tracing_policy::ir::{RecordLayout, SourceMap};
use tracing_policy::policy::{
    Absent, AbsentHook, AttachPreference, Attachment, ClassTest, Convention, EventForm, Exactness, HookKey,
    HookSection, Member, Mode, Policy, PolicyName, Resolved, ResolvedHook, Role, Selector,
};
use tracing_policy::source::{SourceText, Span, Spanned};
use tracing_policy::{CompiledBody, CompiledHook, Rider};

use super::classes::{ProcessList, Running};
use super::compiler::{CompileError, Compiler};
use super::port::{CellPort, ClassPort, Figures, HookPort, Refused, Slot, Table};
use super::store::LayoutSink;

/// Which call fails, counted from the one after this is set.
#[derive(Debug, Default)]
pub(super) struct Failure {
    after: Cell<Option<usize>>,
}

impl Failure {
    pub(super) fn arm(&self, after: usize) {
        self.after.set(Some(after));
    }

    /// Whether it did not come to the failing call; disarms.
    pub(super) fn disarm(&self) -> bool {
        self.after.take().is_some()
    }

    fn pass(&self, what: &str) -> Result<(), Refused> {
        match self.after.get() {
            Some(0) => {
                self.after.set(None);
                Err(Refused::new(format!("{what} refused")))
            }
            Some(left) => {
                self.after.set(Some(left - 1));
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct StubState {
    pub(super) target: Option<AttachSpec>,
    pub(super) slots: [Option<String>; 2],
    pub(super) attached: bool,
}

#[derive(Debug, Default)]
pub(super) struct KernelState {
    /// By hook number.
    pub(super) stubs: RefCell<BTreeMap<u32, StubState>>,
    pub(super) live: RefCell<BTreeMap<u32, u32>>,
    /// What went live and what was detached, by target, since this was last looked at.
    pub(super) order: RefCell<Vec<String>>,
    /// Numbers of stubs in the order in which they were attached.
    pub(super) attached: RefCell<Vec<u32>>,
    pub(super) bodies: RefCell<BTreeMap<String, usize>>,
    pub(super) processes: RefCell<BTreeMap<u32, ProcessState>>,
    pub(super) tables: RefCell<BTreeMap<(Table, Vec<u8>), ClassSet>>,
    pub(super) used: Cell<u32>,
    pub(super) followed: Cell<ClassSet>,
    /// By cgroup.
    pub(super) workloads: RefCell<BTreeMap<u64, ClassSet>>,
    /// Classes of the host's own processes, and levels of containers.
    pub(super) host: Cell<(ClassSet, u64)>,
    pub(super) monitor: RefCell<BTreeMap<u32, bool>>,
    pub(super) failure: Failure,
    /// Passes over the processes so far.
    pub(super) passes: Cell<usize>,
}

/// The made-up kernel; clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct FakeKernel(pub(super) Rc<KernelState>);

pub(super) struct FakeStub {
    kernel: Rc<KernelState>,
    number: u32,
}

impl Drop for FakeStub {
    fn drop(&mut self) {
        self.kernel.attached.borrow_mut().retain(|number| *number != self.number);
        let stub = self.kernel.stubs.borrow_mut().remove(&self.number);
        if let Some(target) = stub.and_then(|stub| stub.target) {
            self.kernel.order.borrow_mut().push(format!("-{target}"));
        }
    }
}

pub(super) struct FakeBody {
    kernel: Rc<KernelState>,
    name: String,
}

impl Drop for FakeBody {
    fn drop(&mut self) {
        let mut bodies = self.kernel.bodies.borrow_mut();
        if let Some(count) = bodies.get_mut(&self.name) {
            *count -= 1;
        }
        bodies.retain(|_, count| *count > 0);
    }
}

impl FakeKernel {
    /// What runs: for each attached stub, its target and the body in its live slot.
    pub(super) fn running(&self) -> Vec<(String, String)> {
        let live = self.0.live.borrow();
        let stubs = self.0.stubs.borrow();
        let attached = stubs.iter().filter(|(_, stub)| stub.attached);
        let mut running: Vec<_> = attached
            .filter_map(|(number, stub)| {
                let slot = live.get(number).copied().unwrap_or(0) as usize;
                let body = stub.slots.get(slot)?.clone()?;
                Some((stub.target.as_ref()?.to_string(), body))
            })
            .collect();
        running.sort();
        running
    }

    /// What runs at one target, the latest attached first.
    pub(super) fn in_turn(&self) -> Vec<String> {
        let live = self.0.live.borrow();
        let stubs = self.0.stubs.borrow();
        let body = |number: &u32| stubs[number].slots[live[number] as usize].clone();
        self.0.attached.borrow().iter().rev().filter_map(body).collect()
    }

    /// Programs and stubs that exist.
    pub(super) fn objects(&self) -> (usize, usize) {
        (self.0.bodies.borrow().values().sum(), self.0.stubs.borrow().len())
    }
}

#[derive(Debug)]
struct NoFigures;

impl Figures for NoFigures {
    fn recursion_misses(&self) -> u64 {
        0
    }

    fn memory(&self) -> u64 {
        100
    }
}

impl HookPort for FakeKernel {
    type Body = FakeBody;
    type Stub = FakeStub;

    fn load_body(&self, body: &CompiledBody) -> Result<FakeBody, Refused> {
        self.0.failure.pass("body")?;
        let name = body.collection.maps.first().map(|map| map.name.clone()).unwrap_or_default();
        *self.0.bodies.borrow_mut().entry(name.clone()).or_default() += 1;
        Ok(FakeBody { kernel: Rc::clone(&self.0), name })
    }

    fn load_stub(&self, compiled: &CompiledBody, _: &FakeBody, number: u32) -> Result<FakeStub, Refused> {
        self.0.failure.pass("stub")?;
        let stub = StubState { target: Some(compiled.target.clone()), ..StubState::default() };
        assert!(self.0.stubs.borrow_mut().insert(number, stub).is_none(), "hook number {number} is in use");
        Ok(FakeStub { kernel: Rc::clone(&self.0), number })
    }

    fn put(&self, stub: &FakeStub, slot: Slot, body: &FakeBody) -> Result<(), Refused> {
        self.0.failure.pass("slot")?;
        let mut stubs = self.0.stubs.borrow_mut();
        let place = &mut stubs.get_mut(&stub.number).unwrap().slots[slot.index() as usize];
        assert!(place.is_none(), "the slot is not empty");
        *place = Some(body.name.clone());
        Ok(())
    }

    fn clear(&self, stub: &FakeStub, slot: Slot) {
        self.0.stubs.borrow_mut().get_mut(&stub.number).unwrap().slots[slot.index() as usize] = None;
    }

    fn attach(&self, stub: &mut FakeStub) -> Result<(), Refused> {
        self.0.failure.pass("attachment")?;
        self.0.stubs.borrow_mut().get_mut(&stub.number).unwrap().attached = true;
        self.0.attached.borrow_mut().push(stub.number);
        Ok(())
    }

    fn go_live(&self, number: u32, slot: Slot) {
        self.0.live.borrow_mut().insert(number, slot.index());
        if let Some(target) = self.0.stubs.borrow().get(&number).and_then(|stub| stub.target.as_ref()) {
            self.0.order.borrow_mut().push(target.to_string());
        }
    }

    fn figures(&self, _stub: &FakeStub, _body: &FakeBody) -> Arc<dyn Figures> {
        Arc::new(NoFigures)
    }
}

impl ClassPort for FakeKernel {
    fn write_table(&self, table: Table, entries: &[(&[u8], ClassSet)]) -> Result<(), Refused> {
        for (key, set) in entries {
            self.0.failure.pass("table")?;
            self.0.tables.borrow_mut().insert((table, key.to_vec()), *set);
        }
        Ok(())
    }

    fn erase_table(&self, table: Table, keys: &[&[u8]]) -> Result<(), Refused> {
        for key in keys {
            self.0.tables.borrow_mut().remove(&(table, key.to_vec()));
        }
        Ok(())
    }

    fn set_tables_used(&self, tables: u32) {
        self.0.used.set(tables);
    }

    fn set_followed(&self, followed: ClassSet) {
        self.0.followed.set(followed);
    }

    fn write_workload(&self, cgroup: u64, classes: ClassSet) -> Result<(), Refused> {
        self.0.failure.pass("workload")?;
        self.0.workloads.borrow_mut().insert(cgroup, classes);
        Ok(())
    }

    fn erase_workload(&self, cgroup: u64) -> Result<(), Refused> {
        self.0.workloads.borrow_mut().remove(&cgroup);
        Ok(())
    }

    fn set_host(&self, classes: ClassSet, levels: u64) {
        self.0.host.set((classes, levels));
    }

    fn state(&self, tgid: u32) -> Result<Option<ProcessState>, Refused> {
        Ok(self.0.processes.borrow().get(&tgid).copied())
    }

    fn known_processes(&self) -> Result<Vec<u32>, Refused> {
        Ok(self.0.processes.borrow().keys().copied().collect())
    }

    fn mark(&self, tgid: u32, ktime: u64, word: usize, set: u64, keep: u64) -> Result<bool, Refused> {
        self.0.failure.pass("mark")?;
        let mut processes = self.0.processes.borrow_mut();
        let Some(state) = processes.get_mut(&tgid).filter(|state| ktime == 0 || state.ktime == ktime) else {
            return Ok(false);
        };
        let bits = &mut state.classes.words[word];
        *bits = (*bits | set) & keep;
        Ok(true)
    }
}

impl CellPort for FakeKernel {
    fn set_mode(&self, policy: u32, monitor: bool) {
        self.0.monitor.borrow_mut().insert(policy, monitor);
    }

    fn reset_counters(&self, _first: u32, _len: u32) {}
}

/// Processes by tgid; a process may appear in a later pass, as if it had been forked meanwhile.
#[derive(Clone, Default)]
pub(super) struct FakeProcesses {
    pub(super) running: Rc<RefCell<BTreeMap<u32, Running>>>,
    /// Numbers of those that are in a pid namespace of their own.
    pub(super) own_numbers: Rc<RefCell<BTreeMap<u32, u32>>>,
    /// Forks (child, parent) that happen when the list has been read that many times; the child has its parent's classes of that moment.
    pub(super) forks: Rc<RefCell<BTreeMap<usize, (u32, u32)>>>,
    pub(super) kernel: FakeKernel,
}

impl FakeProcesses {
    pub(super) fn add(&self, tgid: u32, parent: u32, binary: &str) {
        self.running.borrow_mut().insert(tgid, Running { parent, binary: binary.into() });
        let state = ProcessState { ktime: u64::from(tgid) * 1000, ..ProcessState::default() };
        self.kernel.0.processes.borrow_mut().insert(tgid, state);
    }
}

impl ProcessList for FakeProcesses {
    fn tgids(&self) -> std::io::Result<Vec<u32>> {
        let tgids = self.running.borrow().keys().copied().collect();
        let pass = self.kernel.0.passes.get();
        self.kernel.0.passes.set(pass + 1);
        if let Some((child, parent)) = self.forks.borrow_mut().remove(&pass) {
            let binary = self.running.borrow()[&parent].binary.clone();
            let classes = self.kernel.0.processes.borrow()[&parent].classes;
            self.running.borrow_mut().insert(child, Running { parent, binary });
            let state = ProcessState { ktime: 1, classes, ..ProcessState::default() };
            self.kernel.0.processes.borrow_mut().insert(child, state);
        }
        Ok(tgids)
    }

    fn process(&self, tgid: u32) -> Option<Running> {
        self.running.borrow().get(&tgid).cloned()
    }

    fn own_number(&self, tgid: u32) -> Option<u32> {
        Some(self.own_numbers.borrow().get(&tgid).copied().unwrap_or(0))
    }
}

/// Understands `NAME HOOK HOOK …`; the kernel lacks a hook `!x`, one `x*3` is a hook on three places; the body of a hook is named for its riders. Hook `x+deny` is attached twice, `x+note` three times; hook `text` has a program that
/// brings it into memory, and other programs when a policy with an even number is aboard, which overrides.
#[derive(Clone, Default)]
pub(super) struct FakeCompiler {
    pub(super) compiled: Rc<Cell<usize>>,
}

/// Where a hook is attached.
fn places(function: &str) -> Vec<(Role, AttachSpec)> {
    let mut places = vec![(Role::Report, AttachSpec::Kprobe { symbol: function.to_owned() })];
    if function.ends_with("+note") {
        places = vec![
            (Role::ReportAndNote, AttachSpec::Kprobe { symbol: function.to_owned() }),
            (Role::DenyNoted, AttachSpec::Lsm { hook: function.to_owned() }),
            (Role::Forget, AttachSpec::Kretprobe { symbol: function.to_owned() }),
        ];
    }
    if function.ends_with("+deny") {
        places.push((Role::Deny, AttachSpec::Lsm { hook: function.to_owned() }));
    }
    places
}

/// How many places a hook has together: 0 when it is on one.
fn many(function: &str) -> usize {
    function.split_once('*').map_or(0, |(_, many)| many.parse().unwrap())
}

/// A hook on `function` with these tests.
pub(super) fn hook(function: &str, classes: Vec<ClassTest>) -> ResolvedHook {
    let attachment = |(role, target)| Attachment {
        target,
        role,
        reason: "for a test".to_owned(),
        exactness: Exactness::Exact,
    };
    ResolvedHook {
        key: HookKey { function: function.to_owned(), convention: Convention::Function },
        attachments: places(function).into_iter().map(attachment).collect(),
        arguments: Vec::new(),
        returned: None,
        on_return: None,
        selectors: vec![Selector::always(Span::default())],
        classes,
        class_uses: Vec::new(),
        layout: RecordLayout {
            policy_name: String::new(),
            form: EventForm::Kprobe,
            function_name: function.to_owned(),
            message: None,
            tags: Vec::new(),
            values: Vec::new(),
            requests: Vec::new(),
            returned: None,
            copied: Vec::new(),
            return_requests: Vec::new(),
            data_values: 0,
        },
        members: (0..many(function))
            .map(|at| Member { function: format!("{function} {at}"), number: None })
            .collect(),
        section: HookSection::Kprobes,
        entry: 0,
        span: Span::new(0, 1),
        hold: None,
    }
}

impl Compiler for FakeCompiler {
    fn resolve(&self, source: &SourceText) -> Result<(Resolved, Vec<Diagnostic>), CompileError> {
        let mut words = source.text().split(' ');
        let name = words.next().and_then(PolicyName::new).ok_or_else(CompileError::default)?;
        let policy = Policy {
            name: Spanned::new(name, Span::default()),
            namespace: None,
            workload: None,
            mode_requested: None,
            attach: AttachPreference::Planner,
            attach_user: AttachPreference::Planner,
            override_method: None,
            hooks: Vec::new(),
        };
        let words = (0..).zip(words);
        let (absent, here): (Vec<_>, Vec<_>) = words.partition(|(_, word)| word.starts_with('!'));
        let absent = absent.into_iter().map(|(entry, word)| AbsentHook {
            function: word.trim_start_matches('!').to_owned(),
            why: Absent::NoFunction,
            section: HookSection::Kprobes,
            entry,
        });
        let hooks = here.into_iter().map(|(entry, word)| ResolvedHook { entry, ..hook(word, Vec::new()) });
        let hooks = hooks.collect();
        let resolved =
            Resolved { policy, mode: Mode::Enforce, hooks, absent: absent.collect(), warnings: Vec::new() };
        Ok((resolved, Vec::new()))
    }

    fn compile_hook(&self, riders: &[Rider<'_>]) -> Result<CompiledHook, CompileError> {
        self.compiled.set(self.compiled.get() + 1);
        let function = &riders.first().unwrap().hook.key.function;
        if function == "uncompilable" {
            return Err(CompileError::default());
        }
        let numbers: BTreeSet<u32> = riders.iter().map(|rider| rider.policy_number).collect();
        let body = |role, target| {
            let name = format!("{function} {role:?} {numbers:?}");
            let collection = CollectionSpec {
                maps: vec![bpf_probes::spec::MapSpec::ring(name, 1)],
                ..CollectionSpec::default()
            };
            CompiledBody {
                target,
                role,
                exactness: Exactness::Exact,
                reason: String::new(),
                collection,
                source_map: SourceMap::default(),
            }
        };
        let mut places = places(function);
        if function == "text" {
            let target = places[0].1.clone();
            let overrides = numbers.iter().any(|number| number % 2 == 0);
            let deciding: &[Role] =
                if overrides { &[Role::Override, Role::ReportAndOverride] } else { &[Role::Report] };
            let roles = deciding.iter().copied().chain([Role::FaultIn { arguments: 1 }]);
            places = roles.map(|role| (role, target.clone())).collect();
        }
        let bodies = places.into_iter().map(|(role, target)| body(role, target)).collect();
        Ok(CompiledHook { bodies })
    }
}

/// Remembers which layouts there are.
#[derive(Clone, Default)]
pub(super) struct FakeLayouts(pub(super) Rc<RefCell<BTreeSet<u32>>>);

impl LayoutSink for FakeLayouts {
    fn insert(&self, number: u32, _layout: &RecordLayout) {
        assert!(self.0.borrow_mut().insert(number), "layout {number} is in use");
    }

    fn remove(&self, number: u32) {
        assert!(self.0.borrow_mut().remove(&number), "there is no layout {number}");
    }
}

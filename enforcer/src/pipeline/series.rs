//! Events by type, policy, system call and program, for metrics.
//!
//! Counted by the event path without allocating for what was seen before. Bounded: beyond [`MAX_PROGRAMS`] programs, and [`MAX_OF_PROGRAM`] policies' hooks and
//! system calls of one, all others count as one.

use std::collections::HashMap;
use std::sync::Arc;

use api::event::{Argument, Event, EventKind, Value};
use api::name::EventType;

/// Most programs that are told apart.
const MAX_PROGRAMS: usize = 2048;
/// Most hooks of policies, and most system calls, that are told apart in one program.
const MAX_OF_PROGRAM: usize = 1024;
/// Set in the numbers of system calls of another ABI than the machine's.
pub(crate) const FOREIGN: u32 = 1 << 31;
/// What stands for all that are not told apart.
const OTHERS: &str = "(others)";

/// Types of events in the order of [`ProgramCounts::types`].
const TYPES: [EventType; 10] = [
    EventType::ProcessExec,
    EventType::ProcessExit,
    EventType::ProcessKprobe,
    EventType::ProcessTracepoint,
    EventType::ProcessLoader,
    EventType::ProcessUprobe,
    EventType::ProcessUsdt,
    EventType::ProcessLsm,
    EventType::ProcessThrottle,
    EventType::RateLimitInfo,
];

/// What one program did.
#[derive(Debug, Default)]
pub struct ProgramCounts {
    types: [u64; TYPES.len()],
    policies: HashMap<Box<str>, HashMap<Arc<str>, u64>>,
    hooks: usize,
    syscalls: HashMap<u32, u64>,
}

impl ProgramCounts {
    /// Its events by type, those that there are.
    pub fn types(&self) -> impl Iterator<Item = (EventType, u64)> {
        TYPES.into_iter().zip(self.types).filter(|(_, count)| *count > 0)
    }

    /// Its events by policy and hook.
    pub fn policies(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.policies
            .iter()
            .flat_map(|(policy, hooks)| hooks.iter().map(move |(hook, count)| (&**policy, &**hook, *count)))
    }

    /// Its system calls by number, as far as a policy reports them all (`raw_syscalls/sys_enter`).
    pub fn syscalls(&self) -> impl Iterator<Item = (u32, u64)> {
        self.syscalls.iter().map(|(number, count)| (*number, *count))
    }

    /// Counts so many events that are [alike](are_alike).
    fn count(&mut self, event: &Event, events: u64) {
        let kind = event.event_type();
        if let Some(place) = TYPES.iter().position(|of| *of == kind)
            && let Some(count) = self.types.get_mut(place)
        {
            *count += events;
        }
        if let (Some(policy), Some(hook)) = (event.policy_name(), hook(&event.kind)) {
            self.count_policy(policy, hook, events);
        }
        if let Some(number) = syscall(&event.kind) {
            self.count_syscall(number, events);
        }
    }

    fn count_policy(&mut self, policy: &str, hook: &Arc<str>, events: u64) {
        if self.count_known(policy, hook, events) {
            return;
        }
        if self.hooks < MAX_OF_PROGRAM {
            self.hooks += 1;
            self.policies.entry(policy.into()).or_default().insert(Arc::clone(hook), events);
        } else if !self.count_known(OTHERS, OTHERS, events) {
            self.policies.entry(OTHERS.into()).or_default().insert(OTHERS.into(), events);
        }
    }

    /// Counts events of a hook that was seen before; whether it was.
    fn count_known(&mut self, policy: &str, hook: &str, events: u64) -> bool {
        let count = self.policies.get_mut(policy).and_then(|hooks| hooks.get_mut(hook));
        count.map(|count| *count += events).is_some()
    }

    fn count_syscall(&mut self, number: u32, events: u64) {
        let known = self.syscalls.contains_key(&number) || self.syscalls.len() < MAX_OF_PROGRAM;
        *self.syscalls.entry(if known { number } else { u32::MAX }).or_default() += events;
    }
}

/// All programs.
#[derive(Debug, Default)]
pub struct Series {
    programs: HashMap<Arc<str>, ProgramCounts>,
    shared: u64,
}

impl Series {
    /// Each program and what it did, in no order.
    pub fn programs(&self) -> impl Iterator<Item = (&str, &ProgramCounts)> {
        self.programs.iter().map(|(program, counts)| (&**program, counts))
    }

    /// Events of programs that are not told apart.
    pub const fn shared(&self) -> u64 {
        self.shared
    }

    /// Counts events. A program that a policy watches makes many in a row: those are looked up once.
    pub(super) fn count(&mut self, events: &[Event]) {
        for run in events.chunk_by(are_alike) {
            let Some(first) = run.first() else { continue };
            let (program, events) = (program(first), run.len() as u64);
            match self.programs.get_mut(program.map_or("", |program| &**program)) {
                Some(counts) => counts.count(first, events),
                None => self.of(program, events).count(first, events),
            }
        }
    }

    fn of(&mut self, program: Option<&Arc<str>>, events: u64) -> &mut ProgramCounts {
        let mut name = program.map_or("", |program| &**program);
        if program.is_some() && self.programs.len() >= MAX_PROGRAMS && !self.programs.contains_key(name) {
            self.shared += events;
            name = OTHERS;
        }
        if !self.programs.contains_key(name) {
            let own = program.filter(|program| &***program == name).map_or_else(|| name.into(), Arc::clone);
            self.programs.insert(own, ProgramCounts::default());
        }
        // A second look-up is cheaper than a name of its own for an entry each time.
        self.programs.get_mut(name).expect("it is there")
    }
}

fn program(event: &Event) -> Option<&Arc<str>> {
    event.process().map(|process| &process.binary)
}

/// Whether both count alike: of one type, program, policy and hook, and of no system call. Policies and hooks that are equal without being the same do not.
fn are_alike(one: &Event, other: &Event) -> bool {
    let is_same = |one: Option<&Arc<str>>, other| match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    };
    let [policy, others] = [one, other].map(|event| event.policy_name().map(std::ptr::from_ref));
    one.event_type() == other.event_type()
        && program(one) == program(other)
        && policy == others
        && is_same(hook(&one.kind), hook(&other.kind))
        && syscall(&one.kind).is_none()
        && syscall(&other.kind).is_none()
}

/// The hook of an event, as upstream names it.
fn hook(kind: &EventKind) -> Option<&Arc<str>> {
    match kind {
        EventKind::Kprobe(event) => Some(&event.function_name),
        EventKind::Tracepoint(event) => Some(&event.event),
        EventKind::Uprobe(event) => Some(&event.symbol),
        EventKind::Usdt(event) => Some(&event.name),
        EventKind::Lsm(event) => Some(&event.function_name),
        EventKind::Exec(_)
        | EventKind::Exit(_)
        | EventKind::Loader(_)
        | EventKind::Throttle(_)
        | EventKind::Test(_)
        | EventKind::RateLimit(_) => None,
    }
}

/// The number of the system call of an event that tells of all.
fn syscall(kind: &EventKind) -> Option<u32> {
    let EventKind::Tracepoint(event) = kind else { return None };
    if &*event.subsystem != "raw_syscalls" || &*event.event != "sys_enter" {
        return None;
    }
    event.args.iter().find_map(|Argument { value, .. }| {
        let Some(Value::SyscallId(call)) = value else { return None };
        Some(if &*call.abi == "x64" { call.id } else { call.id | FOREIGN })
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use api::event::{
        Argument, Event, EventKind, Exec, Kprobe, Node, Origin, Process, ProcessRef, SharedProcess,
        SyscallId, Timestamp, Tracepoint, Value,
    };
    use api::name::EventType;

    use super::{MAX_OF_PROGRAM, MAX_PROGRAMS, OTHERS, Series};

    fn process(binary: &str) -> ProcessRef {
        ProcessRef::new(SharedProcess::new(Process { binary: binary.into(), ..Process::default() }), 0)
    }

    fn event(kind: EventKind) -> Event {
        Event::new(kind, Timestamp::default(), Arc::new(Node::named("n")))
    }

    fn exec(binary: &str) -> Event {
        event(EventKind::Exec(Exec { process: process(binary), ..Exec::default() }))
    }

    fn kprobe(policy: &str, function: &str) -> Event {
        let origin = Arc::new(Origin { policy_name: policy.into(), ..Origin::default() });
        let function_name = function.into();
        event(EventKind::Kprobe(Kprobe {
            process: process("/p"),
            function_name,
            origin,
            ..Kprobe::default()
        }))
    }

    fn enter(id: u32) -> Event {
        let id = SyscallId { id, abi: "x64".into() };
        event(EventKind::Tracepoint(Tracepoint {
            process: process("/p"),
            subsystem: "raw_syscalls".into(),
            event: "sys_enter".into(),
            args: vec![Argument { value: Some(Value::SyscallId(id)), ..Argument::default() }],
            ..Tracepoint::default()
        }))
    }

    // proves: MET-03 (counts)
    #[test]
    fn events_are_counted_by_type_policy_system_call_and_program() {
        let mut series = Series::default();
        let calls = kprobe("one", "f");
        series.count(&[exec("/a"), exec("/a"), calls.clone(), calls, kprobe("two", "f")]);
        series.count(&[enter(7), enter(7), enter(9)]);
        let of = |program: &str| series.programs().find(|(name, _)| *name == program).unwrap().1;
        assert_eq!(of("/a").types().collect::<Vec<_>>(), [(EventType::ProcessExec, 2)]);
        let expected = [(EventType::ProcessKprobe, 3), (EventType::ProcessTracepoint, 3)];
        assert_eq!(of("/p").types().collect::<Vec<_>>(), expected);
        let mut policies: Vec<_> = of("/p").policies().collect();
        policies.sort_unstable();
        assert_eq!(policies, [("", "sys_enter", 3), ("one", "f", 2), ("two", "f", 1)]);
        let mut syscalls: Vec<_> = of("/p").syscalls().collect();
        syscalls.sort_unstable();
        assert_eq!(syscalls, [(7, 2), (9, 1)]);
    }

    #[test]
    fn beyond_so_many_programs_and_hooks_all_others_are_one() {
        let mut series = Series::default();
        let more = 100;
        for number in 0..MAX_PROGRAMS + more {
            series.count(&[exec(&format!("/{number}"))]);
        }
        assert_eq!(series.programs().count(), MAX_PROGRAMS + 1);
        let (_, others) = series.programs().find(|(name, _)| *name == OTHERS).unwrap();
        assert_eq!((others.types().next(), series.shared()), (Some((EventType::ProcessExec, 100)), 100));
        let mut series = Series::default();
        for number in 0..MAX_OF_PROGRAM + more {
            series.count(&[kprobe(&format!("p{number}"), "f")]);
        }
        let counts = series.programs().next().unwrap().1;
        assert_eq!(counts.policies().count(), MAX_OF_PROGRAM + 1);
        assert!(counts.policies().any(|counts| counts == (OTHERS, OTHERS, 100)));
    }
}

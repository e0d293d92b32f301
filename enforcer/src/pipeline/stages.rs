//! The stages between reading and publishing, one after the other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use api::event::{Event, EventKind, Node, Timestamp};
use api::name::ProcessFlags;
use bpf_probes::abi::{RecordKind, hook_flag};
use tracing_policy::policy::Request;

use super::ancestors::{AncestorKind, AncestorKinds};
use super::build_id;
use super::clock::{Clock, WallTime};
use super::config::Config;
use super::counters::{NoEvent, Totals};
use super::decode::{LongValue, decode};
use super::enrich::{Symbols, add_return, exec_event, exit_event, hook_event};
use super::identify::{Identify, Replay, RunningProcess, Subject};
use super::inspect::KnownProcess;
use super::layout::{LayoutView, Layouts};
use super::publish::BATCH;
use super::read::{RawRecord, RingName};
use super::record::{Hook, Record, Return};
use super::returns::{Entered, Returns};
use super::spare::{Returned, Spare};
use super::throttle::Throttling;
use crate::requests::Requests;

/// Whether one record became an event.
type Outcome = Result<(), NoEvent>;

/// All state between the rings and the queues.
#[derive(Debug)]
pub(super) struct Stages {
    node: Arc<Node>,
    identify: Identify,
    layouts: LayoutView,
    returns: Returns,
    throttling: Throttling,
    symbols: Symbols,
    /// What events are made of.
    spare: Spare,
    requests: Option<Requests>,
    /// Which events show their ancestors.
    ancestors: AncestorKinds,
    wall: WallTime,
    /// Not yet published.
    events: Vec<Event>,
    /// The functions whose calls became events of both halves since the last batch.
    joined: Vec<Arc<str>>,
    totals: Totals,
    /// Where procfs is mounted.
    proc_root: PathBuf,
}

impl Stages {
    pub(super) fn new(
        config: &Config,
        layouts: Arc<Layouts>,
        replay: &Replay,
        clock: &dyn Clock,
        returned: Returned,
    ) -> Self {
        let wall = WallTime::new(clock);
        Self {
            node: Arc::clone(&config.node),
            identify: Identify::new(config, *replay.host(), wall),
            layouts: LayoutView::new(layouts),
            returns: Returns::new(config.calls),
            throttling: Throttling::new(),
            symbols: Symbols::new(&config.proc_root, config.stack_addresses),
            spare: Spare::new(returned),
            requests: config.requests.clone(),
            ancestors: config.ancestors,
            wall,
            events: Vec::with_capacity(BATCH),
            joined: Vec::new(),
            totals: totals(config),
            proc_root: config.proc_root.clone(),
        }
    }

    /// The events made since they were last taken out.
    pub(super) const fn events(&mut self) -> &mut Vec<Event> {
        &mut self.events
    }

    /// The functions whose calls became one event each since they were last taken out.
    pub(super) const fn joined(&mut self) -> &mut Vec<Arc<str>> {
        &mut self.joined
    }

    pub(super) const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Adds a process that ran before, or the kernel, and an event of it.
    pub(super) fn replay(&mut self, replay: &Replay, running: Option<&RunningProcess>) {
        let executed = match running {
            Some(running) => self.identify.replay(replay, running),
            None => self.identify.start(),
        };
        let Some(mut executed) = executed else { return };
        self.add_ancestors(&mut executed.subject, AncestorKind::Base);
        let time = executed.subject.process.start_time.unwrap_or_default();
        self.totals.replayed += 1;
        self.push(exec_event(executed.subject, executed.properties), time);
    }

    /// Takes one record through the stages.
    pub(super) fn record(&mut self, raw: RawRecord<'_>, unordered: bool) {
        self.totals.add_read(raw.ring, raw.bytes.len());
        self.totals.unordered += u64::from(unordered);
        let begun = self.totals.measures_latency().then(Instant::now);
        let number = raw.bytes.first().copied().unwrap_or_default();
        if let Err(reason) = self.outcome(raw.bytes) {
            if matches!(reason, NoEvent::Malformed(_)) {
                self.totals.add_malformed(number);
            }
            self.totals.add_no_event(reason);
        }
        if let Some(begun) = begun {
            let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.totals.add_latency(number, micros);
        }
    }

    fn outcome(&mut self, bytes: &[u8]) -> Outcome {
        let record = decode(bytes).map_err(|error| NoEvent::Malformed(error.kind()))?;
        self.let_go(record.ktime());
        match record {
            Record::Exec(exec) => {
                self.totals.add_decoded(RecordKind::Exec);
                self.totals.add_flags(exec.fixed.flags);
                let mut executed = self.identify.exec(&exec);
                self.add_ancestors(&mut executed.subject, AncestorKind::Base);
                let time = self.identify.time(exec.fixed.header.ktime);
                self.made(exec_event(executed.subject, executed.properties), time);
                Ok(())
            }
            Record::Fork(fork) => {
                self.totals.add_decoded(RecordKind::Fork);
                self.identify.fork(fork);
                Err(NoEvent::Fork)
            }
            Record::Exit(exit) => {
                self.totals.add_decoded(RecordKind::Exit);
                self.returns.end(exit.process.tgid);
                let mut subject = self.identify.exit(exit).ok_or(NoEvent::KernelThread)?;
                self.add_ancestors(&mut subject, AncestorKind::Base);
                let time = self.identify.time(exit.header.ktime);
                self.made(exit_event(subject, exit.code, time), time);
                Ok(())
            }
            Record::Hook(hook) => {
                self.totals.add_decoded(RecordKind::Hook);
                self.hook(&hook)
            }
            Record::Data(data) => {
                self.totals.add_decoded(RecordKind::Data);
                self.identify.data(&data);
                Err(NoEvent::Data)
            }
            Record::Return(record) => {
                self.totals.add_decoded(RecordKind::Return);
                self.returned(&record)
            }
            Record::Throttle(throttle) => {
                self.totals.add_decoded(RecordKind::Throttle);
                let kind = self.throttling.told(throttle).ok_or(NoEvent::Throttled)?;
                self.made(kind, self.identify.time(throttle.header.ktime));
                Ok(())
            }
            Record::Gone(exit) => {
                self.totals.add_decoded(RecordKind::Gone);
                self.returns.end(exit.process.tgid);
                self.identify.gone(exit);
                Err(NoEvent::Withheld)
            }
        }
    }

    fn add_ancestors(&mut self, subject: &mut Subject, kind: AncestorKind) {
        if self.ancestors.has(kind) {
            self.identify.add_ancestors(subject);
        }
    }

    fn hook(&mut self, hook: &Hook<'_>) -> Outcome {
        let layout = self.layouts.get(hook.fixed.layout).ok_or(NoEvent::UnknownLayout)?;
        let mut subject = self.identify.hook(hook.fixed);
        if self.ancestors.has(AncestorKind::of(&layout.form)) {
            self.identify.add_ancestors(&mut subject);
        }
        let identify = &mut self.identify;
        let mut pieces = |long: LongValue| identify.pieces(hook.fixed.tid, long);
        let mut kind = hook_event(subject, hook, layout, &mut self.symbols, &mut self.spare, &mut pieces)
            .map_err(|error| NoEvent::Malformed(error.kind()))?;
        ask(self.requests.as_ref(), &layout.requests, hook.fixed.selector);
        if let EventKind::Loader(event) = &mut kind {
            let pid = event.process.pid.unwrap_or_default();
            event.build_id = build_id::of_mapped(&self.proc_root, pid, &event.path);
        }
        let time = self.identify.time(hook.fixed.header.ktime);
        if layout.waits() {
            self.returns.enter(hook.fixed, Entered { kind, time });
            return Err(NoEvent::Waits);
        }
        self.made(kind, time);
        Ok(())
    }

    /// The other half of a call's event.
    fn returned(&mut self, record: &Return<'_>) -> Outcome {
        let entered = self.returns.leave(record.fixed);
        if record.fixed.flags & hook_flag::DISMISSED != 0 {
            return Err(NoEvent::Dismissed);
        }
        let Entered { mut kind, time } = entered.ok_or(NoEvent::NotEntered)?;
        let layout = self.layouts.get(record.fixed.layout).ok_or(NoEvent::UnknownLayout)?;
        add_return(&mut kind, record, layout, &mut self.symbols, &mut self.spare)
            .map_err(|error| NoEvent::Malformed(error.kind()))?;
        ask(self.requests.as_ref(), &layout.return_requests, record.fixed.selector);
        self.returns.joined();
        self.joined.push(Arc::clone(&layout.function_name));
        self.made(kind, time);
        Ok(())
    }

    /// A record became an event.
    fn made(&mut self, kind: EventKind, time: Timestamp) {
        self.count(&kind);
        self.push(kind, time);
    }

    fn count(&mut self, kind: &EventKind) {
        if matches!(kind, EventKind::Exec(_)) {
            self.totals.exec_events += 1;
        } else if matches!(kind, EventKind::Exit(_)) {
            self.totals.exit_events += 1;
        } else if !matches!(kind, EventKind::Throttle(_)) {
            self.totals.hook_events += 1;
            self.totals.loader_events += u64::from(matches!(kind, EventKind::Loader(_)));
        }
    }

    fn push(&mut self, kind: EventKind, time: Timestamp) {
        let event = Event::new(kind, time, self.spare.node(&self.node));
        let unknown = event.process().is_some_and(|process| process.flags.contains(ProcessFlags::UNKNOWN));
        self.totals.unknown_process += u64::from(unknown);
        self.events.push(event);
    }

    /// All processes of the table.
    pub(super) fn known(&self) -> Vec<KnownProcess> {
        self.identify.known()
    }

    /// Says of the cgroups that are no longer throttled by `now`, in nanoseconds since boot, that they are not.
    pub(super) fn let_go(&mut self, now: u64) {
        for (kind, until) in self.throttling.let_go(now) {
            let time = self.identify.time(until);
            self.push(kind, time);
        }
    }

    /// When [`Self::let_go`] is due, in nanoseconds since boot; `u64::MAX` for never.
    pub(super) const fn next_let_go(&self) -> u64 {
        self.throttling.next()
    }

    /// Says that the events are about to be published. What became of earlier ones is taken back.
    pub(super) fn count_published(&mut self) {
        self.spare.collect();
        self.totals.published += self.events.len() as u64;
        (self.totals.table, self.totals.lookups, self.totals.data) = self.identify.stats();
        self.totals.returns = self.returns.stats();
        self.totals.throttle = self.throttling.stats();
    }

    /// Counts what was skipped in a ring that could not be read.
    pub(super) fn skipped(&mut self, ring: RingName, bytes: u64) {
        self.totals.corrupt_rings += 1;
        self.totals.skipped_bytes += bytes;
        tracing::error!(?ring, bytes, "a ring held what no kernel writes; its records were skipped");
    }

    /// Follows the wall clock.
    pub(super) fn refresh(&mut self, clock: &dyn Clock) {
        self.wall.refresh(clock);
        self.identify.set_wall(self.wall);
    }

    /// A step of the release of ended processes.
    pub(super) fn step(&mut self) {
        self.identify.step();
    }

    /// Says that both rings were seen empty.
    pub(super) fn rings_were_empty(&mut self) {
        self.layouts.rings_were_empty();
    }
}

fn totals(config: &Config) -> Totals {
    let mut totals = Totals::default();
    if config.measure_latency {
        totals.measure_latency();
    }
    totals
}

/// Asks for what a record of a selector asks for.
fn ask(requests: Option<&Requests>, by_selector: &[Vec<Request>], selector: u16) {
    let Some(requests) = requests else { return };
    let asked = by_selector.get(usize::from(selector));
    asked.into_iter().flatten().for_each(|request| requests.ask(request));
}

//! Actions.
//!
//! A record names the last action that the selector's list has, `Post` if it has none. In monitor mode enforcement is not carried out but counted as such, the record names
//! the action that would have been, with `hook_flag::MONITOR`, and goes to the ring of observations. `Counter::Post` counts records, whatever the action.

use std::mem::offset_of;

use Register::{R1, R2, R7};
use bpf_probes::abi::{self, Counter, Counters, HookRecord, SELECTOR_COUNTERS, hook_flag, map_name};
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function, Slot};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};

use super::memory::{address, load, store_imm};
use super::note::SIGKILL;
use super::pending;
use super::program::Emitter;
use crate::ir::{Rider, Selector};
use crate::lower::Purpose;
use crate::policy::{Action, Role};

/// Whether enforcement is carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Enforce,
    Monitor,
}

/// Where to go on when a selector has acted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Then {
    /// The match is to be reported.
    pub(super) report: Label,
    /// It is not.
    pub(super) end: Label,
    /// Where the address of the last report's time is kept, if reports are limited.
    pub(super) last: Option<Slot>,
}

impl Emitter<'_> {
    /// A selector matched: does what is due and counts it, then goes on as `then` says, or falls through to whichever of its labels it is.
    pub(super) fn act(
        &self,
        f: &mut Function<'_>,
        rider: &Rider,
        selector: &Selector,
        then: Then,
    ) -> Result<(), BuildError> {
        let Then { report, end, .. } = then;
        let before = f.set_origin(selector.origin);
        self.record_anew(f, selector)?;
        if selector.posts() {
            self.attribute(f, rider)?;
        }
        if selector.enforces_ever() {
            let monitor = f.label();
            Self::mode(f, rider.policy_number);
            f.jump_if(Condition::Ne, R1, 0, monitor);
            self.carry_out(f, rider, selector, Mode::Enforce, then)?;
            f.jump(if selector.posts() { report } else { end });
            f.bind(monitor);
            self.carry_out(f, rider, selector, Mode::Monitor, then)?;
        } else {
            self.carry_out(f, rider, selector, Mode::Enforce, then)?;
        }
        f.set_origin(before);
        Ok(())
    }

    fn carry_out(
        &self,
        f: &mut Function<'_>,
        rider: &Rider,
        selector: &Selector,
        mode: Mode,
        then: Then,
    ) -> Result<(), BuildError> {
        // where a socket was nobody's, nothing was done to it: the record names the action before
        let (mut last, mut before) = (abi::Action::Post, None);
        if mode == Mode::Enforce && sets(selector) {
            store_imm(f, Size::Word, self.state().failed, 0)?;
        }
        for action in &selector.actions {
            let counter = match (action, mode) {
                (
                    Action::Post
                    | Action::TrackSock(_)
                    | Action::UntrackSock(_)
                    | Action::GetUrl
                    | Action::DnsLookup,
                    _,
                ) => {
                    self.remember(f, selector, *action)?;
                    before = matches!(action, Action::UntrackSock(_)).then_some(last);
                    last = self.effect(*action).1.unwrap_or(last);
                    continue;
                }
                (Action::NoPost, _) => {
                    count(f, rider, selector, Counter::NoPost);
                    continue;
                }
                (Action::Sigkill | Action::Signal(_), Mode::Enforce) => Counter::Signal,
                (Action::Sigkill | Action::Signal(_), Mode::Monitor) => Counter::MonitorSignal,
                (Action::Override(_) | Action::Rewrite, Mode::Enforce) => Counter::Override,
                (Action::Override(_) | Action::Rewrite, Mode::Monitor) => Counter::MonitorOverride,
                (Action::Set(_), Mode::Enforce) => Counter::Set,
                (Action::Set(_), Mode::Monitor) => Counter::MonitorSet,
                (Action::NotifyEnforcer(notification), Mode::Enforce) => {
                    pending::notify(f, rider, selector, *notification)?;
                    Counter::NotifyEnforcer
                }
                (Action::NotifyEnforcer(_), Mode::Monitor) => Counter::MonitorNotifyEnforcer,
                (Action::CleanupEnforcerNotification, _) => {
                    pending::clean_up(f, rider, selector)?;
                    (last, before) = (self.effect(*action).1.unwrap_or(last), None);
                    continue;
                }
                (Action::Enforce(_), Mode::Enforce) => {
                    self.enforce(f, rider)?;
                    continue;
                }
                (Action::Enforce(_), Mode::Monitor) => {
                    pending::forget_told(f, rider)?;
                    continue;
                }
            };
            let (signal, done) = self.effect(*action);
            if let Some(number) = signal.filter(|_| mode == Mode::Enforce) {
                f.constant(R1, number);
                f.call(Helper::SendSignal);
            }
            if matches!(action, Action::Override(_)) && mode == Mode::Enforce {
                self.deny_later(f, selector)?;
            }
            if (*action, mode) == (Action::Rewrite, Mode::Enforce) {
                self.rewrite(f, selector)?;
            }
            if let (Action::Set(set), Mode::Enforce) = (action, mode) {
                self.set(f, *set)?;
            }
            count(f, rider, selector, counter);
            (last, before) = (done.unwrap_or(last), None);
        }
        self.leave_unreported(f, rider, selector)?;
        if selector.posts() {
            self.limit(f, rider, selector, last, then.last, then.end)?;
            // one half of an event is counted with the other, at the return
            if !rider.returns || self.body.purpose == Purpose::Return {
                count(f, rider, selector, Counter::Post);
            }
            self.note_action(f, selector, (last, before), mode)?;
        }
        Ok(())
    }

    /// The signal that an action sends, and what a record says of it.
    fn effect(&self, action: Action) -> (Option<u64>, Option<abi::Action>) {
        match action {
            Action::Sigkill => (Some(SIGKILL), Some(abi::Action::Sigkill)),
            Action::Signal(number) => (Some(u64::from(number.get())), Some(abi::Action::Signal)),
            Action::Override(_) => {
                let kills = self.body.role == Role::ReportAndKillDenied;
                (kills.then_some(SIGKILL), Some(abi::Action::Override))
            }
            Action::Rewrite => (None, Some(abi::Action::Override)),
            Action::Set(_) => (None, Some(abi::Action::Set)),
            Action::NotifyEnforcer(_) => (None, Some(abi::Action::NotifyEnforcer)),
            Action::Post => (None, Some(abi::Action::Post)),
            Action::TrackSock(_) => (None, Some(abi::Action::TrackSock)),
            Action::UntrackSock(_) => (None, Some(abi::Action::UntrackSock)),
            Action::GetUrl => (None, Some(abi::Action::GetUrl)),
            Action::DnsLookup => (None, Some(abi::Action::DnsLookup)),
            Action::CleanupEnforcerNotification => (None, Some(abi::Action::CleanupEnforcerNotification)),
            Action::NoPost | Action::Enforce(_) => (None, None),
        }
    }

    /// Keeps or forgets whose a socket is, where the action says so.
    pub(super) fn remember(
        &self,
        f: &mut Function<'_>,
        selector: &Selector,
        action: Action,
    ) -> Result<(), BuildError> {
        match (action, action.socket()) {
            (Action::TrackSock(_), Some(socket)) => self.track(f, selector, socket)?,
            (_, Some(socket)) => self.untrack(f, selector, socket)?,
            // the daemon makes requests when it has the report
            (_, None) => {}
        }
        Ok(())
    }

    /// Keeps for the record which selector matched and what was done last, or before that if the last was to forget a socket that was nobody's.
    fn note_action(
        &self,
        f: &mut Function<'_>,
        selector: &Selector,
        (last, before): (abi::Action, Option<abi::Action>),
        mode: Mode,
    ) -> Result<(), BuildError> {
        let state = self.state();
        let monitored = mode == Mode::Monitor;
        let hash = if selector.reports_hash() { hook_flag::FILE_HASH } else { 0 };
        let flags = super::stack::flags(selector) | hash | if monitored { hook_flag::MONITOR } else { 0 };
        let [low, high] = selector.number.to_le_bytes();
        let word = |action: abi::Action| i32::from_le_bytes([low, high, action as u8, flags]);
        let at = i16::try_from(offset_of!(HookRecord, selector)).expect("records are small");
        address(f, R7, self.memory.record);
        // hook_flag::PROCESS_NOT_FOUND is bit 0 of the highest byte
        load(f, Size::Word, R1, state.known)?;
        f.alu(AluOp::Xor, R1, i32::from(hook_flag::PROCESS_NOT_FOUND));
        f.alu(AluOp::Lsh, R1, 24);
        if let Some(before) = before {
            let (forgot, noted) = (f.label(), f.label());
            load(f, Size::Word, R2, state.forgot)?;
            f.jump_if(Condition::Ne, R2, 0, forgot);
            f.alu(AluOp::Or, R1, word(before));
            f.jump(noted);
            f.bind(forgot);
            f.alu(AluOp::Or, R1, word(last));
            f.bind(noted);
        } else {
            f.alu(AluOp::Or, R1, word(last));
        }
        if sets(selector) && !monitored {
            load(f, Size::Word, R2, state.failed)?;
            f.alu_reg(AluOp::Or, R1, R2);
        }
        f.store(Size::Word, R7, at, R1);
        let enforced = selector.enforces_ever() && !monitored;
        store_imm(f, Size::Word, state.ring, i32::from(enforced))
    }
}

/// Whether a selector writes memory.
fn sets(selector: &Selector) -> bool {
    selector.actions.iter().any(|action| matches!(action, Action::Set(_)))
}

/// Adds one to a counter of the selector.
pub(super) fn count(f: &mut Function<'_>, rider: &Rider, selector: &Selector, counter: Counter) {
    let number = rider.first_selector + u32::from(selector.number);
    let per_selector = u32::try_from(8 * SELECTOR_COUNTERS).unwrap_or(0);
    let base = u32::try_from(offset_of!(Counters, selectors)).unwrap_or(0);
    f.count(map_name::COUNTERS, base + per_selector * number + 8 * counter as u32);
}

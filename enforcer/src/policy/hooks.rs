//! Which policies ride on which hook, and how the programs of a hook are exchanged.
//!
//! A hook has one program for all policies on it, at each place where it is attached. There a stub stays attached; it runs the program in the live
//! one of its two slots. A change compiles and loads the next programs beside the running ones ([`Hooks::prepare`], which may fail and then
//! leaves nothing behind) and hands over by one store for each stub ([`Hooks::commit`], which cannot fail).
//!
//! Invariants: the slot that is not live is empty, except between prepare and commit; a new stub is attached with its empty slot live, so
//! that it does nothing before commit; at one target stubs are attached in the order of their seats, for there the latest runs first.

use std::collections::BTreeMap;
use std::sync::Arc;

use bpf_probes::abi::HANDOVER_CELLS;
use bpf_probes::spec::AttachSpec;
use tracing_policy::policy::{Exactness, HookKey, ResolvedHook, Seat};
use tracing_policy::source::Span;
use tracing_policy::{CompiledBody, Rider};

use super::compiler::{CompileError, Compiler};
use super::numbers::Numbers;
use super::port::{Figures, HookPort, Refused, Slot};

/// One hook of one policy, with its numbers.
#[derive(Clone, Debug)]
pub(super) struct Passenger {
    pub(super) hook: Arc<ResolvedHook>,
    pub(super) policy_number: u32,
    pub(super) layout_number: u32,
    pub(super) first_selector: u32,
    pub(super) class_numbers: Vec<u32>,
}

impl Passenger {
    fn rider(&self) -> Rider<'_> {
        Rider {
            hook: &self.hook,
            policy_number: self.policy_number,
            layout_number: self.layout_number,
            first_selector: self.first_selector,
            class_numbers: &self.class_numbers,
        }
    }
}

/// Why the programs of a hook could not be made.
#[derive(Debug)]
pub(super) enum HookError {
    /// The compiler found something.
    Compile(CompileError),
    /// All cells are in use.
    Exhausted,
    /// The kernel refused a program or an attachment.
    Refused(Box<HookRefusal>),
}

/// A refusal of the kernel at one hook.
#[derive(Debug)]
pub(super) struct HookRefusal {
    pub(super) key: HookKey,
    pub(super) target: AttachSpec,
    pub(super) refused: Refused,
    /// The layout number of the policy's hook, and the place in its text, that the refused instruction came from.
    pub(super) blamed: Option<(u32, Span)>,
}

/// Where a stub of a hook is, and what for.
type Place = (AttachSpec, Seat);

/// A stub in its place, and the program behind it.
struct Live<P: HookPort> {
    number: u32,
    stub: P::Stub,
    slot: Slot,
    body: P::Body,
    why: Why,
}

/// What the planner says about an attachment.
#[derive(Clone, Debug)]
pub(super) struct Why {
    pub(super) reason: String,
    pub(super) exactness: Exactness,
}

struct Hook<P: HookPort> {
    passengers: Vec<Passenger>,
    places: BTreeMap<Place, Live<P>>,
}

/// The next program of one place, in its slot.
struct NextBody<P: HookPort> {
    place: Place,
    body: P::Body,
    why: Why,
    slot: Slot,
    /// The stub, where the place is new.
    stub: Option<(u32, P::Stub)>,
}

/// Whether a stub that is in its place can stay there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stand {
    AsItIs,
    /// What is to run after it at its target is attached anew, and so must it be.
    Anew,
}

struct NextHook<P: HookPort> {
    passengers: Vec<Passenger>,
    bodies: Vec<NextBody<P>>,
}

/// Programs that are loaded and wait for their hand-over. Must be committed or abandoned.
#[must_use = "programs wait in their slots"]
pub(super) struct Prepared<P: HookPort> {
    hooks: BTreeMap<HookKey, NextHook<P>>,
}

/// Where the programs of a hook are attached, for status.
#[derive(Clone)]
pub(super) struct Attachment {
    pub(super) target: AttachSpec,
    pub(super) why: Why,
    pub(super) riders: usize,
    pub(super) figures: Arc<dyn Figures>,
}

/// All hooks that have a policy.
pub(super) struct Hooks<P: HookPort> {
    hooks: BTreeMap<HookKey, Hook<P>>,
    numbers: Numbers,
}

impl<P: HookPort> Hooks<P> {
    pub(super) fn new() -> Self {
        let cells = u32::try_from(HANDOVER_CELLS).unwrap_or(u32::MAX);
        Self { hooks: BTreeMap::new(), numbers: Numbers::below(cells) }
    }

    /// Loads what the hooks need when `joining` ride along and those with a layout number in `leaving` do not. What runs is not touched.
    ///
    /// # Errors
    /// See [`HookError`]; nothing is left behind.
    pub(super) fn prepare(
        &mut self,
        joining: &[Passenger],
        leaving: &[u32],
        compiler: &impl Compiler,
        port: &P,
    ) -> Result<Prepared<P>, HookError> {
        let mut prepared = Prepared { hooks: BTreeMap::new() };
        let next = self.next_passengers(joining, leaving);
        // each takes one number at least: what cannot end well is not begun
        if next.keys().filter(|key| !self.hooks.contains_key(*key)).count() > self.numbers.left() {
            return Err(HookError::Exhausted);
        }
        for (key, passengers) in next {
            let mut next = NextHook { passengers, bodies: Vec::new() };
            let result = self.prepare_hook(&key, &mut next, compiler, port);
            prepared.hooks.insert(key, next);
            if let Err(error) = result {
                self.abandon(prepared, port);
                return Err(error);
            }
        }
        Ok(prepared)
    }

    /// The passengers of every hook that changes, in the order of policies.
    fn next_passengers(&self, joining: &[Passenger], leaving: &[u32]) -> BTreeMap<HookKey, Vec<Passenger>> {
        let mut next: BTreeMap<HookKey, Vec<Passenger>> = BTreeMap::new();
        let stays = |passenger: &&Passenger| !leaving.contains(&passenger.layout_number);
        for (key, hook) in &self.hooks {
            let changes = hook.passengers.iter().any(|passenger| !stays(&passenger))
                || joining.iter().any(|passenger| passenger.hook.key == *key);
            if changes {
                next.insert(key.clone(), hook.passengers.iter().filter(stays).cloned().collect());
            }
        }
        for passenger in joining {
            next.entry(passenger.hook.key.clone()).or_default().push(passenger.clone());
        }
        next
    }

    fn prepare_hook(
        &mut self,
        key: &HookKey,
        next: &mut NextHook<P>,
        compiler: &impl Compiler,
        port: &P,
    ) -> Result<(), HookError> {
        if next.passengers.is_empty() {
            return Ok(());
        }
        let riders: Vec<Rider<'_>> = next.passengers.iter().map(Passenger::rider).collect();
        for compiled in compiler.compile_hook(&riders).map_err(HookError::Compile)?.bodies {
            let is_below = |body: &NextBody<P>| body.stub.is_some() && body.place.0 == compiled.target;
            let stand = if next.bodies.iter().any(is_below) { Stand::Anew } else { Stand::AsItIs };
            let body = self.prepare_body(key, &compiled, &next.passengers, stand, port)?;
            next.bodies.push(body);
        }
        Ok(())
    }

    fn prepare_body(
        &mut self,
        key: &HookKey,
        compiled: &CompiledBody,
        passengers: &[Passenger],
        stand: Stand,
        port: &P,
    ) -> Result<NextBody<P>, HookError> {
        let target = &compiled.target;
        let refused = |refused: Refused| {
            let place = refused.origin.and_then(|origin| compiled.source_map.place(origin));
            let blamed =
                place.and_then(|place| Some((passengers.get(place.rider)?.layout_number, place.span)));
            HookError::Refused(Box::new(HookRefusal {
                key: key.clone(),
                target: target.clone(),
                refused,
                blamed,
            }))
        };
        let why = Why { reason: compiled.reason.clone(), exactness: compiled.exactness.clone() };
        let place = (target.clone(), compiled.role.seat());
        let body = port.load_body(compiled).map_err(refused)?;
        let live = self.hooks.get(key).and_then(|hook| hook.places.get(&place));
        if let Some(live) = live.filter(|_| stand == Stand::AsItIs) {
            let slot = live.slot.other();
            port.put(&live.stub, slot, &body).map_err(refused)?;
            return Ok(NextBody { place, body, why, slot, stub: None });
        }
        let number = self.numbers.take().ok_or(HookError::Exhausted)?;
        match attach_stub(compiled, number, &body, port) {
            Ok(stub) => Ok(NextBody { place, body, why, slot: Slot::A, stub: Some((number, stub)) }),
            Err(error) => {
                self.numbers.put_back(number);
                Err(refused(error))
            }
        }
    }

    /// Drops what was prepared; what runs goes on.
    pub(super) fn abandon(&mut self, prepared: Prepared<P>, port: &P) {
        for (key, next) in prepared.hooks {
            for body in next.bodies {
                if let Some((number, stub)) = body.stub {
                    drop(stub);
                    self.numbers.put_back(number);
                } else if let Some(live) = self.hooks.get(&key).and_then(|hook| hook.places.get(&body.place))
                {
                    port.clear(&live.stub, body.slot);
                }
            }
        }
    }

    /// Hands over to what was prepared: stores first, then the old programs go. What returns errors goes live before what notes them, and stops after it.
    pub(super) fn commit(&mut self, prepared: Prepared<P>, port: &P) {
        let (mut stores, mut leaving) = (Vec::new(), Vec::new());
        for (key, next) in &prepared.hooks {
            let places = self.hooks.get(key).map(|hook| &hook.places);
            for (place, live) in places.into_iter().flatten() {
                if next.bodies.iter().all(|body| body.place != *place || body.stub.is_some()) {
                    leaving.push((place.1, live.number, live.slot.other()));
                }
            }
            for body in &next.bodies {
                let live = self.hooks.get(key).and_then(|hook| hook.places.get(&body.place));
                let number =
                    body.stub.as_ref().map(|(number, _)| *number).or_else(|| live.map(|live| live.number));
                stores.extend(number.map(|number| (body.place.1, number, body.slot)));
            }
        }
        stores.sort_by_key(|(seat, ..)| *seat);
        leaving.sort_by_key(|(seat, ..)| std::cmp::Reverse(*seat));
        for (_, number, slot) in stores.into_iter().chain(leaving) {
            port.go_live(number, slot);
        }
        for (key, next) in prepared.hooks {
            let old = self.hooks.remove(&key).map(|hook| hook.places).unwrap_or_default();
            let places = self.replace(old, next.bodies, port);
            if !next.passengers.is_empty() {
                self.hooks.insert(key, Hook { passengers: next.passengers, places });
            }
        }
    }

    /// The places after the hand-over. Stubs that nothing replaces are detached.
    fn replace(
        &mut self,
        mut old: BTreeMap<Place, Live<P>>,
        bodies: Vec<NextBody<P>>,
        port: &P,
    ) -> BTreeMap<Place, Live<P>> {
        let mut places = BTreeMap::new();
        for NextBody { place, body, why, slot, stub } in bodies {
            // a stub that is replaced goes with those that nothing replaces
            let live = if let Some((number, stub)) = stub {
                Live { number, stub, slot, body, why }
            } else {
                // A body without a stub was put behind an existing one.
                let Some(live) = old.remove(&place) else { continue };
                port.clear(&live.stub, live.slot);
                Live { slot, body, why, ..live }
            };
            places.insert(place, live);
        }
        // what notes errors goes before what returns them
        let mut old: Vec<_> = old.into_iter().collect();
        old.sort_by_key(|((_, seat), _)| std::cmp::Reverse(*seat));
        for (_, live) in old {
            drop(live.stub);
            self.numbers.put_back(live.number);
        }
        places
    }

    /// Where a hook is attached.
    pub(super) fn attachments(&self, key: &HookKey, port: &P) -> Vec<Attachment> {
        let Some(hook) = self.hooks.get(key) else { return Vec::new() };
        hook.places
            .iter()
            .map(|((target, _), live)| Attachment {
                target: target.clone(),
                why: live.why.clone(),
                riders: hook.passengers.len(),
                figures: port.figures(&live.stub, &live.body),
            })
            .collect()
    }

    /// Hooks that have a policy.
    pub(super) fn len(&self) -> usize {
        self.hooks.len()
    }
}

/// A stub that is attached and does nothing: `body` waits in slot A, slot B is live and empty.
fn attach_stub<P: HookPort>(
    compiled: &CompiledBody,
    number: u32,
    body: &P::Body,
    port: &P,
) -> Result<P::Stub, Refused> {
    let mut stub = port.load_stub(compiled, body, number)?;
    port.put(&stub, Slot::A, body)?;
    port.go_live(number, Slot::B);
    port.attach(&mut stub)?;
    Ok(stub)
}

#[cfg(test)]
#[path = "hooks_tests.rs"]
mod tests;

//! One run: registers, frames, and what must be undone or complained about at its end.

use super::address;
use super::context::Context;
use super::fault::{Fault, FaultKind};
use super::frame::{self, Frame, Resume};
use super::machine::{Outcome, Program, State};
use super::map::{Content, Ring};
use super::value::{Tag, Value};
use crate::insn::{Insn, Register};

/// How many functions may be on the stack (`MAX_CALL_FRAMES`).
const MAX_FRAMES: usize = 8;

/// A record that the program reserved and has not let go of.
#[derive(Clone, Debug)]
pub(super) struct Reserved {
    pub(super) map: usize,
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
    /// One for each byte: written by the program.
    pub(super) written: Vec<bool>,
}

/// One run of one program.
pub(super) struct Run<'m> {
    pub(super) programs: &'m [Program],
    pub(super) state: &'m mut State,
    pub(super) frames: Vec<Frame>,
    pub(super) registers: [Value; 11],
    /// The instruction being executed.
    pub(super) at: usize,
    /// The one after it.
    pub(super) next: usize,
    pub(super) context: Context,
    pub(super) outcome: Outcome,
    pub(super) records: Vec<Option<Reserved>>,
    pub(super) tail_calls: u32,
    pub(super) preemption: u32,
    pub(super) rcu: u32,
}

/// Whether the run goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flow {
    On,
    End,
}

/// Runs the program with this number.
pub(super) fn run(
    programs: &[Program],
    state: &mut State,
    number: usize,
    context: Context,
    budget: u64,
) -> Result<Outcome, Fault> {
    let mut run = Run {
        programs,
        state,
        frames: Vec::with_capacity(MAX_FRAMES),
        registers: [Value::UNSET; 11],
        at: 0,
        next: 0,
        context,
        outcome: Outcome::default(),
        records: Vec::new(),
        tail_calls: 0,
        preemption: 0,
        rcu: 0,
    };
    run.enter(number, 0, Resume::Host);
    run.registers[1] = Value::pointer(address::CONTEXT_BASE);
    let result = run.execute(budget);
    run.abandon();
    match result {
        Ok(()) => Ok(run.outcome),
        Err(kind) => {
            let number = run.frames.last().map_or(number, |frame| frame.program);
            let at = programs.get(number).map(|program| program.place(run.at)).unwrap_or_default();
            Err(Fault { at: Box::new(at), kind })
        }
    }
}

impl Run<'_> {
    fn execute(&mut self, budget: u64) -> Result<(), FaultKind> {
        loop {
            self.at = self.next;
            let insn = self.insn(self.at).ok_or(FaultKind::NoInstruction { slot: self.at })?;
            if self.outcome.steps == budget {
                return Err(FaultKind::Budget { steps: budget });
            }
            self.outcome.steps += 1;
            self.next = self.at + 1;
            if self.step(insn)? == Flow::End {
                return self.end();
            }
        }
    }

    pub(super) fn program(&self) -> Option<&Program> {
        self.programs.get(self.frames.last()?.program)
    }

    pub(super) fn insn(&self, slot: usize) -> Option<Insn> {
        self.program()?.code.insns.get(slot).copied()
    }

    fn end(&mut self) -> Result<(), FaultKind> {
        self.outcome.r0 = self.registers[0].bits;
        if let Some(record) = self.records.iter().flatten().next() {
            let ring = self.state.maps.get(record.map).map(|map| map.spec().name.clone());
            return Err(FaultKind::UnreleasedRecord { ring: ring.unwrap_or_default() });
        }
        match (self.preemption, self.rcu) {
            (0, 0) => Ok(()),
            (0, _) => Err(FaultKind::UnbalancedSection { call: "bpf_rcu_read_lock" }),
            _ => Err(FaultKind::UnbalancedSection { call: "bpf_preempt_disable" }),
        }
    }

    /// Discards records that a fault left behind.
    fn abandon(&mut self) {
        for record in std::mem::take(&mut self.records).into_iter().flatten() {
            if let Some(ring) = self.ring(record.map) {
                ring.discard(record.number);
            }
        }
    }

    pub(super) fn ring(&mut self, map: usize) -> Option<&mut Ring> {
        match self.state.maps.get_mut(map)?.content_mut() {
            Content::Ring(ring) => Some(ring),
            Content::Values { .. } | Content::Programs(_) | Content::Maps(_) => None,
        }
    }

    /// A register that must have been set.
    pub(super) fn get(&self, register: Register) -> Result<Value, FaultKind> {
        let value = self.registers[usize::from(register.number())];
        if value.tag == Tag::Unset { Err(FaultKind::UnsetRegister { register }) } else { Ok(value) }
    }

    pub(super) fn set(&mut self, register: Register, value: Value) -> Result<(), FaultKind> {
        if register == Register::R10 {
            return Err(FaultKind::WritesFramePointer);
        }
        self.registers[usize::from(register.number())] = value;
        Ok(())
    }

    pub(super) fn forget_arguments(&mut self) {
        self.registers[1..=5].fill(Value::UNSET);
    }

    fn enter(&mut self, program: usize, function: usize, resume: Resume) {
        let [_, _, _, _, _, _, r6, r7, r8, r9, _] = self.registers;
        let mut frame = Frame::new(program, resume, [r6, r7, r8, r9]);
        if let Some(program) = self.programs.get(program) {
            frame.use_depth(program.stack_depth(function));
        }
        self.frames.push(frame);
        self.registers[0] = Value::UNSET;
        self.registers[6..=9].fill(Value::UNSET);
        let top = address::stack(self.frames.len() - 1) + frame::BYTES as u64;
        self.registers[10] = Value::pointer(top);
        self.next = function;
    }

    /// Enters a function of the running program.
    pub(super) fn call(&mut self, function: usize, resume: Resume) -> Result<(), FaultKind> {
        if self.frames.len() == MAX_FRAMES {
            return Err(FaultKind::CallDepth);
        }
        let program = self.frames.last().map_or(0, |frame| frame.program);
        self.enter(program, function, resume);
        self.check_depth()
    }

    /// Checks the bytes that all frames use together.
    pub(super) fn check_depth(&self) -> Result<(), FaultKind> {
        let bytes = self.frames.iter().map(Frame::counted_depth).sum();
        if self.frames.len() > 1 && bytes > frame::BYTES {
            return Err(FaultKind::StackDepth { bytes });
        }
        Ok(())
    }

    /// Goes on with another program in place of the running function.
    pub(super) fn replace(&mut self, program: usize, context: Value) {
        if let Some(frame) = self.frames.pop() {
            let [r6, r7, r8, r9] = frame.saved;
            self.registers[6..=9].copy_from_slice(&[r6, r7, r8, r9]);
            self.enter(program, 0, frame.resume);
            self.forget_arguments();
            self.registers[1] = context;
        }
    }

    /// Leaves the function.
    pub(super) fn leave(&mut self) -> Result<Flow, FaultKind> {
        let result = self.get(Register::R0)?;
        let Some(frame) = self.frames.last() else {
            return Ok(Flow::End);
        };
        let resume = frame.resume;
        let saved = frame.saved;
        if matches!(resume, Resume::Host) {
            return Ok(Flow::End);
        }
        if matches!(resume, Resume::Loop { .. }) && result.bits > 1 {
            return Err(FaultKind::CallbackResult { value: result.bits });
        }
        self.frames.pop();
        self.registers[6..=9].copy_from_slice(&saved);
        let top = address::stack(self.frames.len().saturating_sub(1)) + frame::BYTES as u64;
        self.registers[10] = Value::pointer(top);
        self.forget_arguments();
        match resume {
            Resume::Host => return Ok(Flow::End),
            Resume::Call { slot } => self.next = slot,
            Resume::Loop { slot, index, iterations, callback, context } => {
                let done = index + 1;
                if result.bits == 0 && done < iterations {
                    self.iterate(slot, done, iterations, callback, context)?;
                } else {
                    self.registers[0] = Value::number(done);
                    self.next = slot;
                }
            }
        }
        Ok(Flow::On)
    }

    /// Calls the callback of `bpf_loop` once.
    pub(super) fn iterate(
        &mut self,
        slot: usize,
        index: u64,
        iterations: u64,
        callback: usize,
        context: Value,
    ) -> Result<(), FaultKind> {
        self.call(callback, Resume::Loop { slot, index, iterations, callback, context })?;
        self.forget_arguments();
        self.registers[1] = Value::number(index);
        self.registers[2] = context;
        Ok(())
    }
}

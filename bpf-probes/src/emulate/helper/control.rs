//! Helpers that move control: tail calls and loops.

use super::{Errno, FaultKind, Run, Value};
use crate::emulate::address::{self, Segment};
use crate::emulate::alu::low32;
use crate::emulate::frame::Frame;
use crate::emulate::map::{Content, Map};
use crate::insn::Helper;

/// How many tail calls one run may do (`MAX_TAIL_CALL_CNT`).
const MAX_TAIL_CALLS: u32 = 33;
/// How often `bpf_loop` calls (`BPF_MAX_LOOPS`).
const MAX_LOOPS: u64 = 8 * 1024 * 1024;
/// Bytes of stack below which a function with callers may tail-call (`check_max_stack_depth`).
const MAX_TAIL_CALL_DEPTH: usize = 256;

impl Run<'_> {
    pub(super) fn tail_call(&mut self) -> Result<(), FaultKind> {
        let call = Helper::TailCall;
        let context = self.context(call)?;
        let map = self.map(2, call)?;
        let index = low32(self.argument(3)?.bits);
        let callers = self.frames.len().saturating_sub(1);
        let depth: usize = self.frames.iter().take(callers).map(Frame::counted_depth).sum();
        if depth >= MAX_TAIL_CALL_DEPTH {
            return Err(FaultKind::StackDepth { bytes: depth });
        }
        let Some(Content::Programs(programs)) = self.state.maps.get(map).map(Map::content) else {
            let reason = "must be a map of programs";
            return Err(FaultKind::Argument { call: call.name(), argument: 2, reason });
        };
        let callee = programs.get(&index).copied();
        let Some(callee) = callee.filter(|_| self.tail_calls < MAX_TAIL_CALLS) else {
            self.forget_arguments();
            self.registers[0] = Value::UNSET;
            return Ok(());
        };
        let kinds = self.programs.get(callee).zip(self.program());
        if let Some((callee, _)) = kinds.filter(|(callee, caller)| callee.kind != caller.kind) {
            return Err(FaultKind::TailCallKind { callee: callee.name.clone() });
        }
        self.tail_calls += 1;
        self.replace(callee, context);
        Ok(())
    }

    pub(super) fn start_loop(&mut self) -> Result<(), FaultKind> {
        let call = Helper::Loop;
        let iterations = self.argument(1)?.bits;
        let Segment::Code { slot: callback } = address::segment(self.argument(2)?.bits) else {
            let reason = "must be a function";
            return Err(FaultKind::Argument { call: call.name(), argument: 2, reason });
        };
        let context = self.argument(3)?;
        let result = match (self.argument(4)?.bits, iterations) {
            (1.., _) => Errno::Einval.code(),
            // the verifier puts the loop in place of the call, which compares 64 bits and sets 32 (`inline_bpf_loop`, 6.0)
            (0, iterations) if iterations > MAX_LOOPS => u64::from(low32(Errno::E2big.code())),
            (0, 0) => 0,
            (0, _) => return self.iterate(self.next, 0, iterations, callback, context),
        };
        self.forget_arguments();
        self.registers[0] = Value::number(result);
        Ok(())
    }
}

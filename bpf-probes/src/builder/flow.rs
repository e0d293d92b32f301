//! Conditions and small loops as closures.

use super::{BuildError, Function};
use crate::insn::{AluOp, Condition, Register};

impl Function<'_> {
    /// Runs `body` when `dst condition imm` holds (64 bits).
    ///
    /// # Errors
    /// Those of `body`.
    pub fn when(
        &mut self,
        condition: Condition,
        dst: Register,
        imm: i32,
        body: impl FnOnce(&mut Self) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        let end = self.label();
        if let Some(opposite) = condition.negated() {
            self.jump_if(opposite, dst, imm, end);
        } else {
            let start = self.label();
            self.jump_if(condition, dst, imm, start);
            self.jump(end);
            self.bind(start);
        }
        body(self)?;
        self.bind(end);
        Ok(())
    }

    /// Runs `body` up to `rounds` times, with `counter` (a callee-saved register) counting from 0. `body` leaves by jumping to a label of its own, bound
    /// after the loop. Each round is verified: keep `rounds × body` well under 100 000.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn repeat(
        &mut self,
        counter: Register,
        rounds: i32,
        body: impl FnOnce(&mut Self) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        self.constant(counter, 0);
        let start = self.label();
        self.bind(start);
        body(self)?;
        self.alu(AluOp::Add, counter, 1);
        self.jump_if(Condition::Lt, counter, rounds, start);
        Ok(())
    }
}

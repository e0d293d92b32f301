//! Tests of several arguments at once. A number is made in `R1`; what waits for another lies in the state.

use Register::{R1, R2};
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition as Jump, Register, Size};

use super::memory::{load, store};
use super::number::always;
use super::program::Emitter;
use crate::ir::{Check, ExpressionTest, Hook, ReadId, is_simple};
use crate::policy::{
    BinaryOperator, Comparison, Condition, IntegerType, Relation, Signedness, Term, expression_register,
};

type Tree = Condition<usize, ReadId>;
type Number = Term<usize, ReadId>;

/// Words that the expressions of a hook need beside the registers.
pub(super) fn depth(hook: &Hook) -> u32 {
    let tests = hook.selectors().flat_map(|selector| &selector.tests);
    let depths = tests.map(|test| if let Check::Expression(test) = &test.check { test.depth() } else { 0 });
    depths.max().unwrap_or(0)
}

impl Emitter<'_> {
    /// The test of an expression. Where the last argument is a path, it is located before and behind.
    pub(super) fn expression(
        &self,
        f: &mut Function<'_>,
        test: &ExpressionTest,
        policy: u32,
        fail: Label,
    ) -> Result<(), BuildError> {
        for &read in &test.reads {
            if let Some(bytes) = self.state().bytes(read) {
                load(f, Size::Word, R1, bytes.testable)?;
                f.jump_if(Jump::Eq, R1, 0, fail);
            } else {
                self.leave_unread(f, read, fail)?;
            }
        }
        let it = Expression { test, policy };
        if !moves(test) {
            return self.condition(f, &it, &test.condition, 0, fail);
        }
        // tests behind this one find the path where it was
        let (miss, out) = (f.label(), f.label());
        self.condition(f, &it, &test.condition, 0, miss)?;
        self.locate_last(f, test, fail)?;
        f.constant(R1, 0);
        always(f, out);
        f.bind(miss);
        self.locate_last(f, test, fail)?;
        f.constant(R1, 0);
        always(f, fail);
        f.bind(out);
        Ok(())
    }

    fn locate_last(
        &self,
        f: &mut Function<'_>,
        test: &ExpressionTest,
        fail: Label,
    ) -> Result<(), BuildError> {
        test.last.map_or(Ok(()), |last| self.locate(f, last, fail))
    }

    /// Falls through when the condition holds, else goes to `fail`.
    fn condition(
        &self,
        f: &mut Function<'_>,
        it: &Expression<'_>,
        condition: &Tree,
        depth: u32,
        fail: Label,
    ) -> Result<(), BuildError> {
        match condition {
            Condition::Constant(true) => Ok(()),
            Condition::Constant(false) => {
                f.constant(R1, 0);
                always(f, fail);
                Ok(())
            }
            Condition::Test(atom) => self.atom(f, it, *atom, fail),
            Condition::Not(inner) => {
                let miss = f.label();
                self.condition(f, it, inner, depth, miss)?;
                f.constant(R1, 0);
                always(f, fail);
                f.bind(miss);
                Ok(())
            }
            Condition::All(parts) => {
                parts.iter().try_for_each(|part| self.condition(f, it, part, depth, fail))
            }
            Condition::Any(parts) => {
                let Some((last, others)) = parts.split_last() else { return Ok(()) };
                let pass = f.label();
                for part in others {
                    let next = f.label();
                    self.condition(f, it, part, depth, next)?;
                    f.constant(R1, 0);
                    always(f, pass);
                    f.bind(next);
                }
                self.condition(f, it, last, depth, fail)?;
                f.bind(pass);
                Ok(())
            }
            Condition::Choose(parts) => {
                let [by, yes, no] = &**parts;
                let (other, out) = (f.label(), f.label());
                self.condition(f, it, by, depth, other)?;
                self.condition(f, it, yes, depth, fail)?;
                f.constant(R1, 0);
                always(f, out);
                f.bind(other);
                self.condition(f, it, no, depth, fail)?;
                f.bind(out);
                Ok(())
            }
            Condition::Compare(pair) => self.compare(f, it, pair, depth, fail),
        }
    }

    fn atom(
        &self,
        f: &mut Function<'_>,
        it: &Expression<'_>,
        atom: usize,
        fail: Label,
    ) -> Result<(), BuildError> {
        let Some(check) = it.test.atoms.get(atom) else { return Ok(()) };
        if let Check::Bytes(bytes) = check
            && moves(it.test)
        {
            self.locate(f, bytes.read, fail)?;
        }
        self.check(f, check, it.policy, fail)
    }

    /// `R1` compared with `R2`: goes to `fail` when they do not relate so.
    fn compare(
        &self,
        f: &mut Function<'_>,
        it: &Expression<'_>,
        pair: &Comparison<usize, ReadId>,
        depth: u32,
        fail: Label,
    ) -> Result<(), BuildError> {
        self.pair(f, it, &pair.left, &pair.right, depth)?;
        let signed = pair.ty.signedness == Signedness::Signed;
        let unfit = match (pair.relation.opposite(), signed) {
            (Relation::Equal, _) => Jump::Eq,
            (Relation::NotEqual, _) => Jump::Ne,
            (Relation::Less, true) => Jump::SLt,
            (Relation::Less, false) => Jump::Lt,
            (Relation::AtMost, true) => Jump::SLe,
            (Relation::AtMost, false) => Jump::Le,
            (Relation::More, true) => Jump::SGt,
            (Relation::More, false) => Jump::Gt,
            (Relation::AtLeast, true) => Jump::SGe,
            (Relation::AtLeast, false) => Jump::Ge,
        };
        f.jump_if_reg(unfit, R1, R2, fail);
        Ok(())
    }

    /// The left number in `R1`, the right one in `R2`.
    fn pair(
        &self,
        f: &mut Function<'_>,
        it: &Expression<'_>,
        left: &Number,
        right: &Number,
        depth: u32,
    ) -> Result<(), BuildError> {
        self.term(f, it, left, depth)?;
        if is_simple(right) {
            return self.simple(f, R2, right);
        }
        let waiting = self.state().expression + 8 * depth;
        store(f, Size::Double, waiting, R1)?;
        self.term(f, it, right, depth + 1)?;
        f.copy(R2, R1);
        load(f, Size::Double, R1, waiting)
    }

    fn simple(&self, f: &mut Function<'_>, dst: Register, term: &Number) -> Result<(), BuildError> {
        match term {
            Term::Argument(read) => load(f, Size::Double, dst, self.state().reads[read.index()].raw),
            Term::Size(read) => match self.state().bytes(*read) {
                Some(bytes) => load(f, Size::Word, dst, bytes.header),
                None => Ok(()),
            },
            Term::Constant(bits) => {
                f.constant(dst, *bits);
                Ok(())
            }
            Term::Truth(_) | Term::Binary(_) | Term::Inverse(..) | Term::Cast(..) | Term::Choose(_) => Ok(()),
        }
    }

    /// `R1 = the number`, extended by its type.
    fn term(
        &self,
        f: &mut Function<'_>,
        it: &Expression<'_>,
        term: &Number,
        depth: u32,
    ) -> Result<(), BuildError> {
        match term {
            Term::Constant(_) | Term::Argument(_) | Term::Size(_) => self.simple(f, R1, term),
            Term::Truth(condition) => {
                let (no, out) = (f.label(), f.label());
                self.condition(f, it, condition, depth, no)?;
                f.constant(R1, 1);
                always(f, out);
                f.bind(no);
                f.constant(R1, 0);
                f.bind(out);
                Ok(())
            }
            Term::Binary(pair) => {
                self.pair(f, it, &pair.left, &pair.right, depth)?;
                let (operator, keeps_type) = match pair.operator {
                    BinaryOperator::Add => (AluOp::Add, false),
                    BinaryOperator::Subtract => (AluOp::Sub, false),
                    BinaryOperator::And => (AluOp::And, true),
                    BinaryOperator::Or => (AluOp::Or, true),
                    BinaryOperator::Xor => (AluOp::Xor, true),
                };
                f.alu_reg(operator, R1, R2);
                if !keeps_type {
                    cut(f, pair.ty);
                }
                Ok(())
            }
            Term::Inverse(ty, inner) => {
                self.term(f, it, inner, depth)?;
                f.alu(AluOp::Xor, R1, -1);
                cut(f, *ty);
                Ok(())
            }
            Term::Cast(ty, inner) => {
                self.term(f, it, inner, depth)?;
                cut(f, *ty);
                Ok(())
            }
            Term::Choose(parts) => {
                let (by, yes, no) = &**parts;
                let (other, out) = (f.label(), f.label());
                self.condition(f, it, by, depth, other)?;
                self.term(f, it, yes, depth)?;
                always(f, out);
                f.bind(other);
                self.term(f, it, no, depth)?;
                f.bind(out);
                Ok(())
            }
        }
    }
}

/// Whether the tests of an expression look at more than one path.
fn moves(test: &ExpressionTest) -> bool {
    test.atoms.iter().any(|atom| matches!(atom, Check::Bytes(bytes) if test.last != Some(bytes.read)))
}

/// An expression being emitted.
struct Expression<'a> {
    test: &'a ExpressionTest,
    policy: u32,
}

/// `R1` cut to the type and extended by it.
fn cut(f: &mut Function<'_>, ty: IntegerType) {
    debug_assert_eq!(expression_register(ty, 1), 1, "the lowest bit is kept");
    f.extend(R1, ty.width.bits(), ty.signedness == Signedness::Signed);
}

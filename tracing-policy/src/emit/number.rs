//! Tests of numbers.

use Register::{R1, R2};
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition, Register, Size};

use super::memory::load;
use super::program::Emitter;
use crate::ir::{Interval, NumberTest, ReadId, Subject};
use crate::policy::{Family, Sense};

/// The comparisons that suit a type.
struct Order {
    at_most: Condition,
    at_least: Condition,
    less: Condition,
    more: Condition,
    least: i128,
    greatest: i128,
}

impl Emitter<'_> {
    /// `R1 = the number`, extended to 64 bits by its type.
    pub(super) fn subject(&self, f: &mut Function<'_>, subject: Subject) -> Result<(), BuildError> {
        let state = self.state();
        match subject {
            Subject::HostPid => load(f, Size::Word, R1, state.pid_tgid + 4),
            Subject::OwnPid => load(f, Size::Word, R1, state.own_pid),
            Subject::Namespace(_)
            | Subject::Capabilities(_)
            | Subject::NamespacesChanged
            | Subject::CapabilitiesChanged(_) => {
                load(f, Size::Double, R1, state.task.get(&subject).copied().unwrap_or(0))
            }
            Subject::Read(read) => load(f, Size::Double, R1, state.reads[read.index()].raw),
            Subject::Field(read, field) => self.described(f, read, field, None),
        }
    }

    fn order(&self, test: &NumberTest) -> Order {
        let (least, greatest) = match test.subject {
            Subject::HostPid | Subject::OwnPid | Subject::Namespace(_) => (0, i128::from(u32::MAX)),
            Subject::Capabilities(_) | Subject::NamespacesChanged | Subject::CapabilitiesChanged(_) => {
                (0, i128::from(u64::MAX))
            }
            Subject::Read(read) => match self.hook.read(read).ty.family() {
                Family::Number(ty) => ty.bounds(),
                Family::String | Family::Path | Family::Object(_) | Family::Nothing => {
                    (0, i128::from(u64::MAX))
                }
            },
            Subject::Field(..) => (0, i128::from(u16::MAX)),
        };
        let (at_most, at_least, less, more) = if test.signed {
            (Condition::SLe, Condition::SGe, Condition::SLt, Condition::SGt)
        } else {
            (Condition::Le, Condition::Ge, Condition::Lt, Condition::Gt)
        };
        Order { at_most, at_least, less, more, least, greatest }
    }

    /// Goes to `fail` when a number that lies in memory could not be read.
    pub(super) fn leave_unread(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        fail: Label,
    ) -> Result<(), BuildError> {
        if let Some(error) = self.state().reads[id.index()].error {
            load(f, Size::Double, R1, error)?;
            f.jump_if(Condition::Ne, R1, 0, fail);
        }
        Ok(())
    }

    pub(super) fn number(
        &self,
        f: &mut Function<'_>,
        test: &NumberTest,
        fail: Label,
    ) -> Result<(), BuildError> {
        let order = self.order(test);
        match test.subject {
            Subject::Field(read, field) => self.described(f, read, field, Some(fail))?,
            Subject::Read(read) => {
                self.leave_unread(f, read, fail)?;
                self.subject(f, test.subject)?;
            }
            Subject::HostPid
            | Subject::OwnPid
            | Subject::Namespace(_)
            | Subject::Capabilities(_)
            | Subject::NamespacesChanged
            | Subject::CapabilitiesChanged(_) => self.subject(f, test.subject)?,
        }
        if let (Sense::Plain, 0, None, [interval]) =
            (test.sense, test.mask, test.table, test.intervals.as_slice())
        {
            leave_outside(f, &order, *interval, fail);
            return Ok(());
        }
        let (pass, miss) = (f.label(), f.label());
        let hit = match test.sense {
            Sense::Plain => pass,
            Sense::Negated => fail,
        };
        for interval in &test.intervals {
            jump_inside(f, &order, *interval, hit, miss);
        }
        f.bind(miss);
        if test.mask != 0 {
            jump_on_bits(f, test.mask, hit);
        }
        if let Some(bit) = test.table {
            let answer = self.state().tables[bit.table.index()];
            load(f, Size::Byte, R1, answer + bit.bit / 8)?;
            f.jump_if(Condition::Set, R1, 1 << (bit.bit % 8), hit);
        }
        if test.sense == Sense::Plain {
            always(f, fail);
        }
        f.bind(pass);
        Ok(())
    }
}

/// Jumps, in a form after which the verifier lets code follow that nothing reaches; `R1` must be set.
pub(super) fn always(f: &mut Function<'_>, target: Label) {
    f.jump_if(Condition::Ge, R1, 0, target);
}

/// Jumps when `R1 condition value` holds. Uses `R2`.
fn compare(f: &mut Function<'_>, condition: Condition, value: i128, target: Label) {
    let bits = crate::policy::Integer::new(value).register();
    if let Ok(small) = i32::try_from(bits.cast_signed()) {
        f.jump_if(condition, R1, small, target);
    } else {
        f.constant(R2, bits);
        f.jump_if_reg(condition, R1, R2, target);
    }
}

fn jump_on_bits(f: &mut Function<'_>, mask: u64, hit: Label) {
    if let Ok(small) = i32::try_from(mask.cast_signed()) {
        f.jump_if(Condition::Set, R1, small, hit);
    } else {
        f.constant(R2, mask);
        f.jump_if_reg(Condition::Set, R1, R2, hit);
    }
}

/// Goes to `fail` when `R1` is not in the interval.
fn leave_outside(f: &mut Function<'_>, order: &Order, interval: Interval, fail: Label) {
    if interval.min == interval.max {
        compare(f, Condition::Ne, interval.min, fail);
        return;
    }
    // at least one comparison, so that the verifier sees a way to what lies behind `fail`
    if interval.min > order.least || interval.max >= order.greatest {
        compare(f, order.less, interval.min, fail);
    }
    if interval.max < order.greatest {
        compare(f, order.more, interval.max, fail);
    }
}

/// Goes to `hit` when `R1` is in the interval, to `miss` when it is below it and so below all that follow.
fn jump_inside(f: &mut Function<'_>, order: &Order, interval: Interval, hit: Label, miss: Label) {
    let (from_least, to_greatest) = (interval.min <= order.least, interval.max >= order.greatest);
    if interval.min == interval.max {
        compare(f, Condition::Eq, interval.min, hit);
    } else if from_least && to_greatest {
        always(f, hit);
    } else if from_least {
        compare(f, order.at_most, interval.max, hit);
    } else if to_greatest {
        compare(f, order.at_least, interval.min, hit);
    } else {
        compare(f, order.less, interval.min, miss);
        compare(f, order.at_most, interval.max, hit);
    }
}

/// `R1` as a key whose bytes sort as the numbers do: the sign bit turned, the highest byte first.
pub(super) fn sortable(f: &mut Function<'_>, signed: bool) {
    if signed {
        f.constant(R2, 1 << 63);
        f.alu_reg(AluOp::Xor, R1, R2);
    }
    f.emit(bpf_probes::insn::alu::to_big_endian(R1, 64));
}

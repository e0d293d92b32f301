//! Throttling of cgroups: whether processes of a cgroup begin and end too often for all of it to be reported.
//!
//! A subprogram of the base programs, in them only when a rate is set. It counts forks, execs and exits of each cgroup on each CPU in intervals, and takes as the
//! rate what is in the current one and as much of the one before as still lies within the length of an interval. The record that announces a throttled
//! cgroup is sent again each second as long as its rate is over the limit; what is withheld is withheld for [`THROTTLE_LASTS`] after the last such record, so that
//! the daemon knows the end of it without asking (docs/adr/0016-cgroup-rate.md).

use std::mem::{offset_of, size_of};
use std::num::NonZeroU32;
use std::time::Duration;

use super::cgroup;
use crate::abi::{
    Counters, Loss, MAX_CGROUP_NAME, Rate, RateKey, RecordKind, THROTTLE_LASTS, THROTTLE_REPEATS,
    ThrottleRecord, Withheld, map_name,
};
use crate::asm::{Label, Prototype};
use crate::builder::{BuildError, Facts, Function, Program, Slot};
use crate::insn::{AluOp, Condition, Helper, Register, Size};
use crate::routine::submit_record;
use Register::{R0, R1, R2, R3, R6, R7, R8, R9, R10};

const JUDGE: &str = "throttle";
/// The longest interval: with longer ones the products of the program could overflow.
const LONGEST: Duration = Duration::from_hours(24);
const SHORTEST: Duration = Duration::from_millis(1);

/// How often processes of one cgroup may be forked, call exec and end on one CPU.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CgroupRate {
    events: NonZeroU32,
    interval: Duration,
}

/// The interval is too short or too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the interval must last from 1ms to 24h")]
pub struct RateError;

impl CgroupRate {
    /// `events` in any `interval`.
    ///
    /// # Errors
    /// [`RateError`] if the interval is shorter than a millisecond or longer than a day.
    pub fn new(events: NonZeroU32, interval: Duration) -> Result<Self, RateError> {
        if !(SHORTEST..=LONGEST).contains(&interval) {
            return Err(RateError);
        }
        Ok(Self { events, interval })
    }

    /// How many.
    pub const fn events(self) -> NonZeroU32 {
        self.events
    }

    /// In how long.
    pub const fn interval(self) -> Duration {
        self.interval
    }

    fn nanos(self) -> u64 {
        u64::try_from(self.interval.as_nanos()).expect("a day has 47 bits of nanoseconds")
    }

    /// By how many bits times are cut before they are multiplied with counts, so that 20 bits of an interval are left.
    fn shift(self) -> i32 {
        (self.nanos().ilog2().saturating_sub(20)).cast_signed()
    }
}

fn field(offset: usize) -> i16 {
    i16::try_from(offset).expect("rates are small")
}

fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).expect("rates are small")
}

/// `R0 = 1` if what happens at the time in `R1` in the cgroup in `R2` is to be withheld, else 0; counts it.
pub(super) fn judge(f: &mut Function<'_>) {
    f.call_subprogram(JUDGE);
}

/// Counts what is withheld. Uses `R1` and `R2`.
pub(super) fn count_withheld(f: &mut Function<'_>, what: Withheld) {
    let base = u32::try_from(offset_of!(Counters, withheld)).expect("the counters fit a map");
    f.count(map_name::COUNTERS, base + 8 * what as u32);
}

/// Adds `throttle(time, cgroup id) -> withheld`. Registers: `R6` the time, `R7` the cgroup and then its rate so far, `R8` how old its interval is, `R9` the entry.
///
/// # Errors
/// When the kernel's types lack the names of cgroups.
pub(super) fn add(program: &mut Program, facts: &Facts<'_>, rate: CgroupRate) -> Result<(), BuildError> {
    let mut f = Function::new(JUDGE, Prototype::Static { arguments: 2 }, facts).with_frame(224);
    for register in [R6, R7, R8, R9] {
        assert_eq!(f.register()?, register, "the subprogram owns all registers");
    }
    let (fresh, judged, pass) = (f.label(), f.label(), f.label());
    f.copy(R6, R1);
    f.copy(R7, R2);
    let key = f.slot(size::<RateKey>())?;
    f.store(Size::Double, R10, key.at(0), R7);
    f.call(Helper::GetSmpProcessorId);
    f.store(Size::Double, R10, key.at(8), R0);
    f.lookup(map_name::RATES, key, fresh);
    f.copy(R9, R0);
    advance(&mut f, rate);
    measure(&mut f, rate);
    f.constant(R1, u64::from(rate.events.get()));
    f.jump_if_reg(Condition::Le, R7, R1, judged);
    announce(&mut f, judged, pass)?;
    f.bind(judged);
    f.load(Size::Double, R1, R9, field(offset_of!(Rate, told)));
    f.jump_if(Condition::Eq, R1, 0, pass);
    f.copy(R2, R6);
    f.alu_reg(AluOp::Sub, R2, R1);
    f.constant(R1, THROTTLE_LASTS);
    f.jump_if_reg(Condition::Ge, R2, R1, pass);
    f.return_constant(1);
    f.bind(fresh);
    first(&mut f, key)?;
    f.bind(pass);
    f.return_constant(0);
    program.add(f.finish()?);
    Ok(())
}

/// Ends the interval if it is over, and begins the next. `R8` becomes the age of the current one.
fn advance(f: &mut Function<'_>, rate: CgroupRate) {
    let [start, current, previous] =
        [offset_of!(Rate, start), offset_of!(Rate, current), offset_of!(Rate, previous)].map(field);
    let (within, idle, begun) = (f.label(), f.label(), f.label());
    f.load(Size::Double, R1, R9, start);
    f.copy(R8, R6);
    f.alu_reg(AluOp::Sub, R8, R1);
    f.constant(R2, rate.nanos());
    f.jump_if_reg(Condition::Lt, R8, R2, within);
    f.alu_reg(AluOp::Sub, R8, R2);
    f.jump_if_reg(Condition::Ge, R8, R2, idle);
    f.alu_reg(AluOp::Add, R1, R2);
    f.load(Size::Double, R3, R9, current);
    f.jump(begun);
    f.bind(idle);
    f.copy(R1, R6);
    f.constant(R8, 0);
    f.constant(R3, 0);
    f.bind(begun);
    f.store(Size::Double, R9, start, R1);
    f.store(Size::Double, R9, previous, R3);
    f.store_imm(Size::Double, R9, current, 0);
    f.bind(within);
}

/// Counts one more. `R7` becomes the rate: the current interval's count, and of the one before its part that lies less than an interval back.
fn measure(f: &mut Function<'_>, rate: CgroupRate) {
    let current = field(offset_of!(Rate, current));
    f.load(Size::Double, R7, R9, current);
    f.alu(AluOp::Add, R7, 1);
    f.store(Size::Double, R9, current, R7);
    f.constant(R1, rate.nanos());
    f.alu_reg(AluOp::Sub, R1, R8);
    f.alu(AluOp::Rsh, R1, rate.shift());
    f.load(Size::Double, R2, R9, field(offset_of!(Rate, previous)));
    f.alu_reg(AluOp::Mul, R1, R2);
    f.constant(R2, rate.nanos() >> rate.shift());
    f.alu_reg(AluOp::Div, R1, R2);
    f.alu_reg(AluOp::Add, R7, R1);
}

/// Says that the cgroup is over its rate, unless it was said within the last second. Where the ring is full it goes to `pass`: nothing is withheld that nobody
/// was told of.
fn announce(f: &mut Function<'_>, judged: Label, pass: Label) -> Result<(), BuildError> {
    let told = field(offset_of!(Rate, told));
    let say = f.label();
    f.load(Size::Double, R1, R9, told);
    f.jump_if(Condition::Eq, R1, 0, say);
    f.copy(R2, R6);
    f.alu_reg(AluOp::Sub, R2, R1);
    f.constant(R1, THROTTLE_REPEATS);
    f.jump_if_reg(Condition::Lt, R2, R1, judged);
    f.bind(say);
    f.scope(|f| {
        let record = f.slot(size::<ThrottleRecord>())?;
        describe(f, record)?;
        f.slot_address(R7, record);
        f.constant(R8, u64::from(record.bytes()));
        submit_record(f, map_name::EVENTS, R7, R8, Loss::Throttle)?;
        f.jump_if(Condition::Ne, R0, 0, pass);
        f.store(Size::Double, R9, told, R6);
        Ok(())
    })
}

fn describe(f: &mut Function<'_>, record: Slot) -> Result<(), BuildError> {
    let at = |offset: usize| record.at(u32::try_from(offset).expect("records are small"));
    for byte in (0..record.bytes()).step_by(8) {
        f.store_imm(Size::Double, R10, record.at(byte), 0);
    }
    let kind = RecordKind::Throttle as i32;
    f.store_imm(Size::Byte, R10, at(offset_of!(ThrottleRecord, header.kind)), kind);
    let bytes = record.bytes().cast_signed();
    f.store_imm(Size::Word, R10, at(offset_of!(ThrottleRecord, header.size)), bytes);
    f.store(Size::Double, R10, at(offset_of!(ThrottleRecord, header.ktime)), R6);
    f.call(Helper::GetCurrentCgroupId);
    f.store(Size::Double, R10, at(offset_of!(ThrottleRecord, cgroup_id)), R0);
    f.current_task();
    f.copy(R7, R0);
    cgroup::name_of(f, R7)?;
    f.copy(R1, R10);
    f.alu(AluOp::Add, R1, i32::from(at(offset_of!(ThrottleRecord, name))));
    f.constant(R2, u64::from(MAX_CGROUP_NAME));
    f.copy(R3, R7);
    f.call(Helper::ProbeReadKernelStr);
    Ok(())
}

/// Begins to count a cgroup on this CPU. The first is always within its rate.
fn first(f: &mut Function<'_>, key: Slot) -> Result<(), BuildError> {
    f.scope(|f| {
        let value = f.slot(size::<Rate>())?;
        f.store(Size::Double, R10, value.at(0), R6);
        f.store_imm(Size::Double, R10, value.at(8), 1);
        f.store_imm(Size::Double, R10, value.at(16), 0);
        f.store_imm(Size::Double, R10, value.at(24), 0);
        // where the map takes no entry the next one is the first again
        f.update(map_name::RATES, key, value);
        Ok(())
    })
}

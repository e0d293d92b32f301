//! Limits of how often what is alike is reported.
//!
//! The map holds when a report was sent last. Only a report that got into the ring changes it, so that one lost there does not silence the next. Whatever
//! goes wrong (no room, another CPU that is at it, an entry that makes way for another) lets a report pass: there may be one too many, and the first is never left out.

use std::mem::{offset_of, size_of};

use Register::{R0, R1, R2, R3, R4, R7, R8, R9, R10};
use bpf_probes::abi::{self, Counter, HookRecord, LimitKey, map_name};
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function, Slot};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::routine::zero_fill;

use super::memory::{address, load, store, store_imm};
use super::program::Emitter;
use super::state::BytesState;
use crate::ir::{ReadId, Rider, Selector};
use crate::lower::Purpose;
use crate::policy::{LimitScope, RateLimit};

/// Bytes of a value in the key, its length included.
const VALUE_BYTES: u32 = 40;
/// Bytes of a text in the key, without its length.
const TEXT_BYTES: i32 = 36;
/// Nanoseconds of a millisecond.
const MILLISECOND: u64 = 1_000_000;
/// Flag of an update: the key must be new.
const NOEXIST: u64 = 1;

fn offset(offset: usize) -> u32 {
    u32::try_from(offset).expect("a key is small")
}

/// Whether one of these limits its reports.
pub(super) fn limits<'s>(selectors: impl IntoIterator<Item = &'s Selector>) -> bool {
    selectors.into_iter().any(|selector| selector.posts() && selector.post.limit.is_some())
}

impl Emitter<'_> {
    /// Where the functions that act keep the address of the time of the last report, 0 for none; `None` where nothing is limited.
    pub(super) fn limit_slot<'s>(
        f: &mut Function<'_>,
        selectors: impl IntoIterator<Item = &'s Selector>,
    ) -> Result<Option<Slot>, BuildError> {
        if !limits(selectors) {
            return Ok(None);
        }
        let slot = f.slot(8)?;
        f.store_imm(Size::Double, R10, slot.offset(), 0);
        Ok(Some(slot))
    }

    /// A selector is about to report `action`: goes to `end` if what is alike was reported a short time ago.
    pub(super) fn limit(
        &self,
        f: &mut Function<'_>,
        rider: &Rider,
        selector: &Selector,
        action: abi::Action,
        last: Option<Slot>,
        end: Label,
    ) -> Result<(), BuildError> {
        let (Some(limit), Some(last)) = (selector.post.limit, last) else { return Ok(()) };
        f.comment("not again within a time");
        let (unlimited, found, due) = (f.label(), f.label(), f.label());
        self.limit_key(f, rider, limit, action)?;
        self.limit_entry(f, found);
        f.scope(|f| {
            let never = f.slot(8)?;
            f.store_imm(Size::Double, R10, never.offset(), 0);
            address(f, R2, self.limit_key_at());
            f.slot_address(R3, never);
            f.constant(R4, NOEXIST);
            f.assembler().load_map(R1, map_name::LIMITS);
            f.call(Helper::MapUpdateElem);
            Ok(())
        })?;
        self.limit_entry(f, found);
        f.jump(unlimited);
        f.bind(found);
        f.store(Size::Double, R10, last.offset(), R0);
        f.load(Size::Double, R2, R0, 0);
        f.jump_if(Condition::Eq, R2, 0, due);
        load(f, Size::Double, R1, self.memory.record + offset(offset_of!(HookRecord, header.ktime)))?;
        f.alu_reg(AluOp::Sub, R1, R2);
        f.constant(R2, u64::from(limit.milliseconds) * MILLISECOND);
        // with a sign: another CPU may have reported since this one looked at its clock
        f.jump_if_reg(Condition::SGe, R1, R2, due);
        super::act::count(f, rider, selector, Counter::Limited);
        f.jump(end);
        f.bind(unlimited);
        f.bind(due);
        Ok(())
    }

    /// Behind a report: notes when it was sent, unless the ring took none (`R0` is its answer, `R7` the record).
    pub(super) fn note_report(f: &mut Function<'_>, last: Option<Slot>) {
        let Some(last) = last else { return };
        let out = f.label();
        f.jump_if(Condition::Ne, R0, 0, out);
        f.load(Size::Double, R1, R10, last.offset());
        f.jump_if(Condition::Eq, R1, 0, out);
        let ktime = i16::try_from(offset_of!(HookRecord, header.ktime)).expect("records are small");
        f.load(Size::Double, R2, R7, ktime);
        f.store(Size::Double, R1, 0, R2);
        f.bind(out);
    }

    /// The key lies where the record's values will.
    fn limit_key_at(&self) -> u32 {
        self.memory.record + offset(size_of::<HookRecord>())
    }

    /// `R0 = the entry of the key`, going to `found` if there is one.
    fn limit_entry(&self, f: &mut Function<'_>, found: Label) {
        address(f, R2, self.limit_key_at());
        f.assembler().load_map(R1, map_name::LIMITS);
        f.call(Helper::MapLookupElem);
        f.jump_if(Condition::Ne, R0, 0, found);
    }

    fn limit_key(
        &self,
        f: &mut Function<'_>,
        rider: &Rider,
        limit: RateLimit,
        action: abi::Action,
    ) -> Result<(), BuildError> {
        let key = self.limit_key_at();
        address(f, R1, key);
        zero_fill(f, offset(size_of::<LimitKey>()));
        let layout = rider.layout_number.cast_signed();
        store_imm(f, Size::Word, key + offset(offset_of!(LimitKey, layout)), layout)?;
        let of_return = if self.body.purpose == Purpose::Return { abi::LIMIT_OF_RETURN } else { 0 };
        let action = i32::from(action as u8) | of_return.cast_signed();
        store_imm(f, Size::Word, key + offset(offset_of!(LimitKey, action)), action)?;
        let scope = key + offset(offset_of!(LimitKey, scope));
        match limit.scope {
            LimitScope::Global => {}
            LimitScope::Thread => {
                load(f, Size::Word, R1, self.state().pid_tgid)?;
                store(f, Size::Double, scope, R1)?;
            }
            LimitScope::Process => {
                load(f, Size::Word, R1, self.state().pid_tgid + 4)?;
                store(f, Size::Double, scope, R1)?;
            }
        }
        let mut at = key + offset(offset_of!(LimitKey, values));
        let end = key + offset(size_of::<LimitKey>());
        for id in &rider.values {
            if let Some(object) = self.state().object(*id) {
                let size = object.size.min(VALUE_BYTES);
                for word in (0..size).step_by(8).take_while(|word| at + word < end) {
                    load(f, Size::Double, R1, object.value + word)?;
                    store(f, Size::Double, at + word, R1)?;
                }
                at += VALUE_BYTES;
            } else if let Some(bytes) = self.state().bytes(*id) {
                if at + VALUE_BYTES <= end {
                    self.limit_text(f, *id, bytes, at)?;
                }
                at += VALUE_BYTES;
            } else if at < end {
                load(f, Size::Double, R1, self.state().reads[id.index()].raw)?;
                store(f, Size::Double, at, R1)?;
                at += 8;
            }
        }
        Ok(())
    }

    /// The length of a text and its beginning, at `at`.
    fn limit_text(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        bytes: BytesState,
        at: u32,
    ) -> Result<(), BuildError> {
        let (short, none) = (f.label(), f.label());
        load(f, Size::Word, R9, bytes.header)?;
        store(f, Size::Word, at, R9)?;
        self.find_bytes(f, id, bytes);
        f.copy(R8, R9);
        f.jump_if(Condition::Le, R8, TEXT_BYTES, short);
        f.constant(R8, u64::from(TEXT_BYTES.cast_unsigned()));
        f.bind(short);
        f.jump_if(Condition::Eq, R8, 0, none);
        address(f, R1, at + 4);
        f.copy(R2, R8);
        f.call(Helper::ProbeReadKernel);
        f.bind(none);
        Ok(())
    }
}

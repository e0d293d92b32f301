//! Helpers on ring buffers.

use super::{Errno, FaultKind, Return, Run, Tag, Value};
use crate::emulate::address::{self, Segment};
use crate::emulate::map::{Record, Ring};
use crate::emulate::run::Reserved;
use crate::insn::Helper;

/// Flags that a submission may have: wake the reader never, or always.
const WAKEUPS: u64 = 3;
/// What a reserved record holds before it is written.
const POISON: u8 = 0xa5;

impl Run<'_> {
    pub(super) fn ringbuf_query(&mut self, call: Helper) -> Return {
        let map = self.ring_argument(call)?;
        let what = self.argument(2)?.bits;
        Ok(Value::number(self.ring(map).map_or(0, |ring| ring.query(what))))
    }

    fn ring_argument(&mut self, call: Helper) -> Result<usize, FaultKind> {
        let map = self.map(1, call)?;
        if self.ring(map).is_some() {
            return Ok(map);
        }
        Err(FaultKind::Argument { call: call.name(), argument: 1, reason: "must be a ring buffer" })
    }

    pub(super) fn ringbuf_output(&mut self, call: Helper) -> Return {
        let map = self.ring_argument(call)?;
        let size = self.size(3)?;
        let bytes = self.bytes(2, size, call)?;
        if self.argument(4)?.bits & !WAKEUPS != 0 {
            return Ok(Value::number(Errno::Einval.code()));
        }
        let output = |ring: &mut Ring| {
            let number = ring.reserve(bytes.len() as u64)?;
            ring.submit(number, Record { bytes, unwritten: 0 });
            Some(())
        };
        let done = self.ring(map).and_then(output);
        Ok(Value::number(done.map_or(Errno::Eagain.code(), |()| 0)))
    }

    pub(super) fn ringbuf_reserve(&mut self, call: Helper) -> Return {
        let map = self.ring_argument(call)?;
        let size = self.argument(2)?.bits;
        let flags = self.argument(3)?.bits;
        if self.records.len() == address::RECORDS {
            return Err(FaultKind::TooManyRecords);
        }
        if flags != 0 {
            return Ok(Value::pointer(0));
        }
        let Some(number) = self.ring(map).and_then(|ring| ring.reserve(size)) else {
            return Ok(Value::pointer(0));
        };
        let size = usize::try_from(size).unwrap_or(0);
        let address = address::record(self.records.len());
        self.records.push(Some(Reserved {
            map,
            number,
            bytes: vec![POISON; size],
            written: vec![false; size],
        }));
        Ok(Value::pointer(address))
    }

    pub(super) fn ringbuf_submit(&mut self, call: Helper) -> Return {
        let record = self.reserved(call)?;
        let unwritten = record.written.iter().filter(|written| !**written).count();
        if let Some(ring) = self.ring(record.map) {
            ring.submit(record.number, Record { bytes: record.bytes, unwritten });
        }
        Ok(Value::UNSET)
    }

    pub(super) fn ringbuf_discard(&mut self, call: Helper) -> Return {
        let record = self.reserved(call)?;
        if let Some(ring) = self.ring(record.map) {
            ring.discard(record.number);
        }
        Ok(Value::UNSET)
    }

    /// Takes the reserved record that the first argument points to.
    fn reserved(&mut self, call: Helper) -> Result<Reserved, FaultKind> {
        let value = self.argument(1)?;
        if self.argument(2)?.bits & !WAKEUPS != 0 {
            let reason = "has unknown flags";
            return Err(FaultKind::Argument { call: call.name(), argument: 2, reason });
        }
        let record = if let Segment::Record { index, offset: 0 } = address::segment(value.bits)
            && value.tag == Tag::Pointer
        {
            self.records.get_mut(index).and_then(Option::take)
        } else {
            None
        };
        let reason = "must be a record as it was reserved";
        record.ok_or(FaultKind::Argument { call: call.name(), argument: 1, reason })
    }
}

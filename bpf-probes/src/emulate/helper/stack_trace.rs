//! Stack traces, handed over or kept in a map (`kernel/bpf/stackmap.c`).

use super::{Access, Errno, FaultKind, Return, Run, Tag, Value};
use crate::emulate::map::Map;
use crate::insn::Helper;
use crate::spec::MapKind;

/// How many frames to skip is in the lowest bits.
const SKIP: u64 = 0xff;
const USER: u64 = 1 << 8;
const FAST_COMPARE: u64 = 1 << 9;
const REUSE: u64 = 1 << 10;

impl Run<'_> {
    /// `(ctx, map, flags)`: the number of a trace, the same for the same trace.
    pub(super) fn get_stackid(&mut self, call: Helper) -> Return {
        self.context(call)?;
        let number = self.map(2, call)?;
        let flags = self.argument(3)?.bits;
        let spec = self.state.maps.get(number).map(Map::spec);
        let Some(spec) = spec.filter(|spec| spec.kind == MapKind::StackTrace) else {
            let reason = "must be a map of stack traces";
            return Err(FaultKind::Argument { call: call.name(), argument: 2, reason });
        };
        if flags & !(SKIP | USER | FAST_COMPARE | REUSE) != 0 {
            return Ok(Value::number(Errno::Einval.code()));
        }
        let (size, buckets) = (spec.value_size as usize, self.buckets(number));
        let world = &self.state.world;
        let stack = if flags & USER == 0 { &world.kernel_stack } else { &world.user_stack };
        let skip = usize::try_from(flags & SKIP).unwrap_or(0);
        let mut trace: Vec<u8> =
            stack.iter().skip(skip).take(size / 8).flat_map(|address| address.to_le_bytes()).collect();
        if trace.is_empty() {
            return Ok(Value::number(Errno::Efault.code()));
        }
        trace.resize(size, 0);
        let bucket = hash(&trace) & (buckets - 1);
        let Some(map) = self.state.maps.get_mut(number) else {
            return Ok(Value::number(Errno::Einval.code()));
        };
        let key = bucket.to_le_bytes();
        let result = match map.lookup(&key) {
            Some(old) if old == trace.as_slice() => Ok(()),
            Some(_) if flags & REUSE == 0 => Err(Errno::Eexist),
            _ => map.update_lane(&key, &trace, 0, 0),
        };
        Ok(Value::number(result.map_or_else(Errno::code, |()| u64::from(bucket))))
    }

    /// `(ctx, buf, size, flags)`: the addresses of the frames, the innermost first (`kernel/bpf/stackmap.c: __bpf_get_stack`).
    pub(super) fn get_stack(&mut self, call: Helper) -> Return {
        self.context(call)?;
        let (size, flags) = (self.size(3)?, self.argument(4)?.bits);
        let region = self.memory(2, size, Access::Write, call)?;
        let world = &self.state.world;
        let stack = if flags & USER == 0 { &world.kernel_stack } else { &world.user_stack };
        let skip = usize::try_from(flags & SKIP).unwrap_or(0);
        let mut trace: Vec<u8> =
            stack.iter().skip(skip).take(size / 8).flat_map(|address| address.to_le_bytes()).collect();
        let refused = flags & !(SKIP | USER) != 0 || !size.is_multiple_of(8);
        let result = match (refused, trace.len() as u64) {
            (true, _) => Errno::Einval.code(),
            (false, 0) => Errno::Efault.code(),
            (false, len) => len,
        };
        if refused {
            trace.clear();
        }
        trace.resize(size, 0);
        self.write(region, &trace, Tag::Number)?;
        Ok(Value::number(result))
    }

    fn buckets(&self, map: usize) -> u32 {
        let entries = self.state.maps.get(map).map_or(1, Map::capacity);
        u32::try_from(entries.next_power_of_two()).unwrap_or(1 << 31)
    }
}

/// FNV-1a; the kernel's own differs, and programs cannot tell.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

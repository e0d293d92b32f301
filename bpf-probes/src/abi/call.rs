//! What the entry of a hooked call leaves for its return, and what the return reports.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Header;

/// Key of the map [`super::map_name::CALLS`]: one call of one thread, as one policy's hook sees it.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct CallKey {
    /// Address of the thread's `struct task_struct`.
    pub task: u64,
    /// Where the call's frame lies on the thread's stack, so that a function that calls itself is told apart; 0 for system calls, which do not.
    pub frame: u64,
    /// Number of the records' layout, which no other hook of any policy has or will have.
    pub layout: u32,
    /// 0 for the call itself, whose value is a [`Call`]; from 1 on for its buffers that are read at the return, each with a [`LeftBuffer`].
    pub buffer: u32,
}

/// Value of the map [`super::map_name::CALLS`] for a buffer that the call fills. Left before the call's own value, and looked at only where that is there.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct LeftBuffer {
    /// Where it lies, or the list of its pieces.
    pub address: u64,
    /// How many pieces it has; unused for one in one piece.
    pub count: u64,
}

/// Value of the map [`super::map_name::CALLS`].
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Call {
    /// Time in the header of the entry's record.
    pub ktime: u64,
    /// The thread in the entry's record; an exec can give it another number.
    pub tid: u32,
    /// Which selector matched, from 0.
    pub selector: u16,
    /// [`call_flag`] bits.
    pub flags: u16,
}

/// Bits of [`Call::flags`].
pub mod call_flag {
    /// The entry sent a record, which waits for the return's.
    pub const REPORTED: u16 = 1;
    /// Its record is in the ring of enforcement.
    pub const ENFORCEMENT: u16 = 2;
}

/// Calls under way that are kept at once unless configured; the one that was not looked at for the longest time makes room.
pub const CALLS: u32 = 4096;

/// A call returned whose entry sent a [`super::HookRecord`]. What it returned follows, behind a [`super::ValueHeader`], unless the call is dismissed.
///
/// The same fields at the same places as in a hook record, as far as both have them.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ReturnRecord {
    /// Kind [`super::RecordKind::Return`].
    pub header: Header,
    /// Time in the header of the entry's record.
    pub entered: u64,
    /// Unused, zero.
    pub reserved: u64,
    /// The thread in the entry's record.
    pub tid: u32,
    /// Number of the layout of both records.
    pub layout: u32,
    /// Which selector matched, from 0.
    pub selector: u16,
    /// An [`super::Action`] number: the last one done at the return.
    pub action: u8,
    /// [`super::hook_flag`] bits.
    pub flags: u8,
    /// How many values follow.
    pub values: u32,
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::super::HookRecord;
    use super::ReturnRecord;

    #[test]
    fn both_records_have_the_same_fields_in_the_same_places() {
        assert_eq!(size_of::<ReturnRecord>(), size_of::<HookRecord>());
        assert_eq!(offset_of!(ReturnRecord, entered), offset_of!(HookRecord, process.ktime));
        assert_eq!(offset_of!(ReturnRecord, reserved), offset_of!(HookRecord, process.tgid));
        assert_eq!(offset_of!(ReturnRecord, tid), offset_of!(HookRecord, tid));
        assert_eq!(offset_of!(ReturnRecord, layout), offset_of!(HookRecord, layout));
        assert_eq!(offset_of!(ReturnRecord, selector), offset_of!(HookRecord, selector));
        assert_eq!(offset_of!(ReturnRecord, action), offset_of!(HookRecord, action));
        assert_eq!(offset_of!(ReturnRecord, flags), offset_of!(HookRecord, flags));
        assert_eq!(offset_of!(ReturnRecord, values), offset_of!(HookRecord, values));
    }
}

//! The layout of the 64-bit address space that programs see. Every kind of memory has a part of its own, so that an address tells what
//! it is for.
//!
//! ```text
//! 0000_0000_0000_0000  page zero, never mapped
//! 0000_0000_0000_1000  user memory
//! ffff_8880_0000_0000  kernel objects
//! ffff_c900_0000_0000  stack frames, 64 KiB apart
//! ffff_c910_0000_0000  the context
//! ffff_c920_0000_0000  records being written, 256 MiB apart
//! ffff_d000_0000_0000  map values, 8 GiB for a map
//! ffff_f000_0000_0000  maps themselves, 256 bytes apart, never readable
//! ffff_ffff_a000_0000  code, 8 bytes a slot, never readable
//! ```

/// End of user memory and of its guard page (`TASK_SIZE_MAX + PAGE_SIZE`, x86-64 with four levels).
pub(super) const USER_END: u64 = 0x8000_0000_0000;
pub(super) const USER_BASE: u64 = 0x5555_0000_0000;
pub(super) const KERNEL_BASE: u64 = 0xffff_8880_0000_0000;
const KERNEL_END: u64 = STACK_BASE;
const STACK_BASE: u64 = 0xffff_c900_0000_0000;
const STACK_SHIFT: u32 = 16;
/// Where in its 64 KiB a frame begins, so that what is next to it is nobody's.
const STACK_MIDDLE: u64 = 0x8000;
pub(super) const CONTEXT_BASE: u64 = 0xffff_c910_0000_0000;
const RECORD_BASE: u64 = 0xffff_c920_0000_0000;
const RECORD_SHIFT: u32 = 28;
/// How many records one run may reserve.
pub(super) const RECORDS: usize = 1 << 14;
/// The largest ring; a record is smaller, so that it fits its window.
pub(super) const MAX_RING_BYTES: u32 = 1 << 27;
const MAP_BASE: u64 = 0xffff_d000_0000_0000;
const MAP_SHIFT: u32 = 33;
/// How many maps a machine may have.
pub(super) const MAPS: usize = 1 << 12;
/// How many bytes the values of one map may span.
pub(super) const MAP_WINDOW: u64 = 1 << MAP_SHIFT;
const HANDLE_BASE: u64 = 0xffff_f000_0000_0000;
const CODE_BASE: u64 = 0xffff_ffff_a000_0000;
const CODE_END: u64 = 0xffff_ffff_e000_0000;

/// What an address is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Segment {
    Null,
    User,
    Kernel,
    Stack { frame: usize, offset: i64 },
    Context { offset: usize },
    Record { index: usize, offset: usize },
    Map { map: usize, offset: u64 },
    Handle { map: usize },
    Code { slot: usize },
    Nothing,
}

fn index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// The segment of an address.
pub(super) fn segment(address: u64) -> Segment {
    match address {
        0..0x1000 => Segment::Null,
        0x1000..USER_END => Segment::User,
        KERNEL_BASE..KERNEL_END => Segment::Kernel,
        STACK_BASE..CONTEXT_BASE => {
            let place = address - STACK_BASE;
            Segment::Stack {
                frame: index(place >> STACK_SHIFT),
                offset: (place & ((1 << STACK_SHIFT) - 1)).cast_signed() - STACK_MIDDLE.cast_signed(),
            }
        }
        CONTEXT_BASE..RECORD_BASE => Segment::Context { offset: index(address - CONTEXT_BASE) },
        RECORD_BASE..MAP_BASE => {
            let place = address - RECORD_BASE;
            Segment::Record {
                index: index(place >> RECORD_SHIFT),
                offset: index(place & ((1 << RECORD_SHIFT) - 1)),
            }
        }
        MAP_BASE..HANDLE_BASE => {
            let place = address - MAP_BASE;
            Segment::Map { map: index(place >> MAP_SHIFT), offset: place & (MAP_WINDOW - 1) }
        }
        HANDLE_BASE..CODE_BASE => Segment::Handle { map: index((address - HANDLE_BASE) >> 8) },
        CODE_BASE..CODE_END => Segment::Code { slot: index((address - CODE_BASE) >> 3) },
        _ => Segment::Nothing,
    }
}

/// Whether the kernel's fault-safe reads take the address for one of the kernel (`copy_from_kernel_nofault_allowed`, x86-64).
pub(super) fn is_kernel(address: u64) -> bool {
    address >= 0xffff_8000_0000_0000
}

/// The first byte of a stack frame.
pub(super) fn stack(frame: usize) -> u64 {
    STACK_BASE + ((frame as u64) << STACK_SHIFT) + STACK_MIDDLE
}

/// The first byte of a record.
pub(super) fn record(index: usize) -> u64 {
    RECORD_BASE + ((index as u64) << RECORD_SHIFT)
}

/// The byte at `offset` in the values of a map.
pub(super) fn map_value(map: usize, offset: u64) -> u64 {
    MAP_BASE + ((map as u64) << MAP_SHIFT) + offset
}

/// The map itself.
pub(super) fn handle(map: usize) -> u64 {
    HANDLE_BASE + ((map as u64) << 8)
}

/// A slot of the running program.
pub(super) fn code(slot: usize) -> u64 {
    CODE_BASE + ((slot as u64) << 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_address_is_told_from_the_others() {
        assert_eq!(segment(8), Segment::Null);
        assert_eq!(segment(USER_BASE), Segment::User);
        assert_eq!(segment(KERNEL_BASE + 64), Segment::Kernel);
        assert_eq!(segment(stack(7) + 512), Segment::Stack { frame: 7, offset: 512 });
        assert_eq!(segment(stack(7) - 1), Segment::Stack { frame: 7, offset: -1 });
        assert_eq!(segment(CONTEXT_BASE + 3), Segment::Context { offset: 3 });
        assert_eq!(segment(record(RECORDS - 1) + 9), Segment::Record { index: RECORDS - 1, offset: 9 });
        assert_eq!(
            segment(map_value(MAPS - 1, MAP_WINDOW - 1)),
            Segment::Map { map: MAPS - 1, offset: MAP_WINDOW - 1 }
        );
        assert_eq!(segment(handle(MAPS - 1)), Segment::Handle { map: MAPS - 1 });
        assert_eq!(segment(code(999_999)), Segment::Code { slot: 999_999 });
        assert_eq!(segment(u64::MAX), Segment::Nothing);
    }
}

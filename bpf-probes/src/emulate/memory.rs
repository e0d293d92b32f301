//! Loads and stores, each within the bounds of what its pointer points into.

use super::address::{self, Segment};
use super::fault::FaultKind;
use super::frame;
use super::map::Position;
use super::run::Run;
use super::value::{Tag, Value};
use crate::insn::Size;
use crate::spec::{ProgramKind, flag};

/// What is done with memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Bytes that are there and may be accessed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Region {
    Stack { frame: usize, offset: usize },
    Context { offset: usize },
    Record { index: usize, offset: usize },
    Value { map: usize, position: Position, offset: usize },
}

fn inside(
    region: impl FnOnce() -> String,
    length: usize,
    offset: i64,
    size: usize,
) -> Result<usize, FaultKind> {
    match usize::try_from(offset) {
        Ok(start) if start.checked_add(size).is_some_and(|end| end <= length) => Ok(start),
        _ => Err(FaultKind::OutOfBounds { region: region(), length, offset, size }),
    }
}

fn signed(offset: usize) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// The address that an instruction reaches through a register, which must be an exact pointer.
pub(super) fn exact(base: Value, offset: i16) -> Result<u64, FaultKind> {
    match base.tag {
        Tag::Pointer => Ok(base.bits.wrapping_add_signed(i64::from(offset))),
        Tag::Kernel => Err(FaultKind::ReadOnly { region: "kernel memory".to_owned() }),
        Tag::Number | Tag::Unset => Err(FaultKind::NotAPointer { value: base.bits }),
    }
}

/// Refuses misaligned accesses where the kernel does: stack and context.
pub(super) fn aligned(region: Region, size: usize) -> Result<(), FaultKind> {
    let (region, offset) = match region {
        Region::Stack { offset, .. } => ("the stack", offset),
        Region::Context { offset } => ("the context", offset),
        Region::Record { .. } | Region::Value { .. } => return Ok(()),
    };
    if offset.is_multiple_of(size) {
        return Ok(());
    }
    Err(FaultKind::Misaligned { region: region.to_owned(), offset: signed(offset), size })
}

impl Run<'_> {
    /// Finds `size` bytes at an address that the machine gave out.
    pub(super) fn region(&self, address: u64, size: usize, access: Access) -> Result<Region, FaultKind> {
        let unmapped = FaultKind::Unmapped { address };
        match address::segment(address) {
            Segment::Null => Err(FaultKind::Null { offset: address }),
            Segment::Stack { frame, offset } if frame < self.frames.len() => {
                // as programs count: down from the frame pointer
                inside(|| "the stack".to_owned(), frame::BYTES, offset, size)
                    .map(|offset| Region::Stack { frame, offset })
            }
            Segment::Context { offset } => {
                let offset =
                    inside(|| "the context".to_owned(), self.context.bytes.len(), signed(offset), size)?;
                match access {
                    Access::Read => Ok(Region::Context { offset }),
                    Access::Write if self.writes_context() => Ok(Region::Context { offset }),
                    Access::Write => Err(FaultKind::ReadOnly { region: "the context".to_owned() }),
                }
            }
            Segment::Record { index, offset } => {
                let record = self.records.get(index).and_then(Option::as_ref).ok_or(unmapped)?;
                inside(|| "a record".to_owned(), record.bytes.len(), signed(offset), size)
                    .map(|offset| Region::Record { index, offset })
            }
            Segment::Map { map, offset } => {
                let owner = self.state.maps.get(map).ok_or(unmapped.clone())?;
                let slab = owner.slab().ok_or(unmapped.clone())?;
                let (entry, lane, offset) = slab.locate(offset).ok_or(unmapped)?;
                let name = || format!("a value of map {}", owner.spec().name);
                let offset = inside(name, slab.size(), signed(offset), size)?;
                if access == Access::Write && owner.spec().flags & flag::RDONLY_PROG != 0 {
                    return Err(FaultKind::ReadOnly { region: name() });
                }
                Ok(Region::Value { map, position: Position { entry, lane }, offset })
            }
            Segment::Stack { .. }
            | Segment::User
            | Segment::Kernel
            | Segment::Handle { .. }
            | Segment::Code { .. }
            | Segment::Nothing => Err(unmapped),
        }
    }

    /// The bytes of a region, which must have been written.
    pub(super) fn read(&mut self, region: Region, size: usize) -> Result<&[u8], FaultKind> {
        match region {
            Region::Stack { frame, offset } => match self.frames.get_mut(frame) {
                Some(frame) => frame.read(offset, size),
                None => Ok(&[]),
            },
            Region::Context { offset } => {
                Ok(self.context.bytes.get(offset..offset + size).unwrap_or_default())
            }
            Region::Record { index, offset } => {
                let Some(record) = self.records.get(index).and_then(Option::as_ref) else {
                    return Ok(&[]);
                };
                let written = record.written.get(offset..offset + size).unwrap_or_default();
                if let Some(unset) = written.iter().position(|written| !written) {
                    return Err(FaultKind::UnsetRecord { offset: offset + unset });
                }
                Ok(record.bytes.get(offset..offset + size).unwrap_or_default())
            }
            Region::Value { map, position, offset } => {
                let value = self.state.maps.get(map).map(|map| map.value(position)).unwrap_or_default();
                Ok(value.get(offset..offset + size).unwrap_or_default())
            }
        }
    }

    /// Writes the bytes of a region.
    pub(super) fn write(&mut self, region: Region, bytes: &[u8], tag: Tag) -> Result<(), FaultKind> {
        match region {
            Region::Stack { frame, offset } => {
                if let Some(frame) = self.frames.get_mut(frame) {
                    frame.write(offset, bytes, tag);
                }
                return self.check_depth();
            }
            Region::Context { offset } => {
                if let Some(place) = self.context.bytes.get_mut(offset..offset + bytes.len()) {
                    place.copy_from_slice(bytes);
                }
                self.outcome.context = Some(self.context.bytes.clone());
            }
            Region::Record { index, offset } => {
                if let Some(record) = self.records.get_mut(index).and_then(Option::as_mut)
                    && let Some(place) = record.bytes.get_mut(offset..offset + bytes.len())
                {
                    place.copy_from_slice(bytes);
                    record.written[offset..offset + bytes.len()].fill(true);
                }
            }
            Region::Value { map, position, offset } => {
                if let Some(map) = self.state.maps.get_mut(map)
                    && let Some(place) = map.value_mut(position).get_mut(offset..offset + bytes.len())
                {
                    place.copy_from_slice(bytes);
                }
            }
        }
        Ok(())
    }

    /// What a fault-safe read of the kernel finds from `address` on, at most `limit` bytes.
    pub(super) fn readable(&self, address: u64, limit: usize) -> &[u8] {
        let cut = |bytes: Option<&'_ [u8]>| -> usize { bytes.unwrap_or_default().len().min(limit) };
        let bytes = match address::segment(address) {
            Segment::Kernel => return self.state.world.readable(address, limit),
            Segment::Stack { frame, offset } => self
                .frames
                .get(frame)
                .zip(usize::try_from(offset).ok())
                .and_then(|(frame, offset)| frame.raw().get(offset..)),
            Segment::Context { offset } => self.context.bytes.get(offset..),
            Segment::Record { index, offset } => {
                self.records.get(index).and_then(Option::as_ref).and_then(|record| record.bytes.get(offset..))
            }
            Segment::Map { map, offset } => self.state.maps.get(map).and_then(|map| {
                let (entry, lane, offset) = map.slab()?.locate(offset)?;
                map.value(Position { entry, lane }).get(offset..)
            }),
            Segment::Null
            | Segment::User
            | Segment::Handle { .. }
            | Segment::Code { .. }
            | Segment::Nothing => None,
        };
        bytes.unwrap_or_default().get(..cut(bytes)).unwrap_or_default()
    }

    /// Loads a number or pointer.
    pub(super) fn load(&mut self, base: Value, offset: i16, size: Size) -> Result<Value, FaultKind> {
        let bytes = size.bytes() as usize;
        if base.tag == Tag::Kernel {
            return Ok(self.load_kernel(base.bits.wrapping_add_signed(i64::from(offset)), size));
        }
        let region = self.region(exact(base, offset)?, bytes, Access::Read)?;
        aligned(region, bytes)?;
        let mut number = [0; 8];
        number[..bytes].copy_from_slice(self.read(region, bytes)?);
        let tag = match region {
            _ if size != Size::Double => Tag::Number,
            Region::Stack { frame, offset } => {
                self.frames.get(frame).map_or(Tag::Number, |frame| frame.tag(offset))
            }
            Region::Context { .. } if self.is_typed() => Tag::Kernel,
            Region::Context { .. } | Region::Record { .. } | Region::Value { .. } => Tag::Number,
        };
        Ok(Value { bits: u64::from_le_bytes(number), tag })
    }

    fn load_kernel(&mut self, address: u64, size: Size) -> Value {
        let bytes = size.bytes() as usize;
        let mut number = [0; 8];
        match self.readable(address, bytes) {
            found if found.len() == bytes => number[..bytes].copy_from_slice(found),
            _ => self.outcome.unmapped_loads += 1,
        }
        let bits = u64::from_le_bytes(number);
        if size == Size::Double { Value::kernel(bits) } else { Value::number(bits) }
    }

    /// Stores the lower bytes of a value.
    pub(super) fn store(
        &mut self,
        base: Value,
        offset: i16,
        size: Size,
        value: Value,
    ) -> Result<(), FaultKind> {
        let bytes = size.bytes() as usize;
        let region = self.region(exact(base, offset)?, bytes, Access::Write)?;
        aligned(region, bytes)?;
        self.write(region, &value.bits.to_le_bytes()[..bytes], value.tag)
    }

    /// Whether the program may write what is in the context: registers of user space (6.18).
    fn writes_context(&self) -> bool {
        self.program().is_some_and(|program| {
            matches!(
                program.kind,
                ProgramKind::Uprobe
                    | ProgramKind::UprobeMulti
                    | ProgramKind::UprobeSleepable
                    | ProgramKind::UprobeMultiSleepable
            )
        })
    }

    /// Whether the kernel knows the types of what is in the context.
    fn is_typed(&self) -> bool {
        self.program().is_some_and(|program| match program.kind {
            ProgramKind::BtfTracepoint
            | ProgramKind::Fentry
            | ProgramKind::Fexit
            | ProgramKind::FmodRet
            | ProgramKind::Lsm
            | ProgramKind::LsmSleepable => true,
            ProgramKind::Kprobe
            | ProgramKind::KprobeMulti
            | ProgramKind::Tracepoint
            | ProgramKind::RawTracepoint
            | ProgramKind::SocketFilter
            | ProgramKind::Uprobe
            | ProgramKind::UprobeMulti
            | ProgramKind::UprobeSleepable
            | ProgramKind::UprobeMultiSleepable => false,
        })
    }
}

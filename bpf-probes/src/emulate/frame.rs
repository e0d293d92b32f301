//! One function's stack frame, with what is known of each byte.

use super::fault::FaultKind;
use super::value::{Tag, Value};

/// Bytes of a frame (`MAX_BPF_STACK`).
pub(super) const BYTES: usize = 512;

/// Where a function returns to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resume {
    /// To whoever ran the program.
    Host,
    /// To the slot after the call.
    Call { slot: usize },
    /// To `bpf_loop`, which calls again or goes on at `slot`.
    Loop { slot: usize, index: u64, iterations: u64, callback: usize, context: Value },
}

/// One function's stack frame.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// The program that the function belongs to.
    pub(super) program: usize,
    /// `R6` to `R9` of the caller.
    pub(super) saved: [Value; 4],
    pub(super) resume: Resume,
    /// How far down the frame was used.
    depth: usize,
    bytes: [u8; BYTES],
    /// One bit a byte: written.
    written: [u64; 8],
    /// One bit for 8 aligned bytes: they hold an exact pointer.
    pointers: u64,
    /// One bit for 8 aligned bytes: they hold a kernel pointer.
    kernels: u64,
}

impl Frame {
    pub(super) fn new(program: usize, resume: Resume, saved: [Value; 4]) -> Self {
        Self { program, saved, resume, depth: 0, bytes: [0; BYTES], written: [0; 8], pointers: 0, kernels: 0 }
    }

    /// Bytes that the verifier counts for this frame (`check_max_stack_depth`): a multiple of 32, at least one.
    pub(super) fn counted_depth(&self) -> usize {
        self.depth.max(1).next_multiple_of(32)
    }

    /// Notes that the lowest `depth` bytes down from the frame pointer are used.
    pub(super) fn use_depth(&mut self, depth: usize) {
        self.depth = self.depth.max(depth);
    }

    fn set_tags(&mut self, offset: usize, length: usize, tag: Tag) {
        for slot in offset / 8..(offset + length).div_ceil(8) {
            self.pointers &= !(1 << slot);
            self.kernels &= !(1 << slot);
        }
        if offset.is_multiple_of(8) && length == 8 {
            match tag {
                Tag::Pointer => self.pointers |= 1 << (offset / 8),
                Tag::Kernel => self.kernels |= 1 << (offset / 8),
                Tag::Number | Tag::Unset => {}
            }
        }
    }

    /// Writes bytes that lie inside the frame.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8], tag: Tag) {
        if let Some(place) = self.bytes.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
            self.use_depth(BYTES - offset);
            self.set_tags(offset, bytes.len(), tag);
            for byte in offset..offset + bytes.len() {
                self.written[byte / 64] |= 1 << (byte % 64);
            }
        }
    }

    /// Reads bytes that lie inside the frame and were written.
    pub(super) fn read(&mut self, offset: usize, length: usize) -> Result<&[u8], FaultKind> {
        self.use_depth(BYTES - offset);
        if let Some(byte) =
            (offset..offset + length).find(|byte| self.written[byte / 64] & 1 << (byte % 64) == 0)
        {
            let offset = i64::try_from(byte).unwrap_or(0) - 512;
            return Err(FaultKind::UnsetStack { offset });
        }
        Ok(self.bytes.get(offset..offset + length).unwrap_or_default())
    }

    /// What the 8 bytes at a multiple of 8 hold.
    pub(super) fn tag(&self, offset: usize) -> Tag {
        let bit = 1_u64 << (offset / 8 % 64);
        if !offset.is_multiple_of(8) {
            Tag::Number
        } else if self.pointers & bit != 0 {
            Tag::Pointer
        } else if self.kernels & bit != 0 {
            Tag::Kernel
        } else {
            Tag::Number
        }
    }

    /// All bytes as they are, for reads that do not ask whether they were written.
    pub(super) fn raw(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_spilled_pointer_is_one_until_part_of_it_is_overwritten() {
        let mut frame = Frame::new(0, Resume::Host, [Value::UNSET; 4]);
        frame.write(504, &[1; 8], Tag::Kernel);
        assert_eq!(frame.tag(504), Tag::Kernel);
        frame.write(507, &[0], Tag::Number);
        assert_eq!(frame.tag(504), Tag::Number);
        assert_eq!(frame.read(504, 8).unwrap(), &[1, 1, 1, 0, 1, 1, 1, 1]);
        assert_eq!(frame.read(500, 8).unwrap_err(), FaultKind::UnsetStack { offset: -12 });
        assert_eq!(frame.counted_depth(), 32);
    }
}

//! The stacks of a hook record.

use bpf_probes::abi::STACK_FRAMES;

/// Addresses of the frames of a stack, the innermost first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Frames<'ring> {
    bytes: &'ring [u8],
}

impl<'ring> Frames<'ring> {
    /// Those in `bytes`, 8 each; no more than a stack has.
    pub(super) fn new(bytes: &'ring [u8]) -> Self {
        let most = 8 * STACK_FRAMES as usize;
        Self { bytes: bytes.get(..most).unwrap_or(bytes) }
    }

    /// The addresses.
    pub(crate) fn addresses(self) -> impl Iterator<Item = u64> + use<'ring> {
        self.bytes.as_chunks().0.iter().map(|frame| u64::from_ne_bytes(*frame))
    }
}

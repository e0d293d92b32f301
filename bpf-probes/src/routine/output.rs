//! Records into rings, and clean memory.

use std::mem::offset_of;

use crate::abi::{Counters, Loss, map_name};
use crate::builder::{BuildError, Function};
use crate::insn::{Condition, Helper, Register};
use Register::{R0, R1, R2, R3, R4};

/// Copies the record at `start`, `length` bytes (both callee-saved registers; the verifier must know a bound of `length`), into the ring `ring`; counts a `loss` where it is full.
///
/// # Errors
/// None of its own; the signature leaves room for the kernel's limits.
pub fn submit_record(
    f: &mut Function<'_>,
    ring: &str,
    start: Register,
    length: Register,
    loss: Loss,
) -> Result<(), BuildError> {
    f.assembler().load_map(R1, ring);
    f.copy(R2, start);
    f.copy(R3, length);
    f.constant(R4, 0);
    f.call(Helper::RingbufOutput);
    f.when(Condition::Ne, R0, 0, |f| {
        count_loss(f, loss);
        Ok(())
    })
}

/// Counts one loss. Uses `R1` and `R2`.
pub fn count_loss(f: &mut Function<'_>, loss: Loss) {
    let base = u32::try_from(offset_of!(Counters, lost)).expect("the counters are small");
    f.count(map_name::COUNTERS, base + 8 * loss as u32);
}

/// Zeroes `bytes` at the address in `R1`, by a read of address zero: `bpf_probe_read_kernel` fills what it cannot read with zeros
/// (`kernel/trace/bpf_trace.c: bpf_probe_read_kernel_common`).
pub fn zero_fill(f: &mut Function<'_>, bytes: u32) {
    f.constant(R2, u64::from(bytes));
    f.constant(R3, 0);
    f.call(Helper::ProbeReadKernel);
}

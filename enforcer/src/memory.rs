//! What the allocator keeps of memory that was freed.

#![expect(unsafe_code, reason = "mallopt(3)")]

use libc::c_int;

/// Pieces of this size and more are pages of their own, in bytes.
const LARGE: c_int = 256 << 10;

/// Has large pieces given back to the kernel when they are freed. Left alone, glibc raises the size that it calls large to that of the largest
/// piece ever freed (`malloc/malloc.c`, "dynamic mmap threshold"), up to 32 MB, and keeps what it took for the next one.
pub fn give_back_large_pieces() {
    // SAFETY: sets a number in the allocator; no other thread runs yet.
    let is_set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) } == 1;
    if !is_set {
        tracing::debug!("the allocator keeps memory that was freed");
    }
}

//! Reading a BPF ring buffer (5.8) where it lies.
//!
//! The kernel gives three areas of one descriptor: a page with the consumer position, which we write; a page with the producer position;
//! and the data, mapped twice in a row so that a record never wraps (kernel/bpf/ringbuf.c). Positions only grow; a place is a position
//! modulo the size. Each record is a header of eight bytes (length with two flag bits, page offset) and its bytes, rounded up to eight.
//!
//! Ordering: the producer position is acquired before headers are read, so that a header it covers is there; a header is acquired before its
//! record is read, as the kernel clears its busy bit last; the consumer position is released after the last read of a record. Lengths are
//! checked against the producer position whatever the memory says.

#![expect(unsafe_code, reason = "slices of memory that the kernel writes")]

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::map::Map;
use super::sys::{Mapping, Protection, SysError, page_size};
use crate::spec::MapKind;

const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEADER: u64 = 8;

/// Why a ring could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The map is no ring.
    #[error("map {map} is no ring buffer")]
    NotARing {
        /// The map.
        map: String,
    },
    /// Its memory could not be mapped.
    #[error("the memory of ring {map} could not be mapped: {error}")]
    Map {
        /// The map.
        map: String,
        /// What the kernel said.
        error: SysError,
    },
}

/// What lies at the head of a ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Head<'ring> {
    /// Nothing.
    Empty,
    /// A program is still writing the next record; those behind it must wait.
    Busy,
    /// A record.
    Record(&'ring [u8]),
    /// Lengths that no kernel writes: the ring cannot be read any further.
    Corrupt,
}

/// The reading end of a ring buffer. There must be one reader only.
///
/// Records are borrowed from the ring; [`Ring::release`] gives the space of all records passed back to the kernel, and by taking `&mut self`
/// proves that no record is still borrowed.
#[derive(Debug)]
pub struct Ring {
    fd: OwnedFd,
    consumer: Mapping,
    /// Producer page, then the data twice.
    producer: Mapping,
    data_offset: usize,
    /// Bytes of data, a power of two.
    size: u64,
    /// Position of the next record to read.
    next: Cell<u64>,
    /// Producer position when last looked at.
    seen: Cell<u64>,
    released: u64,
}

impl AsFd for Ring {
    /// Readable while records wait: for epoll and poll.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Ring {
    /// Opens the reading end of `map`.
    ///
    /// # Errors
    /// See [`RingError`].
    pub fn open(map: &Map) -> Result<Self, RingError> {
        let failed = |error| RingError::Map { map: map.name().to_owned(), error };
        if map.spec().kind != MapKind::RingBuf {
            return Err(RingError::NotARing { map: map.name().to_owned() });
        }
        let fd = map
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| failed(SysError::from_io("fcntl(F_DUPFD_CLOEXEC)", &error)))?;
        Self::over(fd, map.entries() as usize).map_err(failed)
    }

    /// A ring of `size` bytes, a power of two, in the memory of `fd`.
    fn over(fd: OwnedFd, size: usize) -> Result<Self, SysError> {
        let page = page_size();
        let consumer = Mapping::new(fd.as_fd(), page, 0, Protection::ReadWrite)?;
        let producer = Mapping::new(fd.as_fd(), page + 2 * size, page, Protection::Read)?;
        let released = consumer.load_u64(0).unwrap_or(0);
        Ok(Self {
            fd,
            consumer,
            producer,
            data_offset: page,
            size: size as u64,
            next: Cell::new(released),
            seen: Cell::new(released),
            released,
        })
    }

    /// Bytes of data that the ring holds.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes between what is released and what was produced: how full the ring is.
    pub fn used(&self) -> u64 {
        self.produced().wrapping_sub(self.released)
    }

    fn produced(&self) -> u64 {
        self.producer.load_u64(0).unwrap_or(0)
    }

    /// The record at the head, without passing it. Discarded records are passed silently.
    pub fn peek(&self) -> Head<'_> {
        match self.head() {
            Ok(record) => Head::Record(record),
            Err(head) => head,
        }
    }

    fn head(&self) -> Result<&[u8], Head<'_>> {
        loop {
            let position = self.next.get();
            let header = self.header(position)?;
            if header & BUSY != 0 {
                return Err(Head::Busy);
            }
            let len = header & !(BUSY | DISCARDED);
            // Positions wrap; distances do not.
            if self.seen.get().wrapping_sub(position) < span(len) || span(len) > self.size {
                return Err(Head::Corrupt);
            }
            if header & DISCARDED != 0 {
                self.next.set(position.wrapping_add(span(len)));
                continue;
            }
            let place = self.place(position) + 8;
            // SAFETY: the kernel does not write a committed record until the consumer position has passed it, which only `release` does, and that
            // takes `&mut self`, so no slice lives then. There is no other reader, by contract of the type.
            return unsafe { self.producer.bytes(place, len as usize) }.ok_or(Head::Corrupt);
        }
    }

    /// The header of the record at `position`, or what there is instead.
    fn header(&self, position: u64) -> Result<u32, Head<'_>> {
        if self.seen.get().wrapping_sub(position) < HEADER {
            self.seen.set(self.produced());
        }
        let waiting = self.seen.get().wrapping_sub(position);
        if waiting == 0 {
            return Err(Head::Empty);
        }
        if waiting < HEADER || waiting > self.size {
            return Err(Head::Corrupt);
        }
        self.producer.load_u32(self.place(position)).ok_or(Head::Corrupt)
    }

    /// The place of a position in the producer mapping.
    fn place(&self, position: u64) -> usize {
        // The size is a power of two below 2^32.
        self.data_offset + usize::try_from(position & (self.size - 1)).unwrap_or(0)
    }

    /// Passes the record at the head, if one is there.
    pub fn advance(&self) {
        let _passed = self.next();
    }

    /// The record at the head, and passes it. `None` when the ring is empty, or the next record is still being written.
    pub fn next(&self) -> Option<&[u8]> {
        let record = self.head().ok()?;
        let len = u32::try_from(record.len()).unwrap_or(u32::MAX);
        self.next.set(self.next.get().wrapping_add(span(len)));
        Some(record)
    }

    /// Bytes of records that were passed and not yet released.
    pub fn held(&self) -> u64 {
        self.next.get().wrapping_sub(self.released)
    }

    /// Gives the space of all records passed back to the kernel.
    ///
    /// A record that a program writes right behind what is released wakes whoever polls the ring, in the midst of that program
    /// (`kernel/bpf/ringbuf.c: bpf_ringbuf_commit`); one that finds an unreleased record before it wakes nobody.
    pub fn release(&mut self) {
        let position = self.next.get();
        if position != self.released {
            self.released = position;
            // The mapping is writable and has this word; there is nothing to tell otherwise.
            let _stored = self.consumer.store_u64(0, position);
        }
    }

    /// Passes and releases everything, and reads on from what the kernel produces next: after [`Head::Corrupt`], or to drop a backlog.
    /// Returns how many bytes were skipped.
    pub fn skip_all(&mut self) -> u64 {
        let produced = self.produced();
        let skipped = produced.wrapping_sub(self.next.get());
        self.next.set(produced);
        self.seen.set(produced);
        self.release();
        skipped
    }
}

/// Bytes that a record of `len` bytes takes with its header.
const fn span(len: u32) -> u64 {
    (len as u64 + HEADER).next_multiple_of(8)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;
    use std::sync::atomic::{AtomicU32, Ordering};

    use proptest::prelude::*;

    use super::*;

    const SIZE: usize = 4096;

    /// A file laid out as the kernel lays out a ring, written by hand.
    fn made_up(consumer: u64, producer: u64, data: &[u8]) -> (Ring, File) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ring-{}-{number}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let page = page_size() as u64;
        file.set_len(2 * page + 2 * SIZE as u64).unwrap();
        file.write_all_at(&consumer.to_ne_bytes(), 0).unwrap();
        file.write_all_at(&producer.to_ne_bytes(), page).unwrap();
        file.write_all_at(data, 2 * page).unwrap();
        file.write_all_at(data, 2 * page + SIZE as u64).unwrap();
        (Ring::over(file.try_clone().unwrap().into(), SIZE).unwrap(), file)
    }

    fn header(len: u32) -> Vec<u8> {
        [len.to_ne_bytes(), [0; 4]].concat()
    }

    #[test]
    fn a_record_is_borrowed_where_it_lies_and_its_space_given_back() {
        let (mut ring, file) = made_up(0, 24, &[header(9), b"123456789".to_vec()].concat());
        assert_eq!(ring.peek(), Head::Record(b"123456789"));
        assert_eq!(ring.next(), Some(&b"123456789"[..]));
        assert_eq!((ring.peek(), ring.used()), (Head::Empty, 24));
        ring.release();
        let mut position = [0; 8];
        file.read_exact_at(&mut position, 0).unwrap();
        assert_eq!((u64::from_ne_bytes(position), ring.used()), (24, 0));
    }

    #[test]
    fn a_record_across_the_end_is_whole_and_positions_may_wrap() {
        let start = u64::MAX - 15;
        let mut data = vec![0; SIZE];
        data[SIZE - 16..SIZE - 8].copy_from_slice(&header(16));
        data[SIZE - 8..].copy_from_slice(b"abcdefgh");
        data[..8].copy_from_slice(b"ijklmnop");
        let (mut ring, _file) = made_up(start, start.wrapping_add(24), &data);
        assert_eq!(ring.next(), Some(&b"abcdefghijklmnop"[..]));
        ring.release();
        assert_eq!((ring.peek(), ring.used()), (Head::Empty, 0));
    }

    #[test]
    fn a_record_still_being_written_holds_back_those_behind_it() {
        let data = [header(8 | BUSY), vec![0; 8], header(8), vec![1; 8]].concat();
        let (ring, file) = made_up(0, 32, &data);
        assert_eq!((ring.peek(), ring.next()), (Head::Busy, None));
        file.write_all_at(&header(8 | DISCARDED), 2 * page_size() as u64).unwrap();
        assert_eq!(ring.next(), Some(&[1; 8][..]));
    }

    #[test]
    fn lengths_and_positions_that_no_kernel_writes_are_corrupt() {
        for (producer, len) in [(16, 9), (4096, 4089), (4096, 0x3fff_ffff), (8192, 8), (4, 0), (u64::MAX, 8)]
        {
            let (mut ring, _file) = made_up(0, producer, &header(len));
            assert_eq!((ring.peek(), ring.next()), (Head::Corrupt, None), "{producer} {len}");
            ring.skip_all();
            assert_eq!(ring.peek(), Head::Empty);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_memory_holds_records_lie_within_it(
            consumer: u64,
            ahead in prop_oneof![0_u64..5000, any::<u64>()],
            words in proptest::collection::vec(prop_oneof![0_u32..64, any::<u32>()], SIZE / 4),
        ) {
            let data: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let (mut ring, _file) = made_up(consumer & !7, (consumer & !7).wrapping_add(ahead), &data);
            let mut bytes = 0;
            while let Some(record) = ring.next() {
                bytes += record.len() + 8;
                prop_assert!(bytes <= SIZE);
            }
            ring.release();
        }
    }
}

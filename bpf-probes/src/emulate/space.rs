//! Made-up kernel or user memory: named objects at addresses.

use std::collections::BTreeMap;

use super::address;

/// Bytes between two objects, so that reading past one reaches nothing.
const GAP: u64 = 4096;

/// Nothing, or not enough, is mapped at an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{size} bytes at {address:#x} are not all mapped")]
pub struct Unmapped {
    /// The first byte.
    pub address: u64,
    /// How many bytes.
    pub size: usize,
}

#[derive(Clone, Debug)]
struct Object {
    name: String,
    bytes: Vec<u8>,
}

/// Objects that never touch each other.
#[derive(Clone, Debug)]
pub struct Space {
    objects: BTreeMap<u64, Object>,
    next: u64,
}

impl Space {
    pub(super) fn kernel() -> Self {
        Self { objects: BTreeMap::new(), next: address::KERNEL_BASE + GAP }
    }

    pub(super) fn user() -> Self {
        Self { objects: BTreeMap::new(), next: address::USER_BASE + GAP }
    }

    /// Makes an object of `size` zero bytes and returns its address, a multiple of the page size.
    pub fn object(&mut self, name: &str, size: usize) -> u64 {
        self.place(name, vec![0; size])
    }

    /// Makes an object of these bytes and returns its address.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) -> u64 {
        self.place(name, bytes.to_vec())
    }

    /// Makes a string with its NUL and returns its address.
    pub fn string(&mut self, text: impl AsRef<[u8]>) -> u64 {
        let mut bytes = text.as_ref().to_vec();
        bytes.push(0);
        self.place("string", bytes)
    }

    fn place(&mut self, name: &str, bytes: Vec<u8>) -> u64 {
        let address = self.next;
        self.next += (bytes.len() as u64).next_multiple_of(GAP) + GAP;
        self.objects.insert(address, Object { name: name.to_owned(), bytes });
        address
    }

    /// Writes into an object.
    ///
    /// # Errors
    /// [`Unmapped`] unless all bytes are inside one object.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unmapped> {
        let unmapped = Unmapped { address, size: bytes.len() };
        let (base, object) = self.objects.range_mut(..=address).next_back().ok_or(unmapped)?;
        let start = usize::try_from(address - base).map_err(|_too_large| unmapped)?;
        let end = start.checked_add(bytes.len()).ok_or(unmapped)?;
        object.bytes.get_mut(start..end).ok_or(unmapped)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Writes one byte.
    ///
    /// # Errors
    /// As [`Space::write`].
    pub fn write_u8(&mut self, address: u64, value: u8) -> Result<(), Unmapped> {
        self.write(address, &[value])
    }

    /// Writes two bytes, little endian.
    ///
    /// # Errors
    /// As [`Space::write`].
    pub fn write_u16(&mut self, address: u64, value: u16) -> Result<(), Unmapped> {
        self.write(address, &value.to_le_bytes())
    }

    /// Writes four bytes, little endian.
    ///
    /// # Errors
    /// As [`Space::write`].
    pub fn write_u32(&mut self, address: u64, value: u32) -> Result<(), Unmapped> {
        self.write(address, &value.to_le_bytes())
    }

    /// Writes eight bytes, little endian.
    ///
    /// # Errors
    /// As [`Space::write`].
    pub fn write_u64(&mut self, address: u64, value: u64) -> Result<(), Unmapped> {
        self.write(address, &value.to_le_bytes())
    }

    /// The `size` bytes at an address.
    ///
    /// # Errors
    /// [`Unmapped`] unless all bytes are inside one object.
    pub fn read(&self, address: u64, size: usize) -> Result<&[u8], Unmapped> {
        self.tail(address).and_then(|tail| tail.get(..size)).ok_or(Unmapped { address, size })
    }

    /// The name of the object that contains an address.
    pub fn name(&self, address: u64) -> Option<&str> {
        let (base, object) = self.objects.range(..=address).next_back()?;
        let inside = usize::try_from(address - base).is_ok_and(|offset| offset < object.bytes.len());
        inside.then_some(object.name.as_str())
    }

    /// Removes the object that begins at an address.
    pub fn remove(&mut self, address: u64) {
        self.objects.remove(&address);
    }

    /// From an address to the end of its object.
    pub(super) fn tail(&self, address: u64) -> Option<&[u8]> {
        let (base, object) = self.objects.range(..=address).next_back()?;
        let start = usize::try_from(address - base).ok()?;
        object.bytes.get(start..)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn objects_read_back_what_was_written_and_end_where_they_end() {
        let mut space = Space::kernel();
        let first = space.object("file", 16);
        let second = space.string("name");
        space.write_u32(first + 4, 0x0102_0304).unwrap();
        assert_eq!(space.read(first, 8).unwrap(), &[0, 0, 0, 0, 4, 3, 2, 1]);
        assert_eq!(space.read(second, 5).unwrap(), b"name\0");
        assert_eq!(space.read(second, 6).unwrap_err(), Unmapped { address: second, size: 6 });
        assert_eq!(space.write_u64(first + 9, 1).unwrap_err(), Unmapped { address: first + 9, size: 8 });
        assert_eq!((space.name(first + 15), space.name(first + 16)), (Some("file"), None));
        space.remove(second);
        assert!(space.read(second, 1).is_err());
    }
}

//! A file that places are looked for in: its headers are read once for all that a hook asks of it.

use crate::binary::{Binary, BinaryError, FileOffset, Functions};
use crate::files::BinaryFile;
use crate::policy::UserAddress;

/// Bytes of the `endbr64` that a function may begin with: behind it the stack is the same.
const ENDBR: u64 = 4;

/// A program or library, or another file that code is mapped from.
pub(super) struct UserCode<'f> {
    pub(super) file: &'f BinaryFile,
    binary: Result<Binary<'f>, BinaryError>,
}

impl<'f> UserCode<'f> {
    pub(super) fn of(file: &'f BinaryFile) -> Self {
        Self { file, binary: Binary::parse(&file.bytes) }
    }

    /// Gets ready for many places.
    pub(super) fn prepare(&self) {
        if let Ok(binary) = &self.binary {
            binary.sort_names();
        }
    }

    /// The offset in the file of a place; in words why there is none.
    pub(super) fn find(&self, address: &UserAddress) -> Result<u64, String> {
        let binary = match (&self.binary, address) {
            (Ok(binary), _) => binary,
            // code that a program maps from any file can be hooked
            (Err(_), UserAddress::Offset(offset)) if self.is_inside(*offset) => return Ok(*offset),
            (Err(_), UserAddress::Offset(offset)) => {
                let bytes = self.file.bytes.len();
                return Err(format!("it has {bytes} bytes, and nothing at offset {offset:#x}"));
            }
            (Err(error), UserAddress::Symbol { .. } | UserAddress::Virtual(_)) => {
                return Err(error.to_string());
            }
        };
        let offset = match address {
            UserAddress::Offset(offset) => FileOffset(*offset),
            UserAddress::Virtual(address) => {
                let found = binary.address_to_offset(*address);
                found.ok_or_else(|| format!("nothing of it is loaded at address {address:#x}"))?
            }
            UserAddress::Symbol { name, offset } => {
                let FileOffset(start) = binary.function_offset(name).map_err(|error| error.to_string())?;
                let found = start.checked_add(*offset).map(FileOffset);
                found.ok_or_else(|| format!("nothing is {offset:#x} bytes behind {name}"))?
            }
        };
        if !binary.offset_is_executable(offset) {
            return Err(format!("there are no instructions at offset {offset}"));
        }
        Ok(offset.0)
    }

    /// Whether it is a Go program, as far as the file tells.
    pub(super) fn is_go(&self) -> bool {
        self.binary.as_ref().is_ok_and(Binary::is_go)
    }

    /// The function that an instruction is in the midst of, and what is wrong with that where a return address is looked for, as far as the file tells.
    pub(super) fn in_the_midst(&self, offset: u64) -> Option<(String, String)> {
        let functions = Functions::of(self.binary.as_ref().ok()?);
        let (name, distance) = functions.around(FileOffset(offset))?;
        let message = format!(
            "{distance:#x} bytes behind the beginning of {name} there is no return address to be found"
        );
        (distance > ENDBR).then(|| (name.to_owned(), message))
    }

    /// From one place of the file to another in memory, wherever that is loaded.
    pub(super) fn distance(&self, from: u64, to: u64) -> i64 {
        let address = |offset| self.binary.as_ref().ok()?.offset_to_address(FileOffset(offset));
        let (from, to) = address(from).zip(address(to)).unwrap_or((from, to));
        to.wrapping_sub(from).cast_signed()
    }

    fn is_inside(&self, offset: u64) -> bool {
        usize::try_from(offset).is_ok_and(|offset| offset < self.file.bytes.len())
    }
}

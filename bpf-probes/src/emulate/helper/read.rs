//! Fault-safe reads of kernel and user memory, paths and strings.

use std::cmp::Ordering;

use super::{Access, Errno, FaultKind, Return, Run, Tag, Value};
use crate::emulate::address::{self, USER_END};
use crate::emulate::memory::Region;
use crate::insn::Helper;

/// Where a read looks, and how it says that nothing is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum From {
    Kernel,
    User,
}

impl Run<'_> {
    /// What can be read from an address, at most `limit` bytes (`copy_from_kernel_nofault`, `copy_from_user_nofault`).
    fn source_bytes(&mut self, from: From, address: u64, limit: usize) -> Result<Vec<u8>, Errno> {
        self.outcome.reads += 1;
        match from {
            // since 5.8 an address that is not the kernel's is told apart from one that faults
            From::Kernel if !address::is_kernel(address) => return Err(Errno::Erange),
            From::User if address >= USER_END => return Err(Errno::Efault),
            From::Kernel | From::User => {}
        }
        if self.state.world.faults.fails(self.outcome.reads) {
            return Err(Errno::Efault);
        }
        Ok(match from {
            From::Kernel => self.readable(address, limit).to_vec(),
            From::User => self.state.world.readable(address, limit).to_vec(),
        })
    }

    pub(super) fn probe_read(&mut self, from: From, call: Helper) -> Return {
        let size = self.size(2)?;
        let to = self.memory(1, size, Access::Write, call)?;
        let address = self.argument(3)?.bits;
        let found = self
            .source_bytes(from, address, size)
            .and_then(|found| if found.len() == size { Ok(found) } else { Err(Errno::Efault) });
        self.fill(to, size, found.map(|found| (found, 0)))
    }

    pub(super) fn probe_read_str(&mut self, from: From, call: Helper) -> Return {
        let size = self.size(2)?;
        let to = self.memory(1, size, Access::Write, call)?;
        let address = self.argument(3)?.bits;
        if size == 0 {
            return Ok(Value::number(0));
        }
        let found = self.source_bytes(from, address, size);
        let found = found.and_then(|found| string(from, found, size));
        self.fill(to, size, found)
    }

    /// `(user address, bytes, size)`
    pub(super) fn probe_write_user(&mut self, call: Helper) -> Return {
        let size = self.size(3)?;
        let bytes = self.bytes(2, size, call)?;
        let address = self.argument(1)?.bits;
        let written = address < USER_END && self.state.world.user.write(address, &bytes).is_ok();
        Ok(Value::number(if written { 0 } else { Errno::Efault.code() }))
    }

    /// Writes what was read and returns the given number; or zeroes all and returns the error.
    fn fill(&mut self, to: Region, size: usize, found: Result<(Vec<u8>, u64), Errno>) -> Return {
        match found {
            Ok((bytes, result)) => {
                self.write(to, &bytes, Tag::Number)?;
                Ok(Value::number(result))
            }
            Err(errno) => {
                self.write(to, &vec![0; size], Tag::Number)?;
                Ok(Value::number(errno.code()))
            }
        }
    }

    /// `(path, buffer, size)`: the path's text from the front of the buffer on, the rest of which is used too (`bpf_d_path`).
    pub(super) fn d_path(&mut self) -> Return {
        let call = Helper::DPath;
        let size = self.size(3)?;
        let to = self.memory(2, size, Access::Write, call)?;
        let path = self.argument(1)?;
        if path.tag != Tag::Kernel {
            let reason = "must be a path with its type";
            return Err(FaultKind::Argument { call: call.name(), argument: 1, reason });
        }
        let result = match self.state.world.paths.get(&path.bits) {
            None => Err(Errno::Efault),
            Some(text) if text.len() >= size => Err(Errno::Enametoolong),
            Some(text) => Ok([text.as_slice(), &[0]].concat()),
        };
        match result {
            Ok(text) => {
                self.write(to, &text, Tag::Number)?;
                Ok(Value::number(text.len() as u64))
            }
            Err(errno) => Ok(Value::number(errno.code())),
        }
    }

    /// `(s1, size, s2)`, where `s2` is in a read-only map.
    pub(super) fn strncmp(&mut self, call: Helper) -> Return {
        let size = self.size(2)?;
        let first = self.bytes(1, size, call)?;
        let second = self.argument(3)?;
        let region = self.memory(3, 1, Access::Read, call)?;
        let Region::Value { map, .. } = region else {
            let reason = "must be in a map that programs may only read";
            return Err(FaultKind::Argument { call: call.name(), argument: 3, reason });
        };
        self.refuse_writable(map, call)?;
        let mut order = Ordering::Equal;
        for (byte, place) in first.into_iter().zip(second.bits..) {
            let region = self.region(place, 1, Access::Read)?;
            let other = self.read(region, 1)?.first().copied().unwrap_or(0);
            order = byte.cmp(&other);
            if order != Ordering::Equal || byte == 0 {
                break;
            }
        }
        Ok(Value::number(i64::from(order as i8).cast_unsigned()))
    }
}

/// The string at the front of what can be read: its bytes with NUL, and their count.
fn string(from: From, mut found: Vec<u8>, size: usize) -> Result<(Vec<u8>, u64), Errno> {
    match found.iter().position(|byte| *byte == 0) {
        Some(end) => {
            found.truncate(end + 1);
            let length = found.len() as u64;
            if from == From::User {
                // user strings are copied by words, of which the bytes behind the NUL are zero (lib/strncpy_from_user.c, 5.11)
                let word = found.len().next_multiple_of(8);
                if word <= size {
                    found.resize(word, 0);
                }
            }
            Ok((found, length))
        }
        None if found.len() == size => {
            if let Some(last) = found.last_mut() {
                *last = 0;
            }
            Ok((found, size as u64))
        }
        None => Err(Errno::Efault),
    }
}

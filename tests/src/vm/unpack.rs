//! Takes the compressed kernel image of a distribution apart: the ELF file inside, and its BTF.
//!
//! QEMU boots the ELF file directly (PVH), which saves the guest from decompressing it instruction by emulated
//! instruction: one to two seconds of a boot. The `.BTF` section is byte for byte what the booted kernel shows in
//! `/sys/kernel/btf/vmlinux` (compared on 5.10, 6.1, 6.12 and 7.2).

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};

/// What was inside a kernel image.
#[derive(Debug)]
pub struct Unpacked {
    /// The kernel as an ELF file.
    pub vmlinux: Vec<u8>,
    /// Its kernel types, as in `/sys/kernel/btf/vmlinux`.
    pub btf: Vec<u8>,
}

/// Why a kernel image could not be taken apart.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// A field or a range lies outside of the file.
    #[error("kernel image: {what} lies outside of the file of {size} bytes")]
    OutOfFile {
        /// Which part.
        what: &'static str,
        /// Size of the file.
        size: usize,
    },
    /// The payload is compressed in a way that no tool is known for.
    #[error("kernel image: payload starts with {magic:02x?}, which is neither lz4, zstd nor xz")]
    UnknownCompression {
        /// First bytes of the payload.
        magic: [u8; 4],
    },
    /// The tool is missing or failed.
    #[error("kernel image: {tool} could not decompress it (install it: apt-get install {tool}): {source}")]
    Tool {
        /// Name of the tool, which is also its package's, save xz (xz-utils).
        tool: &'static str,
        /// What happened.
        source: io::Error,
    },
    /// There is no such section.
    #[error("kernel image: no section {0}; the kernel was built without BTF")]
    NoSection(&'static str),
}

/// Unpacks a bzImage (boot protocol 2.08 or later, Documentation/arch/x86/boot.rst).
///
/// # Errors
/// When the file is not such an image, the decompressing tool is missing or fails, or there is no BTF inside.
pub fn bz_image(image: &[u8]) -> Result<Unpacked, UnpackError> {
    let vmlinux = payload(image)?;
    let btf = section(&vmlinux, ".BTF")?.to_vec();
    Ok(Unpacked { vmlinux, btf })
}

fn payload(image: &[u8]) -> Result<Vec<u8>, UnpackError> {
    let sectors = match bytes::<1>(image, 0x1f1, "setup_sects")?[0] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let offset = u32_at(image, 0x248, "payload_offset")?;
    let length = u32_at(image, 0x24c, "payload_length")?;
    let start = (sectors + 1) * 512 + offset;
    // The last four bytes are the size of the output, appended by the kernel's build.
    let packed = start
        .checked_add(length.saturating_sub(4))
        .and_then(|end| image.get(start..end))
        .ok_or(UnpackError::OutOfFile { what: "payload", size: image.len() })?;
    let magic = bytes::<4>(packed, 0, "payload")?;
    let tool = match magic {
        [0x28, 0xb5, 0x2f, 0xfd] => "zstd",
        [0x02, 0x21, 0x4c, 0x18] => "lz4",
        [0xfd, b'7', b'z', b'X'] => "xz",
        magic => return Err(UnpackError::UnknownCompression { magic }),
    };
    decompress(tool, packed).map_err(|source| UnpackError::Tool { tool, source })
}

/// Pipes `packed` through `tool -dc`.
pub(crate) fn decompress(tool: &str, packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut child = Command::new(tool)
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut unpacked = Vec::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || input.write_all(packed));
        output.read_to_end(&mut unpacked)?;
        writer.join().map_err(|_panic| io::Error::other("the writing thread panicked"))?
    })?;
    let status = child.wait()?;
    if status.success() { Ok(unpacked) } else { Err(io::Error::other(format!("{status}"))) }
}

/// Bytes of the section `name` of a 64-bit little-endian ELF file.
pub(super) fn section<'file>(elf: &'file [u8], name: &'static str) -> Result<&'file [u8], UnpackError> {
    let outside = |what| UnpackError::OutOfFile { what, size: elf.len() };
    let table = u64_at(elf, 0x28, "e_shoff")?;
    let [low, high] = bytes::<2>(elf, 0x3a, "e_shentsize")?;
    let entry_size = usize::from(u16::from_le_bytes([low, high]));
    let [low, high] = bytes::<2>(elf, 0x3c, "e_shnum")?;
    let count = usize::from(u16::from_le_bytes([low, high]));
    let [low, high] = bytes::<2>(elf, 0x3e, "e_shstrndx")?;
    let names_index = usize::from(u16::from_le_bytes([low, high]));
    let header = |index: usize| -> Result<(usize, usize, usize), UnpackError> {
        let start = index
            .checked_mul(entry_size)
            .and_then(|offset| offset.checked_add(table))
            .ok_or_else(|| outside("section header"))?;
        let entry = elf.get(start..).ok_or_else(|| outside("section header"))?;
        Ok((u32_at(entry, 0, "sh_name")?, u64_at(entry, 0x18, "sh_offset")?, u64_at(entry, 0x20, "sh_size")?))
    };
    let (_, names_start, names_size) = header(names_index)?;
    let names = elf
        .get(names_start..names_start.saturating_add(names_size))
        .ok_or_else(|| outside("section names"))?;
    for index in 0..count {
        let (name_at, start, size) = header(index)?;
        let found = names.get(name_at..).ok_or_else(|| outside("section name"))?;
        if found.split(|byte| *byte == 0).next() == Some(name.as_bytes()) {
            return elf.get(start..start.saturating_add(size)).ok_or_else(|| outside("section"));
        }
    }
    Err(UnpackError::NoSection(name))
}

fn bytes<const N: usize>(file: &[u8], at: usize, what: &'static str) -> Result<[u8; N], UnpackError> {
    file.get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .ok_or(UnpackError::OutOfFile { what, size: file.len() })
}

fn u32_at(file: &[u8], at: usize, what: &'static str) -> Result<usize, UnpackError> {
    let value = u32::from_le_bytes(bytes::<4>(file, at, what)?);
    usize::try_from(value).map_err(|_overflow| UnpackError::OutOfFile { what, size: file.len() })
}

fn u64_at(file: &[u8], at: usize, what: &'static str) -> Result<usize, UnpackError> {
    let value = u64::from_le_bytes(bytes::<8>(file, at, what)?);
    usize::try_from(value).map_err(|_overflow| UnpackError::OutOfFile { what, size: file.len() })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::{UnpackError, bz_image, section};

    /// An ELF file of three sections: none, names, `.BTF` with the bytes `btf`.
    fn elf(btf: &[u8]) -> Vec<u8> {
        let names = b"\0.shstrtab\0.BTF\0";
        let mut file = vec![0_u8; 64];
        let names_at = file.len();
        file.extend_from_slice(names);
        let btf_at = file.len();
        file.extend_from_slice(btf);
        let table = file.len();
        for (name, at, size) in [(0_u32, 0, 0), (1, names_at, names.len()), (11, btf_at, btf.len())] {
            let mut header = [0_u8; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[0x18..0x20].copy_from_slice(&(at as u64).to_le_bytes());
            header[0x20..0x28].copy_from_slice(&(size as u64).to_le_bytes());
            file.extend_from_slice(&header);
        }
        file[0x28..0x30].copy_from_slice(&(table as u64).to_le_bytes());
        file[0x3a..0x3c].copy_from_slice(&64_u16.to_le_bytes());
        file[0x3c..0x3e].copy_from_slice(&3_u16.to_le_bytes());
        file[0x3e..0x40].copy_from_slice(&1_u16.to_le_bytes());
        file
    }

    #[test]
    fn a_section_is_found_by_its_whole_name() {
        let file = elf(b"types");
        assert_eq!(section(&file, ".BTF").unwrap(), b"types");
        assert!(matches!(section(&file, ".BT"), Err(UnpackError::NoSection(".BT"))));
    }

    #[test]
    fn a_truncated_file_is_an_error_at_every_length() {
        let file = elf(b"types");
        for length in 0..file.len() - 24 {
            assert!(section(&file[..length], ".BTF").is_err(), "{length}");
        }
    }

    #[test]
    fn an_image_with_a_foreign_payload_names_its_first_bytes() {
        let mut image = vec![0_u8; 4096];
        image[0x1f1] = 1;
        image[0x248..0x24c].copy_from_slice(&16_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&64_u32.to_le_bytes());
        image[1040..1044].copy_from_slice(b"what");
        assert!(
            matches!(bz_image(&image), Err(UnpackError::UnknownCompression { magic }) if &magic == b"what")
        );
    }

    #[test]
    fn an_empty_image_is_an_error() {
        assert!(matches!(bz_image(&[]), Err(UnpackError::OutOfFile { what: "setup_sects", size: 0 })));
    }
}

//! What programs are called in the kernel.

use super::AttachSpec;
use crate::attach::{CallEnd, UserPlace};

/// Longest name. The kernel takes 127 bytes of a function's (`include/linux/kallsyms.h: KSYM_NAME_LEN`, 5.10).
const LONGEST: usize = 96;

impl AttachSpec {
    /// The name of the program that is attached here, as the kernel, `bpftool prog` and `tetra top` show it: the place first, for some show 15 bytes
    /// only, then the kind, as in `security_file_open__kprobe`. An identifier as C has them, of at most 96 bytes; two places may have the same one.
    pub fn program_name(&self) -> String {
        let kind = self.kind_word();
        let words = self.place_words();
        let digit = if words.starts_with(|letter: char| letter.is_ascii_digit()) { "_" } else { "" };
        let place: String = digit.chars().chain(words.chars()).map(identifier).collect();
        let name = place.get(..LONGEST - kind.len() - 2).unwrap_or(&place);
        format!("{name}__{kind}")
    }

    fn place_words(&self) -> String {
        match self {
            Self::None => "nowhere".to_owned(),
            Self::Kprobe { symbol } | Self::Kretprobe { symbol } => symbol.clone(),
            Self::KprobeMulti { symbols } => match symbols.as_slice() {
                [] => "none".to_owned(),
                [only] => only.clone(),
                [first, others @ ..] => format!("{first}_and_{}", others.len()),
            },
            Self::Tracepoint { name, .. } | Self::RawTracepoint { name } | Self::BtfTracepoint { name } => {
                name.clone()
            }
            Self::Fentry { function } | Self::Fexit { function } | Self::FmodRet { function } => {
                function.clone()
            }
            Self::Lsm { hook } => hook.clone(),
            Self::Uprobe { place, .. } => user_words(place),
            Self::UprobeMulti { place, further, .. } => match further.len() {
                0 => user_words(place),
                further => format!("{}_and_{further}", user_words(place)),
            },
        }
    }

    const fn kind_word(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Kprobe { .. } => "kprobe",
            Self::Kretprobe { .. } => "kretprobe",
            Self::KprobeMulti { .. } => "kprobe_multi",
            Self::Tracepoint { .. } => "tracepoint",
            Self::RawTracepoint { .. } => "raw_tracepoint",
            Self::BtfTracepoint { .. } => "tp_btf",
            Self::Fentry { .. } => "fentry",
            Self::Fexit { .. } => "fexit",
            Self::FmodRet { .. } => "fmod_ret",
            Self::Lsm { .. } => "lsm",
            Self::Uprobe { end: CallEnd::Entry, .. } => "uprobe",
            Self::Uprobe { end: CallEnd::Return, .. } => "uretprobe",
            Self::UprobeMulti { end: CallEnd::Entry, .. } => "uprobe_multi",
            Self::UprobeMulti { end: CallEnd::Return, .. } => "uretprobe_multi",
        }
    }
}

fn user_words(place: &UserPlace) -> String {
    let file = place.path.rsplit('/').next().unwrap_or_default();
    // The offset tells places of a file apart, so that it is the file's name that is cut.
    let file: String = file.chars().take(LONGEST / 2).collect();
    format!("{file}_{:#x}", place.offset)
}

const fn identifier(letter: char) -> char {
    if letter.is_ascii_alphanumeric() { letter } else { '_' }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attach::FileId;

    #[test]
    fn a_program_is_called_as_its_place_and_its_kind() {
        let kprobe = |symbol: &str| AttachSpec::Kprobe { symbol: symbol.to_owned() }.program_name();
        assert_eq!(kprobe("security_file_open"), "security_file_open__kprobe");
        assert_eq!(kprobe("tcp_v4_rcv.isra.0"), "tcp_v4_rcv_isra_0__kprobe");
        assert_eq!(kprobe("9p\u{e9}"), "_9p___kprobe");
        assert_eq!(kprobe(&"f".repeat(300)).len(), LONGEST);
        assert_eq!(kprobe(&"9".repeat(300)).len(), LONGEST);
        let symbols = ["sys_open", "sys_close", "sys_read"].map(str::to_owned).to_vec();
        assert_eq!(AttachSpec::KprobeMulti { symbols }.program_name(), "sys_open_and_2__kprobe_multi");
        let place = UserPlace {
            file: FileId { device: 1, inode: 2 },
            path: "/usr/lib/x86_64-linux-gnu/libc.so.6".to_owned(),
            offset: 0x2a_f00,
            reference_counter: 0,
        };
        let uprobe = |further: &[u64]| AttachSpec::UprobeMulti {
            place: Box::new(place.clone()),
            further: further.to_vec(),
            end: CallEnd::Return,
        };
        assert_eq!(uprobe(&[]).program_name(), "libc_so_6_0x2af00__uretprobe_multi");
        assert_eq!(uprobe(&[1, 2]).program_name(), "libc_so_6_0x2af00_and_2__uretprobe_multi");
    }
}

//! File modes.

use std::fmt;

/// A file's mode as `ls -l` shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Permission(u16);

/// `mode` (`i_mode`: type and permission bits) as `ls -l` shows it: `-rw-r--r--`.
///
/// A mode without a type, as of a file that could not be read, has no type character: `---------`.
pub const fn permission(mode: u16) -> Permission {
    Permission(mode)
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(mode) = *self;
        let mut text = *b"----------";
        text[0] = match mode & 0o170_000 {
            0o140_000 => b's',
            0o120_000 => b'l',
            0o060_000 => b'b',
            0o040_000 => b'd',
            0o020_000 => b'c',
            0o010_000 => b'p',
            _ => b'-',
        };
        for (place, letter) in b"rwxrwxrwx".iter().enumerate() {
            if mode >> (8 - place) & 1 == 1 {
                text[place + 1] = *letter;
            }
        }
        for (bit, place, with_x, without_x) in
            [(0o4000, 3, b's', b'S'), (0o2000, 6, b's', b'S'), (0o1000, 9, b't', b'T')]
        {
            if mode & bit != 0 {
                text[place] = if text[place] == b'x' { with_x } else { without_x };
            }
        }
        let typed = [0o140, 0o120, 0o100, 0o060, 0o040, 0o020, 0o010].contains(&(mode >> 9 & 0o170));
        let shown = if typed { &text[..] } else { &text[1..] };
        formatter.write_str(str::from_utf8(shown).map_err(|_not_ascii| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::permission;

    #[test]
    fn modes_read_as_ls_shows_them() {
        for (mode, expected) in [
            (0o100_644, "-rw-r--r--"),
            (0o100_755, "-rwxr-xr-x"),
            (0o041_777, "drwxrwxrwt"),
            (0o041_776, "drwxrwxrwT"),
            (0o104_755, "-rwsr-xr-x"),
            (0o106_644, "-rwSr-Sr--"),
            (0o020_620, "crw--w----"),
            (0o140_777, "srwxrwxrwx"),
            (0o010_600, "prw-------"),
            (0o060_660, "brw-rw----"),
            (0o120_777, "lrwxrwxrwx"),
            (0, "---------"),
        ] {
            assert_eq!(permission(mode).to_string(), expected, "{mode:o}");
        }
    }
}

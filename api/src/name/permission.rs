//! File modes.

/// `mode` (`i_mode`: type and permission bits) as `ls -l` shows it: `-rw-r--r--`.
///
/// A mode without a type, as of a file that could not be read, has no type character: `---------`.
pub fn permission(mode: u16) -> String {
    let mut text = String::with_capacity(10);
    match mode & 0o170_000 {
        0o140_000 => text.push('s'),
        0o120_000 => text.push('l'),
        0o100_000 => text.push('-'),
        0o060_000 => text.push('b'),
        0o040_000 => text.push('d'),
        0o020_000 => text.push('c'),
        0o010_000 => text.push('p'),
        _ => {}
    }
    let special = [(0o4000, 's', 'S'), (0o2000, 's', 'S'), (0o1000, 't', 'T')];
    for (class, (bit, with_x, without_x)) in special.into_iter().enumerate() {
        let shift = 6 - 3 * class;
        let rwx = mode >> shift & 0o7;
        text.push(if rwx & 4 == 0 { '-' } else { 'r' });
        text.push(if rwx & 2 == 0 { '-' } else { 'w' });
        text.push(match (mode & bit != 0, rwx & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => with_x,
            (true, false) => without_x,
        });
    }
    text
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
            assert_eq!(permission(mode), expected, "{mode:o}");
        }
    }
}

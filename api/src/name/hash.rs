//! Hashes of files.

/// Names and bytes of algorithms by their number (`enum hash_algo`, `include/uapi/linux/hash_info.h`; `crypto/hash_info.c`).
const ALGORITHMS: [(&str, usize); 23] = [
    ("md4", 16),
    ("md5", 16),
    ("sha1", 20),
    ("rmd160", 20),
    ("sha256", 32),
    ("sha384", 48),
    ("sha512", 64),
    ("sha224", 28),
    ("rmd128", 16),
    ("rmd256", 32),
    ("rmd320", 40),
    ("wp256", 32),
    ("wp384", 48),
    ("wp512", 64),
    ("tgr128", 16),
    ("tgr160", 20),
    ("tgr192", 24),
    ("sm3", 32),
    ("streebog256", 32),
    ("streebog512", 64),
    ("sha3-256", 32),
    ("sha3-384", 48),
    ("sha3-512", 64),
];

/// `NAME:HEX` of the digest at the beginning of `bytes`; `None` for an algorithm that there is not, and for a digest that is cut.
pub fn file_hash(algorithm: i32, bytes: &[u8]) -> Option<String> {
    let (name, length) = ALGORITHMS.get(usize::try_from(algorithm).ok()?)?;
    let digest = bytes.get(..*length)?;
    let mut text = String::with_capacity(name.len() + 1 + 2 * length);
    text.push_str(name);
    text.push(':');
    for byte in digest {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::file_hash;

    // proves: ACT-15 (as events show it)
    #[test]
    fn a_hash_is_shown_as_algorithm_and_hex() {
        let bytes: Vec<u8> = (0..64).map(|byte| byte * 4).collect();
        assert_eq!(file_hash(2, &bytes).as_deref(), Some("sha1:0004080c1014181c2024282c3034383c4044484c"));
        let long = file_hash(4, &bytes);
        assert!(long.is_some_and(|text| text.starts_with("sha256:0004") && text.len() == 7 + 64));
        assert_eq!(file_hash(-95, &bytes), None, "the kernel had none");
        assert_eq!(file_hash(99, &bytes), None);
        assert_eq!(file_hash(6, &bytes[..63]), None);
    }
}

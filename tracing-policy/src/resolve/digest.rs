//! Digests of files: whether a file is one that the policy means.

use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::binary::Binary;
use crate::policy::{Digest, DigestAlgorithm};

/// Whether the bytes come to one of the digests, or there is none to come to.
pub(super) fn matches(bytes: &[u8], digests: &[Digest]) -> bool {
    digests.is_empty()
        || found(bytes, digests).iter().zip(digests).any(|(found, digest)| *found == digest.bytes)
}

/// What the bytes come to, by the algorithm of each digest; empty where there is no build id.
fn found(bytes: &[u8], digests: &[Digest]) -> Vec<Vec<u8>> {
    let mut known: Vec<(DigestAlgorithm, Vec<u8>)> = Vec::new();
    let mut of = |algorithm: DigestAlgorithm| {
        if let Some((_, found)) = known.iter().find(|(done, _)| *done == algorithm) {
            return found.clone();
        }
        let found = compute(bytes, algorithm);
        known.push((algorithm, found.clone()));
        found
    };
    digests.iter().map(|digest| of(digest.algorithm)).collect()
}

fn compute(bytes: &[u8], algorithm: DigestAlgorithm) -> Vec<u8> {
    match algorithm {
        DigestAlgorithm::Sha1 => Sha1::digest(bytes).to_vec(),
        DigestAlgorithm::Sha256 => Sha256::digest(bytes).to_vec(),
        DigestAlgorithm::Sha384 => Sha384::digest(bytes).to_vec(),
        DigestAlgorithm::Sha512 => Sha512::digest(bytes).to_vec(),
        DigestAlgorithm::BuildId => {
            let id = Binary::parse(bytes).ok().and_then(|binary| binary.build_id());
            id.map(<[u8]>::to_vec).unwrap_or_default()
        }
    }
}

/// What the file comes to, for a message: one line an algorithm that the policy uses.
pub(super) fn described(bytes: &[u8], digests: &[Digest]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (digest, found) in digests.iter().zip(found(bytes, digests)) {
        let pairs: Vec<String> = found.iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = if pairs.is_empty() { "none".to_owned() } else { pairs.concat() };
        let line = format!("{}:{hex}", digest.algorithm.name());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Span;

    fn digest(algorithm: DigestAlgorithm, hex: &str) -> Digest {
        let byte = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes = (0..hex.len()).step_by(2).filter_map(byte).collect();
        Digest { algorithm, bytes, span: Span::default() }
    }

    // proves: HOOK-14 (algorithms)
    #[test]
    fn bytes_come_to_the_digests_that_other_tools_compute() {
        // of "abc", as FIPS 180-4 has them
        let known = [
            digest(DigestAlgorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            digest(
                DigestAlgorithm::Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            digest(
                DigestAlgorithm::Sha384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            ),
            digest(
                DigestAlgorithm::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ];
        for digest in known {
            let wrong =
                Digest { bytes: digest.bytes.iter().map(|byte| byte ^ 1).collect(), ..digest.clone() };
            assert!(matches(b"abc", &[wrong.clone(), digest.clone()]), "{digest:?}");
            assert!(!matches(b"abcd", std::slice::from_ref(&digest)));
            assert!(!matches(b"abc", &[wrong]));
        }
        assert!(matches(b"abc", &[]));
        assert!(!matches(b"abc", &[digest(DigestAlgorithm::BuildId, "00")]), "it is no ELF file");
    }
}

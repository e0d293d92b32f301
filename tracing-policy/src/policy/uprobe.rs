//! Places in programs and libraries.

use std::fmt;

use super::hook::Absence;
use crate::source::Span;

/// A place in a program or library.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uprobe {
    /// The file, as the policy gives its path.
    pub path: String,
    /// The path in the text.
    pub path_span: Span,
    /// Where in the file.
    pub address: UserAddress,
    /// Offset in the file of a reference counter; 0 for none.
    pub reference_counter: u64,
    /// What the file must be, one of these; empty for any.
    pub digests: Vec<Digest>,
    /// What to do about a file that is none of those.
    pub mismatch: Absence,
    /// A file with the types of the program, and its path in the text.
    pub types: Option<(String, Span)>,
}

/// How a policy names a place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UserAddress {
    /// So far behind the beginning of a function.
    Symbol {
        /// The function.
        name: String,
        /// Bytes behind its beginning.
        offset: u64,
    },
    /// Offset in the file.
    Offset(u64),
    /// Address of the loaded, unmoved file.
    Virtual(u64),
}

impl fmt::Display for UserAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol { name, offset: 0 } => f.write_str(name),
            Self::Symbol { name, offset } => write!(f, "{name}+{offset:#x}"),
            Self::Offset(offset) => write!(f, "offset {offset:#x}"),
            Self::Virtual(address) => write!(f, "address {address:#x}"),
        }
    }
}

/// What a file's content must come to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest {
    /// How it is computed.
    pub algorithm: DigestAlgorithm,
    /// What it comes to.
    pub bytes: Vec<u8>,
    /// The digest in the text.
    pub span: Span,
}

/// How a digest is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DigestAlgorithm {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// Not computed: the build id in the file's notes, which its builder vouches for and anybody can write.
    BuildId,
}

impl DigestAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512, Self::BuildId];

    /// Its name in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::BuildId => "build-id",
        }
    }

    /// Bytes of the result, where that is fixed.
    pub const fn bytes(self) -> Option<usize> {
        match self {
            Self::Sha1 => Some(20),
            Self::Sha256 => Some(32),
            Self::Sha384 => Some(48),
            Self::Sha512 => Some(64),
            Self::BuildId => None,
        }
    }
}

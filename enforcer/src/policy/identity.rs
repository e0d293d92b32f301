//! Which policy is meant.

use std::fmt;

/// Domain of policies from files.
pub const STATIC_DOMAIN: &str = "static";
/// Domain of policies from the API, unless the request names another.
pub const GRPC_DOMAIN: &str = "grpc";

/// What tells policies apart.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    /// Namespace; empty for a policy of the whole cluster.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Who added it: [`STATIC_DOMAIN`], [`GRPC_DOMAIN`] or a word of the client's.
    pub domain: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} (domain {})", self.name, self.domain)
        } else {
            write!(f, "{}/{} (domain {})", self.namespace, self.name, self.domain)
        }
    }
}

//! Where the daemon is.

use std::fmt;
use std::path::{Path, PathBuf};

use super::description::{Description, RUN_FOLDER};
use super::tls::TlsError;
use crate::args::Connection;

/// Port of a daemon that listens on TCP.
const PORT: &str = "54321";

/// An address that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddressError {
    /// Not of a form that is understood.
    #[error("{address:?} is no server address; give unix:///PATH/TO/SOCKET or HOST:PORT")]
    Form {
        /// As given.
        address: String,
    },
    /// Flags for TLS, and nothing to encrypt.
    #[error(
        "flags for TLS are for HOST:PORT, and this is {address}; give --server-address HOST:PORT, or leave them out"
    )]
    NotEncrypted {
        /// A Unix socket.
        address: Address,
    },
    /// The flags for TLS are wrong.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Address of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A socket in the file system.
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(host) => formatter.write_str(host),
        }
    }
}

impl Address {
    /// The address that the command line gives, or the daemon of this machine.
    pub(crate) fn find(connection: &Connection) -> Result<Self, AddressError> {
        if connection.server_address.is_empty() {
            Ok(Self::discover(Path::new(RUN_FOLDER)))
        } else {
            Self::parse(&connection.server_address)
        }
    }

    /// What the daemon says of itself in `folder`, else its socket there, else the port on this machine.
    fn discover(folder: &Path) -> Self {
        let said = Description::read(folder);
        if let Some(address) = said.and_then(|said| Self::parse(&said.server_address).ok()) {
            return address;
        }
        let socket = folder.join("tetragon.sock");
        if socket.exists() { Self::Unix(socket) } else { Self::Tcp(format!("localhost:{PORT}")) }
    }

    /// `unix:///PATH`, `unix:PATH`, `HOST`, `HOST:PORT`, `[IPV6]:PORT`.
    fn parse(text: &str) -> Result<Self, AddressError> {
        let refuse = || AddressError::Form { address: text.to_owned() };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(refuse()) };
        }
        let host =
            text.strip_prefix("dns:///").or_else(|| text.strip_prefix("passthrough:///")).unwrap_or(text);
        let foreign = |c: char| c.is_whitespace() || c.is_control() || "/@?#\\".contains(c);
        if host.is_empty() || host.contains(foreign) {
            return Err(refuse());
        }
        let host = match host.rsplit_once(':') {
            _ if host.ends_with(']') => format!("{host}:{PORT}"),
            None => format!("{host}:{PORT}"),
            Some((name, port)) => {
                let plain = !name.contains(':') || name.starts_with('[');
                if !plain || name.is_empty() || port.parse::<u16>().is_err() {
                    return Err(refuse());
                }
                host.to_owned()
            }
        };
        Ok(Self::Tcp(host))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::Address;

    #[test]
    fn addresses_of_both_kinds_are_understood() {
        for (text, expected) in [
            ("unix:///run/x.sock", "unix:///run/x.sock"),
            ("unix:/run/x.sock", "unix:///run/x.sock"),
            ("localhost", "localhost:54321"),
            ("node-1:1", "node-1:1"),
            ("dns:///node:1", "node:1"),
            ("[::1]", "[::1]:54321"),
            ("[::1]:99", "[::1]:99"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), expected);
        }
        for text in ["", "unix://x", "a:b", "::1", "http://x:1", "a b", ":1", "x:99999"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    // proves: CLI-01 (discovery)
    #[test]
    fn the_daemon_is_found_by_its_description_then_its_socket_then_the_port() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Address::discover(folder.path()), Address::Tcp("localhost:54321".to_owned()));
        let socket = folder.path().join("tetragon.sock");
        std::fs::write(&socket, "").unwrap();
        assert_eq!(Address::discover(folder.path()), Address::Unix(socket));
        let description = folder.path().join("tetragon-info.json");
        std::fs::write(&description, r#"{"server_address":"unix:///elsewhere.sock","pid":7}"#).unwrap();
        assert_eq!(Address::discover(folder.path()), Address::Unix("/elsewhere.sock".into()));
    }

    #[test]
    fn a_broken_description_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "{}", "{\"server_address\":\"\"}", "{\"server_address\":\"a b\"}"] {
            std::fs::write(folder.path().join("tetragon-info.json"), text).unwrap();
            assert_eq!(Address::discover(folder.path()), Address::Tcp("localhost:54321".to_owned()));
        }
    }
}

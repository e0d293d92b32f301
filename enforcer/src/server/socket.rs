//! Sockets, bound before anything else is started so that errors come early.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::tls::{Tls, TlsError};
use crate::config::ServerAddress;

/// Access mode of the Unix socket: root and the group of the file.
const MODE: u32 = 0o660;

/// Why a socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A Unix socket.
    #[error("cannot serve on unix://{path}: {source}")]
    Unix {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A TCP socket.
    #[error("cannot serve on {address}: {source}")]
    Tcp {
        /// Its address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The encryption of a TCP socket.
    #[error("cannot serve encrypted: {0}")]
    Tls(#[from] TlsError),
}

/// A socket that listens.
#[derive(Debug)]
pub enum BoundSocket {
    /// A Unix socket.
    Unix(UnixSocket),
    /// A TCP socket on the loopback interface.
    Loopback(TcpSocket),
    /// A TCP socket, and the encryption that who connects must speak.
    Tls(TcpSocket, Arc<Tls>),
}

/// A TCP socket in its place.
#[derive(Debug)]
pub struct TcpSocket {
    listener: TcpListener,
    address: SocketAddr,
}

impl TcpSocket {
    /// Binds the address.
    ///
    /// # Errors
    /// [`BindError::Tcp`].
    pub(super) fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bind = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            // with the port that the kernel chose
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind().map_err(|source| BindError::Tcp { address, source })
    }

    /// Where it is.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listener, to be served on.
    pub(super) fn listener(&self) -> io::Result<TcpListener> {
        self.listener.try_clone()
    }
}

/// A Unix socket in its place; dropping it removes the file, if it is still ours.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: (u64, u64),
}

impl UnixSocket {
    /// The listener for the runtime that this is called on.
    pub(super) fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::from_std(self.listener.try_clone()?)
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.inode);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("the socket {} stays behind: {error}", self.path.display());
        }
    }
}

impl BoundSocket {
    /// The address as clients take it.
    pub fn address(&self) -> String {
        match self {
            Self::Unix(unix) => format!("unix://{}", unix.path.display()),
            Self::Loopback(socket) | Self::Tls(socket, _) => socket.address.to_string(),
        }
    }
}

/// Binds an address. A file left at a Unix socket's path is replaced: the pid file has made sure that no other daemon serves there.
///
/// # Errors
/// See [`BindError`].
pub fn bind(address: &ServerAddress) -> Result<BoundSocket, BindError> {
    match address {
        ServerAddress::Unix(path) => bind_unix(path)
            .map(BoundSocket::Unix)
            .map_err(|source| BindError::Unix { path: path.clone(), source }),
        ServerAddress::Loopback(address) => TcpSocket::bind(*address).map(BoundSocket::Loopback),
        ServerAddress::Tls(address, settings) => {
            let tls = Tls::open(settings.clone())?;
            Ok(BoundSocket::Tls(TcpSocket::bind(*address)?, Arc::new(tls)))
        }
    }
}

/// Binds in a directory that only root can enter, sets the mode there, and moves the socket to its place: at no moment can
/// anyone connect to it with another mode.
fn bind_unix(path: &Path) -> io::Result<UnixSocket> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut private = parent.join(".");
    private.set_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let clean_up = || match fs::remove_dir_all(&private) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    clean_up()?;
    DirBuilder::new().mode(0o700).create(&private)?;
    let bound = bind_inside(&private.join("s"), path);
    let cleaned = clean_up();
    let (listener, inode) = bound?;
    cleaned?;
    Ok(UnixSocket { listener, path: path.to_owned(), inode })
}

fn bind_inside(inside: &Path, path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    let listener = UnixListener::bind(inside)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(inside, Permissions::from_mode(MODE))?;
    let metadata = fs::symlink_metadata(inside)?;
    fs::rename(inside, path)?;
    Ok((listener, (metadata.dev(), metadata.ino())))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    // proves: API-10, SEC-01 (socket)
    #[test]
    fn a_unix_socket_has_its_mode_and_replaces_what_a_crash_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tetragon.sock");
        fs::write(&path, "left").unwrap();
        let socket = bind(&ServerAddress::Unix(path.clone())).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, MODE);
        UnixStream::connect(&path).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
        assert_eq!(socket.address(), format!("unix://{}", path.display()));
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_another_put_in_its_place_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.sock");
        let first = bind(&ServerAddress::Unix(path.clone())).unwrap();
        let _second = bind(&ServerAddress::Unix(path.clone())).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn what_cannot_be_bound_is_named() {
        let error = bind(&ServerAddress::Unix("/no/such/place.sock".into())).unwrap_err();
        assert!(error.to_string().contains("/no/such/place.sock"), "{error}");
        let taken = bind(&ServerAddress::Loopback("127.0.0.1:0".parse().unwrap())).unwrap();
        let again = bind(&ServerAddress::Loopback(taken.address().parse().unwrap())).unwrap_err();
        assert!(again.to_string().contains(&taken.address()), "{again}");
    }
}

//! Asking for the IPv4 addresses of a name (RFC 1035), and looking at nothing but that there is an answer.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::net::UdpSocket;
use tracing_policy::policy::HostName;

use super::RequestError;

/// Tells questions apart.
static NEXT: AtomicU16 = AtomicU16::new(1);

/// Asks `resolver`.
pub(super) async fn look_up(name: &HostName, resolver: SocketAddr) -> Result<(), RequestError> {
    let any: SocketAddr = match resolver {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(resolver).await?;
    let question = question(name, NEXT.fetch_add(1, Ordering::Relaxed));
    socket.send(&question).await?;
    let mut answer = [0; 512];
    loop {
        let length = socket.recv(&mut answer).await?;
        let number = answer.get(..length).and_then(|answer| answer.get(..2));
        if number.is_some() && number == question.get(..2) {
            return Ok(());
        }
    }
}

/// A question for the A records of a name, to be answered by asking others too.
fn question(name: &HostName, number: u16) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    // recursion desired; one question
    bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.as_str().split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend_from_slice(label.as_bytes());
    }
    // the root, type A, class IN
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    bytes
}

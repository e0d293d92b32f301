//! The other end of the stream, a process of its own: it takes messages and does not look into them.

use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;

use super::stream::PATH;

/// By which this program is told to be the reader of a socket, which is named next.
pub(crate) const COMMAND: &str = "reader";

/// An empty request, and messages of which only the number counts.
#[derive(Debug, Default)]
struct Unread;

impl Codec for Unread {
    type Encode = ();
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Unread {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Unread {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        use prost::bytes::Buf as _;
        bytes.advance(bytes.remaining());
        Ok(Some(()))
    }
}

/// Takes all events that the server on `socket` has, and ends with their number as the last line.
pub(crate) fn read(socket: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let events: u64 = runtime.block_on(async {
        let endpoint = Endpoint::from_shared(format!("unix://{socket}")).expect("an address");
        let mut client = Grpc::new(endpoint.connect().await.expect("a server"));
        client.ready().await.expect("a connection");
        let request = tonic::Request::new(());
        let answer = client.server_streaming(request, PathAndQuery::from_static(PATH), Unread).await;
        let mut stream = answer.expect("a stream").into_inner();
        let mut events = 0;
        while stream.message().await.expect("an event").is_some() {
            events += 1;
        }
        events
    });
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{events}").expect("somebody reads");
}

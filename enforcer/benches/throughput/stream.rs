//! The server of one stream of events on a Unix socket, as the daemon serves them.

use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use api::convert::EncodedEvent;
use api::event::Node;
use api::wire::GetEventsRequest;
use enforcer::pipeline::Hub;
use enforcer::server::EventStream;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::reader::COMMAND;
use super::{CAPACITY, EVENTS, cpu_time, finish, pipeline};

/// The call that streams events.
pub(crate) const PATH: &str = "/tetragon.FineGuidanceSensors/GetEvents";

type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// The daemon's service without what needs a kernel: every call is one for events.
#[derive(Clone)]
struct Events {
    hub: Hub,
}

impl NamedService for Events {
    const NAME: &'static str = "tetragon.FineGuidanceSensors";
}

impl ServerStreamingService<GetEventsRequest> for Events {
    type Response = EncodedEvent;
    type ResponseStream = EventStream;
    type Future = Answer<Response<EventStream>, Status>;

    fn call(&mut self, request: Request<GetEventsRequest>) -> Self::Future {
        let node = Arc::new(Node::named("lab"));
        let stream = EventStream::open(&self.hub, &node, request.get_ref(), "stream".to_owned(), CAPACITY);
        Box::pin(async { stream.map(Response::new) })
    }
}

impl Service<http::Request<Body>> for Events {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let events = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).server_streaming(events, request).await) })
    }
}

fn reader(socket: &Path) -> Child {
    let itself = std::env::current_exe().expect("procfs is mounted");
    Command::new(itself).arg(COMMAND).arg(socket).stdout(Stdio::piped()).spawn().expect("a process")
}

/// CPU time of a run to one stream.
pub(crate) fn run(folder: &Path) -> Duration {
    let socket = folder.join("socket");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (hub, stop) = (Hub::new(), CancellationToken::new());
    let router = Server::builder().add_service(Events { hub: hub.clone() });
    let listener = {
        let _within = runtime.enter();
        UnixListenerStream::new(UnixListener::bind(&socket).expect("a socket"))
    };
    let stopped = stop.clone().cancelled_owned();
    let serving = std::thread::spawn(move || {
        runtime.block_on(router.serve_with_incoming_shutdown(listener, stopped)).expect("it serves");
    });
    let reader = reader(&socket);
    while hub.stats().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let before = cpu_time();
    finish(pipeline(&hub));
    let output = reader.wait_with_output().expect("it is a child");
    let spent = cpu_time().saturating_sub(before);
    stop.cancel();
    serving.join().expect("it ends");
    std::fs::remove_file(&socket).expect("it was made");
    let taken: Option<u64> = String::from_utf8_lossy(&output.stdout).trim().parse().ok();
    assert!(taken.is_some_and(|taken| taken >= EVENTS), "{taken:?} of {EVENTS} events");
    spent
}

//! A collector that is spoken to by HTTP, and keeps what it gets.

use std::convert::Infallible;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use flate2::read::GzDecoder;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

pub(crate) type Answer = Response<Full<Bytes>>;

/// How it answers its n-th request.
pub(crate) type Answers = Box<dyn Fn(usize) -> Answer + Send + Sync>;

/// A request that it got.
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    /// As it came.
    pub(crate) size: usize,
    pub(crate) message: ExportLogsServiceRequest,
}

#[derive(Default)]
pub(crate) struct Got {
    pub(crate) connections: usize,
    pub(crate) requests: Vec<Received>,
}

/// A collector at work; it leaves, without a word, when dropped.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    pub(crate) got: Arc<Mutex<Got>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

pub(crate) fn answer(status: u16, kind: &str, body: impl Into<Bytes>) -> Answer {
    let answer = Response::builder().status(status).header("content-type", kind);
    answer.body(Full::new(body.into())).unwrap()
}

pub(crate) fn taken() -> Answer {
    answer(200, "application/x-protobuf", ExportLogsServiceResponse::default().encode_to_vec())
}

impl Web {
    /// At `address`, whose port may be 0, encrypted where there is a configuration.
    pub(crate) fn start(address: &str, tls: Option<ServerConfig>, answers: Answers) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::<Mutex<Got>>::default();
        let (stop, stopped) = oneshot::channel();
        let serve = serve(listener, tls.map(Arc::new), Arc::new(answers), Arc::clone(&got));
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, got, stop: Some(stop), thread: Some(thread) }
    }

    /// All records so far.
    pub(crate) fn records(&self) -> Vec<LogRecord> {
        let got = self.got.lock().unwrap();
        let logs = got.requests.iter().flat_map(|request| &request.message.resource_logs);
        logs.flat_map(|logs| &logs.scope_logs).flat_map(|scope| scope.log_records.clone()).collect()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    answers: Arc<Answers>,
    got: Arc<Mutex<Got>>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, answers, got) = (tls.clone(), Arc::clone(&answers), Arc::clone(&got));
        got.lock().unwrap().connections += 1;
        tokio::spawn(async move {
            match tls {
                None => talk(stream, &answers, &got).await,
                Some(tls) => match TlsAcceptor::from(tls).accept(stream).await {
                    Ok(stream) => talk(stream, &answers, &got).await,
                    Err(_refused) => {}
                },
            }
        });
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, answers: &Answers, got: &Mutex<Got>) {
    let service = service_fn(|request: Request<Incoming>| async move {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mut plain = Vec::new();
        match head.headers.get("content-encoding") {
            Some(_gzip) => drop(GzDecoder::new(body.as_ref()).read_to_end(&mut plain).unwrap()),
            None => plain.extend_from_slice(&body),
        }
        let message = ExportLogsServiceRequest::decode(plain.as_slice()).unwrap();
        let line = format!("{} {} {:?}", head.method, head.uri, head.version);
        let mut got = got.lock().unwrap();
        got.requests.push(Received { line, headers: head.headers, size: body.len(), message });
        Ok::<_, Infallible>(answers(got.requests.len() - 1))
    });
    // whoever it was may go at any time
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

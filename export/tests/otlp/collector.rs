//! A collector that keeps what it gets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

type Answer = Result<ExportLogsServiceResponse, Status>;

/// How it answers its n-th request, and after how long.
pub(crate) type Answers = Box<dyn Fn(usize) -> (Duration, Answer) + Send + Sync>;

/// What it got.
#[derive(Default)]
pub(crate) struct Got {
    pub(crate) logs: Vec<ResourceLogs>,
    pub(crate) headers: Vec<MetadataMap>,
    /// Those that the client of each request showed.
    pub(crate) certificates: Vec<Vec<Vec<u8>>>,
}

struct Service {
    answers: Answers,
    got: Arc<Mutex<Got>>,
    asked: Mutex<usize>,
}

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            *asked += 1;
            *asked - 1
        };
        let (wait, answer) = (self.answers)(number);
        tokio::time::sleep(wait).await;
        let answer = answer?;
        let shown = request.peer_certs().unwrap_or_default();
        let (headers, _, message) = request.into_parts();
        let mut got = self.got.lock().unwrap();
        got.logs.extend(message.resource_logs);
        got.headers.push(headers);
        got.certificates.push(shown.iter().map(|certificate| certificate.to_vec()).collect());
        Ok(Response::new(answer))
    }
}

/// A collector at work; it leaves, without a word, when dropped.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    pub(crate) got: Arc<Mutex<Got>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

pub(crate) fn takes_all() -> Answers {
    Box::new(|_| (Duration::ZERO, Ok(ExportLogsServiceResponse::default())))
}

impl Collector {
    /// At `address`, whose port may be 0, encrypted where that is given.
    pub(crate) fn start(address: &str, tls: Option<ServerTlsConfig>, answers: Answers) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::<Mutex<Got>>::default();
        let service = Service { answers, got: Arc::clone(&got), asked: Mutex::default() };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let mut server = Server::builder();
            if let Some(tls) = tls {
                server = server.tls_config(tls).unwrap();
            }
            let service = LogsServiceServer::new(service).accept_compressed(CompressionEncoding::Gzip);
            let serve = server.add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
            runtime.block_on(async {
                tokio::select! {
                    served = serve => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address, got, stop: Some(stop), thread: Some(thread) }
    }

    /// All records so far.
    pub(crate) fn records(&self) -> Vec<LogRecord> {
        let got = self.got.lock().unwrap();
        let scopes = got.logs.iter().flat_map(|logs| &logs.scope_logs);
        scopes.flat_map(|scope| scope.log_records.clone()).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

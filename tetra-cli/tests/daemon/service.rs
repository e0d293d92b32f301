//! A service on a Unix socket that answers as told and remembers what it was asked, and `tetra` run against it.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use api::convert::EncodedEvent;
use api::wire;
use api::wire::event_log_service_server::{EventLogService, EventLogServiceServer};
use api::wire::fine_guidance_sensors_server::{FineGuidanceSensors, FineGuidanceSensorsServer};
use api::wire::{get_debug_response, set_debug_request, set_debug_response};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

/// What the service was asked, as text.
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

#[derive(Debug, Clone)]
pub(crate) struct Service {
    asked: Asked,
    events: Vec<wire::GetEventsResponse>,
}

impl Service {
    fn note(&self, request: &impl std::fmt::Debug) {
        self.asked.lock().unwrap().push(format!("{request:?}"));
    }
}

type Answer<'f, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'f>>;

/// Methods that answer with an empty message and note what they were asked.
macro_rules! noted {
    ($($method:ident($request:ident) -> $response:ident;)+) => {
        // As `async_trait` would write it: it does not see into this macro.
        $(fn $method<'a, 'f>(&'a self, request: Request<wire::$request>) -> Answer<'f, wire::$response>
        where
            'a: 'f,
        {
            self.note(&request.into_inner());
            Box::pin(async { Ok(Response::new(wire::$response::default())) })
        })+
    };
}

#[tonic::async_trait]
impl FineGuidanceSensors for Service {
    type GetEventsStream = Pin<Box<dyn Stream<Item = Result<EncodedEvent, Status>> + Send>>;

    async fn get_events(
        &self,
        request: Request<wire::GetEventsRequest>,
    ) -> Result<Response<Self::GetEventsStream>, Status> {
        let request = request.into_inner();
        self.note(&request);
        let events: Vec<_> = self.events.iter().map(|event| Ok(EncodedEvent::from(event))).collect();
        let events = tokio_stream::iter(events);
        // The filter says whether the stream ends.
        let asks = |end: &str| request.allow_list.iter().any(|filter| filter.policy_names == [end]);
        let rest = tokio_stream::pending().take(usize::from(asks("endless")));
        let error =
            tokio_stream::once(Err(Status::unavailable("going down"))).take(usize::from(asks("broken")));
        Ok(Response::new(Box::pin(events.chain(rest).chain(error))))
    }

    async fn get_health(
        &self,
        _request: Request<wire::GetHealthStatusRequest>,
    ) -> Result<Response<wire::GetHealthStatusResponse>, Status> {
        let status = |details: &str| wire::HealthStatus { details: details.to_owned(), event: 1, status: 1 };
        let health_status = vec![status("running"), status("lost hook: 3\nmissed exec: 0")];
        Ok(Response::new(wire::GetHealthStatusResponse { health_status }))
    }

    async fn add_tracing_policy(
        &self,
        request: Request<wire::AddTracingPolicyRequest>,
    ) -> Result<Response<wire::AddTracingPolicyResponse>, Status> {
        let request = request.into_inner();
        self.note(&request);
        if request.yaml.contains("bad") {
            return Err(Status::unknown("policy.yaml:3:7: unknown field \u{1b}[31m\n  | bad"));
        }
        Ok(Response::new(wire::AddTracingPolicyResponse {}))
    }

    async fn list_tracing_policies(
        &self,
        request: Request<wire::ListTracingPoliciesRequest>,
    ) -> Result<Response<wire::ListTracingPoliciesResponse>, Status> {
        self.note(&request.into_inner());
        let policy = wire::TracingPolicyStatus {
            name: "p".to_owned(),
            state: 1,
            mode: 1,
            kernel_memory_bytes: 1_500,
            ..wire::TracingPolicyStatus::default()
        };
        Ok(Response::new(wire::ListTracingPoliciesResponse { policies: vec![policy] }))
    }

    async fn get_version(
        &self,
        _request: Request<wire::GetVersionRequest>,
    ) -> Result<Response<wire::GetVersionResponse>, Status> {
        Ok(Response::new(wire::GetVersionResponse { version: "v9".to_owned() }))
    }

    async fn list_domains(
        &self,
        _request: Request<wire::ListDomainsRequest>,
    ) -> Result<Response<wire::ListDomainsResponse>, Status> {
        let domains = ["grpc", "k8s", "static"].map(str::to_owned).to_vec();
        Ok(Response::new(wire::ListDomainsResponse { domains }))
    }

    async fn list_sensors(
        &self,
        _request: Request<wire::ListSensorsRequest>,
    ) -> Result<Response<wire::ListSensorsResponse>, Status> {
        Err(Status::unimplemented("no sensors"))
    }

    async fn get_debug(
        &self,
        request: Request<wire::GetDebugRequest>,
    ) -> Result<Response<wire::GetDebugResponse>, Status> {
        let request = request.into_inner();
        self.note(&request);
        let process = wire::ProcessInternal { color: "inUse".to_owned(), ..wire::ProcessInternal::default() };
        let arg = match request.flag() {
            wire::ConfigFlag::LogLevel => get_debug_response::Arg::Level(wire::LogLevel::Info.into()),
            wire::ConfigFlag::DumpProcessCache => {
                get_debug_response::Arg::Processes(wire::DumpProcessCacheResArgs {
                    processes: vec![process.clone(), process],
                })
            }
        };
        Ok(Response::new(wire::GetDebugResponse { flag: request.flag, arg: Some(arg) }))
    }

    async fn set_debug(
        &self,
        request: Request<wire::SetDebugRequest>,
    ) -> Result<Response<wire::SetDebugResponse>, Status> {
        let request = request.into_inner();
        let arg =
            request.arg.map(|set_debug_request::Arg::Level(level)| set_debug_response::Arg::Level(level));
        Ok(Response::new(wire::SetDebugResponse { flag: request.flag, arg }))
    }

    noted! {
        delete_tracing_policy(DeleteTracingPolicyRequest) -> DeleteTracingPolicyResponse;
        configure_tracing_policy(ConfigureTracingPolicyRequest) -> ConfigureTracingPolicyResponse;
        enable_tracing_policy(EnableTracingPolicyRequest) -> EnableTracingPolicyResponse;
        disable_tracing_policy(DisableTracingPolicyRequest) -> DisableTracingPolicyResponse;
        enable_sensor(EnableSensorRequest) -> EnableSensorResponse;
        disable_sensor(DisableSensorRequest) -> DisableSensorResponse;
        remove_sensor(RemoveSensorRequest) -> RemoveSensorResponse;
        get_info(GetInfoRequest) -> GetInfoResponse;
        runtime_hook(RuntimeHookRequest) -> RuntimeHookResponse;
    }
}

#[tonic::async_trait]
impl EventLogService for Service {
    async fn get_event_log_params(
        &self,
        _request: Request<wire::GetEventLogParamsRequest>,
    ) -> Result<Response<wire::GetEventLogParamsResponse>, Status> {
        let settings = wire::GetEventLogParamsResponse {
            max_size: 10,
            rotation_interval: "1h0m0s".to_owned(),
            max_backups: 5,
        };
        Ok(Response::new(settings))
    }

    async fn set_event_log_params(
        &self,
        request: Request<wire::SetEventLogParamsRequest>,
    ) -> Result<Response<wire::SetEventLogParamsResponse>, Status> {
        self.note(&request.into_inner());
        Ok(Response::new(wire::SetEventLogParamsResponse {}))
    }
}

/// A service that notes what it is asked, and has one event.
pub(crate) fn service(asked: Asked) -> Service {
    let exec = r#"{"process_exec":{"process":{"binary":"/bin/x","arguments":"a\u001b b"}},"node_name":"n"}"#;
    Service { asked, events: vec![api::json::read_message(exec.as_bytes()).unwrap()] }
}

/// A service on a socket of its own, until dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    folder: tempfile::TempDir,
    asked: Asked,
    _runtime: tokio::runtime::Runtime,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    /// A service on the socket `x.sock` in `folder`.
    pub(crate) fn start_in(folder: tempfile::TempDir) -> Self {
        let asked = Asked::default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let service = service(Arc::clone(&asked));
        let path = folder.path().join("x.sock");
        // Bound before the first call, so that no call is too early.
        let listener = runtime.block_on(async { tokio::net::UnixListener::bind(path) }).unwrap();
        runtime.spawn(async move {
            let incoming = UnixListenerStream::new(listener);
            let settings = EventLogServiceServer::new(service.clone());
            let service = FineGuidanceSensorsServer::new(service);
            let server = tonic::transport::Server::builder().add_service(service).add_service(settings);
            server.serve_with_incoming(incoming).await
        });
        Self { folder, asked, _runtime: runtime }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("x.sock")
    }

    pub(crate) fn tetra(&self, words: &[&str]) -> Output {
        tetra(&self.socket(), words)
    }

    /// A file of the daemon's folder with that text.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn asked(&self) -> String {
        self.asked.lock().unwrap().join("\n")
    }
}

pub(crate) fn tetra(socket: &Path, words: &[&str]) -> Output {
    command(socket, words).output().unwrap()
}

/// `tetra WORDS` with the daemon at `socket`, to be run.
pub(crate) fn command(socket: &Path, words: &[&str]) -> Command {
    command_at(&format!("unix://{}", socket.display()), words)
}

/// `tetra WORDS` with the daemon at that address, to be run.
pub(crate) fn command_at(address: &str, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tetra"));
    command
        .args(["--retries", "0", "--timeout", "5s", "--server-address", address])
        .args(words)
        .stdin(Stdio::null());
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output of a run that must succeed.
pub(crate) fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Standard error of a run that must fail with code 1.
pub(crate) fn refused(output: &Output) -> String {
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""));
    text(&output.stderr)
}

pub(crate) fn serde_json_line(text: &str) -> serde_json::Value {
    assert!(text.ends_with('\n') && text.lines().count() == 1);
    serde_json::from_str(text).unwrap()
}

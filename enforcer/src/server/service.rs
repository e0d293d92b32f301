//! The gRPC service: one method a call, each handed on to the file that knows it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::wire::event_log_service_server::EventLogServiceServer;
use api::wire::fine_guidance_sensors_server::{FineGuidanceSensors, FineGuidanceSensorsServer};
use api::wire::{
    AddTracingPolicyRequest, AddTracingPolicyResponse, ConfigFlag, ConfigureTracingPolicyRequest,
    ConfigureTracingPolicyResponse, DeleteTracingPolicyRequest, DeleteTracingPolicyResponse,
    DisableSensorRequest, DisableSensorResponse, DisableTracingPolicyRequest, DisableTracingPolicyResponse,
    EnableSensorRequest, EnableSensorResponse, EnableTracingPolicyRequest, EnableTracingPolicyResponse,
    GetDebugRequest, GetDebugResponse, GetEventsRequest, GetHealthStatusRequest, GetHealthStatusResponse,
    GetInfoRequest, GetInfoResponse, GetVersionRequest, GetVersionResponse, ListDomainsRequest,
    ListDomainsResponse, ListSensorsRequest, ListSensorsResponse, ListTracingPoliciesRequest,
    ListTracingPoliciesResponse, RemoveSensorRequest, RemoveSensorResponse, RuntimeHookRequest,
    RuntimeHookResponse, SetDebugRequest, SetDebugResponse,
};
use bpf_probes::kernel::FeatureSet;
use tokio::sync::Semaphore;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tracing_policy::source::MAX_BYTES;

use super::containers::Containers;
use super::event_log::EventLogs;
use super::events::EventStream;
use super::observed::Observed;
use super::socket::BoundSocket;
use super::{debug, health, incoming, info, policies, processes};
use crate::log::LevelControl;
use crate::policy::Policies;
use crate::sinks::EventLog;

/// Largest message in bytes that the server takes: a policy of the largest size, and what is around it.
pub const MAX_REQUEST: usize = MAX_BYTES + 64 * 1024;

/// What the service works with. Clones share everything.
#[derive(Clone, Debug)]
pub struct Service {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    observed: Observed,
    policies: Policies,
    containers: Containers,
    features: FeatureSet,
    settings: Vec<(String, String)>,
    listener_queue: usize,
    level: LevelControl,
    listeners: AtomicU64,
    /// One list of processes is made at a time.
    dumps: Semaphore,
}

impl Service {
    /// A service that shows `observed`, asks `policies` and learns of `containers`. `features` and `settings` are what it tells of the kernel and of itself;
    /// `listener_queue` is how many events wait for a listener at most; `level` is how much the daemon logs.
    pub fn new(
        observed: Observed,
        policies: Policies,
        containers: Containers,
        features: FeatureSet,
        settings: Vec<(String, String)>,
        listener_queue: usize,
        level: LevelControl,
    ) -> Self {
        let shared = Shared {
            observed,
            policies,
            containers,
            features,
            settings,
            listener_queue,
            level,
            listeners: AtomicU64::new(0),
            dumps: Semaphore::new(1),
        };
        Self { shared: Arc::new(shared) }
    }
}

/// Serves `service`, and the service of the export file `log`, on one socket until `stop`, and then until the streams have ended.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve(
    service: Service,
    log: Option<EventLog>,
    socket: BoundSocket,
    stop: CancellationToken,
) -> io::Result<()> {
    let log = EventLogServiceServer::new(EventLogs::new(log));
    let server = FineGuidanceSensorsServer::new(service).max_decoding_message_size(MAX_REQUEST);
    let router = Server::builder().add_service(server).add_service(log);
    let served = match &socket {
        BoundSocket::Unix(unix) => {
            let incoming = UnixListenerStream::new(unix.listener()?);
            router.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await
        }
        BoundSocket::Loopback(tcp) => {
            let incoming = incoming::open(tcp.listener()?)?;
            router.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await
        }
        BoundSocket::Tls(tcp, tls) => {
            let incoming = incoming::encrypted(tcp.listener()?, Arc::clone(tls))?;
            router.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await
        }
    };
    drop(socket);
    served.map_err(io::Error::other)
}

fn deprecated(call: &str) -> Status {
    Status::unimplemented(format!("{call} is not supported: sensors come and go with their policies"))
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl FineGuidanceSensors for Service {
    type GetEventsStream = EventStream;

    async fn get_events(&self, request: Request<GetEventsRequest>) -> Answer<EventStream> {
        let number = self.shared.listeners.fetch_add(1, Ordering::Relaxed) + 1;
        let name = format!("grpc-{number}");
        let Observed { hub, node, .. } = &self.shared.observed;
        EventStream::open(hub, node, request.get_ref(), name, self.shared.listener_queue).map(Response::new)
    }

    async fn get_health(&self, request: Request<GetHealthStatusRequest>) -> Answer<GetHealthStatusResponse> {
        Ok(Response::new(health::health(&self.shared.observed, request.get_ref())))
    }

    async fn add_tracing_policy(
        &self,
        request: Request<AddTracingPolicyRequest>,
    ) -> Answer<AddTracingPolicyResponse> {
        policies::add(&self.shared.policies, request.into_inner()).await?;
        Ok(Response::new(AddTracingPolicyResponse {}))
    }

    async fn delete_tracing_policy(
        &self,
        request: Request<DeleteTracingPolicyRequest>,
    ) -> Answer<DeleteTracingPolicyResponse> {
        let DeleteTracingPolicyRequest { name, namespace, domain } = request.into_inner();
        policies::remove(&self.shared.policies, policies::identity(namespace, name, &domain)?).await?;
        Ok(Response::new(DeleteTracingPolicyResponse {}))
    }

    async fn list_tracing_policies(
        &self,
        request: Request<ListTracingPoliciesRequest>,
    ) -> Answer<ListTracingPoliciesResponse> {
        Ok(Response::new(policies::list(&self.shared.observed, request.get_ref())))
    }

    async fn configure_tracing_policy(
        &self,
        request: Request<ConfigureTracingPolicyRequest>,
    ) -> Answer<ConfigureTracingPolicyResponse> {
        policies::configure(&self.shared.policies, request.into_inner()).await?;
        Ok(Response::new(ConfigureTracingPolicyResponse {}))
    }

    async fn enable_tracing_policy(
        &self,
        request: Request<EnableTracingPolicyRequest>,
    ) -> Answer<EnableTracingPolicyResponse> {
        let EnableTracingPolicyRequest { name, namespace, domain } = request.into_inner();
        let identity = policies::identity(namespace, name, &domain)?;
        policies::enable(&self.shared.policies, identity, true).await?;
        Ok(Response::new(EnableTracingPolicyResponse {}))
    }

    async fn disable_tracing_policy(
        &self,
        request: Request<DisableTracingPolicyRequest>,
    ) -> Answer<DisableTracingPolicyResponse> {
        let DisableTracingPolicyRequest { name, namespace, domain } = request.into_inner();
        let identity = policies::identity(namespace, name, &domain)?;
        policies::enable(&self.shared.policies, identity, false).await?;
        Ok(Response::new(DisableTracingPolicyResponse {}))
    }

    async fn list_sensors(&self, _: Request<ListSensorsRequest>) -> Answer<ListSensorsResponse> {
        Err(deprecated("ListSensors"))
    }

    async fn enable_sensor(&self, _: Request<EnableSensorRequest>) -> Answer<EnableSensorResponse> {
        Err(deprecated("EnableSensor"))
    }

    async fn disable_sensor(&self, _: Request<DisableSensorRequest>) -> Answer<DisableSensorResponse> {
        Err(deprecated("DisableSensor"))
    }

    async fn remove_sensor(&self, _: Request<RemoveSensorRequest>) -> Answer<RemoveSensorResponse> {
        Err(deprecated("RemoveSensor"))
    }

    async fn list_domains(&self, _: Request<ListDomainsRequest>) -> Answer<ListDomainsResponse> {
        Ok(Response::new(ListDomainsResponse { domains: policies::domains(&self.shared.observed) }))
    }

    async fn get_version(&self, _: Request<GetVersionRequest>) -> Answer<GetVersionResponse> {
        Ok(Response::new(GetVersionResponse { version: info::VERSION.to_owned() }))
    }

    async fn get_info(&self, _: Request<GetInfoRequest>) -> Answer<GetInfoResponse> {
        Ok(Response::new(info::info(&self.shared.features, &self.shared.settings)))
    }

    async fn runtime_hook(&self, request: Request<RuntimeHookRequest>) -> Answer<RuntimeHookResponse> {
        self.shared.containers.hook(request.into_inner(), &self.shared.policies).await?;
        Ok(Response::new(RuntimeHookResponse {}))
    }

    async fn get_debug(&self, request: Request<GetDebugRequest>) -> Answer<GetDebugResponse> {
        let request = request.into_inner();
        if request.flag == i32::from(ConfigFlag::DumpProcessCache) {
            return processes::dump(&self.shared.observed, &self.shared.dumps, request)
                .await
                .map(Response::new);
        }
        debug::get(&self.shared.level, request).map(Response::new)
    }

    async fn set_debug(&self, request: Request<SetDebugRequest>) -> Answer<SetDebugResponse> {
        debug::set(&self.shared.level, request.get_ref()).map(Response::new)
    }
}

//! A collector by gRPC.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Uri};
use tonic::{Code, Extensions, Request, Status};
use tonic_types::StatusExt as _;
use tower::service_fn;

use super::client::{Compression, Failure, MAX_ANSWER, why};
use super::connector::Connector;

/// How often a silent connection is asked whether somebody is there.
const ASK: Duration = Duration::from_secs(30);
/// How long the answer to that may take.
const ANSWER: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Grpc {
    service: LogsServiceClient<Channel>,
    headers: MetadataMap,
}

impl Grpc {
    /// Connects when it is first used, and again whenever it has to. To be called where tokio runs.
    pub(super) fn new(
        connector: Connector,
        headers: MetadataMap,
        compression: Compression,
        timeout: Duration,
    ) -> Self {
        let origin = connector.endpoint.uri().clone();
        // tonic would encrypt for https what already is
        let channel = Channel::builder(Uri::from_static("http://collector"))
            .origin(origin)
            .connect_timeout(timeout)
            .http2_keep_alive_interval(ASK)
            .keep_alive_timeout(ANSWER)
            .connect_with_connector_lazy(service_fn(move |_| connector.clone().connect()));
        let service = LogsServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER);
        let service = match compression {
            Compression::None => service,
            Compression::Gzip => service.send_compressed(CompressionEncoding::Gzip),
        };
        Self { service, headers }
    }

    pub(super) async fn export(
        &mut self,
        message: ExportLogsServiceRequest,
    ) -> Result<ExportLogsServiceResponse, Failure> {
        let request = Request::from_parts(self.headers.clone(), Extensions::default(), message);
        let answer = self.service.export(request).await.map_err(|status| failure(&status))?;
        Ok(answer.into_inner())
    }
}

/// Which answers ask for another attempt: <https://opentelemetry.io/docs/specs/otlp/#failures>.
fn failure(status: &Status) -> Failure {
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let reason = format!("{:?}: {}", status.code(), why_of(status));
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Failure::Later(reason, asked),
        Code::ResourceExhausted if asked.is_some() => Failure::Later(reason, asked),
        // A broken connection, not an answer.
        Code::Unknown | Code::Internal if std::error::Error::source(status).is_some() => {
            Failure::Later(reason, asked)
        }
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal
        | Code::Unauthenticated => Failure::Refused(reason),
    }
}

/// What a status says and comes from.
fn why_of(status: &Status) -> String {
    let source = std::error::Error::source(status).map(why).unwrap_or_default();
    let text = [status.message(), &source].into_iter().filter(|text| !text.is_empty());
    text.collect::<Vec<_>>().join(": ")
}

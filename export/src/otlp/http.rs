//! A collector by HTTP: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.

use std::io::Write as _;
use std::time::Duration;

use flate2::write::GzEncoder;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use prost::Message as _;
use tonic::metadata::MetadataMap;

use super::client::{Compression, Failure, MAX_ANSWER, why};
use super::connector::Connector;

const PROTOBUF: &str = "application/x-protobuf";
const AGENT: &str = concat!("enforcer/", env!("CARGO_PKG_VERSION"));

#[derive(Debug)]
pub(super) struct Http {
    connector: Connector,
    path: Uri,
    headers: HeaderMap,
    compression: Compression,
    /// Where the last answer came over, for the next request.
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Http {
    pub(super) fn new(connector: Connector, headers: MetadataMap, compression: Compression) -> Self {
        let mut headers = headers.into_headers();
        let host = HeaderValue::from_str(connector.endpoint.authority());
        headers.insert(header::HOST, host.expect("letters of an address are letters of a header"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        if compression == Compression::Gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Self { path: connector.endpoint.path(), connector, headers, compression, connection: None }
    }

    pub(super) async fn export(
        &mut self,
        message: ExportLogsServiceRequest,
    ) -> Result<ExportLogsServiceResponse, Failure> {
        let mut request = Request::new(Full::from(self.body(&message)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        request.headers_mut().clone_from(&self.headers);
        let broken = |error: hyper::Error| Failure::Later(why(&error), None);
        let mut connection = self.connection().await?;
        let response = connection.send_request(request).await.map_err(broken)?;
        let answer = Answer::read(response).await?;
        // one that was not read to its end, or not waited for, closes
        self.connection = answer.body.is_some().then_some(connection);
        answer.result()
    }

    /// The last connection if it is still there, or a new one.
    async fn connection(&mut self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        if let Some(mut last) = self.connection.take()
            && last.ready().await.is_ok()
        {
            return Ok(last);
        }
        let stream = self.connector.clone().connect().await;
        let stream = stream.map_err(|error| Failure::Later(why(&error), None))?;
        let (sender, driver) =
            http1::handshake(stream).await.map_err(|error| Failure::Later(why(&error), None))?;
        // it ends with the sender, who is told how
        drop(tokio::spawn(driver));
        Ok(sender)
    }

    fn body(&self, message: &ExportLogsServiceRequest) -> Vec<u8> {
        let plain = message.encode_to_vec();
        match self.compression {
            Compression::None => plain,
            Compression::Gzip => gzip(&plain),
        }
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    let packed = encoder.write_all(plain).and_then(|()| encoder.finish());
    packed.expect("memory takes what is written")
}

/// What a collector said.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// `None`: longer than any answer.
    body: Option<Bytes>,
}

impl Answer {
    async fn read(response: Response<Incoming>) -> Result<Self, Failure> {
        let (head, body) = response.into_parts();
        let body = match Limited::new(body, MAX_ANSWER).collect().await {
            Ok(whole) => Some(whole.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => None,
            Err(error) => return Err(Failure::Later(why(error.as_ref()), None)),
        };
        Ok(Self { status: head.status, headers: head.headers, body })
    }

    fn result(self) -> Result<ExportLogsServiceResponse, Failure> {
        let kind = self.kind().to_owned();
        let body = self.body.as_ref();
        match (self.status, body) {
            (StatusCode::OK, Some(body)) if kind == PROTOBUF => {
                ExportLogsServiceResponse::decode(body.as_ref())
                    .map_err(|error| Failure::Refused(format!("{}: {error}", self.status)))
            }
            // of those who take events and say nothing, or not in protobuf
            (status, Some(body))
                if status.is_success() && (body.is_empty() || kind == "application/json") =>
            {
                Ok(ExportLogsServiceResponse::default())
            }
            (status, _) if status.is_success() => {
                Err(Failure::Refused(format!("{status}: {kind:?} is no answer of a collector")))
            }
            (
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT,
                _,
            ) => Err(Failure::Later(self.reason(), self.pause())),
            _ => Err(Failure::Refused(self.reason())),
        }
    }

    /// The type of the body, without its parameters.
    fn kind(&self) -> &str {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim()
    }

    /// How long to wait, where it is given in seconds.
    fn pause(&self) -> Option<Duration> {
        let seconds = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
        seconds.trim().parse().map(Duration::from_secs).ok()
    }

    /// The status and what is said about it.
    fn reason(&self) -> String {
        let body = self.body.clone().unwrap_or_default();
        let said = match tonic_types::Status::decode(body.clone()) {
            Ok(status) if self.kind() == PROTOBUF => status.message,
            _ => String::from_utf8_lossy(&body).trim().to_owned(),
        };
        if said.is_empty() { self.status.to_string() } else { format!("{}: {said}", self.status) }
    }
}

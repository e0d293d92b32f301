//! Calls to the daemon.

use std::future::Future;
use std::sync::mpsc::{Receiver, sync_channel};
use std::task::Poll;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::wire;
use api::wire::event_log_service_client::EventLogServiceClient;
use api::wire::fine_guidance_sensors_client::FineGuidanceSensorsClient;
use hyper_util::rt::TokioIo;
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Response, Status, Streaming};

use super::tls::{self, Tls};
use super::{Address, AddressError, CallError};
use crate::args::Connection;
use crate::print::notice;

/// First wait before trying again; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait before trying again.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The generated client.
pub(crate) type Service = FineGuidanceSensorsClient<Channel>;

/// The daemon at an address. Connects anew for each call: a command makes one.
#[derive(Debug)]
pub(crate) struct Client {
    address: Address,
    tls: Option<Tls>,
    timeout: Duration,
    retries: u32,
    max_message: usize,
    debug: bool,
}

impl Client {
    /// The daemon that the command line names.
    pub(crate) fn new(connection: &Connection) -> Result<Self, AddressError> {
        let address = Address::find(connection)?;
        let tls = match &address {
            Address::Tcp(host) => Tls::new(connection, host)?,
            Address::Unix(_) if tls::is_wanted(connection) => {
                return Err(AddressError::NotEncrypted { address });
            }
            Address::Unix(_) => None,
        };
        Ok(Self {
            address,
            tls,
            timeout: connection.timeout(),
            retries: connection.retries,
            max_message: connection.max_recv_size,
            debug: connection.debug,
        })
    }

    /// One call, tried again while the daemon is not there. Blocks.
    pub(crate) fn call<T>(
        &self,
        make: impl AsyncFn(Service) -> Result<Response<T>, Status>,
    ) -> Result<T, CallError> {
        self.wait(&async |channel| make(self.service(channel)).await)
    }

    /// The same of the service that has the settings of the daemon's file of events.
    pub(crate) fn call_event_log<T>(
        &self,
        make: impl AsyncFn(EventLogServiceClient<Channel>) -> Result<Response<T>, Status>,
    ) -> Result<T, CallError> {
        self.wait(&async |channel| make(EventLogServiceClient::new(channel)).await)
    }

    fn wait<T>(&self, make: &impl AsyncFn(Channel) -> Result<Response<T>, Status>) -> Result<T, CallError> {
        block_on(async {
            tokio::select! {
                result = self.with_retries(make) => result,
                interrupted = interruption() => Err(interrupted?),
            }
        })
    }

    /// Opens a stream of events, tried again while the daemon is not there.
    pub(crate) async fn events(
        &self,
        request: &wire::GetEventsRequest,
    ) -> Result<Streaming<wire::GetEventsResponse>, CallError> {
        self.with_retries(&async |channel| self.service(channel).get_events(request.clone()).await).await
    }

    fn service(&self, channel: Channel) -> Service {
        FineGuidanceSensorsClient::new(channel).max_decoding_message_size(self.max_message)
    }

    /// What an error within a stream means.
    pub(crate) fn stream_error(&self, status: &Status) -> CallError {
        CallError::of_status(&self.address, status)
    }

    async fn with_retries<T>(
        &self,
        make: &impl AsyncFn(Channel) -> Result<Response<T>, Status>,
    ) -> Result<T, CallError> {
        let mut wait = FIRST_WAIT;
        for _ in 0..self.retries {
            let error = match self.once(make).await {
                Err(error) if error.may_pass() => error,
                result => return result,
            };
            let pause = jittered(wait);
            if self.debug {
                notice(&format!("{error}; trying again in {:.1} s", pause.as_secs_f32()));
            }
            tokio::time::sleep(pause).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        self.once(make).await
    }

    async fn once<T>(
        &self,
        make: &impl AsyncFn(Channel) -> Result<Response<T>, Status>,
    ) -> Result<T, CallError> {
        let call = async {
            let response = make(self.connect().await?).await;
            response.map(Response::into_inner).map_err(|status| CallError::of_status(&self.address, &status))
        };
        let late = |_elapsed| CallError::Timeout {
            address: self.address.clone(),
            seconds: self.timeout.as_secs_f32(),
        };
        tokio::time::timeout(self.timeout, call).await.map_err(late)?
    }

    async fn connect(&self) -> Result<Channel, CallError> {
        let failed = |error| CallError::of_connection(&self.address, &error);
        let host = match &self.address {
            Address::Unix(_) => {
                let endpoint = Endpoint::new(self.address.to_string()).map_err(failed)?;
                return endpoint.connect().await.map_err(failed);
            }
            Address::Tcp(host) => host,
        };
        let endpoint = Endpoint::new(format!("http://{host}")).map_err(failed)?;
        let Some(tls) = self.tls.clone() else { return endpoint.connect().await.map_err(failed) };
        let host = host.clone();
        let connect = tower::service_fn(move |_: Uri| {
            let (tls, host) = (tls.clone(), host.clone());
            async move { tls.connect(host).await.map(TokioIo::new) }
        });
        endpoint.connect_with_connector(connect).await.map_err(failed)
    }
}

/// Runs `future` on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(CallError::Runtime)?.block_on(future)
}

/// Waits for SIGINT or SIGTERM.
pub(crate) async fn interruption() -> Result<CallError, CallError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CallError::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CallError::Runtime)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(CallError::Interrupted)
}

/// Tells of SIGINT and SIGTERM from now on, for a command that does more than one call: a call takes both for as long as this process lives.
pub(crate) fn interruptions() -> Receiver<CallError> {
    let (send, receive) = sync_channel(1);
    let (ready, wait) = sync_channel(1);
    thread::spawn(move || {
        let waited = block_on(async {
            let mut signals = std::pin::pin!(interruption());
            // Polled once, the signals are taken.
            let first = std::future::poll_fn(|context| Poll::Ready(signals.as_mut().poll(context))).await;
            // Whoever asks waits for it.
            ready.send(()).unwrap_or_default();
            match first {
                Poll::Ready(ended) => ended,
                Poll::Pending => signals.await,
            }
        });
        // Nobody asks any more where the command is done.
        drop(send.send(waited.unwrap_or_else(|error| error)));
    });
    // Where there is no runtime, `receive` says so.
    wait.recv().unwrap_or_default();
    receive
}

/// `wait`, made up to a quarter longer, so that many clients do not come back at the same moment.
fn jittered(wait: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    wait + wait.mul_f64(f64::from(nanos % 1000) / 4000.0)
}

//! The thread that sends: one batch at a time, again and again until the collector takes it, refuses it, or the time is over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use tokio::sync::watch;
use tonic::metadata::MetadataMap;
use tonic::{Code, Extensions, Request, Status};
use tonic_types::StatusExt as _;

use super::client::{Client, why};
use super::pause::Pauses;
use super::queue::{Batch, Queue};
use super::record::Source;
use crate::siem::Form;

/// Between attempts at the end.
const HURRY: Duration = Duration::from_millis(100);

/// The moment after which nothing is sent any more, once it is known.
pub(super) type End = watch::Receiver<Option<Instant>>;

/// Sends what a queue holds.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) queue: Arc<Queue>,
    /// Exchanged when the connection is to be made anew.
    pub(super) client: Arc<Mutex<Client>>,
    pub(super) headers: MetadataMap,
    pub(super) source: Source,
    pub(super) form: Form,
    /// How long an answer may take.
    pub(super) timeout: Duration,
    pub(super) end: End,
}

/// Why a batch did not arrive.
enum Failure {
    /// It may arrive another time, and not before so long.
    Later(String, Option<Duration>),
    /// The collector will never take it.
    Refused(String),
}

impl Sender {
    /// Sends until the end is asked for and the queue is empty, or the time is over; gives up what then is left.
    pub(super) async fn run(mut self) {
        while let Some(batch) = self.next().await {
            self.deliver(batch).await;
            if is_over(&self.end) {
                break;
            }
        }
        self.queue.give_up();
    }

    /// The next batch; none when the end was asked for and nothing is left.
    async fn next(&mut self) -> Option<Batch> {
        loop {
            let ending = self.end.borrow().is_some();
            let due = match self.queue.batch(ending) {
                Ok(batch) => return Some(batch),
                Err(_) if ending => return None,
                Err(due) => due,
            };
            tokio::select! {
                () = self.queue.changed() => {}
                () = until(due) => {}
                () = asked(&mut self.end) => {}
            }
        }
    }

    async fn deliver(&mut self, batch: Batch) {
        let mut pauses = Pauses::new();
        loop {
            let (reason, after) = match self.attempt(&batch).await {
                Ok((rejected, reason)) => {
                    let taken = batch.lines.len().saturating_sub(rejected);
                    return self.queue.settle(&batch, taken, reason);
                }
                Err(Failure::Refused(reason)) => return self.queue.settle(&batch, 0, Some(reason)),
                Err(Failure::Later(reason, after)) => (reason, after),
            };
            if is_over(&self.end) {
                return self.queue.settle(&batch, 0, Some(reason));
            }
            self.queue.note(reason);
            let ending = self.end.borrow().is_some();
            let pause = if ending { HURRY } else { pauses.take(after) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = asked(&mut self.end), if !ending => {}
            }
        }
    }

    /// Sends a batch once; how many events of it were refused, and why.
    async fn attempt(&mut self, batch: &Batch) -> Result<(usize, Option<String>), Failure> {
        let logs = self.source.logs(batch.lines.iter(), self.form);
        let message = ExportLogsServiceRequest { resource_logs: vec![logs] };
        let request = Request::from_parts(self.headers.clone(), Extensions::default(), message);
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let late = format!("no answer within {} ms", self.timeout.as_millis());
        let answer = tokio::select! {
            answer = tokio::time::timeout(self.timeout, client.export(request)) => answer,
            () = over(&mut self.end) => return Err(Failure::Later("the daemon ends".to_owned(), None)),
        };
        let answer =
            answer.map_err(|_late| Failure::Later(late, None))?.map_err(|status| failure(&status))?;
        let partial = answer.into_inner().partial_success.unwrap_or_default();
        let rejected = usize::try_from(partial.rejected_log_records).unwrap_or_default();
        let reason = (rejected > 0).then(|| format!("the collector refused some: {}", partial.error_message));
        Ok((rejected, reason))
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

/// What a status says and comes from, in some hundred characters: it is foreign text.
fn why_of(status: &Status) -> String {
    let source = std::error::Error::source(status).map(why).unwrap_or_default();
    let text = [status.message(), &source].into_iter().filter(|text| !text.is_empty());
    let text = text.collect::<Vec<_>>().join(": ");
    text.chars().filter(|letter| !letter.is_control()).take(300).collect()
}

fn is_over(end: &End) -> bool {
    end.borrow().is_some_and(|at| Instant::now() >= at)
}

/// Returns at `due`, or never.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Returns when the end is asked for.
async fn asked(end: &mut End) {
    // whoever could ask is gone: so is whoever could hear
    let _nobody = end.wait_for(Option::is_some).await;
}

/// Returns when the time is over.
async fn over(end: &mut End) {
    asked(end).await;
    let at = *end.borrow();
    until(at).await;
}

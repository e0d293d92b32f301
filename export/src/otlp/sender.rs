//! The thread that sends: one batch at a time, again and again until the collector takes it, refuses it, or the time is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use tokio::sync::watch;

use super::client::{Client, Failure};
use super::pause::Pauses;
use super::queue::{Batch, Queue};
use super::record::Source;
use super::sink::OtlpOptions;

/// Letters of what a collector says that are told further.
const TOLD: usize = 300;
/// Between attempts at the end.
const HURRY: Duration = Duration::from_millis(100);

/// The moment after which nothing is sent any more, once it is known.
pub(super) type End = watch::Receiver<Option<Instant>>;

/// Sends what a queue holds.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) queue: Arc<Queue>,
    pub(super) options: Arc<OtlpOptions>,
    /// None before the first request, and when the connection is to be made anew.
    pub(super) client: Option<Client>,
    /// Whether it is.
    pub(super) anew: Arc<AtomicBool>,
    pub(super) source: Source,
    pub(super) end: End,
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
                Err(Failure::Refused(reason)) => {
                    return self.queue.settle(&batch, 0, Some(self.told(&reason)));
                }
                Err(Failure::Later(reason, after)) => (self.told(&reason), after),
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
        let logs = self.source.logs(batch.lines.iter(), self.options.form);
        let message = ExportLogsServiceRequest { resource_logs: vec![logs] };
        if self.anew.swap(false, Ordering::Relaxed) {
            self.client = None;
        }
        let client = self.client.get_or_insert_with(|| Client::new(&self.options));
        let late = format!("no answer within {} ms", self.options.timeout.as_millis());
        let answer = tokio::select! {
            answer = tokio::time::timeout(self.options.timeout, client.export(message)) => answer,
            () = over(&mut self.end) => return Err(Failure::Later("the daemon ends".to_owned(), None)),
        };
        let partial =
            answer.map_err(|_late| Failure::Later(late, None))??.partial_success.unwrap_or_default();
        let rejected = usize::try_from(partial.rejected_log_records).unwrap_or_default();
        let why = || self.told(&format!("the collector refused some: {}", partial.error_message));
        Ok((rejected, (rejected > 0).then(why)))
    }

    /// Some hundred letters of foreign text, without the secrets that it may repeat.
    fn told(&self, text: &str) -> String {
        let plain: String = text.chars().filter(|letter| !letter.is_control()).collect();
        self.options.headers.hide(plain).chars().take(TOLD).collect()
    }
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

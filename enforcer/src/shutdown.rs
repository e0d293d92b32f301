//! The end: what stops in which order, how long it may take, and what was lost.
//!
//! Sources first: policies and base programs are detached. Then the rings are read empty, the event path publishes and closes its hub, sinks and streams
//! read to their end, the servers close. Each step has a deadline; what is left behind by it is said.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::daemon::tell_supervisor;
use crate::host::PidFile;
use crate::kernel::{Base, Keep};
use crate::pipeline::{PipelineHandle, Summary};
use crate::policy::PolicyThread;
use crate::server::{Observed, complaints};
use crate::sinks::SinkThread;

/// Time for sinks to write what they have.
const SINK_GRACE: Duration = Duration::from_secs(3);
/// Time for streams and connections to end.
const SERVER_GRACE: Duration = Duration::from_secs(2);
/// Between two looks at whether the event path is alive and nothing is lost.
const CHECK: Duration = Duration::from_secs(5);
/// Between two complaints about losses.
const COMPLAIN: Duration = Duration::from_mins(1);

/// What is to be stopped, in this order, and the place that is freed last.
#[derive(Debug)]
pub struct Drain {
    policies: PolicyThread,
    base: Base,
    pipeline: PipelineHandle,
    sinks: Vec<SinkThread>,
    keep: Arc<Keep>,
    /// Freed when all is done.
    pid_file: PidFile,
}

/// How the daemon ended.
#[derive(Clone, Debug, Default)]
#[must_use = "its exit code is the daemon's"]
pub struct Report {
    /// What the event path did.
    pub summary: Summary,
    /// What went wrong on the way, in words.
    pub faults: Vec<String>,
}

impl Report {
    /// Whether everything ended as it should.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

/// The signals that ask for the end, and the one that asks for files to be opened anew.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal that asks for the end.
    async fn next(&mut self) -> &'static str {
        next_end(&mut self.terminate, &mut self.interrupt).await
    }
}

async fn next_end(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

/// The tasks that serve.
pub(crate) type Servers = JoinSet<io::Result<()>>;

impl Drain {
    /// What a running daemon stops when it ends.
    pub(crate) const fn new(
        pid_file: PidFile,
        base: Base,
        pipeline: PipelineHandle,
        sinks: Vec<SinkThread>,
        policies: PolicyThread,
        keep: Arc<Keep>,
    ) -> Self {
        Self { policies, base, pipeline, sinks, keep, pid_file }
    }

    /// Ends what an earlier daemon left running; to be called once this one does the same.
    pub(crate) fn take_over(&self) {
        self.keep.release_others();
    }

    /// Stops everything at once, for a daemon that did not come up.
    pub(crate) fn abandon(self) {
        let report = self.drain();
        tracing::debug!(read = report.summary.totals.read(), "stopped before it was ready");
    }

    /// Waits for a signal, then drains. A second signal ends the waiting. `ready` is called as soon as a signal would not go unnoticed.
    pub(crate) async fn run(
        self,
        mut servers: Servers,
        stop: CancellationToken,
        observed: Observed,
        ready: impl FnOnce(),
    ) -> Report {
        let mut signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => {
                let faults = vec![format!("signals cannot be received: {error}")];
                self.abandon();
                return Report { faults, ..Report::default() };
            }
        };
        ready();
        let mut faults = self.wait(&mut signals, &mut servers, &observed).await;
        tell_supervisor(NotifyState::Stopping);
        self.keep.leave();
        let mut drained = tokio::task::spawn_blocking(move || self.drain());
        let mut report = tokio::select! {
            drained = &mut drained => drained.unwrap_or_else(|error| Report {
                faults: vec![format!("stopping failed: {error}")],
                ..Report::default()
            }),
            name = signals.next() => Report {
                faults: vec![format!("a second {name} cut the drain short")],
                ..Report::default()
            },
        };
        stop.cancel();
        let ended = async { while servers.join_next().await.is_some() {} };
        if tokio::time::timeout(SERVER_GRACE, ended).await.is_err() {
            tracing::info!("clients that do not leave are cut off");
        }
        faults.append(&mut report.faults);
        report.faults = faults;
        tell(&report, &observed);
        report
    }

    /// Waits for a reason to end; returns what went wrong until then.
    async fn wait(&self, signals: &mut Signals, servers: &mut Servers, observed: &Observed) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = tokio::time::interval(CHECK);
        let mut losses = Losses::default();
        loop {
            tokio::select! {
                name = next_end(&mut signals.terminate, &mut signals.interrupt) => {
                    tracing::info!("stopping on {name}");
                    return faults;
                }
                _ = signals.hangup.recv() => self.sinks.iter().for_each(SinkThread::reopen),
                Some(ended) = servers.join_next(), if !servers.is_empty() => {
                    let reason = match ended {
                        Ok(Ok(())) => "it ended by itself".to_owned(),
                        Ok(Err(error)) => error.to_string(),
                        Err(error) => error.to_string(),
                    };
                    tracing::error!("a server does not answer any more: {reason}");
                    faults.push(format!("a server stopped: {reason}"));
                }
                _ = check.tick() => {
                    if self.pipeline.is_finished() {
                        faults.push("the event path ended by itself".to_owned());
                        return faults;
                    }
                    losses.watch(observed);
                }
            }
        }
    }

    /// Stops the parts in order. Blocks.
    fn drain(self) -> Report {
        let Self { policies, mut base, pipeline, sinks, keep, pid_file } = self;
        let mut faults = Vec::new();
        if policies.stop().is_err() {
            faults.push("the policy thread panicked".to_owned());
        }
        base.detach();
        pipeline.stop();
        let summary = pipeline.join();
        if summary.panicked {
            faults.push("the event path panicked".to_owned());
        }
        let deadline = Instant::now() + SINK_GRACE;
        for sink in sinks {
            let name = sink.name().to_owned();
            if !sink.join(deadline) {
                faults.push(format!("{name} did not take all events in time"));
            }
        }
        drop(base);
        drop(keep);
        drop(pid_file);
        Report { summary, faults }
    }
}

/// What was missing when it was last complained about.
#[derive(Debug, Default)]
struct Losses {
    told: u64,
    when: Option<Instant>,
}

impl Losses {
    /// Logs what is lost, when it has grown and the last complaint is some time ago.
    fn watch(&mut self, observed: &Observed) {
        let missing = observed.missing();
        if missing <= self.told || self.when.is_some_and(|when| when.elapsed() < COMPLAIN) {
            return;
        }
        *self = Self { told: missing, when: Some(Instant::now()) };
        for line in complaints(observed) {
            tracing::warn!("{line}");
        }
    }
}

/// Says what became of the events, and what was lost.
fn tell(report: &Report, observed: &Observed) {
    let Summary { totals, lost_by_subscribers, cut_short, .. } = &report.summary;
    let lost: u64 = observed.losses().into_iter().map(|(_, lost)| lost).sum();
    tracing::info!(
        records = totals.read(),
        events = totals.events(),
        lost_in_kernel = lost,
        lost_by_listeners = lost_by_subscribers,
        "enforcer stopped"
    );
    if *cut_short {
        tracing::warn!("the rings were not empty when the time to read them was over");
    }
    for fault in &report.faults {
        tracing::error!("{fault}");
    }
}

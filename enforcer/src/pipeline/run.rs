//! The thread that all stages share.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::clock::{Clock, SystemClock};
use super::config::Config;
use super::counters::{PipelineCounters, Totals};
use super::identify::Replay;
use super::inspect::{Asked, Inspector};
use super::layout::Layouts;
use super::publish::{BATCH, Hub};
use super::read::{Merge, Next, Sources, Stop, Waiter};
use super::stages::Stages;

/// How long a record that is being written may hold up the other ring.
const PATIENCE: Duration = Duration::from_millis(200);
/// Between two looks at a record that is being written.
const PAUSE: Duration = Duration::from_micros(50);
/// How long observations gather, once some came, before they are read. Meanwhile no program is held up to wake this
/// thread (some 1 500 instructions of `irq_work` and `try_to_wake_up`, in the midst of the program); the first record
/// after a quiet time wakes it at once, and so does each of enforcement.
const GATHER: Duration = Duration::from_millis(10);

/// How long after its time a cgroup is let go where no record came meanwhile, in nanoseconds: records that gather could still say otherwise.
const LATE: u64 = 200_000_000;

/// Why a pipeline could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No descriptor to wake it with.
    #[error("no eventfd could be made to wake the event thread: {0}")]
    Wake(Errno),
    /// No thread.
    #[error("the event thread could not be started: {0}")]
    Thread(io::Error),
}

/// The event path of the daemon.
#[derive(Debug)]
pub struct Pipeline;

impl Pipeline {
    /// Starts the thread: it publishes the processes of `replay`, and then what comes from `sources`, until it is stopped.
    ///
    /// # Errors
    /// When the kernel gives no descriptor or no thread.
    pub fn spawn(
        config: Config,
        sources: Sources,
        layouts: Arc<Layouts>,
        hub: Hub,
        replay: Replay,
    ) -> Result<PipelineHandle, SpawnError> {
        Self::spawn_with(config, sources, layouts, hub, replay, Box::new(SystemClock))
    }

    /// The same with clocks of one's own.
    ///
    /// # Errors
    /// As [`Pipeline::spawn`].
    pub fn spawn_with(
        config: Config,
        sources: Sources,
        layouts: Arc<Layouts>,
        hub: Hub,
        replay: Replay,
        clock: Box<dyn Clock>,
    ) -> Result<PipelineHandle, SpawnError> {
        let stop = Stop::new().map_err(SpawnError::Wake)?;
        let counters = Arc::new(PipelineCounters::default());
        let asked = Arc::new(Asked::new());
        let inspector = Inspector::new(Arc::clone(&asked), stop.clone());
        let (stopping, counted) = (stop.clone(), Arc::clone(&counters));
        let work = move || {
            let stages = Stages::new(&config, layouts, &replay, &*clock, hub.returned());
            let merge = Merge::new(sources);
            Reader { config, stages, merge, hub, clock, stop: stopping, counters: counted, asked }
                .run(&replay)
        };
        let thread =
            thread::Builder::new().name("events".to_owned()).spawn(work).map_err(SpawnError::Thread)?;
        Ok(PipelineHandle { stop, counters, inspector, thread })
    }
}

/// The owner's end of a running pipeline.
#[derive(Debug)]
pub struct PipelineHandle {
    stop: Stop,
    counters: Arc<PipelineCounters>,
    inspector: Inspector,
    thread: JoinHandle<Summary>,
}

/// What a pipeline did.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// What became of every record.
    pub totals: Totals,
    /// Events that subscribers lost.
    pub lost_by_subscribers: u64,
    /// The rings were not empty at the end of the time given for it.
    pub cut_short: bool,
    /// The thread panicked; the rest is as of its last batch.
    pub panicked: bool,
}

impl PipelineHandle {
    /// Asks for the end: what the rings hold is still published. Detach the programs first.
    pub fn stop(&self) {
        self.stop.ask();
    }

    /// What became of every record so far.
    pub fn counters(&self) -> Arc<PipelineCounters> {
        Arc::clone(&self.counters)
    }

    /// Who asks what processes are known.
    pub fn inspector(&self) -> Inspector {
        self.inspector.clone()
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end.
    pub fn join(self) -> Summary {
        let counters = self.counters;
        self.thread.join().unwrap_or_else(|_panic| Summary {
            totals: counters.totals(),
            panicked: true,
            ..Summary::default()
        })
    }
}

/// Closes the hub even if the thread panics, so that nobody waits for events for ever, nor for an answer.
struct CloseOnDrop(Hub, Arc<Asked>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
        self.1.close();
    }
}

struct Reader {
    config: Config,
    stages: Stages,
    merge: Merge,
    hub: Hub,
    clock: Box<dyn Clock>,
    stop: Stop,
    counters: Arc<PipelineCounters>,
    asked: Arc<Asked>,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pass {
    /// More may be there.
    Full,
    /// Both rings were empty.
    Empty,
    /// A record is being written.
    Busy,
}

impl Reader {
    fn run(mut self, replay: &Replay) -> Summary {
        let hub = CloseOnDrop(self.hub.clone(), Arc::clone(&self.asked));
        for running in std::iter::once(None).chain(replay.processes().iter().map(Some)) {
            self.stages.replay(replay, running);
            if self.stages.events().len() >= BATCH {
                self.publish();
            }
        }
        self.publish();
        let cut_short = self.read();
        self.publish();
        let lost_by_subscribers = hub.0.lost();
        Summary { totals: self.stages.totals().clone(), lost_by_subscribers, cut_short, panicked: false }
    }

    /// Reads until the end; says whether records were left.
    fn read(&mut self) -> bool {
        let waiter = Waiter::new(self.stop.clone());
        let mut next_step = Instant::now() + self.config.gc_interval;
        let mut busy_since: Option<Instant> = None;
        let mut deadline: Option<Instant> = None;
        loop {
            // Looked at before the rings: what came before the stop is read.
            let stopping = self.stop.asked();
            // After the wait, so that what ended it has the time of now.
            self.stages.refresh(&*self.clock);
            let impatient = busy_since.is_some_and(|since| since.elapsed() >= PATIENCE);
            let before = self.stages.totals().read();
            let pass = self.pass(impatient);
            let idle = self.stages.totals().read() == before;
            self.publish();
            self.asked.answer(|| self.stages.known());
            let now = Instant::now();
            if now >= next_step {
                self.stages.step();
                next_step = now + self.config.gc_interval;
            }
            let let_go = if pass == Pass::Empty { self.let_go() } else { Duration::MAX };
            if stopping {
                let deadline = *deadline.get_or_insert(now + self.config.drain_limit);
                if pass == Pass::Empty {
                    return false;
                }
                if now >= deadline {
                    return true;
                }
            }
            // What was passed is held while more gathers, so that programs see no reader who waits.
            let gathers = pass == Pass::Empty && !idle && !self.merge.crowded();
            if !gathers {
                self.merge.release();
            }
            match pass {
                Pass::Full => busy_since = None,
                Pass::Empty => {
                    busy_since = None;
                    self.stages.rings_were_empty();
                    if gathers {
                        waiter.wait(self.merge.urgent(), GATHER);
                    } else if idle && self.merge.is_empty() {
                        let step = next_step.saturating_duration_since(now);
                        waiter.wait(self.merge.sources(), step.min(let_go));
                    }
                }
                Pass::Busy => {
                    busy_since.get_or_insert(now);
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Lets throttled cgroups go whose time is over, and says how long it is until the next one's.
    fn let_go(&mut self) -> Duration {
        if self.stages.next_let_go() == u64::MAX {
            return Duration::MAX;
        }
        let now = self.clock.boot().saturating_sub(LATE);
        self.stages.let_go(now);
        self.publish();
        Duration::from_nanos(self.stages.next_let_go().saturating_sub(now))
    }

    /// Reads as much as makes a batch.
    fn pass(&mut self, impatient: bool) -> Pass {
        while self.stages.events().len() < BATCH {
            match self.merge.next(impatient) {
                Next::Record { record, unordered } => self.stages.record(record, unordered),
                Next::Empty => return Pass::Empty,
                Next::Busy => return Pass::Busy,
                Next::Corrupt(ring) => {
                    let bytes = self.merge.skip_all(ring);
                    self.stages.skipped(ring, bytes);
                }
            }
        }
        Pass::Full
    }

    fn publish(&mut self) {
        self.stages.count_published();
        if self.config.count_events {
            self.counters.count(self.stages.events());
        }
        self.counters.add_joined(self.stages.joined());
        self.hub.publish(self.stages.events());
        self.counters.store(self.stages.totals());
    }
}

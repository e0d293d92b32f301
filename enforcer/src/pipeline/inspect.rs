//! Who is in the table of processes: asked for by others, answered by the event path between two batches.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use api::event::ProcessRef;
use tokio::sync::oneshot;

use super::read::Stop;

/// How far a process is from being forgotten.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// It runs, or somebody refers to it.
    InUse,
    /// Nobody refers to it.
    Ended,
    /// It goes at the next step.
    Ready,
}

/// A process of the table.
#[derive(Clone, Debug)]
pub struct KnownProcess {
    /// What events show of it, with its references as of now.
    pub process: ProcessRef,
    /// How far it is from being forgotten.
    pub stage: Stage,
}

/// The event path has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the event path has ended")]
pub struct Ended;

type Answer = oneshot::Sender<Vec<KnownProcess>>;

/// Questions that wait.
#[derive(Debug, Default)]
pub(super) struct Asked {
    any: AtomicBool,
    /// `None` once nobody answers any more.
    waiting: Mutex<Option<Vec<Answer>>>,
}

impl Asked {
    pub(super) fn new() -> Self {
        Self { any: AtomicBool::new(false), waiting: Mutex::new(Some(Vec::new())) }
    }

    fn add(&self, answer: Answer) -> Result<(), Ended> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.as_mut().ok_or(Ended)?.push(answer);
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    /// Answers all with what `look` sees, which is not called if nobody asked.
    pub(super) fn answer(&self, look: impl FnOnce() -> Vec<KnownProcess>) {
        if !self.any.swap(false, Ordering::AcqRel) {
            return;
        }
        let waiting =
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(std::mem::take);
        let seen = look();
        for answer in waiting.into_iter().flatten() {
            // who does not wait any more needs none
            drop(answer.send(seen.clone()));
        }
    }

    /// Nobody answers from now on.
    pub(super) fn close(&self) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Asks the event path. Clones ask the same.
#[derive(Clone, Debug)]
pub struct Inspector {
    asked: Arc<Asked>,
    stop: Stop,
}

impl Inspector {
    pub(super) const fn new(asked: Arc<Asked>, stop: Stop) -> Self {
        Self { asked, stop }
    }

    /// The processes that are known, those that began first before the others. They share what they show with the table.
    ///
    /// # Errors
    /// [`Ended`] if the event path ends before it answers.
    pub async fn processes(&self) -> Result<Vec<KnownProcess>, Ended> {
        let (answer, answered) = oneshot::channel();
        self.asked.add(answer)?;
        self.stop.wake();
        answered.await.map_err(|_dropped| Ended)
    }
}

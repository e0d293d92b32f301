//! Asking what may make the asker wait: a helper thread answers, and the asker waits for a bounded time.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Helper threads that may be stuck at a time. Beyond that, there is no answer.
pub(crate) const MAX_STUCK: usize = 4;

struct Helper<Q, A> {
    questions: SyncSender<Q>,
    answers: Receiver<A>,
}

/// Asks with a helper thread.
pub(crate) struct Patience<Q, A> {
    name: &'static str,
    helper: Option<Helper<Q, A>>,
    /// Threads left behind.
    stuck: Vec<thread::JoinHandle<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl<Q, A> fmt::Debug for Patience<Q, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = formatter.debug_struct("Patience");
        out.field("name", &self.name).field("stuck", &self.stuck.len()).finish_non_exhaustive()
    }
}

impl<Q: Send + 'static, A: Send + 'static> Patience<Q, A> {
    /// With threads of this name.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, helper: None, stuck: Vec::new(), thread: None }
    }

    /// What `answer` makes of the question, if it comes within `limit`. It is the same function every time.
    pub(crate) fn ask(&mut self, question: Q, limit: Duration, answer: fn(&Q) -> A) -> Option<A> {
        if self.helper.is_none() {
            self.stuck.retain(|thread| !thread.is_finished());
            if self.stuck.len() >= MAX_STUCK {
                return None;
            }
            self.start(answer)?;
        }
        let helper = self.helper.as_ref()?;
        let answer =
            helper.questions.send(question).ok().and_then(|()| helper.answers.recv_timeout(limit).ok());
        if answer.is_none() {
            // It ends when it has read, as nobody asks it any more.
            self.helper = None;
            self.stuck.extend(self.thread.take());
        }
        answer
    }

    fn start(&mut self, answer: fn(&Q) -> A) -> Option<()> {
        let (questions, asked) = sync_channel::<Q>(1);
        let (answered, answers) = sync_channel(1);
        let work = move || {
            while let Ok(question) = asked.recv() {
                if answered.send(answer(&question)).is_err() {
                    return;
                }
            }
        };
        self.thread = Some(thread::Builder::new().name(self.name.to_owned()).spawn(work).ok()?);
        self.helper = Some(Helper { questions, answers });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MAX_STUCK, Patience};

    #[test]
    fn what_never_comes_is_given_up_and_only_so_many_threads_wait_for_it() {
        let hang: fn(&&str) -> usize = |question| {
            if *question == "hang" {
                std::thread::sleep(Duration::from_hours(1));
            }
            question.len()
        };
        let mut patience = Patience::new("test");
        assert_eq!(patience.ask("good", Duration::from_secs(20), hang), Some(4));
        for _ in 0..MAX_STUCK {
            assert!(patience.ask("hang", Duration::from_millis(50), hang).is_none());
        }
        assert!(patience.ask("good", Duration::from_millis(50), hang).is_none(), "too many are stuck");
        assert_eq!(patience.stuck.len(), MAX_STUCK);
    }
}

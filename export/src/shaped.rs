//! A sink that gets fewer events: the same ones joined, and no more than so many a minute.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use api::event::{Event, EventKind, Node, Timestamp};
use api::filter::{Aggregation, Offered};

use crate::limit::Limit;
use crate::sink::{Counters, OpenError, Sink, WriteError};

/// What stands in front of a sink.
#[derive(Debug, Default)]
pub struct Shape {
    /// Events that say the same are joined.
    pub aggregation: Option<Aggregation>,
    /// At most so many pass. What was held back is told by an event, a minute later.
    pub limit: Option<Limit>,
}

/// A sink with a shape in front.
#[derive(Debug)]
pub struct Shaped<S> {
    inner: S,
    shape: Shape,
    node: Arc<Node>,
    counters: Arc<Counters>,
}

impl<S: Sink> Shaped<S> {
    /// `inner` behind `shape`; events of its own come from `node`.
    pub fn new(inner: S, shape: Shape, node: Arc<Node>) -> Self {
        let counters = inner.counters();
        Self { inner, shape, node, counters }
    }

    /// Passes on what is held, and tells what was held back, where that is due by `now`; `None`: all.
    fn flush(&mut self, now: Option<Instant>) -> Result<(), WriteError> {
        let is_due = |due: Option<Instant>| due.is_some_and(|due| now.is_none_or(|now| due <= now));
        let mut result = Ok(());
        if let Some(aggregation) = self.shape.aggregation.as_mut().filter(|held| is_due(held.due())) {
            let held = aggregation.take();
            let limit = &mut self.shape.limit;
            let counters = &self.counters;
            let moment = now.unwrap_or_else(Instant::now);
            result = self.inner.write(&mut held.iter().filter(|_| admits(limit, moment, counters)));
        }
        if let Some(limit) = self.shape.limit.as_mut().filter(|limit| is_due(limit.due())) {
            let dropped = limit.take_dropped(now.unwrap_or_else(Instant::now));
            let event = Event::new(
                EventKind::RateLimit(dropped),
                Timestamp::from(SystemTime::now()),
                Arc::clone(&self.node),
            );
            result = result.and(self.inner.write(&mut std::iter::once(&event)));
        }
        result
    }
}

fn admits(limit: &mut Option<Limit>, now: Instant, counters: &Counters) -> bool {
    let admitted = limit.as_mut().is_none_or(|limit| limit.admits(now));
    if !admitted {
        counters.add_limited();
    }
    admitted
}

impl<S: Sink> Sink for Shaped<S> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn write(&mut self, events: &mut dyn Iterator<Item = &Event>) -> Result<(), WriteError> {
        let now = Instant::now();
        let Shape { aggregation, limit } = &mut self.shape;
        let counters = &self.counters;
        let mut passing = events
            .filter(|event| aggregation.as_mut().is_none_or(|held| held.offer(event, now) == Offered::Passes))
            .filter(|_| admits(limit, now, counters));
        let result = self.inner.write(&mut passing);
        result.and(self.flush(Some(now)))
    }

    fn due(&self) -> Option<Instant> {
        let held = self.shape.aggregation.as_ref().and_then(Aggregation::due);
        let limit = self.shape.limit.as_ref().and_then(Limit::due);
        [self.inner.due(), held, limit].into_iter().flatten().min()
    }

    fn tick(&mut self) -> Result<(), WriteError> {
        let result = self.flush(Some(Instant::now()));
        result.and(self.inner.tick())
    }

    fn reopen(&mut self) -> Result<(), OpenError> {
        self.inner.reopen()
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        let result = self.flush(None);
        result.and(self.inner.finish())
    }

    fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use api::event::{Event, EventKind, Node};
    use api::filter::Aggregation;
    use api::json::read_event;

    use super::{Shape, Shaped};
    use crate::limit::Limit;
    use crate::sink::{Counters, Sink, WriteError};

    /// Keeps what it gets.
    #[derive(Debug, Default)]
    struct Kept(Vec<Event>, Arc<Counters>);

    impl Sink for Kept {
        fn name(&self) -> &'static str {
            "kept"
        }

        fn write(&mut self, events: &mut dyn Iterator<Item = &Event>) -> Result<(), WriteError> {
            self.0.extend(events.cloned());
            Ok(())
        }

        fn finish(&mut self) -> Result<(), WriteError> {
            Ok(())
        }

        fn counters(&self) -> Arc<Counters> {
            Arc::clone(&self.1)
        }
    }

    fn events(texts: &[&str]) -> Vec<Event> {
        texts.iter().map(|text| read_event(text.as_bytes()).unwrap()).collect()
    }

    // proves: EVT-10, FLT-15, EXP-05 (rate)
    #[test]
    fn what_the_limit_holds_back_is_told_by_an_event() {
        let shape = Shape { limit: Some(Limit::new(2, Instant::now())), ..Shape::default() };
        let mut sink = Shaped::new(Kept::default(), shape, Arc::new(Node::named("n")));
        sink.write(&mut events(&[r#"{"test":{}}"#; 5]).iter()).unwrap();
        assert!(sink.due().unwrap() > Instant::now() + Duration::from_secs(30));
        sink.tick().unwrap();
        assert_eq!((sink.inner.0.len(), sink.counters().counts().limited), (2, 3), "not yet told");
        sink.finish().unwrap();
        let told = &sink.inner.0[2];
        assert_eq!((told.kind.clone(), &*told.node.name), (EventKind::RateLimit(3), "n"));
        assert!(told.time.is_some() && sink.inner.0.len() == 3);
    }

    // proves: FLT-16 (export)
    #[test]
    fn events_that_say_the_same_pass_once_when_their_window_is_over() {
        let kprobe = r#"{"process_kprobe":{"process":{"pid":1},"function_name":"f"}}"#;
        let aggregation = Some(Aggregation::new(Duration::ZERO, 10));
        let shape = Shape { aggregation, limit: None };
        let mut sink = Shaped::new(Kept::default(), shape, Arc::new(Node::named("n")));
        sink.write(&mut events(&[kprobe, r#"{"test":{}}"#, kprobe, kprobe]).iter()).unwrap();
        let got: Vec<_> = sink.inner.0.iter().map(|event| event.aggregated).collect();
        assert_eq!(got, [None, Some(3)], "what is not held comes first");
        assert_eq!(sink.due(), None);
        let shape = Shape { aggregation: Some(Aggregation::new(Duration::from_hours(1), 10)), limit: None };
        let mut sink = Shaped::new(Kept::default(), shape, Arc::new(Node::named("n")));
        sink.write(&mut events(&[kprobe]).iter()).unwrap();
        assert!(sink.due().is_some() && sink.inner.0.is_empty());
        sink.finish().unwrap();
        assert_eq!(sink.inner.0.len(), 1, "what is held at the end is not lost");
    }
}

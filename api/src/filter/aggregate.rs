//! Aggregation: events of hooks that say the same within a window become one, with their number.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::event::{Event, EventKind, ProcessRef};
use crate::json::write_event;
use crate::wire;

/// The window where nobody names one.
pub const AGGREGATION_WINDOW: Duration = Duration::from_secs(15);
/// Events held where nobody says how many.
pub const AGGREGATION_HELD: usize = 10_000;
/// Longest window: a timer can wait so long, and nobody waits longer for an event.
const LONGEST_WINDOW: Duration = Duration::from_hours(24);
/// Most events that are held.
const MOST_HELD: usize = 1 << 16;

/// Events that are held until their window is over. Two say the same when they differ in their times and in counts of references only.
///
/// Starts and ends of processes are never the same, and are not held.
#[derive(Debug)]
pub struct Aggregation {
    window: Duration,
    capacity: usize,
    /// The place of each in `held`, by its text without what may differ.
    known: HashMap<Box<[u8]>, usize>,
    held: Vec<Event>,
    /// When the oldest came.
    since: Option<Instant>,
    text: Vec<u8>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It is none that is held: it goes its way.
    Passes,
    /// It waits, or is counted in one that does.
    Held,
}

impl Aggregation {
    /// Holds at most `capacity` events (1 to 65 536), none longer than `window` (at most a day).
    pub fn new(window: Duration, capacity: usize) -> Self {
        Self {
            window: window.min(LONGEST_WINDOW),
            capacity: capacity.clamp(1, MOST_HELD),
            known: HashMap::new(),
            held: Vec::new(),
            since: None,
            text: Vec::new(),
        }
    }

    /// What a request asks for; what it leaves out has upstream's defaults.
    pub fn requested(options: &wire::AggregationOptions) -> Self {
        let window = options.window_size.and_then(|window| Duration::try_from(window).ok());
        let held = usize::try_from(options.channel_buffer_size).unwrap_or(usize::MAX);
        Self::new(
            window.filter(|window| !window.is_zero()).unwrap_or(AGGREGATION_WINDOW),
            if held == 0 { AGGREGATION_HELD } else { held },
        )
    }

    /// Takes `event`, if it is of a kind that is held. Call [`Aggregation::take`] when [`Aggregation::due`] says so.
    pub fn offer(&mut self, event: &Event, now: Instant) -> Offered {
        if !is_held(&event.kind) {
            return Offered::Passes;
        }
        let mut plain = event.clone();
        hook_processes(&mut plain.kind).into_iter().flatten().for_each(|process| process.refcnt = 0);
        plain.time = None;
        self.text.clear();
        write_event(&plain, &mut self.text);
        if let Some(first) = self.known.get(self.text.as_slice()).and_then(|&place| self.held.get_mut(place))
        {
            first.aggregated = Some(first.aggregated.unwrap_or(1) + event.aggregated.unwrap_or(1));
            return Offered::Held;
        }
        self.known.insert(self.text.as_slice().into(), self.held.len());
        self.held.push(event.clone());
        self.since.get_or_insert(now);
        Offered::Held
    }

    /// When what is held is to be taken; at once where no more fit.
    pub fn due(&self) -> Option<Instant> {
        let since = self.since?;
        if self.held.len() >= self.capacity { Some(since) } else { since.checked_add(self.window) }
    }

    /// All that is held, in the order in which the first of each came.
    pub fn take(&mut self) -> Vec<Event> {
        self.known.clear();
        self.since = None;
        std::mem::take(&mut self.held)
    }
}

/// Whether it is an event of a hook.
const fn is_held(kind: &EventKind) -> bool {
    match kind {
        EventKind::Kprobe(_)
        | EventKind::Tracepoint(_)
        | EventKind::Loader(_)
        | EventKind::Uprobe(_)
        | EventKind::Lsm(_)
        | EventKind::Usdt(_) => true,
        EventKind::Exec(_)
        | EventKind::Exit(_)
        | EventKind::Throttle(_)
        | EventKind::Test(_)
        | EventKind::RateLimit(_) => false,
    }
}

/// The processes that an event of a hook shows; `None` for others.
fn hook_processes(kind: &mut EventKind) -> Option<impl Iterator<Item = &mut ProcessRef>> {
    let (process, parent, ancestors) = match kind {
        EventKind::Kprobe(event) => (&mut event.process, &mut event.parent, &mut event.ancestors),
        EventKind::Tracepoint(event) => (&mut event.process, &mut event.parent, &mut event.ancestors),
        EventKind::Loader(event) => (&mut event.process, &mut event.parent, &mut event.ancestors),
        EventKind::Uprobe(event) => (&mut event.process, &mut event.parent, &mut event.ancestors),
        EventKind::Lsm(event) => (&mut event.process, &mut event.parent, &mut event.ancestors),
        EventKind::Usdt(event) => (&mut event.process, &mut event.parent, &mut event.ancestors),
        EventKind::Exec(_)
        | EventKind::Exit(_)
        | EventKind::Throttle(_)
        | EventKind::Test(_)
        | EventKind::RateLimit(_) => return None,
    };
    Some(std::iter::once(process).chain(parent).chain(ancestors))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::time::{Duration, Instant};

    use super::{AGGREGATION_WINDOW, Aggregation, Offered};
    use crate::event::{Event, Timestamp};
    use crate::json::read_event;
    use crate::wire::AggregationOptions;

    fn kprobe(pid: u32, path: &str, refcnt: u32) -> Event {
        let text = format!(
            r#"{{"process_kprobe":{{"process":{{"pid":{pid},"refcnt":{refcnt}}},"parent":{{"pid":1,"refcnt":{refcnt}}},
                "function_name":"f","args":[{{"file_arg":{{"path":"{path}"}}}}]}}}}"#
        );
        let mut event = read_event(text.as_bytes()).unwrap();
        event.time = Some(Timestamp::from_nanos(i64::from(refcnt)));
        event
    }

    // proves: FLT-16
    #[test]
    fn events_that_say_the_same_become_one_with_their_number() {
        let mut aggregation = Aggregation::new(Duration::from_secs(5), 10);
        let start = Instant::now();
        assert_eq!(aggregation.due(), None);
        for (pid, path, refcnt) in [(7, "/a", 1), (7, "/b", 2), (7, "/a", 3), (8, "/a", 4), (7, "/a", 5)] {
            assert_eq!(aggregation.offer(&kprobe(pid, path, refcnt), start), Offered::Held);
        }
        assert_eq!(aggregation.due(), Some(start + Duration::from_secs(5)));
        let taken = aggregation.take();
        let counts: Vec<_> = taken.iter().map(|event| event.aggregated).collect();
        assert_eq!(counts, [Some(3), None, None]);
        assert_eq!(taken[0].time, Some(Timestamp::from_nanos(1)), "the first of them");
        assert_eq!((aggregation.take().len(), aggregation.due()), (0, None));
    }

    #[test]
    fn starts_and_ends_of_processes_are_not_held() {
        let mut aggregation = Aggregation::new(Duration::from_secs(5), 10);
        for text in [r#"{"process_exec":{"process":{"pid":1}}}"#, r#"{"process_exit":{}}"#, r#"{"test":{}}"#]
        {
            let event = read_event(text.as_bytes()).unwrap();
            assert_eq!(aggregation.offer(&event, Instant::now()), Offered::Passes);
        }
    }

    #[test]
    fn a_window_is_a_day_at_most_and_what_nobody_names_has_a_default() {
        let window = |seconds: i64, nanos: i32| {
            let window_size = Some(prost_types::Duration { seconds, nanos });
            let options = AggregationOptions { window_size, channel_buffer_size: 0 };
            let mut aggregation = Aggregation::requested(&options);
            let start = Instant::now();
            assert_eq!(aggregation.offer(&kprobe(1, "/a", 1), start), Offered::Held);
            aggregation.due().unwrap() - start
        };
        assert_eq!(window(i64::MAX, 999_999_999), Duration::from_hours(24));
        assert_eq!(window(86_400, 1), Duration::from_hours(24));
        assert_eq!(window(2, 5), Duration::new(2, 5));
        assert_eq!([window(0, 0), window(-1, 0)], [AGGREGATION_WINDOW; 2]);
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut aggregation = Aggregation::new(Duration::from_hours(1), 2);
        let start = Instant::now();
        assert_eq!(aggregation.offer(&kprobe(1, "/a", 1), start), Offered::Held);
        assert!(aggregation.due().unwrap() > start);
        assert_eq!(aggregation.offer(&kprobe(2, "/a", 1), start), Offered::Held);
        assert_eq!(aggregation.due(), Some(start), "at once");
    }
}

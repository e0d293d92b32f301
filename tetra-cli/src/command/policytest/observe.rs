//! The events of a test, while it runs.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use api::wire;
use serde_json::Value;

use crate::client::{CallError, Client, block_on};

/// Events that wait to be looked at; more than a scenario makes.
const QUEUE: usize = 4_096;

/// A stream of the events of one policy, and of the ends of the stage's children.
#[derive(Debug)]
pub(super) struct Observer {
    events: Receiver<Result<Value, String>>,
}

impl Observer {
    /// Opens the stream. Events from now on are in it.
    pub(super) fn start(client: &Arc<Client>, policy: &str, token: &str) -> Result<Self, String> {
        let (send, events) = sync_channel(QUEUE);
        let (client, request) = (Arc::clone(client), request(policy, token));
        // Detached: it ends with the stream, or with the process, at the next event after the test is over.
        thread::spawn(move || {
            let followed = block_on(async {
                let mut stream = client.events(&request).await?;
                let broken = |status| client.stream_error(&status);
                // The first message of the channel: the stream is there.
                let mut message = Some(Value::Null);
                while let Some(event) = message {
                    if send.send(Ok(event)).is_err() {
                        return Ok(());
                    }
                    message = stream.message().await.map_err(broken)?.map(|event| json(&event));
                }
                Err(CallError::Refusal { message: "the stream of events ended".to_owned() })
            });
            if let Err(error) = followed {
                // Nobody asks any more where the test is over.
                drop(send.send(Err(error.to_string())));
            }
        });
        let observer = Self { events };
        observer.next(Instant::now() + Duration::from_secs(30))?;
        Ok(observer)
    }

    /// The policy's events about the process `pid`, up to its end.
    pub(super) fn until_exit(&self, pid: u32, patience: Duration) -> Result<Vec<Value>, String> {
        let until = Instant::now() + patience;
        let mut events = Vec::new();
        loop {
            let event = self.next(until)?;
            let of = |kind: &str| event[kind]["process"]["pid"].as_u64() == Some(pid.into());
            if of("process_exit") {
                return Ok(events);
            }
            if event.as_object().is_some_and(|fields| fields.keys().any(|kind| of(kind))) {
                events.push(event);
            }
        }
    }

    fn next(&self, until: Instant) -> Result<Value, String> {
        match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => Err(
                "the end of the process was not reported in time; is the daemon in another pid namespace?"
                    .to_owned(),
            ),
            Err(RecvTimeoutError::Disconnected) => Err("there are no events any more".to_owned()),
        }
    }
}

fn json(event: &wire::GetEventsResponse) -> Value {
    let text = api::json::write_message(event).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn request(policy: &str, token: &str) -> wire::GetEventsRequest {
    let of_policy = wire::Filter { policy_names: vec![policy.to_owned()], ..wire::Filter::default() };
    let exits = wire::Filter {
        event_set: vec![wire::EventType::ProcessExit.into()],
        arguments_regex: vec![format!("^policytest act {token} ")],
        ..wire::Filter::default()
    };
    wire::GetEventsRequest { allow_list: vec![of_policy, exits], ..wire::GetEventsRequest::default() }
}

//! The loop: events, seconds and keys, each followed by a picture.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use api::wire;
use bpf_probes::load::{RunStatistics, RunningProgram, running_programs};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event as TerminalEvent, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use tonic::Streaming;

use super::board::Board;
use super::keys::{Next, View};
use super::screen;
use crate::args::{Connection, Top};
use crate::client::{AddressError, CallError, Client, block_on, interruption};

/// How long a key may wait until the end is noticed.
const KEY_WAIT: Duration = Duration::from_millis(100);
/// So many keys wait to be looked at.
const KEYS: usize = 64;
/// Shortest interval.
const SHORTEST: Duration = Duration::from_millis(100);
/// Pause before the stream is opened again.
const REOPEN: Duration = Duration::from_secs(2);

/// Nothing can be watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopError {
    /// No usable address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No stream.
    #[error("cannot get events: {0}")]
    Call(#[from] CallError),
    /// No terminal.
    #[error("top needs a terminal; for a file or a pipe use `tetra getevents`")]
    NoTerminal,
    /// The terminal cannot be used.
    #[error("cannot use the terminal: {0}")]
    Terminal(io::Error),
}

/// Watches until the user has seen enough.
pub(crate) fn run(connection: &Connection, options: Top) -> Result<(), TopError> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(TopError::NoTerminal);
    }
    let client = Client::new(connection)?;
    block_on(async {
        // Asked for before the screen is taken, so that an error is seen.
        let stream = match client.events(&wire::GetEventsRequest::default()).await {
            Ok(stream) => stream,
            Err(error) => return Ok(Err(error.into())),
        };
        let result = match ratatui::try_init() {
            Ok(mut terminal) => watch(&client, stream, options.interval.max(SHORTEST), &mut terminal).await,
            Err(error) => Err(TopError::Terminal(error)),
        };
        ratatui::restore();
        Ok(result)
    })?
}

async fn watch(
    client: &Client,
    stream: Streaming<wire::GetEventsResponse>,
    interval: Duration,
    terminal: &mut DefaultTerminal,
) -> Result<(), TopError> {
    let (mut board, mut view) = (Board::default(), View::default());
    let statistics = RunStatistics::enable();
    let programs = || programs(statistics.as_ref().err().map(ToString::to_string));
    let (keys, mut pressed) = Keys::start();
    let (mut stream, mut began) = (Some(stream), Instant::now());
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut reopen = tokio::time::interval(REOPEN);
    let mut interrupted = Box::pin(interruption());
    let result = loop {
        tokio::select! {
            _ = &mut interrupted => break Ok(()),
            _ = ticks.tick() => {
                board.tick(programs(), began.elapsed());
                began = Instant::now();
            }
            key = pressed.recv() => match key.map(|key| view.key(key, &board)) {
                Some(Next::Draw) => {}
                Some(Next::Quit) | None => break Ok(()),
            },
            message = next(&mut stream) => {
                match message {
                    Ok(Some(event)) => if let Ok(event) = api::convert::from_wire(event) { board.add(&event); },
                    Ok(None) => (stream, board.trouble) = (None, Some("the stream of events ended".to_owned())),
                    Err(status) => {
                        let error = client.stream_error(&status);
                        (stream, board.trouble) = (None, Some(error.to_string()));
                    }
                }
                // Events are drawn with the next tick: there may be many.
                continue;
            }
            _ = reopen.tick(), if stream.is_none() => match client.events(&wire::GetEventsRequest::default()).await {
                Ok(opened) => (stream, board.trouble) = (Some(opened), None),
                Err(error) => board.trouble = Some(error.to_string()),
            },
        }
        if let Err(error) = terminal.draw(|frame| screen::draw(frame, &board, &view)) {
            break Err(TopError::Terminal(error));
        }
    };
    keys.stop();
    result
}

/// The next message; never, where there is no stream.
async fn next(
    stream: &mut Option<Streaming<wire::GetEventsResponse>>,
) -> Result<Option<wire::GetEventsResponse>, tonic::Status> {
    match stream {
        Some(stream) => stream.message().await,
        None => std::future::pending().await,
    }
}

fn programs(not_counted: Option<String>) -> Result<Vec<RunningProgram>, String> {
    let not_known =
        |reason: String| format!("the cost of programs is not known: {reason}; run tetra as root");
    match not_counted {
        Some(reason) => Err(not_known(reason)),
        None => running_programs().map_err(|error| not_known(error.to_string())),
    }
}

/// The thread that reads keys.
#[derive(Debug)]
struct Keys {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Keys {
    fn start() -> (Self, mpsc::Receiver<KeyCode>) {
        let (send, keys) = mpsc::channel(KEYS);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match event::poll(KEY_WAIT)
                    .and_then(|ready| if ready { event::read().map(Some) } else { Ok(None) })
                {
                    Ok(Some(TerminalEvent::Key(key))) if key.kind != KeyEventKind::Release => {
                        // The terminal sends no signal for it in raw mode.
                        let interrupt =
                            key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
                        let code = if interrupt { KeyCode::Esc } else { key.code };
                        if send.blocking_send(code).is_err() {
                            return;
                        }
                    }
                    Ok(Some(TerminalEvent::Resize(..))) => {
                        // A key that says nothing: what is there is drawn in the new size.
                        if send.blocking_send(KeyCode::Null).is_err() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(_closed) => return,
                }
            }
        });
        (Self { stop, thread }, keys)
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        // It waits for keys no longer than `KEY_WAIT`, and panics nowhere.
        drop(self.thread.join());
    }
}

//! The subcommands of `tetra debug` that ask the kernel.

use std::io::IsTerminal as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use bpf_probes::load::{RunStatistics, SysError, running_programs};
use serde_json::json;

use super::holdings::{HoldingsError, Ours};
use super::maps::MapReport;
use super::progs;
use crate::args::{Connection, Debug, Maps, Progs, TableFormat};
use crate::client::RUN_FOLDER;
use crate::command::answer::AnswerError;
use crate::command::dump;
use crate::command::look::Look;
use crate::print::{Output, OutputError, notice, timestamp};

/// How long between two looks, unless told otherwise.
const INTERVAL: Duration = Duration::from_secs(1);
/// Takes away what a terminal shows, and goes to its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Nothing could be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DebugError {
    /// The daemon's objects are not known.
    #[error(transparent)]
    Holdings(#[from] HoldingsError),
    /// The kernel did not answer.
    #[error("the kernel does not tell about its BPF programs: {0}; run tetra as root")]
    Kernel(#[from] SysError),
    /// The daemon did not answer.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The report has no JSON form.
    #[error("cannot show it as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// No output.
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// Does what `command` says.
pub(crate) fn run(connection: &Connection, command: &Debug) -> Result<(), DebugError> {
    match command {
        Debug::Maps(options) => maps(options),
        Debug::Progs(options) => programs(options, connection.timeout.unwrap_or(INTERVAL)),
        Debug::EnableStats => enable_statistics(),
        Debug::Dump(what) => Ok(dump::run(connection, what)?),
    }
}

fn maps(options: &Maps) -> Result<(), DebugError> {
    let report = MapReport::of_machine(&options.path, Path::new(RUN_FOLDER))?;
    let text = match options.output {
        TableFormat::Tab => report.tables(options.lines),
        TableFormat::Json => report.json()?,
    };
    Ok(Output::stdout().write_all(text.as_bytes())?)
}

/// Shows what programs took, after each `interval`.
fn programs(options: &Progs, interval: Duration) -> Result<(), DebugError> {
    let _counting = RunStatistics::enable()?;
    let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let ours = || {
        let find = || Ours::find(&options.bpf_dir, Path::new(RUN_FOLDER));
        (!options.all).then(find).transpose()
    };
    // Told before the first wait where there is no daemon.
    ours()?;
    let mut output = Output::stdout();
    let (mut began, mut look) = (Instant::now(), Look::new(&running_programs()?));
    loop {
        thread::sleep(interval);
        let (now, time) = (running_programs()?, began.elapsed());
        began = Instant::now();
        let overheads = look.until(&now, ours()?.as_ref(), time, cpus);
        look = Look::new(&now);
        let time = timestamp(SystemTime::now().into());
        let text = match options.output {
            TableFormat::Json => format!("{}\n", json!({ "time": time, "programs": overheads })),
            TableFormat::Tab => {
                let clear = if clears(options) { CLEAR } else { "" };
                format!("{clear}{time}\n\n{}", progs::table(&overheads, lines(options)))
            }
        };
        output.write_all(text.as_bytes())?;
        if options.once {
            return Ok(());
        }
    }
}

fn clears(options: &Progs) -> bool {
    !options.once && !options.no_clear && std::io::stdout().is_terminal()
}

/// As many programs as the terminal has lines for below the head.
fn lines(options: &Progs) -> usize {
    let height = ratatui::crossterm::terminal::size().map_or(usize::MAX, |(_, height)| usize::from(height));
    if clears(options) { height.saturating_sub(4) } else { usize::MAX }
}

/// Keeps the kernel counting until a signal ends this process, and with it the counting.
fn enable_statistics() -> Result<(), DebugError> {
    let _counting = RunStatistics::enable()?;
    notice("the kernel counts runs and time of BPF programs until this command is ended (Ctrl-C)");
    loop {
        thread::park();
    }
}

//! Gathers the items into the archive.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::SystemTime;

use super::archive::Archive;
use super::bounded::{PATIENCE, within};
use super::item::{Collected, Content, Item};
use super::{daemon, kernel, redact};
use crate::args::{Bugtool, Connection};
use crate::client::{CallError, interruptions};
use crate::print::{Output, OutputError, bytes, escape, notice, stamp};

/// There is no archive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BugtoolError {
    /// The file cannot be made.
    #[error("cannot make {path:?}: {source}; remove it, or name another with --out")]
    Create {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {path:?}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The user ended it, or signals cannot be waited for.
    #[error(transparent)]
    Ended(#[from] CallError),
    /// No output.
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// Makes the archive. It is not there where this fails.
pub(crate) fn run(connection: &Connection, options: &Bugtool) -> Result<(), BugtoolError> {
    let now = SystemTime::now();
    let folder = format!("tetragon-bugtool-{}", stamp(now.into()));
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let signals = interruptions();
    let archive = Archive::create(&options.out, &folder, seconds)
        .map_err(|source| BugtoolError::Create { path: options.out.clone(), source })?;
    let gathered = gather(archive, items(connection, options), &options.out, &signals)?;
    let Gathered { size, items, missing } = gathered;
    let events = if options.no_events { "" } else { ", and the last events with arguments of processes" };
    notice(&format!(
        "secrets were taken out where their names tell them; look through it before it leaves your hands: it has settings, policies{events}"
    ));
    let name = options.out.to_string_lossy();
    let line = format!(
        "{}: {items} items, {missing} of them missing (see their .err), {}\n",
        escape::visible(&name),
        bytes(size)
    );
    Ok(Output::stdout().write_all(line.as_bytes())?)
}

fn items(connection: &Connection, options: &Bugtool) -> Vec<Item> {
    let mut items = daemon::answers(connection);
    items.extend(daemon::described(options));
    items.extend(daemon::configuration());
    items.extend(daemon::objects());
    items.extend(daemon::bpftool(options.bpftool.as_ref()));
    items.extend(kernel::items());
    items.extend(daemon::extra());
    items
}

struct Gathered {
    /// Bytes of the file.
    size: u64,
    /// How many were wanted.
    items: usize,
    /// How many are not there.
    missing: usize,
}

/// Adds each item, or the reason why it is missing. A signal ends it.
fn gather(
    mut archive: Archive,
    mut wanted: Vec<Item>,
    path: &Path,
    signals: &Receiver<CallError>,
) -> Result<Gathered, BugtoolError> {
    let failed = |source| BugtoolError::Write { path: path.to_owned(), source };
    let (mut log, mut missing, mut items) = (String::new(), 0, 0);
    wanted.reverse();
    while let Some(Item { name, content, collect }) = wanted.pop() {
        match signals.try_recv() {
            Ok(ended) => return Err(ended.into()),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        items += 1;
        let collected = within(PATIENCE, collect);
        if name == "info.json" {
            wanted.extend(log_file(&collected));
        }
        let line = match collected {
            Ok(found) => {
                let found = if content == Content::Settings { without_secrets(&found) } else { found };
                archive.add(&name, &found).map_err(failed)?;
                format!("{name}: {}", bytes(found.len() as u64))
            }
            Err(error) => {
                missing += 1;
                let reason = redact::text(&format!("{error}\n"));
                archive.add(&format!("{name}.err"), reason.as_bytes()).map_err(failed)?;
                format!("{name}: missing: {error}")
            }
        };
        notice(&line);
        log.push_str(&redact::text(&line));
        log.push('\n');
    }
    archive.add("tetragon-bugtool.log", log.as_bytes()).map_err(failed)?;
    Ok(Gathered { size: archive.finish().map_err(failed)?, items, missing })
}

fn log_file(info: &Collected) -> Option<Item> {
    daemon::log_file(&serde_json::from_slice(info.as_ref().ok()?).ok()?)
}

fn without_secrets(found: &[u8]) -> Vec<u8> {
    redact::text(&String::from_utf8_lossy(found)).into_bytes()
}

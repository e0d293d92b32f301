//! `e2e-guest screen COLUMNS ROWS SECONDS KEYS COMMAND…`: what a command shows on a terminal, as one line of base64.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::expect::{Context as _, Failure, Outcome};
use nix::pty::{Winsize, openpty};

/// Ends the command that is shown.
const QUIT: &[u8] = b"q";
/// More than a screen is drawn with in some seconds.
const MOST: u64 = 4 << 20;

/// Runs the command on a terminal of that size, presses the keys after half of the seconds and `q` at their end, and prints all bytes that the command wrote.
pub(crate) fn show(columns: &str, rows: &str, seconds: &str, pressed: &str, command: &[&str]) -> Outcome {
    let size = Winsize {
        ws_row: rows.parse().context("rows")?,
        ws_col: columns.parse().context("columns")?,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let half = Duration::from_secs(seconds.parse().context("seconds")?) / 2;
    let [program, arguments @ ..] = command else { return Err(Failure("no command".to_owned())) };
    let terminal = openpty(Some(&size), None).context("openpty")?;
    let end = || terminal.slave.try_clone().map(Stdio::from);
    let mut child = Command::new(program)
        .args(arguments)
        .env("TERM", "xterm-256color")
        .stdin(end()?)
        .stdout(end()?)
        .stderr(end()?)
        .spawn()
        .context(program)?;
    drop(terminal.slave);
    let mut keys = File::from(terminal.master.try_clone()?);
    let shown = thread::spawn(move || read_all(terminal.master));
    thread::sleep(half);
    keys.write_all(pressed.as_bytes())?;
    thread::sleep(half);
    keys.write_all(QUIT)?;
    child.wait()?;
    let bytes = shown.join().map_err(|_panic| Failure("the reader panicked".to_owned()))?;
    crate::say(&STANDARD.encode(bytes));
    Ok(())
}

/// All that is written to a terminal until nobody holds its other end, which reads as an error.
fn read_all(terminal: OwnedFd) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ended = File::from(terminal).take(MOST).read_to_end(&mut bytes);
    bytes
}

//! The process whose children act. It does what lines on its standard input say, one after the other, and answers each with a line.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};

use super::act::{self, Act, SELF};

/// Longest line.
const LINE: u64 = 64 << 10;

/// How a process ended that acted.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Its number.
    pub(super) pid: u32,
    /// Its exit code; none where a signal ended it.
    pub(super) code: Option<i32>,
    /// The signal that ended it.
    pub(super) signal: Option<i32>,
}

/// The stage, seen from the runner; dropping it ends it.
#[derive(Debug)]
pub(super) struct Stage {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Stage {
    /// Starts a stage with children that events tell by `token`, a part of their arguments.
    pub(super) fn start(token: &str) -> io::Result<Self> {
        let mut child = Command::new(SELF)
            .args(["policytest", "stage", token])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take();
        let answers = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { child, orders, answers: BufReader::new(answers) })
    }

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has a child do the acts, and waits for its end.
    pub(super) fn act(&mut self, acts: &[Act]) -> io::Result<Ended> {
        let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(orders, "{}", serde_json::to_string(acts)?)?;
        orders.flush()?;
        let mut line = String::new();
        io::Read::take(&mut self.answers, LINE).read_line(&mut line)?;
        if line.is_empty() {
            return Err(io::Error::other(
                "the process that makes the acts has ended; did the policy kill it?",
            ));
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It ends with its input; a policy may have ended it before.
        self.orders = None;
        drop(self.child.wait());
    }
}

/// The stage itself: acts until the input ends.
pub(super) fn serve(token: &str, orders: impl BufRead, mut answers: impl Write) -> io::Result<()> {
    for order in orders.lines() {
        let mut child = act::command(token, &order?).stdin(Stdio::null()).spawn()?;
        let pid = child.id();
        let status = child.wait()?;
        let ended = Ended { pid, code: status.code(), signal: status.signal() };
        writeln!(answers, "{}", serde_json::to_string(&ended)?)?;
        answers.flush()?;
    }
    Ok(())
}

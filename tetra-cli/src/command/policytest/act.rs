//! What a process of a scenario does.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// The path to this program that works in other folders too.
pub(super) const SELF: &str = "/proc/self/exe";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// An act.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Act {
    /// Opens a file to read.
    Open(PathBuf),
    /// Makes a file, or opens it to write, and writes a byte.
    Write(PathBuf),
    /// Removes a file.
    Unlink(PathBuf),
    /// Makes a folder.
    Mkdir(PathBuf),
    /// Sets the position of an open file to so many bytes behind its start.
    Seek(u64),
    /// Connects to an address and port.
    Connect(SocketAddr),
    /// Becomes another user.
    Setuid(u32),
    /// Executes the runner's own program once more, which does nothing.
    Exec(String),
}

impl Act {
    /// Does it, in a process that events tell by `token`.
    fn run(&self, token: &str) -> io::Result<()> {
        match self {
            Self::Open(path) => File::open(path).map(drop),
            Self::Write(path) => OpenOptions::new().create(true).append(true).open(path)?.write_all(b"x"),
            Self::Unlink(path) => fs::remove_file(path),
            Self::Mkdir(path) => fs::create_dir(path),
            Self::Seek(offset) => File::open(SELF)?.seek(SeekFrom::Start(*offset)).map(drop),
            Self::Connect(address) => TcpStream::connect_timeout(address, CONNECT).map(drop),
            Self::Setuid(user) => Ok(nix::unistd::setuid((*user).into())?),
            Self::Exec(name) => Err(command(token, "[]").arg0(name).exec()),
        }
    }
}

/// The command of a process that does the acts that `json` lists. Its arguments have `token`, and so has what it executes: events of another
/// program's end name as parent the program that the process was before, and not the stage.
pub(super) fn command(token: &str, json: &str) -> Command {
    let mut command = Command::new(SELF);
    command.args(["policytest", "act", token, json]);
    command
}

/// Does the acts that `json` lists. Returns the error number of the first that failed, 0 where none did.
pub(super) fn run(token: &str, json: &str) -> u8 {
    let Ok(acts) = serde_json::from_str::<Vec<Act>>(json) else { return number(Errno::EINVAL as i32) };
    let failed = acts.iter().find_map(|act| act.run(token).err());
    failed.map_or(0, |error| number(error.raw_os_error().unwrap_or(Errno::EIO as i32)))
}

/// The number of an error as an exit code; all of Linux fit.
fn number(error: i32) -> u8 {
    u8::try_from(error).unwrap_or(u8::MAX)
}

/// The word for how a process of a scenario ended: `ok`, `killed`, the name of its error.
pub(super) fn outcome(code: Option<i32>) -> String {
    match code {
        None => "killed".to_owned(),
        Some(0) => "ok".to_owned(),
        Some(error) => format!("{:?}", Errno::from_raw(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::{outcome, run};

    #[test]
    fn acts_end_with_the_error_of_the_first_that_fails() {
        assert_eq!(run("t", r#"[{"open":"/proc/self/exe"},{"seek":4444}]"#), 0);
        let code = run("t", r#"[{"open":"/nonexistent"},{"connect":"127.0.0.1:1"}]"#);
        assert_eq!(outcome(Some(code.into())), "ENOENT");
        assert_eq!(outcome(Some(run("t", r#"[{"mkdir":"/proc/x"}]"#).into())), "ENOENT");
        assert_eq!(outcome(Some(run("t", "no json").into())), "EINVAL");
        assert_eq!((outcome(None), outcome(Some(0))), ("killed".to_owned(), "ok".to_owned()));
    }
}

//! The second serial port.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use e2e::vm::Message;
use nix::sys::termios::{self, SetArg};

/// The port, shared by the threads that forward lines.
#[derive(Debug)]
pub(crate) struct Port(Mutex<File>);

impl Port {
    /// Opens the port and stops the terminal layer from changing what is written.
    pub(crate) fn open() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/ttyS1")?;
        let mut settings = termios::tcgetattr(&file)?;
        termios::cfmakeraw(&mut settings);
        termios::tcsetattr(&file, SetArg::TCSANOW, &settings)?;
        Ok(Self(Mutex::new(file)))
    }

    /// Sends one line. A port that cannot be written leaves nobody to tell.
    pub(crate) fn send(&self, message: &Message) {
        let mut line = message.to_string();
        line.push('\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(file.write_all(line.as_bytes()));
    }

    /// Waits until all of it has left the machine.
    pub(crate) fn drain(&self) {
        let file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        termios::tcdrain(&*file).unwrap_or_default();
    }
}

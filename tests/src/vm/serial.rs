//! The lines on the second serial port: what the job says, the files it leaves, and how it ended.
//!
//! A line is a mark, a blank and text: `O` standard output, `E` standard error, `F name base64` a piece of a file.
//! The first line is `init: begins`. The last line is `init: success`, `init: failure CODE` or `init: broken REASON`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The command returned 0.
    Success,
    /// The command returned this code, or 128 plus the signal that ended it.
    Failure(i32),
    /// The command could not be run, or the machine not be prepared.
    Broken(String),
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A line of the command's standard output.
    Output(String),
    /// A line of the command's standard error.
    Error(String),
    /// The next piece of a file of [`OUT_DIR`](super::OUT_DIR).
    File {
        /// Its name, without blanks and slashes.
        name: String,
        /// The piece.
        piece: Vec<u8>,
    },
    /// The first line: the machine is prepared and the command is about to start.
    Begin,
    /// The last line.
    End(End),
}

impl Message {
    /// Reads one line; `None` for what is not of this protocol.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim_end_matches(['\r', '\n']);
        if line == "init: begins" {
            return Some(Self::Begin);
        }
        if let Some(end) = line.strip_prefix("init: ") {
            return end_of(end).map(Self::End);
        }
        let (mark, text) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            "O" => Some(Self::Output(text.to_owned())),
            "E" => Some(Self::Error(text.to_owned())),
            "F" => {
                let (name, piece) = text.split_once(' ')?;
                Some(Self::File { name: name.to_owned(), piece: STANDARD.decode(piece).ok()? })
            }
            _ => None,
        }
    }
}

fn end_of(text: &str) -> Option<End> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "success" => Some(End::Success),
        "failure" => rest.parse().ok().map(End::Failure),
        "broken" => Some(End::Broken(rest.to_owned())),
        _ => None,
    }
}

impl fmt::Display for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(text) => write!(formatter, "O {text}"),
            Self::Error(text) => write!(formatter, "E {text}"),
            Self::File { name, piece } => write!(formatter, "F {name} {}", STANDARD.encode(piece)),
            Self::Begin => write!(formatter, "init: begins"),
            Self::End(End::Success) => write!(formatter, "init: success"),
            Self::End(End::Failure(code)) => write!(formatter, "init: failure {code}"),
            Self::End(End::Broken(reason)) => write!(formatter, "init: broken {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Message};

    #[test]
    fn every_message_survives_being_written_and_read() {
        for message in [
            Message::Output("two  words".to_owned()),
            Message::Output(String::new()),
            Message::Error("init: success".to_owned()),
            Message::File { name: "btf".to_owned(), piece: vec![0, 10, 255] },
            Message::Begin,
            Message::End(End::Success),
            Message::End(End::Failure(137)),
            Message::End(End::Broken("no such file".to_owned())),
        ] {
            assert_eq!(Message::parse(&format!("{message}\r\n")), Some(message));
        }
    }

    #[test]
    fn foreign_lines_are_told_apart() {
        for line in ["", "[    0.1] Kernel panic", "F name", "F name ???", "init: maybe", "init: failure x"] {
            assert_eq!(Message::parse(line), None, "{line}");
        }
    }
}

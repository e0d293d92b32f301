//! Events from standard input, one JSON object a line.

use std::io::{self, BufRead, BufReader};

use api::convert::{from_wire, to_wire};
use api::event::Event;
use api::filter::{FieldFilters, FilterLists};
use api::json::read_event;

use super::{GetEventsError, Writer, request};
use crate::args::GetEvents;
use crate::print::notice;

/// Prints the events that the flags let pass. A line that is no event is passed over, and told of where `debug` asks for it.
pub(super) fn print(
    options: &GetEvents,
    max_line: usize,
    debug: bool,
    writer: &mut Writer,
) -> Result<(), GetEventsError> {
    let filters = FilterLists::compile(&[request::filter(options)], &[])?;
    let fields = FieldFilters::compile(&request::field_filters(options))?;
    let mut input = BufReader::with_capacity(256 << 10, io::stdin());
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        // Nothing more to read at once: let the reader of our output have what there is.
        if input.buffer().is_empty() {
            writer.flush()?;
        }
        number += 1;
        let skipped = |reason: &dyn std::fmt::Display| {
            if debug {
                notice(&format!("getevents: line {number} passed over: {reason}"));
            }
        };
        match read_line(&mut input, &mut line, max_line).map_err(GetEventsError::Input)? {
            Line::End => return Ok(writer.flush()?),
            Line::TooLong => skipped(&format!("longer than {max_line} bytes, see --max-recv-size")),
            Line::Whole if line.is_empty() => {}
            Line::Whole => match read_event(&line) {
                Ok(event) if filters.wants(&event) => writer.write(&masked(event, &fields))?,
                Ok(_) => {}
                Err(error) => skipped(&error),
            },
        }
    }
}

/// The event with the fields that are wanted.
fn masked(event: Event, fields: &FieldFilters) -> Event {
    if fields.is_none() {
        return event;
    }
    // What is taken from an event leaves one of the same kind.
    from_wire(fields.apply(to_wire(&event))).unwrap_or(event)
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// In the buffer, without its end.
    Whole,
    /// Read to its end and thrown away.
    TooLong,
    /// The input ended before it.
    End,
}

/// Reads one line of at most `limit` bytes into `line`.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>, limit: usize) -> io::Result<Line> {
    line.clear();
    let (mut any, mut too_long) = (false, false);
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = available.iter().position(|&byte| byte == b'\n');
        let piece = &available[..end.unwrap_or(available.len())];
        any |= !available.is_empty();
        too_long |= line.len() + piece.len() > limit;
        if too_long {
            line.clear();
        } else {
            line.extend_from_slice(piece);
        }
        let (at_end, consumed) = (available.is_empty(), end.map_or(piece.len(), |end| end + 1));
        input.consume(consumed);
        if end.is_some() || at_end {
            return Ok(match (any, too_long) {
                (false, _) => Line::End,
                (true, true) => Line::TooLong,
                (true, false) => Line::Whole,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io::BufReader;

    use super::{Line, read_line};

    #[test]
    fn lines_are_cut_at_their_ends_and_long_ones_are_thrown_away() {
        // A small buffer, so that lines come in pieces.
        let mut input = BufReader::with_capacity(3, b"ab\n\n0123456789\ncdefg\nlast".as_slice());
        let mut line = Vec::new();
        let mut read = || {
            let kind = read_line(&mut input, &mut line, 5).unwrap();
            (kind, String::from_utf8(line.clone()).unwrap())
        };
        assert_eq!(read(), (Line::Whole, "ab".to_owned()));
        assert_eq!(read(), (Line::Whole, String::new()));
        assert_eq!(read(), (Line::TooLong, String::new()));
        assert_eq!(read(), (Line::Whole, "cdefg".to_owned()));
        assert_eq!(read(), (Line::Whole, "last".to_owned()));
        assert_eq!(read(), (Line::End, String::new()));
    }
}

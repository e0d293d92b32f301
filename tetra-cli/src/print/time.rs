//! Times of the wall clock.

use api::event::Timestamp;

/// `time` in UTC with nine digits of fraction: `2026-11-26T05:26:36.000000000Z`.
pub(crate) fn timestamp(time: Timestamp) -> String {
    let mut text = Vec::new();
    api::json::write_timestamp(&mut text, time, true);
    String::from_utf8_lossy(&text).into_owned()
}

/// `time` in UTC as a part of a file's name: `20261126052636`.
pub(crate) fn stamp(time: Timestamp) -> String {
    timestamp(time).chars().filter(char::is_ascii_digit).take(14).collect()
}

#[cfg(test)]
mod tests {
    use api::event::Timestamp;

    use super::{stamp, timestamp};

    #[test]
    fn a_time_is_written_in_utc() {
        let time = Timestamp::from_nanos(1_795_443_469_000_000_178);
        assert_eq!(timestamp(time), "2026-11-23T14:17:49.000000178Z");
        assert_eq!(stamp(time), "20261123141749");
    }
}

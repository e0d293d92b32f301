//! Values of options as typed.

use std::time::Duration;

use api::name::{EventType, parse_duration};

/// A type of event by its name, in letters of either case.
pub(super) fn event_type(text: &str) -> Result<EventType, String> {
    EventType::from_name(&text.to_ascii_uppercase()).ok_or_else(|| {
        let names: Vec<_> = EventType::ALL.iter().map(|known| known.name()).collect();
        format!("event types are {}", names.join(", "))
    })
}

/// A duration such as `30s`, `1m30s`, `1.5h` or `200ms`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .ok_or_else(|| "a duration is numbers with units, such as 30s, 1m30s or 200ms".to_owned())
}

/// The same, or a number of seconds.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).or_else(|_none| duration(text))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{duration, event_type, seconds};

    #[test]
    fn durations_read_as_in_go() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for text in ["", "30", "s", "-1s", "1x", "1s2", "1.2.3s", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(
            (seconds("10"), seconds("10ms")),
            (Ok(Duration::from_secs(10)), Ok(Duration::from_millis(10)))
        );
        assert!(seconds("-1").is_err());
    }

    #[test]
    fn an_unknown_event_type_is_told_the_known_ones() {
        assert!(event_type("process_exec").is_ok());
        assert!(event_type("EXEC").is_err_and(|error| error.contains("PROCESS_KPROBE")));
    }
}

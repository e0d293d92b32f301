//! Times as Go writes and reads them: `1h30m`, `1.5s`, `300ms`.

use std::time::Duration;

/// Units in nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The time that `text` says; `None` where it is none, negative, or more than 584 years.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanos = 0_u64;
    loop {
        let end = rest.find(|sign: char| !sign.is_ascii_digit() && sign != '.')?;
        let (number, behind) = rest.split_at_checked(end)?;
        let unit_end = behind.find(|sign: char| sign.is_ascii_digit() || sign == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(unit_end)?;
        let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(scaled(number, unit)?)?;
        rest = behind;
        if rest.is_empty() {
            return Some(Duration::from_nanos(nanos));
        }
    }
}

/// `number`, which may have a fraction, times `unit`.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = whole.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.chars() {
        place /= 10;
        nanos = nanos.checked_add(place * u64::from(digit.to_digit(10)?))?;
    }
    Some(nanos)
}

/// `duration` as Go prints it.
pub fn format_duration(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if seconds == 0 {
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => format!("{}µs", decimal(u64::from(nanos / 1_000), nanos % 1_000, 3)),
            _ => format!("{}ms", decimal(u64::from(nanos / 1_000_000), nanos % 1_000_000, 6)),
        };
    }
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let seconds = decimal(seconds % 60, nanos, 9);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// A number with a fraction of so many digits, without zeros at its end.
fn decimal(whole: u64, fraction: u32, digits: usize) -> String {
    if fraction == 0 {
        return whole.to_string();
    }
    format!("{whole}.{fraction:0digits$}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_as_by_go() {
        for (text, seconds, written) in [
            ("0", 0.0, "0s"),
            ("24h", 86_400.0, "24h0m0s"),
            ("1h15m30.5s", 4_530.5, "1h15m30.5s"),
            ("90s", 90.0, "1m30s"),
            (".5m", 30.0, "30s"),
            ("+1500ms", 1.5, "1.5s"),
            ("250ms", 0.25, "250ms"),
            ("1.5us", 0.000_001_5, "1.5µs"),
            ("7ns", 0.000_000_007, "7ns"),
            ("1050us", 0.001_05, "1.05ms"),
            ("3661s", 3_661.0, "1h1m1s"),
            ("0s", 0.0, "0s"),
        ] {
            let duration = parse_duration(text);
            assert_eq!(duration, Some(Duration::from_secs_f64(seconds)), "{text}");
            assert_eq!(duration.map(format_duration).as_deref(), Some(written));
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "1", "s", ".s", "1d", "-1s", "1h 2m", "1.1.1s", "99999999999h", "1s2", "é", "1é"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}

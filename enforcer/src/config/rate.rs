//! How often processes of a cgroup may begin and end (`--cgroup-rate`).

use std::num::NonZeroU32;

use api::name::{format_duration, parse_duration};
use bpf_probes::sensor::CgroupRate;

use super::settings::{SettingsError, value_error};

const OPTION: &str = "cgroup-rate";

/// The rate in `EVENTS,INTERVAL`; nothing, or a zero on either side, is none, as upstream has it.
pub(super) fn cgroup_rate(option: Option<&str>) -> Result<Option<CgroupRate>, SettingsError> {
    let Some(text) = option.filter(|text| !text.is_empty()) else { return Ok(None) };
    let wrong = || value_error(OPTION, text, "expected EVENTS,INTERVAL, such as 1000,1s");
    let (events, interval) = text.split_once(',').ok_or_else(wrong)?;
    let events: u32 = events.trim().parse().map_err(|_not_a_number| wrong())?;
    let interval = parse_duration(interval.trim()).ok_or_else(wrong)?;
    let Some(events) = NonZeroU32::new(events).filter(|_| !interval.is_zero()) else { return Ok(None) };
    CgroupRate::new(events, interval).map(Some).map_err(|error| value_error(OPTION, text, error.to_string()))
}

/// As the option has it.
pub(super) fn describe(rate: Option<CgroupRate>) -> String {
    rate.map(|rate| format!("{},{}", rate.events(), format_duration(rate.interval()))).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{cgroup_rate, describe};

    // proves: FLT-17 (option)
    #[test]
    fn a_rate_is_a_number_and_an_interval() {
        let read = |text| cgroup_rate(Some(text)).map(describe).map_err(|error| error.to_string());
        for (text, meant) in [
            ("1000,1s", "1000,1s"),
            ("10000, 10m", "10000,10m0s"),
            ("1,1ms", "1,1ms"),
            ("4294967295,24h", "4294967295,24h0m0s"),
            ("", ""),
            ("0,1s", ""),
            ("10,0s", ""),
        ] {
            assert_eq!(read(text).unwrap(), meant, "{text}");
        }
        for wrong in ["1000", "1000,", ",1s", "x,1s", "-1,1s", "10,1", "1,1s,2", "4294967296,1s"] {
            let error = read(wrong).unwrap_err();
            assert!(error.starts_with("--cgroup-rate ") && error.contains("1000,1s"), "{error}");
        }
        for beyond in ["10,999us", "10,25h"] {
            assert!(read(beyond).unwrap_err().contains("from 1ms to 24h"), "{beyond}");
        }
        assert_eq!(cgroup_rate(None).unwrap(), None);
    }
}

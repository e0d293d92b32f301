//! Where metrics are served, and what they say.

use std::net::SocketAddr;

use super::flags::Flags;
use super::settings::{SettingsError, metrics_address, non_empty, value_error};
use crate::server::EventLabels;

/// Where metrics are served, and what they say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MetricSettings {
    /// Where.
    pub server: Option<SocketAddr>,
    /// Events are counted by program and policy.
    pub events: bool,
    /// With which labels.
    pub labels: EventLabels,
    /// How long records take is measured.
    pub latency: bool,
}

/// The labels that can be left empty.
const LABELS: [&str; 4] = ["namespace", "workload", "pod", "binary"];

impl MetricSettings {
    pub(super) fn new(flags: &Flags) -> Result<Self, SettingsError> {
        let server = non_empty(flags.metrics_server.clone());
        Ok(Self {
            server: server.map(|text| metrics_address(&text)).transpose()?,
            // Nobody looks: nothing is counted.
            events: flags.enable_event_metrics.unwrap_or(true) && flags.metrics_server.is_some(),
            labels: labels(flags.metrics_label_filter.as_deref())?,
            latency: flags.enable_msg_handling_latency.unwrap_or(false),
        })
    }

    /// By the names of the options, for people.
    pub(super) fn describe(&self) -> [(&'static str, String); 4] {
        let filled = LABELS.iter().filter(|label| **label != "binary" || self.labels.binary);
        [
            ("metrics-server", self.server.map(|address| address.to_string()).unwrap_or_default()),
            ("enable-event-metrics", self.events.to_string()),
            ("metrics-label-filter", filled.copied().collect::<Vec<_>>().join(",")),
            ("enable-msg-handling-latency", self.latency.to_string()),
        ]
    }
}

/// Labels of pods are empty anyhow as long as nobody tells of pods.
fn labels(option: Option<&[String]>) -> Result<EventLabels, SettingsError> {
    let Some(words) = option else { return Ok(EventLabels { binary: true }) };
    let words = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty());
    let mut labels = EventLabels { binary: false };
    for word in words {
        if !LABELS.contains(&word) {
            let known = LABELS.join(", ");
            return Err(value_error("metrics-label-filter", word, format!("expected words out of {known}")));
        }
        labels.binary |= word == "binary";
    }
    Ok(labels)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::MetricSettings;
    use crate::config::Flags;

    fn metrics(options: &[(&str, &str)]) -> Result<MetricSettings, String> {
        let flags = Flags::from_values(options.iter().copied())?;
        MetricSettings::new(&flags).map_err(|error| error.to_string())
    }

    #[test]
    fn labels_are_filled_unless_the_filter_leaves_them_out() {
        assert!(metrics(&[]).unwrap().labels.binary);
        assert!(metrics(&[("metrics-label-filter", "pod,binary")]).unwrap().labels.binary);
        assert!(!metrics(&[("metrics-label-filter", "namespace,pod")]).unwrap().labels.binary);
        assert!(!metrics(&[("metrics-label-filter", "")]).unwrap().labels.binary);
        let error = metrics(&[("metrics-label-filter", "uid")]).unwrap_err();
        assert!(error.contains("\"uid\"") && error.contains("workload"), "{error}");
    }

    #[test]
    fn events_are_counted_where_metrics_are_served_unless_they_are_switched_off() {
        let server = ("metrics-server", "localhost:0");
        assert!(metrics(&[server]).unwrap().events);
        assert!(!metrics(&[]).unwrap().events);
        assert!(!metrics(&[server, ("enable-event-metrics", "false")]).unwrap().events);
    }
}

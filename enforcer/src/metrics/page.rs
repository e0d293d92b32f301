//! The page: samples of each metric, and how they are written.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::catalogue::{ALL, Description, Kind};
use super::collect;
use crate::pipeline::Histogram;
use crate::server::Observed;

/// What a sample says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A number.
    Whole(u64),
    /// Seconds.
    Seconds(f64),
    /// How often which values came.
    Ranges(Box<Histogram>),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Seconds(time.as_secs_f64())
    }
}

impl Value {
    /// Adds another sample of the same labels.
    fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Whole(sum), Self::Whole(more)) => *sum += more,
            (Self::Seconds(sum), Self::Seconds(more)) => *sum += more,
            (Self::Ranges(sum), Self::Ranges(more)) => sum.extend(&more),
            // one metric has values of one kind
            (Self::Whole(_) | Self::Seconds(_) | Self::Ranges(_), _) => {}
        }
    }
}

/// Samples by the values of their labels.
type Samples = BTreeMap<Vec<String>, Value>;

/// All samples.
#[derive(Debug, Default)]
pub(super) struct Page {
    samples: BTreeMap<&'static str, Samples>,
}

impl Page {
    /// Adds a sample; one of the same labels is added to.
    pub(super) fn add(&mut self, metric: &Description, labels: &[&str], value: impl Into<Value>) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "labels of {}", metric.name);
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let samples = self.samples.entry(metric.name).or_default();
        let value = value.into();
        match samples.entry(labels) {
            std::collections::btree_map::Entry::Occupied(mut there) => there.get_mut().add(value),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(value);
            }
        }
    }

    /// Adds the only sample of a metric without labels.
    pub(super) fn set(&mut self, metric: &Description, value: impl Into<Value>) {
        self.add(metric, &[], value);
    }
}

/// All metrics as text.
pub fn text(observed: &Observed) -> String {
    written(collect::page(observed))
}

fn written(page: Page) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(page));
    let mut text = String::new();
    if let Err(error) = encode(&mut text, &registry) {
        tracing::error!("the metrics could not be written: {error}");
    }
    text
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in ALL {
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            for (values, value) in self.samples.get(metric.name).into_iter().flatten() {
                if values.is_empty() {
                    write(&mut family, metric.kind, value)?;
                } else {
                    let labels: Vec<(&str, &str)> =
                        metric.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
                    write(&mut family.encode_family(&labels)?, metric.kind, value)?;
                }
            }
        }
        Ok(())
    }
}

fn write(sample: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> fmt::Result {
    type NoLabels = Vec<(String, String)>;
    match (kind, value) {
        (Kind::Counter, Value::Whole(number)) => sample.encode_counter::<NoLabels, _, u64>(number, None),
        (Kind::Counter, Value::Seconds(seconds)) => sample.encode_counter::<NoLabels, _, u64>(seconds, None),
        (_, Value::Whole(number)) => sample.encode_gauge(&i64::try_from(*number).unwrap_or(i64::MAX)),
        (_, Value::Seconds(seconds)) => sample.encode_gauge(seconds),
        (_, Value::Ranges(ranges)) => {
            let buckets: Vec<(f64, u64)> = ranges.buckets().collect();
            sample.encode_histogram::<NoLabels>(ranges.sum(), ranges.count(), &buckets, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::{ALL, CPU_SECONDS, DATA_EVENT_SIZE, LISTENER_WAITING, LOST, OVERFLOWED};
    use super::{Page, Value, written};
    use crate::pipeline::Histogram;

    #[test]
    fn samples_are_written_with_their_labels_and_added_up() {
        let mut page = Page::default();
        page.add(&LOST, &["x\"y"], 7);
        page.add(&LOST, &["x\"y"], 1);
        page.add(&LISTENER_WAITING, &["l"], 3);
        page.set(&OVERFLOWED, 0);
        page.set(&CPU_SECONDS, std::time::Duration::from_millis(1500));
        let mut sizes = Histogram::default();
        sizes.add(100);
        sizes.add(1 << 40);
        page.add(&DATA_EVENT_SIZE, &["ok"], Value::Ranges(Box::new(sizes)));
        let text = written(page);
        for line in [
            "enforcer_lost_records_total{kind=\"x\\\"y\"} 8\n",
            "enforcer_listener_waiting_events{listener=\"l\"} 3\n",
            "tetragon_notify_overflowed_events_total 0\n",
            "process_cpu_seconds_total 1.5\n",
            "tetragon_data_event_size_count{op=\"ok\"} 2\n",
            "tetragon_data_event_size_bucket{le=\"+Inf\",op=\"ok\"} 2\n",
            "tetragon_data_event_size_bucket{le=\"256.0\",op=\"ok\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    // proves: MET-01 (served)
    #[test]
    fn every_metric_is_served_even_without_samples() {
        let text = written(Page::default());
        for metric in ALL {
            assert!(text.contains(&format!("# TYPE {} ", metric.name)), "{}", metric.name);
        }
    }
}

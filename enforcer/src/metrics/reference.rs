//! The reference of metrics, made from the catalogue.

use std::fmt::Write as _;

use super::catalogue::{ALL, Description, Kind};

/// Parts of the page: a heading, and what the names in it begin with.
const PARTS: [(&str, &str); 3] = [
    ("Under upstream's names", "tetragon_"),
    ("Our own", "enforcer_"),
    ("The process of the daemon", "process_"),
];

/// `docs/reference/metrics.md`.
pub fn reference() -> String {
    let mut text = String::from(
        "# Metrics

Made from the source by `cargo xtask generate`.

`--metrics-server HOST:PORT` serves them at `/metrics`. Names and labels are those of Tetragon where they mean the same. A metric that has
nothing to tell yet has no samples. Labels `namespace`, `workload`, `pod` and `binary` of the metrics of events can be left empty
(`--metrics-label-filter` names those that are not); `--enable-event-metrics=false` leaves these metrics out. A dashboard for Grafana is in
[`grafana.json`](grafana.json).
",
    );
    for (heading, prefix) in PARTS {
        let of_part = ALL.iter().filter(|metric| metric.name.starts_with(prefix));
        let _infallible =
            write!(text, "\n## {heading}\n\n| name | kind | labels | what |\n| --- | --- | --- | --- |\n");
        of_part.for_each(|metric| text.push_str(&row(metric)));
    }
    text
}

fn row(metric: &Description) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    format!("| `{}` | {kind} | {} | {} |\n", metric.full_name(), labels.join(", "), metric.help)
}

#[cfg(test)]
mod tests {
    use super::{ALL, reference};

    // proves: DOC-06
    #[test]
    fn every_metric_has_one_row_with_its_labels_and_what_it_counts() {
        let page = reference();
        for metric in ALL {
            let name = metric.full_name();
            let begin = format!("| `{name}` |");
            let rows: Vec<&str> = page.lines().filter(|line| line.starts_with(&begin)).collect();
            assert_eq!(rows.len(), 1, "{name}");
            assert!(rows.iter().all(|row| row.ends_with(&format!("| {} |", metric.help))), "{rows:?}");
            assert!(!metric.help.is_empty() && !metric.help.contains('|'), "{name}");
            assert!(
                metric.labels.iter().all(|label| rows.concat().contains(&format!("`{label}`"))),
                "{name}"
            );
        }
    }
}

//! A dashboard for Grafana, made from the catalogue.

use serde_json::{Value, json};

use super::catalogue::{
    CPU_SECONDS, DATA_SIZE, Description, EVENTS, EXPORTED, EXPORTED_BYTES, Kind, LISTENER_LOST,
    LISTENER_WAITING, LOST, MSG_OP, OVERHEAD_RUNS, OVERHEAD_SECONDS, POLICIES, POLICY_EVENTS, POLICY_MEMORY,
    PROCESS_CAPACITY, PROCESSES, RECURSION_MISSES, RESIDENT, SELECTOR_ACTIONS, SINK_DROPPED, SYSCALLS,
};

/// Width of a panel; a row has 24 columns.
const WIDTH: usize = 8;
const HEIGHT: usize = 7;

/// A row of panels: its title, and the metrics of each panel with the label by which they are told apart.
type Row = (&'static str, &'static [(&'static str, &'static [&'static Description], &'static str)]);

const ROWS: [Row; 5] = [
    (
        "Events",
        &[
            ("Events by type", &[&EVENTS], "type"),
            ("Busiest programs", &[&EVENTS], "binary"),
            ("Events of policies", &[&POLICY_EVENTS], "policy"),
            ("System calls", &[&SYSCALLS], "syscall"),
            ("Records by message", &[&MSG_OP], "msg_op"),
            ("Written to files", &[&EXPORTED, &EXPORTED_BYTES], ""),
        ],
    ),
    (
        "Losses: all of these should be flat at zero",
        &[
            ("Lost in the kernel", &[&LOST], "kind"),
            ("Calls that passed a program unseen", &[&RECURSION_MISSES], "attach"),
            ("Lost by listeners and sinks", &[&LISTENER_LOST, &SINK_DROPPED], ""),
        ],
    ),
    (
        "Policies",
        &[
            ("Policies by state", &[&POLICIES], "state"),
            ("Actions", &[&SELECTOR_ACTIONS], "action"),
            ("Kernel memory", &[&POLICY_MEMORY], "policy"),
        ],
    ),
    (
        "Cost of programs (kernel.bpf_stats_enabled = 1)",
        &[("Time in programs", &[&OVERHEAD_SECONDS], "attach"), ("Runs", &[&OVERHEAD_RUNS], "attach")],
    ),
    (
        "The daemon",
        &[
            ("Processor time", &[&CPU_SECONDS], ""),
            ("Memory", &[&RESIDENT], ""),
            ("Processes in the table", &[&PROCESSES, &PROCESS_CAPACITY], ""),
            ("Waiting for listeners", &[&LISTENER_WAITING], "listener"),
            ("Incomplete long values", &[&DATA_SIZE], ""),
        ],
    ),
];

/// `docs/reference/grafana.json`.
pub fn dashboard() -> String {
    let mut panels = Vec::new();
    let mut top = 0;
    for (title, of_row) in ROWS {
        panels.push(json!({
            "type": "row",
            "title": title,
            "gridPos": {"h": 1, "w": 24, "x": 0, "y": top},
            "id": panels.len() + 1,
        }));
        top += 1;
        for (index, (title, metrics, by)) in of_row.iter().enumerate() {
            let (x, y) = (WIDTH * (index % 3), top + HEIGHT * (index / 3));
            panels.push(panel(panels.len() + 1, title, metrics, by, (x, y)));
        }
        top += HEIGHT * of_row.len().div_ceil(3);
    }
    let dashboard = json!({
        "title": "Enforcer",
        "uid": "enforcer",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{
            "name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source",
        }]},
        "panels": panels,
    });
    format!("{dashboard:#}\n")
}

fn panel(id: usize, title: &str, metrics: &[&Description], by: &str, (x, y): (usize, usize)) -> Value {
    let targets: Vec<Value> = metrics.iter().map(|metric| target(metric, by)).collect();
    json!({
        "type": "timeseries",
        "title": title,
        "id": id,
        "gridPos": {"h": HEIGHT, "w": WIDTH, "x": x, "y": y},
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "targets": targets,
    })
}

/// The ten largest of a metric by a label; of a counter how fast it grows.
fn target(metric: &Description, by: &str) -> Value {
    let name = metric.full_name();
    let value = if metric.kind == Kind::Counter { format!("rate({name}[$__rate_interval])") } else { name };
    let (expression, legend) = if by.is_empty() {
        (format!("sum({value})"), metric.name.to_owned())
    } else {
        (format!("topk(10, sum by ({by}) ({value}))"), format!("{{{{{by}}}}}"))
    };
    json!({"expr": expression, "legendFormat": legend, "refId": metric.name})
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::ALL;
    use super::*;

    // proves: MET-01 (dashboard)
    #[test]
    fn each_metric_and_label_of_the_dashboard_exists() {
        let dashboard: Value = serde_json::from_str(&dashboard()).unwrap_or_default();
        let mut targets = 0;
        for panel in dashboard["panels"].as_array().into_iter().flatten() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expression = target["expr"].as_str().unwrap_or_default();
                let words: Vec<&str> = expression
                    .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                    .collect();
                let metric = ALL.iter().find(|metric| words.contains(&metric.full_name().as_str()));
                assert!(metric.is_some(), "{expression}");
                if let (Some(metric), Some(place)) = (metric, words.iter().position(|word| *word == "by")) {
                    let label = words[place + 1..].iter().find(|word| !word.is_empty());
                    assert!(label.is_some_and(|label| metric.labels.contains(label)), "{expression}");
                }
                targets += 1;
            }
        }
        assert!(targets >= 18, "{targets}");
    }
}

//! Errors of programs in the kernel, from the daemon's page of metrics.

use serde::Serialize;

use crate::print::{Table, escape};

/// The metric.
const NAME: &str = "tetragon_bpf_error_metrics_total{";

/// Where which error came how often.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct ErrorCount {
    location: String,
    error: i64,
    error_name: String,
    helper_func: String,
    count: u64,
}

/// The errors that `page` (in Prometheus' text format) counts, as it has them; lines that cannot be read are left out.
pub(super) fn errors(page: &str) -> Vec<ErrorCount> {
    page.lines().filter_map(|line| read(line.strip_prefix(NAME)?)).collect()
}

fn read(line: &str) -> Option<ErrorCount> {
    let (labels, count) = line.rsplit_once("} ")?;
    let label = |name: &str| {
        let begin = format!("{name}=\"");
        let at =
            labels.match_indices(&begin).find(|(at, _)| *at == 0 || labels.as_bytes()[at - 1] == b',')?.0;
        labels.get(at + begin.len()..)?.split('"').next().map(str::to_owned)
    };
    Some(ErrorCount {
        location: format!("{}:{}", label("file_name")?, label("line_number")?),
        error: label("error")?.parse().ok()?,
        error_name: label("error_name")?,
        helper_func: label("helper_func")?,
        count: count.split(' ').next()?.parse().ok()?,
    })
}

/// A table of them.
pub(super) fn table(errors: &[ErrorCount]) -> String {
    let mut table = Table::default();
    table.row(["Location", "Error", "Count"]);
    for error in errors {
        let name = format!("{}({})", error.error_name, error.error);
        let place = escape::word(&error.location).into_owned();
        table.row([place, escape::word(&name).into_owned(), error.count.to_string()]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: CLI-18 (dump errmetrics)
    #[test]
    fn errors_are_read_from_the_metrics() {
        let page = "# TYPE tetragon_bpf_error_metrics_total counter\n\
            tetragon_bpf_error_metrics_total{error=\"11\",error_name=\"EAGAIN\",file_name=\"routine/output.rs\",helper_func=\"ringbuf_output\",line_number=\"0\"} 7\n\
            tetragon_bpf_error_metrics_total{error=\"x\"} 1\ntetragon_other 3\n";
        let errors = errors(page);
        assert_eq!(errors.len(), 1);
        assert_eq!((errors[0].helper_func.as_str(), errors[0].count), ("ringbuf_output", 7));
        assert_eq!(
            table(&errors),
            "Location              Error        Count\nroutine/output.rs:0   EAGAIN(11)   7\n"
        );
    }
}

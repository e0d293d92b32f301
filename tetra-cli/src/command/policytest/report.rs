//! What came of tests.

use std::time::Duration;

use serde::Serialize;

use crate::print::{Table, escape};

/// A test's name with its parameters, and what came of it.
#[derive(Debug, Serialize)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) result: Verdict,
}

/// What came of a test.
#[derive(Debug, Default, Serialize)]
pub(super) struct Verdict {
    /// Why it was not run; what this kernel lacks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) skipped: String,
    /// Why it could not be run.
    pub(super) error: Option<String>,
    pub(super) scenarios: Vec<ScenarioVerdict>,
    /// In nanoseconds in JSON.
    #[serde(serialize_with = "nanoseconds")]
    pub(super) total_time: Duration,
}

/// What came of a scenario.
#[derive(Debug, Serialize)]
pub(super) struct ScenarioVerdict {
    pub(super) name: String,
    /// The acts did not end as expected.
    pub(super) trigger_error: Option<String>,
    /// The events are not as expected.
    pub(super) checker_error: Option<String>,
    /// Upstream's third kind, which is not here.
    pub(super) action_counts_error: Option<String>,
}

fn nanoseconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

impl ScenarioVerdict {
    fn error(&self) -> Option<&str> {
        self.trigger_error.as_deref().or(self.checker_error.as_deref())
    }
}

impl Verdict {
    /// Whether it was run and something went wrong, or could not be run.
    pub(super) fn failed(&self) -> bool {
        self.error.is_some() || self.scenarios.iter().any(|scenario| scenario.error().is_some())
    }
}

/// A line `P:` for each test, with a line `S:` below it for each scenario.
pub(super) fn text(results: &[Named]) -> String {
    let mut table = Table::default();
    for Named { name, result } in results {
        let good = result.scenarios.iter().filter(|scenario| scenario.error().is_none()).count();
        let all = result.scenarios.len();
        let (icon, note) = match &result.error {
            Some(error) => ("❌", one_line(error)),
            None if !result.skipped.is_empty() => ("⏭️", one_line(&result.skipped)),
            None => {
                let icon = if good == all {
                    "✅"
                } else if good == 0 {
                    "🔴"
                } else {
                    "🟠"
                };
                (icon, format!("{good}/{all} scenario(s) succeeded"))
            }
        };
        let seconds = result.total_time.as_secs_f64();
        table.row([
            format!("P: {:<40}", escape::visible(name)),
            icon.to_owned(),
            format!("{note} ({seconds:.2}s)"),
        ]);
        for (index, scenario) in result.scenarios.iter().enumerate() {
            let branch = if index + 1 == all { "└" } else { "├" };
            let icon = if scenario.error().is_none() { "🟢" } else { "🔴" };
            let note = one_line(scenario.error().unwrap_or_default());
            table.row([format!("{branch}S: {}", escape::visible(&scenario.name)), icon.to_owned(), note]);
        }
    }
    table.render()
}

/// A line of JSON for each test.
pub(super) fn json(results: &[Named]) -> Result<String, serde_json::Error> {
    let mut lines = String::new();
    for result in results {
        lines.push_str(&serde_json::to_string(result)?);
        lines.push('\n');
    }
    Ok(lines)
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    escape::visible(&words.join(" ")).into_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn scenario(name: &str, error: Option<&str>) -> ScenarioVerdict {
        ScenarioVerdict {
            name: name.to_owned(),
            trigger_error: None,
            checker_error: error.map(str::to_owned),
            action_counts_error: None,
        }
    }

    // proves: CLI-20 (output)
    #[test]
    fn a_test_is_a_line_and_its_scenarios_are_lines_below() {
        let time = Duration::from_millis(1_250);
        let one = Verdict {
            scenarios: vec![scenario("a", None), scenario("b", Some("x\n\u{1b}y"))],
            total_time: time,
            ..Verdict::default()
        };
        let skipped = Verdict { skipped: "no LSM".to_owned(), ..Verdict::default() };
        let broken = Verdict { error: Some("refused".to_owned()), ..Verdict::default() };
        assert!(one.failed() && broken.failed() && !skipped.failed());
        let results = [("one", one), ("two", skipped), ("three", broken)]
            .map(|(name, result)| Named { name: name.to_owned(), result });
        let text = text(&results);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("P: one ") && lines[0].ends_with("🟠    1/2 scenario(s) succeeded (1.25s)"),
            "{text}"
        );
        assert!(lines[1].starts_with("├S: a ") && lines[1].contains("🟢"), "{text}");
        assert!(lines[2].starts_with("└S: b ") && lines[2].ends_with("🔴    x \\x1by"), "{text}");
        assert!(
            lines[3].ends_with("⏭️   no LSM (0.00s)") && lines[4].ends_with("❌    refused (0.00s)"),
            "{text}"
        );
        let json: serde_json::Value =
            serde_json::from_str(json(&results).unwrap().lines().next().unwrap()).unwrap();
        assert_eq!(json["result"]["total_time"], 1_250_000_000_u64);
        assert_eq!(json["result"]["scenarios"][1]["checker_error"], "x\n\u{1b}y");
    }
}

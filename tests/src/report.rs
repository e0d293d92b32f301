//! The lines by which the guest tells the host how a scenario ended.

use std::fmt;
use std::time::Duration;

/// What a scenario wants of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machines {
    /// CPUs that are emulated in turn: nothing depends on what happens at the same time.
    Plain,
    /// CPUs that really run at the same time, for the sake of speed.
    Parallel,
    /// The same, and also kernels booted fully preemptible.
    Contended,
}

impl Machines {
    const NAMES: [(Self, &'static str); 3] =
        [(Self::Plain, "plain"), (Self::Parallel, "parallel"), (Self::Contended, "contended")];
}

/// A scenario as `e2e-guest list` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub machines: Machines,
    /// Whether the kernel that is built here shows something that stock ones do not.
    pub kernels: Kernels,
}

/// On which kernels a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// Those that are fetched.
    Stock,
    /// The one that is built as well.
    All,
    /// The one that the samples of upstream's events were taken on.
    Sampled,
}

impl Listed {
    /// Reads a line of the list.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (name, kind) = (words.next()?, words.next()?);
        let (machines, _) = Machines::NAMES.into_iter().find(|(_, word)| *word == kind)?;
        let kernels = match (words.next(), words.next()) {
            (None, _) => Kernels::Stock,
            (Some("all"), None) => Kernels::All,
            (Some("sampled"), None) => Kernels::Sampled,
            (Some(_), _) => return None,
        };
        Some(Self { name: name.to_owned(), machines, kernels })
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Machines::NAMES.into_iter().find(|(machines, _)| *machines == self.machines);
        let kernels = match self.kernels {
            Kernels::Stock => "",
            Kernels::All => " all",
            Kernels::Sampled => " sampled",
        };
        write!(formatter, "{} {}{kernels}", self.name, word.map_or("", |(_, word)| word))
    }
}

/// How one scenario ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It held.
    Passed,
    /// It did not, and why; one line.
    Failed(String),
    /// This kernel lacks what it needs, by the table of kernels.
    Lacks(String),
}

/// One scenario's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The scenario.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took, in the guest.
    pub duration: Duration,
}

impl Report {
    /// Reads a line of the guest; `None` for what a scenario said itself.
    pub fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("scenario ")?;
        let mut words = rest.splitn(4, ' ');
        let name = words.next()?.to_owned();
        let duration = Duration::from_millis(words.next()?.strip_suffix("ms")?.parse().ok()?);
        let word = words.next()?;
        let reason = words.next().unwrap_or_default().to_owned();
        let verdict = match word {
            "ok" => Verdict::Passed,
            "FAILED" => Verdict::Failed(reason),
            "lacks" => Verdict::Lacks(reason),
            _ => return None,
        };
        Some(Self { name, verdict, duration })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "scenario {} {}ms ", self.name, self.duration.as_millis())?;
        match &self.verdict {
            Verdict::Passed => write!(formatter, "ok"),
            Verdict::Failed(reason) => write!(formatter, "FAILED {}", reason.replace('\n', " | ")),
            Verdict::Lacks(what) => write!(formatter, "lacks {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Kernels, Listed, Machines, Report, Verdict};

    #[test]
    fn the_list_survives_being_written_and_read() {
        for machines in [Machines::Plain, Machines::Parallel, Machines::Contended] {
            for kernels in [Kernels::Stock, Kernels::All, Kernels::Sampled] {
                let listed = Listed { name: "paths".to_owned(), machines, kernels };
                assert_eq!(Listed::parse(&listed.to_string()), Some(listed));
            }
        }
        assert_eq!(Listed::parse("paths maybe"), None);
    }

    #[test]
    fn reports_survive_being_written_and_read_and_stay_on_one_line() {
        for verdict in [
            Verdict::Passed,
            Verdict::Failed("no event | for 3 s".to_owned()),
            Verdict::Lacks("ActiveBpfLsm".to_owned()),
        ] {
            let report = Report { name: "paths".to_owned(), verdict, duration: Duration::from_millis(1234) };
            assert_eq!(Report::parse(&report.to_string()), Some(report));
        }
        let many = Verdict::Failed("a\nb".to_owned());
        let report = Report { name: "x".to_owned(), verdict: many, duration: Duration::ZERO };
        assert_eq!(report.to_string(), "scenario x 0ms FAILED a | b");
    }

    #[test]
    fn what_a_scenario_says_itself_is_no_report() {
        assert_eq!(Report::parse("scenario x ok"), None);
        assert_eq!(Report::parse("opens: 12"), None);
    }
}

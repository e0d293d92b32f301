//! `tetra debug progs`: the time of programs, between two looks.

use std::path::PathBuf;
use std::time::Duration;

use bpf_probes::load::RunningProgram;
use serde::Serialize;

use super::holdings::Ours;
use crate::command::look::Look;
use crate::print::escape;

/// What a program took between two looks.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Taken {
    overhead_percent: f64,
    id: u32,
    count: u64,
    time_ns: u64,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<PathBuf>,
}

impl Look {
    /// What each of `programs` took since this look, the dearest first; of a daemon's where it is given, of everybody's otherwise. `time` passed on
    /// each of `cpus`. One that is new has not been counted.
    pub(super) fn until(
        &self,
        programs: &[RunningProgram],
        ours: Option<&Ours>,
        time: Duration,
        cpus: usize,
    ) -> Vec<Taken> {
        let all =
            time.as_secs_f64().max(f64::EPSILON) * f64::from(u32::try_from(cpus.max(1)).unwrap_or(u32::MAX));
        let one = |program: &RunningProgram| {
            let pin = match ours {
                Some(ours) => ours.programs.get(&program.id)?.clone(),
                None => None,
            };
            let (time, count) = self.since(program)?;
            Some(Taken {
                overhead_percent: time.as_secs_f64() / all * 100.0,
                id: program.id,
                count,
                time_ns: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
                name: program.name.clone(),
                pin,
            })
        };
        let mut overheads: Vec<Taken> = programs.iter().filter_map(one).collect();
        overheads.sort_by(|one, other| {
            other.overhead_percent.total_cmp(&one.overhead_percent).then(one.id.cmp(&other.id))
        });
        overheads
    }
}

/// A table of at most `lines` programs, with numbers to the right.
pub(super) fn table(overheads: &[Taken], lines: usize) -> String {
    let mut rows = vec![["Ovh(%)", "Id", "Cnt", "Time", "Name", "Pin"].map(str::to_owned)];
    rows.extend(overheads.iter().take(lines).map(|overhead| {
        [
            format!("{:.2}", overhead.overhead_percent),
            overhead.id.to_string(),
            overhead.count.to_string(),
            overhead.time_ns.to_string(),
            escape::word(&overhead.name).into_owned(),
            overhead
                .pin
                .as_ref()
                .map_or_else(|| "-".to_owned(), |pin| escape::word(&pin.to_string_lossy()).into_owned()),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                0..4 => format!("{cell:>width$}"),
                4 => format!("{cell:<width$}"),
                _ => cell.clone(),
            })
            .collect();
        text.push_str(&cells.join("  "));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(id: u32, name: &str, nanoseconds: u64, run_count: u64) -> RunningProgram {
        let (name, run_time) = (name.to_owned(), Duration::from_nanos(nanoseconds));
        RunningProgram { id, name, run_time, run_count, ..RunningProgram::default() }
    }

    // proves: CLI-19 (progs)
    #[test]
    fn a_program_took_what_was_added_and_the_dearest_comes_first() {
        let look = Look::new(&[
            program(1, "cheap", 100, 1),
            program(2, "dear\u{1b}", 100, 1),
            program(3, "other", 0, 0),
        ]);
        let now = [
            program(1, "cheap", 200, 3),
            program(2, "dear\u{1b}", 20_000_100, 1_001),
            program(3, "other", 9, 9),
            program(4, "new", 9, 9),
        ];
        let ours = Ours {
            programs: [(1, None), (2, Some("/sys/fs/bpf/t/link".into())), (4, None)].into(),
            ..Ours::default()
        };
        let overheads = look.until(&now, Some(&ours), Duration::from_secs(1), 2);
        let expected = "\
Ovh(%)  Id   Cnt      Time  Name        Pin
  1.00   2  1000  20000000  \"dear\\x1b\"  /sys/fs/bpf/t/link
  0.00   1     2       100  cheap       -
";
        assert_eq!(table(&overheads, 9), expected);
        assert_eq!(table(&overheads, 1).lines().count(), 2);
        let everybody = look.until(&now, None, Duration::from_secs(1), 2);
        assert_eq!(everybody.iter().map(|overhead| overhead.id).collect::<Vec<_>>(), [2, 1, 3]);
    }
}

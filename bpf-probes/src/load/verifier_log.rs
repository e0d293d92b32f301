//! What the verifier says when it refuses a program: log in, summary and place out.
//!
//! The log is text for people, different in each kernel version; only two things in it are read: the number of the instruction that it was
//! at, and its last lines.

use crate::asm::{Code, Origin};

/// Lines kept for a person to read.
const KEPT: usize = 12;

/// Why the verifier refused a program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The verifier's own words: its complaint.
    pub complaint: String,
    /// The last lines of its log, complaint included, oldest first.
    pub lines: Vec<String>,
    /// How many lines of the log are not among them.
    pub left_out: usize,
    /// The slot of the instruction refused, where the log tells.
    pub slot: Option<usize>,
    /// Where that instruction came from.
    pub origin: Option<Origin>,
    /// The function that it is in.
    pub function: Option<String>,
    /// Whether the log was longer than its buffer, so that its end is missing (before 6.4).
    pub truncated: bool,
}

impl Refusal {
    /// Reads the log of a program made from `code`.
    pub fn read(log: &str, code: &Code, truncated: bool) -> Self {
        let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let telling: Vec<&str> = lines.iter().copied().filter(|line| !is_statistics(line)).collect();
        let complaint = telling.iter().rev().find(|line| !is_state(line)).or(telling.last());
        let complaint = complaint.map_or_else(String::new, |line| line.trim().to_owned());
        let slot = slot_of(&telling, &complaint).filter(|slot| *slot < code.insns.len());
        let first = telling.len().saturating_sub(KEPT);
        Self {
            complaint,
            lines: telling.iter().skip(first).map(|line| (*line).to_owned()).collect(),
            left_out: first,
            slot,
            origin: slot.and_then(|slot| code.origins.get(slot)).copied(),
            function: slot.and_then(|slot| code.function_at(slot)).map(|function| function.name.clone()),
            truncated,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.slot, &self.function) {
            (Some(slot), Some(function)) => {
                write!(f, "at instruction {slot} (in {function}): {}", self.complaint)
            }
            _ => write!(f, "{}", self.complaint),
        }
    }
}

/// What the verifier prints at the end of every run.
fn is_statistics(line: &str) -> bool {
    [
        "processed ",
        "verification time ",
        "stack depth ",
        "max_states_per_insn",
        "peak_states",
        "insns processed",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}

/// A line that only shows an instruction, or what registers hold (`R1=ctx() R10=fp0`, `frame1: R6=…`).
fn is_state(line: &str) -> bool {
    const STARTS: [&str; 11] = [
        "from ",
        "last_idx",
        "regs=",
        "mark_precise",
        "parent ",
        "arg#",
        ";",
        "func#",
        "frame",
        "caller:",
        "callee:",
    ];
    let line = line.trim_start();
    let first_word = line.split(' ').next().unwrap_or_default();
    leading_number(line).is_some()
        || STARTS.iter().any(|start| line.starts_with(start))
        || first_word.starts_with('R') && first_word.contains('=')
}

/// The number before `: (` in `12: (85) call bpf_loop#181`, or before `:` in a line that shows registers.
fn leading_number(line: &str) -> Option<usize> {
    let (number, _) = line.split_once(':')?;
    number.parse().ok()
}

/// The instruction that the log was at: one named in the complaint (`unreachable insn 7`), else the last one shown.
fn slot_of(lines: &[&str], complaint: &str) -> Option<usize> {
    let named = complaint.split_once("insn ").and_then(|(_, rest)| {
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    });
    let shown = || {
        let shows =
            |line: &&&str| line.split_once(": (").is_some_and(|(number, _)| number.parse::<usize>().is_ok());
        lines.iter().rev().find(shows).and_then(|line| leading_number(line))
    };
    named.or_else(shown)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::asm::{Assembler, Prototype, link};
    use crate::insn::{Register, alu, jump};

    fn code() -> Code {
        let mut asm = Assembler::new("main", Prototype::Main);
        for number in 0..9 {
            asm.set_origin(Origin(100 + number));
            asm.emit(alu::mov_imm(Register::R0, 0));
        }
        asm.emit(jump::exit());
        link(vec![asm.finish().unwrap()]).unwrap()
    }

    #[test]
    fn the_last_instruction_shown_is_the_one_refused() {
        let log = "func#0 @0\n0: R1=ctx() R10=fp0\n0: (b7) r0 = 0                      ; R0_w=0\n\
                   3: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'scalar'\n\
                   processed 4 insns (limit 1000000) max_states_per_insn 0 total_states 0\n";
        let refusal = Refusal::read(log, &code(), false);
        assert_eq!(refusal.complaint, "R0 invalid mem access 'scalar'");
        assert_eq!((refusal.slot, refusal.origin), (Some(3), Some(Origin(103))));
        assert_eq!(refusal.to_string(), "at instruction 3 (in main): R0 invalid mem access 'scalar'");
    }

    #[test]
    fn an_instruction_named_by_the_complaint_is_the_one_refused() {
        let refusal = Refusal::read("unreachable insn 7\nprocessed 0 insns\n", &code(), false);
        assert_eq!((refusal.slot, refusal.origin), (Some(7), Some(Origin(107))));
    }

    #[test]
    fn a_long_log_is_cut_and_says_by_how_much() {
        use std::fmt::Write as _;
        let mut log = String::new();
        for number in 0..1000 {
            writeln!(log, "{number}: (b7) r0 = 0").unwrap();
        }
        log.push_str("BPF program is too large. Processed 1000001 insn\n");
        let refusal = Refusal::read(&log, &code(), false);
        assert_eq!((refusal.lines.len(), refusal.left_out), (KEPT, 1001 - KEPT));
        assert_eq!(refusal.slot, None, "slot 999 is not in the program");
    }

    #[test]
    fn an_empty_log_is_no_trouble() {
        let refusal = Refusal::read("", &code(), true);
        assert_eq!((refusal.complaint.as_str(), refusal.slot), ("", None));
    }
}

//! The reference of what kernels have, as Markdown.

use std::fmt::Write as _;

use super::feature::{Answer, Feature};
use super::view::KernelView;

/// A table of all features: what each is, which kernel has it first, and what each of `kernels` answered, under its name.
pub fn reference(kernels: &[(&str, KernelView)]) -> String {
    let names: Vec<&str> = kernels.iter().map(|(name, _)| *name).collect();
    let line = "| --- ".repeat(3 + kernels.len());
    let mut text = format!("| name | what it is | since | {} |\n{line}|\n", names.join(" | "));
    for feature in Feature::ALL {
        let answers: Vec<&str> = kernels.iter().map(|(_, kernel)| word(kernel.answer(*feature))).collect();
        let (what, since) = (feature.what().trim(), feature.since().unwrap_or_default());
        // writing to a String does not fail
        writeln!(text, "| `{feature}` | {what} | {since} | {} |", answers.join(" | ")).unwrap_or_default();
    }
    text
}

const fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Yes => "yes",
        Answer::No { .. } => "no",
        Answer::Refused { .. } => "refused",
        Answer::Unknown { .. } => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::recorded;

    // proves: DOC-12 (kernel requirements)
    #[test]
    fn every_feature_has_a_row_with_the_answer_of_each_kernel() {
        let text = reference(&[("5.10", recorded("5.10")), ("7.2", recorded("7.2"))]);
        let (head, rows) = text.split_once("| --- | --- | --- | --- | --- |\n").unwrap_or_default();
        assert_eq!(head, "| name | what it is | since | 5.10 | 7.2 |\n");
        assert_eq!(rows.lines().count(), Feature::ALL.len());
        for row in [
            "| `bpf_loop` | `bpf_loop`. | 5.17 | no | yes |",
            "| `kprobe` | kprobes and kretprobes (`CONFIG_KPROBES`). |  | yes | yes |",
        ] {
            assert!(rows.lines().any(|line| line == row), "{rows}");
        }
    }
}

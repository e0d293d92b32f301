//! What the running kernel can do, for people who read the log.

use bpf_probes::kernel::FeatureSet;

/// What a kernel has, and what it does not have or did not tell, each with why not: `has fentry, signal; not kprobe_multi (no, needs 5.18)`.
pub fn in_words(features: &FeatureSet) -> String {
    let (has, not): (Vec<_>, Vec<_>) = features.iter().partition(|(_, answer)| answer.is_yes());
    let has: Vec<_> = has.iter().map(|(feature, _)| feature.name().to_owned()).collect();
    let not: Vec<_> = not.iter().map(|(feature, answer)| format!("{} ({answer})", feature.name())).collect();
    let parts = [("has", has), ("not", not)].into_iter().filter(|(_, names)| !names.is_empty());
    parts.map(|(word, names)| format!("{word} {}", names.join(", "))).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use bpf_probes::kernel::{Answer, Feature};

    use super::*;

    #[test]
    fn what_a_kernel_has_is_told_from_what_it_lacks_and_why() {
        let mut features = FeatureSet::new();
        features.set(Feature::Lsm, Answer::Yes);
        features.set_no(Feature::Loop);
        features.set(Feature::Fentry, Answer::Refused { error: "EPERM".to_owned() });
        let words = in_words(&features);
        assert!(words.starts_with("has lsm; not "), "{words}");
        assert!(
            words.contains("bpf_loop (no, needs 5.17)") && words.contains("fentry (refused: EPERM)"),
            "{words}"
        );
    }
}

use super::support::{alone, descriptors};
use crate::kernel::{Answer, Feature};
use crate::load::probe::{ProbeOptions, kernel_symbols, kernel_view, module_functions};

// proves: REL-09 (answers)
#[test]
#[expect(clippy::print_stderr, reason = "what this kernel can do is worth seeing")]
fn root_the_running_kernel_answers_and_nothing_stays() {
    let _alone = alone();
    let before = descriptors();
    let start = std::time::Instant::now();
    let view = kernel_view(&ProbeOptions::default()).unwrap();
    let took = start.elapsed();
    let lsms = view.facts().lsms.as_ref().map(crate::kernel::ActiveLsms::to_text).unwrap_or_default();
    let took = took.as_millis();
    eprintln!(
        "{} {} {lsms} {took} ms\n{}",
        view.release(),
        view.preemption(),
        view.facts().features.to_text()
    );
    // What every supported kernel has.
    for feature in [
        Feature::RawTracepoint,
        Feature::Tracepoint,
        Feature::RingBuffer,
        Feature::SendSignal,
        Feature::ProbeReadKernelStr,
        Feature::LargeProgram,
        Feature::GlobalFunction,
        Feature::MixedCalls,
        Feature::KtimeBoot,
        Feature::BatchUpdate,
    ] {
        assert_eq!(view.answer(feature), &Answer::Yes, "{feature}");
    }
    for (feature, answer) in view.facts().features.iter() {
        let told = feature == Feature::BuildId || !matches!(answer, Answer::Unknown { .. });
        assert!(told, "{feature}: {answer}");
    }
    assert_eq!(descriptors(), before);
    assert_ne!(view.preemption(), crate::kernel::Preemption::Unknown);
}

#[test]
fn root_names_are_looked_up_in_the_list_of_symbols() {
    let _alone = alone();
    let found = kernel_symbols(&["wake_up_new_task", "no_such_function_at_all"]).unwrap();
    assert_eq!(found.iter().collect::<Vec<_>>(), ["wake_up_new_task"]);
    let with_modules = module_functions(&["wake_up_new_task", "no_such_function_at_all"]).unwrap();
    assert_eq!(with_modules, [("wake_up_new_task".to_owned(), None)]);
}

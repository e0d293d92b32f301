//! Compiled = form between = plain meaning, on random policies and random calls.
//!
//! A case is one call of a system call with six arguments of many types, under one to three policies of one to three selectors with any matchers and operators.
//! The bytecode runs in the interpreter; what it reports must be what `ir::evaluate` says and what [`plain`] makes of the checked policy. Policies come from
//! `proptest`, which makes the smallest that still disagree; calls come from a seed. `AGREEMENT_CASES` says how many cases (`cargo xtask test` runs a million), and
//! `AGREEMENT_SEED` begins where a failure was found.

mod calls;
mod evaluated;
mod plain;
mod policies;
mod random;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bpf_probes::kernel::KernelView;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::kernel::recorded;
use crate::run::resolved;
use policies::{Shape, policies, shape};
use random::Random;
use world::Prepared;

/// Calls under one set of policies.
const CALLS: u64 = 250;
/// Cases when nobody says how many: what an unoptimised build does in some seconds.
const FEW: u64 = 5_000;
/// Classes that one policy may have.
const CLASSES: u32 = 16;

/// What was tried.
#[derive(Default)]
struct Tried {
    cases: AtomicU64,
    /// Cases in which a policy matched.
    matched: AtomicU64,
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

// proves: SEL-01, SEL-29
#[test]
#[expect(clippy::print_stderr, reason = "how much was tried, and how to try it again")]
fn compiled_policies_do_what_their_text_means() {
    // what differs from run to run
    let fresh = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    let seed = setting("AGREEMENT_SEED").unwrap_or_else(fresh);
    let cases = setting("AGREEMENT_CASES").unwrap_or(FEW);
    let views = ["5.10", "6.1", "6.12", "6.18", "7.2"].map(recorded);
    let tried = Tried::default();
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    thread::scope(|scope| {
        for number in 0..threads {
            let (views, tried) = (&views, &tried);
            scope.spawn(move || {
                let sets = cases.div_ceil(CALLS).div_ceil(threads);
                if let Err(reason) = try_many(seed, number, sets, views, tried) {
                    panic!("AGREEMENT_SEED={seed}, thread {number} of {threads}: {reason}");
                }
            });
        }
    });
    let (cases, matched) = (tried.cases.into_inner(), tried.matched.into_inner());
    // a test whose policies never match shows nothing
    assert!(matched > cases / 20, "{matched} of {cases} cases matched");
    eprintln!("AGREEMENT_SEED={seed}: {cases} cases, {matched} of them matched");
}

/// Tries sets of policies; the least that disagrees, if one does.
fn try_many(seed: u64, thread: u64, sets: u64, views: &[KernelView], tried: &Tried) -> Result<(), String> {
    let prepared: Vec<Prepared<'_>> = views.iter().map(Prepared::of).collect();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&thread.to_le_bytes());
    let config = Config {
        cases: u32::try_from(sets).unwrap(),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let cases = (shape(), 0..views.len(), any::<u64>())
        .prop_flat_map(|(shape, view, calls)| (policies(shape), Just(shape), Just(view), Just(calls)));
    TestRunner::new_with_rng(config, rng)
        .run(&cases, |(texts, shape, view, calls)| {
            agree(&prepared[view], &texts, shape, calls, tried).map_err(TestCaseError::fail)
        })
        .map_err(|error| error.to_string())
}

/// Whether all three agree on some calls; else the call and the policies.
fn agree(
    prepared: &Prepared<'_>,
    texts: &[String],
    shape: Shape,
    seed: u64,
    tried: &Tried,
) -> Result<(), String> {
    let view = prepared.base.view;
    let policies: Vec<_> = texts.iter().map(|text| resolved(text, view)).collect();
    let mut it = prepared.base.load_numbered(&policies, CLASSES);
    let hook = evaluated::Hook::of(&policies);
    let mut random = Random::new(seed);
    let mut matched = 0;
    for _ in 0..CALLS {
        let call = calls::call(&mut random, &prepared.pool, shape);
        let reported = world::run(&mut it, &prepared.pool, &policies, &call)
            .map_err(|fault| format!("{fault}\n{call:?}\non {}\n{}", view.release(), texts.join("---\n")))?;
        let plain = plain::expected(&policies, &call, view);
        let evaluated = hook.evaluate(&policies, &call);
        if reported != plain || evaluated != plain {
            return Err(format!(
                "on {}\n{call:?}\nreported {reported:?}, evaluated {evaluated:?}, plainly {plain:?} (policy, selector)\n{}",
                view.release(),
                texts.join("---\n")
            ));
        }
        matched += u64::from(!plain.is_empty());
    }
    tried.cases.fetch_add(CALLS, Ordering::Relaxed);
    tried.matched.fetch_add(matched, Ordering::Relaxed);
    Ok(())
}

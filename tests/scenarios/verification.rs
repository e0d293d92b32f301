//! What programs cost the verifier, on this kernel.

use e2e::ensure;
use e2e::expect::Outcome;
use e2e::scenario::{Guest, run};

use crate::say;

/// The tests of `tracing-policy/tests/live`, which the host puts here.
const LIVE: &str = "/usr/bin/e2e-live";
/// Those that load every type, every family of operators, many policies and long lists, and count.
const TESTS: [&str; 4] = [
    "cost::root_no_program_of_the_language_is_expensive_to_verify",
    "cost::root_no_program_of_buffers_returns_and_overrides_is_expensive_to_verify",
    "cost::root_no_program_of_the_sensors_is_expensive_to_verify",
    "cost::root_a_thousand_values_load_about_as_fast_as_one",
];
/// How a line of theirs goes on behind the number.
const WALKED: &str = " instructions walked";

/// Runs them, and says which program was the most expensive.
pub(crate) fn cheap(_guest: &Guest) -> Outcome {
    let ended = run(&[&[LIVE, "--exact", "--test-threads=1", "--nocapture"], &TESTS[..]].concat())?;
    let said = format!("{}{}", ended.text(), ended.stderr);
    let others = said.lines().filter(|line| !line.contains(WALKED));
    let last: Vec<&str> = others.rev().take(20).collect();
    ensure!(ended.success(), "{}", last.into_iter().rev().collect::<Vec<_>>().join(" | "));
    let all = format!("test result: ok. {} passed", TESTS.len());
    ensure!(said.lines().any(|line| line.starts_with(&all)), "not all of the tests are there");
    let programs = said.lines().filter_map(|line| {
        let (program, rest) = line.rsplit_once(": ")?;
        Some((rest.split_once(WALKED)?.0.parse::<u64>().ok()?, program))
    });
    let Some((most, program)) = programs.max() else {
        return Err(e2e::expect::Failure("no program was counted".to_owned()));
    };
    say(&format!("the most expensive program to verify: {program}, {most} instructions"));
    Ok(())
}

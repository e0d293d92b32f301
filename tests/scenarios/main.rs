//! The scenarios, and the program that runs them inside a machine.
//!
//! `e2e-guest run VARIANT NAME…` runs scenarios one after the other, each in a process of its own;
//! `e2e-guest list` names them; `e2e-guest load …` makes load; `e2e-guest measure …` prints what things cost;
//! `e2e-guest screen …` prints what a command shows on a terminal.

mod arguments;
mod churn;
mod classes;
mod command;
mod content;
mod contention;
mod enforcers;
mod facts;
mod gap;
mod generate;
mod kinds;
mod language;
mod lifecycle;
mod lists;
mod loads;
mod machine;
mod many;
mod measure;
mod misbehaviour;
mod modules;
mod network;
mod objects;
mod overload;
mod overrides;
mod paths;
mod policies;
mod policytest;
mod processes;
mod refusals;
mod registry;
mod reports;
mod restart;
mod returns;
mod runner;
mod samples;
mod screen;
mod selectors;
mod shadow;
mod sleeper;
mod syscalls;
mod throttle;
mod uprobes;
mod usdts;
mod verification;

use std::io::{self, Write};
use std::process::ExitCode;

use e2e::expect::Failure;
use e2e::report::Listed;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["list"] => {
            for scenario in registry::SCENARIOS {
                let name = scenario.name.to_owned();
                say(&Listed { name, machines: scenario.machines, kernels: scenario.kernels }.to_string());
            }
            Ok(ExitCode::SUCCESS)
        }
        ["run", variant, names @ ..] => runner::all(variant, names),
        ["one", variant, name] => runner::one(variant, name),
        ["load", rest @ ..] => loads::run(rest),
        ["screen", columns, rows, seconds, keys, command @ ..] => {
            screen::show(columns, rows, seconds, keys, command).map(|()| ExitCode::SUCCESS)
        }
        ["measure", variant, what] => measure::run(variant, what),
        _ => Err(Failure(
            "usage: e2e-guest list | run VARIANT NAME… | load … | screen COLUMNS ROWS SECONDS KEYS COMMAND… | measure VARIANT WHAT".to_owned(),
        )),
    };
    result.unwrap_or_else(|failure| {
        writeln!(io::stderr().lock(), "{failure}").unwrap_or_default();
        ExitCode::FAILURE
    })
}

/// A line on standard output. When nobody listens any more there is nobody to tell.
pub(crate) fn say(text: &str) {
    writeln!(io::stdout().lock(), "{text}").unwrap_or_default();
}

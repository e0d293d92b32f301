//! `cargo xtask test`: every test, in layers, cheapest first; one line of totals at the end.
//!
//! A layer adds to one [`Tally`]; it never ends the run, so that one run shows all that is wrong. Under `CI=true`
//! what is skipped has failed; elsewhere it is named.

mod clock;
mod gates;
mod machines;
mod tally;
mod units;

pub(crate) use tally::Tally;
pub(crate) use units::CHURN;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::Result;
use clap::ValueEnum;

use crate::{bench, build, fuzz, setup, terminal};
use clock::Clock;

/// A kind of test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layer {
    /// Format, layers, clippy, licences and sources.
    Lint,
    /// Tests beside the code, and examples in its documentation.
    Unit,
    /// Random policies, followed by what they reach.
    Fuzz,
    /// Tests that need root and the running kernel.
    Native,
    /// Scenarios on stock kernels in virtual machines.
    Vm,
    /// Instructions per run against the committed table.
    Cost,
}

/// Arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only this layer; may be repeated.
    #[arg(long = "layer", value_name = "LAYER")]
    layers: Vec<Layer>,
    /// Only this kernel of the layer vm, such as 6.12 or 6.1+preempt=full; may be repeated.
    #[arg(long = "kernel", value_name = "KERNEL")]
    kernels: Vec<String>,
    /// Only this scenario of the layer vm; may be repeated.
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<String>,
    /// Take the binaries for machines from this folder instead of building them.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// Runs the layers and prints the totals.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let chosen = |layer: Layer| {
        if arguments.layers.is_empty() {
            // A kernel or a scenario means the machines.
            layer == Layer::Vm || (arguments.kernels.is_empty() && arguments.scenarios.is_empty())
        } else {
            arguments.layers.contains(&layer)
        }
    };
    let mut tally = Tally::default();
    if let Err(error) = setup::packages() {
        if tally::in_ci() {
            return Err(error);
        }
        terminal::progress(&format!("{error:#}"));
    }
    if !samples().is_dir() && (chosen(Layer::Unit) || chosen(Layer::Vm)) {
        let reason = format!("{} is not there", samples().display());
        tally.skip("what is compared with upstream's samples", &reason);
    }
    let needs_built = chosen(Layer::Vm) && machines::wants_built(arguments);
    let building = needs_built.then(|| thread::spawn(machines::build_ahead));
    // A machine that counts instructions counts the same beside others, on one CPU of the host.
    let beside = chosen(Layer::Vm) && chosen(Layer::Cost);
    let alone = |layer: &Layer| chosen(*layer) && !(beside && *layer == Layer::Cost);
    for layer in Layer::value_variants().iter().copied().filter(alone) {
        if beside && layer == Layer::Vm {
            tally.absorb(both(layer, Layer::Cost, arguments));
        } else {
            run_layer(layer, arguments, &mut tally);
        }
    }
    if let Some(Err(_panic)) = building.map(thread::JoinHandle::join) {
        tally.fail("the custom kernel", "the thread that builds it panicked");
    }
    Ok(tally.close())
}

/// Where upstream's samples are, which lie beside the checkout: what compares with them is left out where they do not.
fn samples() -> PathBuf {
    build::workspace().join("../shared/samples")
}

/// Runs two layers at the same time.
fn both(one: Layer, other: Layer, arguments: &Arguments) -> Tally {
    let run = |layer| {
        let mut tally = Tally::default();
        run_layer(layer, arguments, &mut tally);
        tally
    };
    thread::scope(|scope| {
        let other_run = scope.spawn(move || run(other));
        let mut tally = run(one);
        match other_run.join() {
            Ok(others) => tally.absorb(others),
            Err(_panic) => tally.fail(&format!("layer {other:?}"), "it panicked"),
        }
        tally
    })
}

/// Runs one layer and says what it took.
fn run_layer(layer: Layer, arguments: &Arguments, tally: &mut Tally) {
    let name = format!("{layer:?}").to_lowercase();
    terminal::progress(&format!("layer {name}"));
    let clock = Clock::start();
    let ran = match layer {
        Layer::Lint => gates::run(tally),
        Layer::Unit => units::unit(tally),
        Layer::Fuzz => fuzz::gate(tally),
        Layer::Native => units::native(tally),
        Layer::Vm => machines::run(arguments, tally),
        Layer::Cost => bench::gate(arguments.binaries.as_deref(), tally),
    };
    terminal::progress(&format!("layer {name} took {clock}"));
    // A layer that cannot run at all has failed, and the next ones still run.
    if let Err(error) = ran {
        tally.fail(&format!("layer {name}"), &format!("{error:#}"));
    }
}

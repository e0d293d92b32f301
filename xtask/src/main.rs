//! The one door for every chore of this repository: `cargo xtask COMMAND`.

mod bench;
mod build;
mod demo;
mod dist;
mod fuzz;
mod generate;
mod lint;
mod machine;
mod pictures;
mod scripted;
mod setup;
mod terminal;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the Enforcer repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Installs through apt what the other chores need, and fetches the kernels.
    Setup(setup::Arguments),
    /// Shows events of this machine, then a policy that kills, in a small virtual machine.
    Demo(demo::Arguments),
    /// Runs every test: gates of the source, unit, native, virtual machines, cost.
    Test(test::Arguments),
    /// Feeds the compiler policies that it has not seen, and runs what it makes of them.
    Fuzz(fuzz::Arguments),
    /// Measures what things cost, beside the figures of Tetragon.
    Bench(bench::Arguments),
    /// Boots a stock kernel and runs a command in it, or a shell.
    Vm(Box<vm::Arguments>),
    /// Checks the layers of the crates, the order of modules, and the text of the source.
    Lint,
    /// Writes the pages of docs that are made from the source.
    Generate,
    /// Draws the pictures of docs from what the commands print in a virtual machine.
    Pictures(pictures::Arguments),
    /// Builds the archive that is installed on a node.
    Dist(dist::Arguments),
}

fn main() -> ExitCode {
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    let result = match Arguments::parse().chore {
        Chore::Setup(arguments) => done(setup::run(&arguments)),
        Chore::Demo(arguments) => done(demo::run(&arguments)),
        Chore::Test(arguments) => test::run(&arguments),
        Chore::Fuzz(arguments) => fuzz::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Vm(arguments) => vm::run(*arguments),
        Chore::Lint => done(lint::run()),
        Chore::Generate => done(generate::run()),
        Chore::Pictures(arguments) => done(pictures::run(&arguments)),
        Chore::Dist(arguments) => done(dist::run(&arguments)),
    };
    result.unwrap_or_else(|error| {
        terminal::error(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::{CommandFactory as _, ValueEnum as _};

    use super::{Arguments, build, test::Layer};

    // proves: DOC-11 (chores and layers of tests)
    #[test]
    fn every_chore_and_layer_is_in_the_table_for_contributors() {
        let page = std::fs::read_to_string(build::workspace().join("CONTRIBUTING.md")).unwrap();
        let chores: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
            .flat_map(|cell| cell.split(['`', ',', ' ']))
            .collect();
        for chore in Arguments::command().get_subcommands() {
            assert!(chores.contains(&chore.get_name()), "{}", chore.get_name());
        }
        let layers = Layer::value_variants().iter().filter_map(Layer::to_possible_value);
        let layers: Vec<String> = layers.map(|layer| layer.get_name().to_owned()).collect();
        assert!(page.contains(&format!("in layers: {};", layers.join(", "))), "{layers:?}");
    }
}

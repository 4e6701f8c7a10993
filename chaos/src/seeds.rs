//! Seeds of the deterministic simulation, replayed and swept.
//!
//! The simulation has the gateway itself in its process, which the harness must not: it is a test of the gateway's package,
//! and cargo runs it.

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, ensure};
use clap::Args;

/// One seed.
#[derive(Debug, Clone, Args)]
pub struct SeedArgs {
    /// Its number.
    seed: u64,
    /// The gateway's own log as well, in the order of the trace: `info`, `debug` or a filter.
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    #[command(flatten)]
    build: BuildArgs,
}

/// Many seeds.
#[derive(Debug, Clone, Args)]
pub struct SeedsArgs {
    /// How many.
    #[arg(default_value_t = 10_000)]
    count: u64,
    /// The first.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Every seed twice, which must give the same trace; else one in twenty is.
    #[arg(long)]
    twice: bool,
    #[command(flatten)]
    build: BuildArgs,
}

/// How the simulation is built.
#[derive(Debug, Clone, Args)]
struct BuildArgs {
    /// With optimisation: longer to build, faster to run.
    #[arg(long)]
    release: bool,
}

/// The file by which a checkout is known.
const SIMULATION: &str = "tests/simulation/main.rs";

/// Replays one seed, with its options and its trace.
///
/// # Errors
/// Outside of a checkout, and without cargo.
pub fn replay(arguments: &SeedArgs) -> anyhow::Result<ExitCode> {
    let mut wishes = vec![("OUTCROP_SIM_SEED", arguments.seed.to_string())];
    wishes.extend(arguments.log.iter().map(|level| ("OUTCROP_SIM_LOG", level.clone())));
    run(simulation(&arguments.build, &wishes))
}

/// Runs many seeds, each in a process of its own.
///
/// # Errors
/// As [`replay`].
pub fn sweep(arguments: &SeedsArgs) -> anyhow::Result<ExitCode> {
    let mut wishes = vec![("OUTCROP_SIM_SEEDS", arguments.count.to_string()), ("OUTCROP_SIM_FROM", arguments.from.to_string())];
    wishes.extend(arguments.twice.then(|| ("OUTCROP_SIM_TWICE", "all".to_owned())));
    run(simulation(&arguments.build, &wishes))
}

fn simulation(build: &BuildArgs, wishes: &[(&str, String)]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--locked", "--package", "outcrop", "--test", "simulation"]);
    if build.release {
        command.arg("--release");
    }
    command.args(["--", "--exact", "every_seed_holds", "--nocapture"]);
    // What the caller's shell still has from another run is not part of this one.
    for known in ["OUTCROP_SIM_SEED", "OUTCROP_SIM_SEEDS", "OUTCROP_SIM_FROM", "OUTCROP_SIM_TWICE", "OUTCROP_SIM_LOG"] {
        command.env_remove(known);
    }
    command.envs(wishes.iter().map(|(name, value)| (name, value)));
    command
}

fn run(mut command: Command) -> anyhow::Result<ExitCode> {
    ensure!(Path::new(SIMULATION).exists(), "there is no {SIMULATION} here: the simulation is a test, run it from the repository's root");
    let status = command.status().context("starting cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    enum CommandLine {
        Seed(SeedArgs),
        Seeds(SeedsArgs),
    }

    /// The variables that are set, and the arguments.
    fn parts(command: &Command) -> (HashMap<String, String>, Vec<String>) {
        let text = |text: &std::ffi::OsStr| text.to_str().unwrap().to_owned();
        let set = command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?))));
        (set.collect(), command.get_args().map(text).collect())
    }

    #[test]
    fn a_seed_is_asked_for_in_the_simulations_own_words() {
        let CommandLine::Seed(seed) = CommandLine::parse_from(["chaos", "seed", "46", "--log", "debug", "--release"]) else { panic!() };
        assert_eq!((seed.seed, seed.log.as_deref(), seed.build.release), (46, Some("debug"), true));
        let (set, arguments) = parts(&simulation(&seed.build, &[("OUTCROP_SIM_SEED", seed.seed.to_string())]));
        assert_eq!(set, HashMap::from([("OUTCROP_SIM_SEED".to_owned(), "46".to_owned())]));
        assert!(arguments.contains(&"--release".to_owned()) && arguments.contains(&"every_seed_holds".to_owned()));
        let CommandLine::Seeds(seeds) = CommandLine::parse_from(["chaos", "seeds"]) else { panic!() };
        assert_eq!((seeds.count, seeds.from, seeds.twice), (10_000, 0, false));
    }

    #[test]
    fn the_variables_are_those_that_the_simulation_reads() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let words = std::fs::read_to_string(root.join(SIMULATION)).unwrap();
        for name in [
            "OUTCROP_SIM_SEED=",
            "OUTCROP_SIM_SEEDS=",
            "OUTCROP_SIM_FROM",
            "OUTCROP_SIM_TWICE=all",
            "OUTCROP_SIM_LOG=",
            "fn every_seed_holds",
        ] {
            assert!(words.contains(name), "{name}");
        }
    }
}

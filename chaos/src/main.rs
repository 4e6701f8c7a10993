//! `outcrop-chaos`: chaos scenarios and benchmarks against a gateway in front of the simulator.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use outcrop_chaos::{cli, seeds};

// The same allocator as the gateway's, so that the baselines differ from it in nothing else.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(name = "outcrop-chaos", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the scenarios.
    List(cli::ScenarioArgs),
    /// Runs scenarios, prints a table and writes JSON and an HTML page for each. Exit code 1 unless all of them passed.
    Run(Box<cli::RunArgs>),
    /// Judges stored runs again and writes their pages anew.
    Report(cli::ReportArgs),
    /// Replays one seed of the deterministic simulation, with its trace; from the repository's root.
    Seed(seeds::SeedArgs),
    /// Runs many seeds of the deterministic simulation; from the repository's root.
    Seeds(seeds::SeedsArgs),
    /// Compares the gateway with a bare SDK handler and a plain proxy, in one run, and the dialects with each other. Takes under ten minutes; run it alone.
    Bench {
        /// The gateway's binary; built in release.
        #[arg(long, default_value = "target/release/outcrop")]
        gateway: PathBuf,
        /// Where to write the numbers as JSON.
        #[arg(long, default_value = "target/bench.json")]
        json: PathBuf,
        /// A quick look: a tenth of the requests. Not for comparing.
        #[arg(long)]
        quick: bool,
        /// Only what adaptive routing costs over `ordered`, without JSON.
        #[arg(long)]
        strategies: bool,
    },
    /// Serves a baseline, for the benchmark.
    #[command(hide = true)]
    Baseline {
        /// Which.
        kind: BaselineKind,
        /// Base URL of the simulated region.
        #[arg(long)]
        upstream: String,
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        bind: SocketAddr,
    },
    /// Serves the simulator in its fixed-answer mode, for the benchmark.
    #[command(hide = true)]
    Upstream {
        /// Time between two deltas of a slow stream, in milliseconds.
        #[arg(long, default_value_t = 0)]
        pace_ms: u64,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BaselineKind {
    /// An axum handler that calls the SDK's typed client.
    Sdk,
    /// A handler that passes bytes on.
    Proxy,
}

fn main() -> anyhow::Result<ExitCode> {
    let command = CommandLine::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::List(arguments) => return cli::list(&arguments),
            Command::Run(arguments) => return cli::run(*arguments).await,
            Command::Report(arguments) => return cli::report(&arguments),
            Command::Seed(arguments) => return seeds::replay(&arguments),
            Command::Seeds(arguments) => return seeds::sweep(&arguments),
            Command::Bench { gateway, quick, strategies: true, .. } => outcrop_chaos::bench::run_strategies(&gateway, quick).await,
            Command::Bench { gateway, json, quick, strategies: false } => outcrop_chaos::bench::run(&gateway, &json, quick).await,
            Command::Baseline { kind: BaselineKind::Sdk, upstream, bind } => outcrop_chaos::baseline::sdk::serve(bind, upstream).await,
            Command::Baseline { kind: BaselineKind::Proxy, upstream, bind } => outcrop_chaos::baseline::proxy::serve(bind, upstream).await,
            Command::Upstream { pace_ms } => outcrop_chaos::bench::upstream::serve(pace_ms).await,
        }?;
        Ok(ExitCode::SUCCESS)
    })
}

//! The benchmark: gateway, bare SDK handler and plain proxy in front of one simulator, in one run.
//!
//! Absolute numbers depend on the machine; what counts are the ratios, which is why everything is measured side
//! by side: each round, with new processes, measures one thing of all three before the next thing, and the median of the
//! rounds' ratios is taken. A machine is slower for seconds at a time, and a process is by where its memory happens to lie; rounds
//! that measured one contestant's everything first, in one process, gave ratios between 0.71 and 0.85 for the same program.
//!
//! The gateway's other dialects are compared with its chat path the same way (`dialects`), also over an agent's history (`history`),
//! and its chat path with adaptive routing with the same without (`strategies`): that has a limit, and a run that exceeds it fails.

mod dialects;
pub mod history;
mod load;
mod measure;
mod process;
mod report;
mod slices;
mod strategies;
pub mod upstream;
mod words;

use std::{fs, path::Path};

use anyhow::{Context as _, bail};

use self::{measure::Lineup, process::Server, report::Report, strategies::StrategyRow};

/// The model every request names: a plain chat model that is callable by its bare id.
pub const MODEL: &str = "amazon.nova-lite-v1:0";

/// Access key of the simulated account.
pub const ACCESS_KEY: &str = outcrop_sim::DEFAULT_ACCESS_KEY;

/// Secret key of the simulated account.
pub const SECRET_KEY: &str = outcrop_sim::DEFAULT_SECRET_KEY;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Plan {
    rounds: usize,
    answers: u64,
    streams: u64,
    lone_requests: u64,
    open_streams: [usize; 2],
    /// Rounds of adaptive routing against `ordered`, each of a quarter of the answers and streams.
    strategy_rounds: usize,
    /// Rounds of the gateway's own dialects, which are compared with its chat path.
    dialect_rounds: usize,
    /// Rounds of long histories.
    history_rounds: usize,
    /// Long histories per round and dialect.
    histories: u64,
}

const FULL: Plan = Plan {
    rounds: 14,
    answers: 4_000,
    streams: 800,
    lone_requests: 350,
    open_streams: [1_000, 5_000],
    strategy_rounds: 61,
    dialect_rounds: 7,
    history_rounds: 5,
    histories: 40,
};
const QUICK: Plan = Plan {
    rounds: 1,
    answers: 800,
    streams: 160,
    lone_requests: 200,
    open_streams: [100, 500],
    strategy_rounds: 1,
    dialect_rounds: 1,
    history_rounds: 1,
    histories: 2,
};

/// Runs the benchmark, prints its table and writes its JSON.
///
/// # Errors
/// When a server does not start, an answer is not what it must be, or a full run exceeds a limit.
pub async fn run(gateway: &Path, json: &Path, quick: bool) -> anyhow::Result<()> {
    let plan = if quick { QUICK } else { FULL };
    raise_file_limit();
    let harness = std::env::current_exe().context("finding the harness itself")?;
    let fast = Server::announced(&harness, &["upstream".to_owned()]).await.context("the simulator")?;
    let slow = Server::announced(&harness, &["upstream".to_owned(), "--pace-ms".to_owned(), "2000".to_owned()])
        .await
        .context("the slow simulator")?;
    let paced = Server::announced(&harness, &["upstream".to_owned(), "--pace-ms".to_owned(), "5".to_owned()])
        .await
        .context("the paced simulator")?;
    let lineup = Lineup {
        paced_upstream: paced.address.clone(),
        gateway: gateway.to_owned(),
        harness,
        fast_upstream: fast.address.clone(),
        slow_upstream: slow.address.clone(),
        histories: dialects::history_bodies(history::LONG),
        turns: dialects::history_bodies(history::SHORT),
    };
    let report = Report::new(measure::all(&lineup, plan).await?);
    report.print()?;
    if let Some(folder) = json.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(json, serde_json::to_vec_pretty(&report)?).with_context(|| format!("writing {}", json.display()))?;
    judge(report.strategies(), quick)
}

/// Compares adaptive routing with `ordered`, and nothing else.
///
/// # Errors
/// When a server does not start, an answer is not what it must be, or a full run exceeds the limit.
pub async fn run_strategies(gateway: &Path, quick: bool) -> anyhow::Result<()> {
    let plan = if quick { QUICK } else { FULL };
    let harness = std::env::current_exe().context("finding the harness itself")?;
    let fast = Server::announced(&harness, &["upstream".to_owned()]).await.context("the simulator")?;
    let rows = strategies::rows(gateway, &fast.address, plan).await?;
    report::print_strategies(&rows)?;
    judge(&rows, quick)
}

/// A quick run is too short to be judged.
fn judge(rows: &[StrategyRow], quick: bool) -> anyhow::Result<()> {
    let exceeded = strategies::exceeded(rows);
    if !quick && !exceeded.is_empty() {
        bail!("at most {} is allowed: {}", strategies::MOST, exceeded.join("; "));
    }
    Ok(())
}

/// Thousands of connections need thousands of descriptors.
fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "could not raise the limit of open files");
    }
}

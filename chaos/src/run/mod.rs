//! From a scenario to a history: simulator, gateway, load, faults, and the books of all of them.

mod about;
mod canary;
mod faults;
mod once;
mod peer;
mod prices;
mod sampler;
mod upstream;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;

pub use once::{Rehearsal, rehearse, run_once};
pub use peer::Peer;
pub use prices::read as read_prices;
pub use upstream::Upstream;

use crate::{
    history::History,
    report::{RunReport, Store},
    scenario::Scenario,
    threads,
};

/// How scenarios are run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The gateway's binary.
    pub gateway: PathBuf,
    /// Where runs are stored.
    pub store: Store,
    /// Factor on all times.
    pub scale: f64,
    /// Seed instead of the scenario's.
    pub seed: Option<u64>,
    /// Strategies instead of the scenario's; all of them are judged.
    pub strategies: Option<Vec<String>>,
    /// Run the strategies that are only shown beside the judged ones too.
    pub compare: bool,
    /// Base URL of a gateway that somebody else started.
    pub url: Option<String>,
    /// What is known of that gateway; the scenario has it as its target already.
    pub peer: Box<Peer>,
    /// Show progress.
    pub progress: bool,
    /// File of prices.
    pub prices: PathBuf,
}

/// Runs a scenario with each of its strategies, one after the other, and stores what came of it.
///
/// # Errors
/// What keeps the harness itself from working: files, ports. A gateway that does not start is a failed run.
pub async fn run_scenario(scenario: &Scenario, options: &RunOptions) -> anyhow::Result<(Vec<(RunReport, History)>, PathBuf)> {
    let mut scenario = scenario.clone();
    scenario.scale(options.scale);
    let scenario = Arc::new(scenario);
    let mut runs = Vec::new();
    for (strategy, judged) in strategies(&scenario, options) {
        let run = run_once(&scenario, &strategy, judged, options).await;
        runs.push(run.with_context(|| format!("scenario {}, strategy {strategy}", scenario.name))?);
    }
    let store = options.store.clone();
    threads::behind(move || {
        let page = store.write(&scenario.name, &runs)?;
        Ok((runs, page))
    })
    .await?
}

fn strategies(scenario: &Scenario, options: &RunOptions) -> Vec<(String, bool)> {
    if let Some(wanted) = &options.strategies {
        return wanted.iter().map(|strategy| (strategy.clone(), true)).collect();
    }
    let judged = |strategy: &String| scenario.judge.contains(strategy);
    let run = scenario.run.iter().filter(|strategy| options.compare || judged(strategy));
    run.map(|strategy| (strategy.clone(), judged(strategy))).collect()
}

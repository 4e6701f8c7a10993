//! The head of a history: what is run, and how to run it again.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::SystemTime};

use super::{RunOptions, prices};
use crate::{
    history::{About, ModelFacts, Price},
    plan::Resolved,
    scenario::Scenario,
};

/// The head of a run against processes.
pub(super) fn about(
    scenario: &Scenario,
    strategy: &str,
    judged: bool,
    seed: u64,
    resolved: &Resolved,
    options: &RunOptions,
) -> anyhow::Result<About> {
    let name = &scenario.name;
    let whom = match &options.url {
        Some(url) => options.peer.words(url),
        None => format!(" --strategy {strategy}"),
    };
    Ok(About {
        judged,
        scale: options.scale,
        replay: format!("outcrop-chaos run {name} --seed {seed}{whom} --scale {}", options.scale),
        commit: said_by("git", &["rev-parse", "--short=12", "HEAD"]),
        lock_hash: lock_hash(Path::new("Cargo.lock")),
        compiler: said_by("rustc", &["--version"]),
        started: httpdate::fmt_http_date(SystemTime::now()),
        ..facts(scenario, strategy, seed, resolved, &prices::read(&options.prices)?)
    })
}

/// What does not depend on where it runs.
pub(super) fn facts(scenario: &Scenario, strategy: &str, seed: u64, resolved: &Resolved, prices: &BTreeMap<String, Price>) -> About {
    let models = scenario.models.iter().map(|model| ModelFacts {
        ask: model.ask.clone(),
        id: model.id.clone(),
        burndown: model.burndown,
        price: prices.get(&model.id).copied(),
    });
    About {
        scenario: scenario.name.clone(),
        hypothesis: scenario.hypothesis.clone(),
        strategy: strategy.to_owned(),
        judged: true,
        seed,
        scale: 1.0,
        expansion: format!("{}\n# Resolved: {resolved}\n", scenario.text.trim_end()),
        regions: scenario.regions.iter().map(|region| region.name.clone()).collect(),
        models: models.collect(),
        rules: scenario.rules.clone(),
        ..About::default()
    }
}

/// What a program prints; a harness without it runs all the same.
fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let said = output.ok().filter(|output| output.status.success()).map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    said.unwrap_or_else(|| "unknown".to_owned())
}

/// FNV-1a: enough to tell two files apart.
fn lock_hash(file: &Path) -> String {
    let Ok(bytes) = fs::read(file) else { return "unknown".to_owned() };
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

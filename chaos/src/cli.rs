//! The commands about scenarios.

use std::{
    io::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    plan::resolve,
    report::{RunReport, RunVerdict, Store, table},
    run::{Peer, RunOptions, run_scenario},
    scenario::{Scenario, find, load_file},
};

/// Where scenarios are.
#[derive(Debug, Clone, Args)]
pub struct ScenarioArgs {
    /// Folder of scenario files.
    #[arg(long, default_value = "chaos/scenarios", value_name = "FOLDER")]
    scenarios: PathBuf,
}

/// What to run, and how.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    #[command(flatten)]
    place: ScenarioArgs,
    /// Scenarios by name.
    names: Vec<String>,
    /// All scenarios, in their short form.
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Three short ones, in about a minute.
    #[arg(long, conflicts_with_all = ["names", "all"])]
    smoke: bool,
    /// The gateway's binary.
    #[arg(long, default_value = "target/release/outcrop", value_name = "FILE")]
    gateway: PathBuf,
    /// A gateway that already runs in front of the simulator: its base URL (its key in OUTCROP_CHAOS_KEY).
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// What to call that gateway in reports.
    #[arg(long, requires = "url", conflicts_with_all = ["strategies", "compare"], value_name = "NAME")]
    name: Option<String>,
    /// Ports of the simulated regions, in the order of the scenario, for that gateway to be pointed at.
    #[arg(long, requires = "url", value_delimiter = ',', value_name = "PORT,PORT,...")]
    ports: Vec<u16>,
    /// Address on which the simulated regions listen; this machine only without it.
    #[arg(long, requires = "url", value_name = "ADDRESS")]
    bind: Option<IpAddr>,
    /// The short form, as with --all and --smoke: each scenario's times by its own factor.
    #[arg(long)]
    quick: bool,
    /// Factor on all times. Without it 1, and each scenario's own with --quick, --all and --smoke.
    #[arg(long)]
    scale: Option<f64>,
    /// Seed instead of the scenario's.
    #[arg(long)]
    seed: Option<u64>,
    /// Routing strategies instead of the scenario's; all of them are judged.
    #[arg(long = "strategy", value_delimiter = ',')]
    strategies: Option<Vec<String>>,
    /// Run the strategies that are only shown for comparison too.
    #[arg(long)]
    compare: bool,
    /// Scenarios at the same time; those that need the machine for themselves get it.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Where runs are stored.
    #[arg(long, default_value = "target/chaos", value_name = "FOLDER")]
    store: PathBuf,
    /// File of the harness's own prices.
    #[arg(long, default_value = "chaos/prices.toml", value_name = "FILE")]
    prices: PathBuf,
    /// No progress display.
    #[arg(long)]
    quiet: bool,
}

/// Which runs to judge again.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Scenarios by name; without any, all that are stored.
    names: Vec<String>,
    /// Where runs are stored.
    #[arg(long, default_value = "target/chaos", value_name = "FOLDER")]
    store: PathBuf,
}

/// Prints the scenarios.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn list(arguments: &ScenarioArgs) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let mut total = std::time::Duration::ZERO;
    for scenario in load_all(&arguments.scenarios)? {
        let quick = scenario.lasting().mul_f64(scenario.quick);
        total += quick;
        let flags = match (scenario.smoke, scenario.alone) {
            (true, _) => "smoke",
            (_, true) => "alone",
            _ => "",
        };
        writeln!(
            out,
            "{:28} {:>5.0} s {:>5.0} s  {flags:5}  {}",
            scenario.name,
            scenario.lasting().as_secs_f64(),
            quick.as_secs_f64(),
            scenario.hypothesis
        )?;
    }
    writeln!(out, "{:28} {:7} {:>5.0} s  in the short form, one after the other", "", "", total.as_secs_f64())?;
    Ok(ExitCode::SUCCESS)
}

/// Runs scenarios.
///
/// # Errors
/// Scenarios that do not load, or what keeps the harness itself from working.
pub async fn run(arguments: RunArgs) -> anyhow::Result<ExitCode> {
    let scenarios = chosen(&arguments)?;
    if arguments.url.is_none() && !arguments.gateway.exists() {
        bail!(
            "there is no {}: build the gateway first (cargo build --release -p outcrop), or name it with --gateway",
            arguments.gateway.display()
        );
    }
    raise_file_limit();
    // A peer knows one place for each region, and one scenario at a time can be there.
    let jobs = if arguments.url.is_some() { 1 } else { arguments.jobs.max(1) };
    let places = Arc::new(Semaphore::new(jobs));
    let all_places = u32::try_from(jobs).unwrap_or(u32::MAX);
    let short = arguments.all || arguments.smoke || arguments.quick;
    let shown = scenarios.len() == 1 && !arguments.quiet;
    let mut running = JoinSet::new();
    for scenario in scenarios {
        let options = RunOptions {
            gateway: arguments.gateway.clone(),
            store: Store::at(&arguments.store),
            scale: arguments.scale.unwrap_or(if short { scenario.quick } else { 1.0 }),
            seed: arguments.seed,
            strategies: arguments.strategies.clone(),
            compare: arguments.compare,
            url: arguments.url.clone(),
            peer: Box::new(arguments.peer()),
            progress: shown,
            prices: arguments.prices.clone(),
        };
        // Fair: a scenario that needs all places is not overtaken for ever.
        let wanted = if scenario.alone { all_places } else { 1 };
        let places = Arc::clone(&places);
        running.spawn(async move {
            let _place = places.acquire_many_owned(wanted).await;
            let name = scenario.name.clone();
            say(&format!("{name}: {} at {:.0} s", resolve(&scenario), scenario.lasting().mul_f64(options.scale).as_secs_f64()));
            (name, run_scenario(&scenario, &options).await)
        });
    }
    let mut reports = Vec::new();
    let mut broken = false;
    while let Some(done) = running.join_next().await {
        match done.context("a scenario died")? {
            (name, Ok((runs, page))) => {
                for (report, _) in runs {
                    tell(&name, &report, &page);
                    reports.push(report);
                }
            }
            (name, Err(error)) => {
                broken = true;
                say(&format!("{name}: {error:#}"));
            }
        }
    }
    finish(reports, broken, &arguments.store)
}

/// Judges stored runs again.
///
/// # Errors
/// Histories that cannot be read.
pub fn report(arguments: &ReportArgs) -> anyhow::Result<ExitCode> {
    let store = Store::at(&arguments.store);
    let stored = store.list()?;
    let wanted = |name: &String| arguments.names.is_empty() || arguments.names.contains(name);
    let mut names: Vec<String> = stored.iter().map(|run| run.scenario.clone()).filter(wanted).collect();
    names.dedup();
    let mut reports = Vec::new();
    for name in names {
        let runs = stored.iter().filter(|run| run.scenario == name).map(Store::judge).collect::<anyhow::Result<Vec<_>>>()?;
        let page = store.write(&name, &runs)?;
        for (report, _) in runs {
            tell(&name, &report, &page);
            reports.push(report);
        }
    }
    if reports.is_empty() {
        bail!("nothing is stored in {}", arguments.store.display());
    }
    finish(reports, false, &arguments.store)
}

fn finish(mut reports: Vec<RunReport>, broken: bool, store: &Path) -> anyhow::Result<ExitCode> {
    reports.sort_by(|one, other| (&one.about.scenario, !one.about.judged).cmp(&(&other.about.scenario, !other.about.judged)));
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", table(&reports))?;
    let file = store.join("summary.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&reports)?).with_context(|| format!("writing {}", file.display()))?;
    let judged = || reports.iter().filter(|report| report.about.judged);
    let passed = judged().filter(|report| report.verdict == RunVerdict::Passed).count();
    writeln!(out, "{passed} of {} passed", judged().count())?;
    Ok(if broken || passed < judged().count() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn tell(name: &str, report: &RunReport, page: &Path) {
    say(&format!("{name} ({}): {}. {} {}", report.about.strategy, report.verdict.as_str(), report.sentence, page.display()));
    for complaint in report.complaints().iter().take(8) {
        say(&format!("    {}", complaint.chars().take(300).collect::<String>()));
    }
}

fn say(words: &str) {
    // Progress is for people; nobody is told when standard error is closed.
    let _unheard = writeln!(std::io::stderr().lock(), "{words}");
}

impl RunArgs {
    fn peer(&self) -> Peer {
        Peer { name: self.name.clone(), ports: self.ports.clone(), bind: self.bind }
    }
}

/// The scenarios that are meant; those of a peer have it as their target.
fn chosen(arguments: &RunArgs) -> anyhow::Result<Vec<Scenario>> {
    let scenarios = named(arguments)?;
    let Some(url) = &arguments.url else { return Ok(scenarios) };
    let peer = arguments.peer();
    let mut taken = Vec::new();
    for scenario in scenarios {
        match Peer::out_of_reach(&scenario) {
            // Whoever asks for all of them means all that can be.
            Some(words) if arguments.names.is_empty() => say(&format!("{}: left out, {words}", scenario.name)),
            _ => taken.push(peer.take_over(scenario, url)?),
        }
    }
    Ok(taken)
}

fn named(arguments: &RunArgs) -> anyhow::Result<Vec<Scenario>> {
    let folder = &arguments.place.scenarios;
    if arguments.all || arguments.smoke {
        let all = load_all(folder)?;
        return Ok(all.into_iter().filter(|scenario| !arguments.smoke || scenario.smoke).collect());
    }
    if arguments.names.is_empty() {
        bail!("name a scenario, or --all or --smoke; `outcrop-chaos list` shows them");
    }
    let file = |name: &String| folder.join(format!("{name}.toml"));
    arguments.names.iter().map(|name| load_file(&file(name)).map_err(anyhow::Error::from)).collect()
}

fn load_all(folder: &Path) -> anyhow::Result<Vec<Scenario>> {
    let files = find(folder).with_context(|| format!("reading {}", folder.display()))?;
    files.iter().map(|file| load_file(file).map_err(anyhow::Error::from)).collect()
}

/// Thousands of connections need thousands of descriptors.
fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "could not raise the limit of open files");
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::scenario::Target;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }

    fn line(words: &[&str]) -> Result<RunArgs, clap::Error> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        Line::try_parse_from(["run", "--scenarios", folder].iter().chain(words)).map(|line| line.run)
    }

    #[test]
    fn what_is_said_of_a_peer_needs_its_address() {
        for words in [["large", "--name", "x"], ["large", "--ports", "1,2,3"], ["large", "--bind", "0.0.0.0"]] {
            let told = line(&words).unwrap_err().to_string();
            assert!(told.contains("--url"), "{told}");
        }
        let told = line(&["large", "--url", "http://x/v1", "--name", "x", "--strategy", "ordered"]).unwrap_err().to_string();
        assert!(told.contains("cannot be used with"), "a peer routes as it does: {told}");
    }

    #[test]
    fn all_scenarios_against_a_peer_are_all_that_it_can_have() {
        let peer = ["--url", "http://x/v1", "--ports", "4601,4602,4603", "--name", "x"];
        let of_peer = chosen(&line(&[&["--all"][..], &peer].concat()).unwrap()).unwrap();
        let ours = chosen(&line(&["--all"]).unwrap()).unwrap();
        assert!(of_peer.len() > 30 && of_peer.len() < ours.len(), "{} of {}", of_peer.len(), ours.len());
        assert!(of_peer.iter().all(|scenario| matches!(&scenario.target, Target::Url(plan) if plan.ports == [4601, 4602, 4603])));
        let told = chosen(&line(&[&["disk-full"][..], &peer].concat()).unwrap()).unwrap_err().to_string();
        assert!(told.contains("disk_full"), "{told}");
    }
}

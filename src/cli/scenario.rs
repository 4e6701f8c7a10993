//! Scenarios of the chaos harness, played in `outcrop local`: their weather without their load.
//!
//! The harness owns scenarios: its load, its bounds and its invariants make them proofs. Here somebody watches their own
//! application go through the same faults. What is the simulator's (quotas, paces, faults) is read in the simulator's own
//! strict words; what needs the harness is named and left out.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use anyhow::{Context as _, bail};
use outcrop_gateway::{ports::Deed, tree::TreeHandle};
use outcrop_sim::{Behaviour, Quota, Simulator, Span, faults::Fault};
use serde::{Deserialize, de::DeserializeOwned};
use toml::{Table, Value};

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../chaos/scenarios/", $name, ".toml")))),*]
    };
}

/// Scenarios by name, and what they have in common (names that begin with `_`).
const FILES: &[(&str, &str)] = files! {
    "_faults" "_large" "_large-variant" "_quota" "_small" "_small-variant"
    "access-lost"
    "actor-massacre"
    "actor-panics"
    "all-but-one-throttle"
    "bad-clients"
    "blackout-and-return"
    "blackout-refused"
    "broken-streams"
    "brownout-everywhere"
    "chat-only-cold"
    "chat-only-ramp"
    "chat-only"
    "control-plane-down"
    "corrupt-frames"
    "credentials-expire"
    "cuts-at-random-bytes"
    "day-of-mixed-weather"
    "disk-full"
    "every-dialect"
    "full-queues"
    "large-cold"
    "large-estimates-off"
    "large-fixed-windows"
    "large-four-gateways"
    "large-late-settlement"
    "large-overload"
    "large-quota-doubled"
    "large-quota-halved"
    "large-ramp"
    "large-shallow"
    "large"
    "one-region-throttles"
    "refusals-keep-their-face"
    "outage-over-deploy"
    "outage-over-restart"
    "rolling-brownouts"
    "sigkill-and-restart"
    "sigterm-deploy"
    "slow-and-vanishing-clients"
    "slow-first-token"
    "small-estimates-off"
    "small-fixed-windows"
    "small-four-gateways"
    "small-known"
    "small-late-settlement"
    "small-overload"
    "small-quota-doubled"
    "small-quota-halved"
    "small-shallow"
    "small"
    "stall-mid-stream"
    "streams-go-on"
    "throttle-storm"
    "unequal-quotas-95"
};

/// Faults of clients and of the host: they are the harness's own.
const OF_THE_HARNESS: [&str; 10] = [
    "vanish",
    "slow_reader",
    "half_open",
    "bad_body",
    "huge_body",
    "retry_storm",
    "sigterm",
    "sigkill",
    "disk_full",
    "credentials_expired",
];

/// What only the harness reads of a fault.
const JUDGED: [&str; 2] = ["expect", "at_least"];

/// A scenario, as far as it is played here.
#[derive(Debug, Default)]
pub(super) struct Scenario {
    name: String,
    hypothesis: String,
    regions: Vec<String>,
    /// Settings that the scenario asks for: path and value.
    pub(super) settings: Vec<(String, String)>,
    quotas: Vec<(String, Quota)>,
    pace: Behaviour,
    faults: Vec<Fault>,
    troubles: Vec<Trouble>,
    left_out: Vec<String>,
    /// From its first fault to its end; then it begins anew.
    lasting: Duration,
}

/// Something is done to an actor again and again.
#[derive(Debug)]
struct Trouble {
    deed: Deed,
    /// This actor; else any.
    name: Option<String>,
    every: Duration,
    from: Duration,
    lasting: Duration,
}

impl Scenario {
    /// A scenario by its name.
    ///
    /// # Errors
    /// A name that is none, which is told with all that are.
    pub(super) fn named(name: &str) -> anyhow::Result<Self> {
        let known = Self::names;
        if !known().any(|known| known == name) {
            let listed: Vec<&str> = known().collect();
            bail!("there is no scenario `{name}`; there are: {}", listed.join(", "));
        }
        read(&merged(name)?).with_context(|| format!("the scenario `{name}`"))
    }

    /// All names.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(name, _)| *name).filter(|name| !name.starts_with('_'))
    }

    /// Gives the simulated regions their quotas and their pace.
    ///
    /// # Errors
    /// A region that is not simulated.
    pub(super) fn prepare(&self, simulator: &Simulator) -> anyhow::Result<()> {
        if let Some(missing) = self.regions.iter().find(|region| !simulator.regions().contains(region)) {
            bail!("the scenario `{}` needs the region {missing}: name it with --regions", self.name);
        }
        simulator.behave("*", "*", self.pace.clone())?;
        for (region, quota) in &self.quotas {
            simulator.quota(region, "*", *quota)?;
        }
        Ok(())
    }

    /// What is going to happen, for people.
    pub(super) fn describe(&self) -> String {
        let (name, happen) = (&self.name, self.faults.len() + self.troubles.len());
        let quotas = if self.quotas.is_empty() { "" } else { "  Regions have quotas of requests and tokens per minute.\n" };
        let left_out = match self.left_out.as_slice() {
            [] => String::new(),
            kinds => format!("  Left to the harness (outcrop-chaos run {name}): {}.\n", kinds.join(", ")),
        };
        format!(
            "Scenario {name}: {}.\n  {happen} faults of the simulated AWS and of our own actors, anew every {:.0} s.\n{quotas}{left_out}",
            self.hypothesis,
            self.lasting.as_secs_f64()
        )
    }

    /// Plays it again and again, until it is dropped. Never ends by itself.
    pub(super) async fn play(self, simulator: &Simulator, tree: TreeHandle) -> Infallible {
        loop {
            tracing::info!(scenario = self.name, "the scenario begins");
            let mut installed = Vec::new();
            for fault in &self.faults {
                match simulator.install(fault.clone()) {
                    Ok(id) => installed.push(id),
                    Err(error) => tracing::error!(fault = fault.kind_name(), %error, "a fault could not be installed"),
                }
            }
            let troubles = futures_util::future::join_all(self.troubles.iter().map(|trouble| make(trouble, &tree)));
            tokio::select! {
                () = tokio::time::sleep(self.lasting) => {}
                never = async { troubles.await; std::future::pending::<Infallible>().await } => match never {},
            }
            for id in installed {
                simulator.uninstall(id);
            }
        }
    }
}

/// Makes trouble for the actor that is named, else for one after the other.
async fn make(trouble: &Trouble, tree: &TreeHandle) {
    tokio::time::sleep(trouble.from).await;
    let turns = trouble.lasting.as_millis() / trouble.every.as_millis().max(1);
    for turn in 0..usize::try_from(turns).unwrap_or(usize::MAX) {
        tokio::time::sleep(trouble.every).await;
        let meant = |name: &String| trouble.name.as_ref().is_none_or(|wanted| wanted == name);
        let names: Vec<String> = tree.killables().into_iter().map(|(name, _)| name).filter(meant).collect();
        let Some(name) = names.get(turn % names.len().max(1)) else { continue };
        if !tree.trouble(name, trouble.deed) {
            tracing::debug!(actor = name, "it has ended before it could be troubled");
        }
    }
}

/// The file of that name over what it stands on: its tables are merged into those below, all else takes their place.
fn merged(name: &str) -> anyhow::Result<Table> {
    let (_, text) = FILES.iter().find(|(known, _)| *known == name).with_context(|| format!("no scenario file {name}"))?;
    let mut own: Table = text.parse().with_context(|| format!("{name}.toml"))?;
    match own.remove("base") {
        Some(base) => Ok(over(merged(base.as_str().context("`base` is a text")?)?, own)),
        None => Ok(own),
    }
}

fn over(mut below: Table, own: Table) -> Table {
    for (key, value) in own {
        let value = match (below.remove(&key), value) {
            (Some(Value::Table(below)), Value::Table(own)) => Value::Table(over(below, own)),
            (_, own) => own,
        };
        below.insert(key, value);
    }
    below
}

/// What is read of a file here; all else is the harness's.
#[derive(Deserialize)]
struct File {
    name: String,
    hypothesis: String,
    #[serde(default)]
    target: TargetPart,
    #[serde(default)]
    region: Vec<RegionPart>,
    #[serde(default)]
    model: Vec<ModelPart>,
    #[serde(default)]
    phase: Vec<PhasePart>,
    #[serde(default)]
    fault: Vec<Table>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TargetPart {
    set: BTreeMap<String, String>,
    /// `path=value` of each region with a quota, with its name and numbers in braces.
    set_per_quota: Vec<String>,
}

#[derive(Deserialize)]
struct RegionPart {
    name: String,
    quota: Option<Quota>,
}

#[derive(Deserialize)]
struct ModelPart {
    #[serde(default)]
    behaviour: Behaviour,
}

#[derive(Deserialize)]
struct PhasePart {
    r#for: Span,
}

fn read(table: &Table) -> anyhow::Result<Scenario> {
    let file: File = from(table.clone())?;
    let lasting = file.phase.iter().map(|phase| phase.r#for.0).sum();
    // The harness's answers are words to be counted; those of a laptop are to be read.
    let pace = file.model.into_iter().next().map(|model| Behaviour { watermark: None, ..model.behaviour }).unwrap_or_default();
    let per_quota = file.region.iter().flat_map(|region| file.target.set_per_quota.iter().filter_map(|words| known_quota(words, region)));
    // What the harness judges is the adaptive strategy.
    let strategy = ("routing.strategy".to_owned(), "adaptive".to_owned());
    let settings = file.target.set.clone().into_iter().chain(per_quota).chain([strategy]);
    // In braces is what only the harness has: a run's folder, a replica's number.
    let (of_the_harness, settings): (Vec<_>, Vec<_>) = settings.partition(|(path, value)| path.contains('{') || value.contains('{'));
    let mut scenario = Scenario {
        name: file.name,
        hypothesis: file.hypothesis,
        settings,
        left_out: of_the_harness.into_iter().map(|(path, _)| format!("the setting {path}")).collect(),
        quotas: file.region.iter().filter_map(|region| Some((region.name.clone(), region.quota?))).collect(),
        regions: file.region.iter().map(|region| region.name.clone()).collect(),
        pace,
        lasting,
        ..Scenario::default()
    };
    for fault in file.fault {
        take(&mut scenario, fault)?;
    }
    Ok(scenario)
}

/// A setting that tells the gateway of a region's quota; `None` where the region has none of that kind.
fn known_quota(words: &str, region: &RegionPart) -> Option<(String, String)> {
    let number = |quota: Option<u64>| quota.map(|number| number.to_string());
    let quota = region.quota?;
    let mut words = words.replace("{region}", &region.name);
    for (brace, number) in [("{rpm}", number(quota.requests_per_minute)), ("{tpm}", number(quota.tokens_per_minute))] {
        if words.contains(brace) {
            words = words.replace(brace, &number?);
        }
    }
    let (path, value) = words.split_once('=')?;
    Some((path.to_owned(), value.to_owned()))
}

/// Sorts a fault: the simulator's, an actor's, or the harness's own.
fn take(scenario: &mut Scenario, mut fault: Table) -> anyhow::Result<()> {
    JUDGED.iter().for_each(|key| drop(fault.remove(*key)));
    let kind = fault.get("kind").and_then(Value::as_str).context("a fault has a `kind`")?.to_owned();
    let span = |key: &str| fault.get(key).map(|value| from_value::<Span>(value.clone())).transpose();
    if OF_THE_HARNESS.contains(&kind.as_str()) {
        if !scenario.left_out.contains(&kind) {
            scenario.left_out.push(kind);
        }
        return Ok(());
    }
    if matches!(kind.as_str(), "kill_actor" | "panic_actor" | "stall_actor") {
        let every = fault.get("every").and_then(Value::as_str).context("`every` is a text")?;
        let deed = match kind.as_str() {
            "kill_actor" => Deed::Kill,
            "panic_actor" => Deed::Panic,
            _ => Deed::Stall(span("stall")?.context("a stall lasts")?.0),
        };
        // The mean of what the harness draws.
        let every = from_value::<Span>(Value::String(every.trim_start_matches("exp ").to_owned()))?.0;
        let (start, lasting) = (span("from")?.unwrap_or_default().0, span("for")?.map_or(scenario.lasting, |span| span.0));
        let name = fault.get("name").and_then(Value::as_str).filter(|name| *name != "random").map(str::to_owned);
        scenario.troubles.push(Trouble { deed, name, every, from: start, lasting });
        return Ok(());
    }
    if let Some(at) = fault.remove("at") {
        fault.insert("from".to_owned(), at);
    }
    scenario.faults.push(from(fault).with_context(|| format!("the fault `{kind}`"))?);
    Ok(())
}

fn from<T: DeserializeOwned>(table: Table) -> anyhow::Result<T> {
    from_value(Value::Table(table))
}

fn from_value<T: DeserializeOwned>(value: Value) -> anyhow::Result<T> {
    Ok(value.try_into()?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Names of the scenario files.
    fn files() -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("chaos/scenarios");
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().filter_map(|entry| Some(entry.unwrap().path().file_stem()?.to_str()?.to_owned())).collect();
        names.sort();
        names
    }

    #[test]
    fn every_scenario_file_is_known_and_can_be_played() {
        let mut known: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        known.sort_unstable();
        assert_eq!(known, files());
        for name in known.into_iter().filter(|name| !name.starts_with('_')) {
            let scenario = Scenario::named(name).unwrap_or_else(|error| panic!("{name}: {error:#}"));
            assert!(scenario.lasting >= Duration::from_secs(30), "{name}");
            assert!(!scenario.regions.is_empty() && !scenario.describe().is_empty(), "{name}");
        }
    }

    #[test]
    fn a_scenario_brings_its_faults_its_quotas_and_its_settings() {
        let throttles = Scenario::named("one-region-throttles").unwrap();
        assert_eq!(throttles.faults.iter().map(Fault::kind_name).collect::<Vec<_>>(), ["throttle"]);
        assert!(throttles.settings.contains(&("timeouts.first_byte".to_owned(), "5s".to_owned())));
        assert_eq!(throttles.lasting, Duration::from_secs(50));
        assert_eq!(Scenario::named("small").unwrap().quotas.len(), 3);
        let massacre = Scenario::named("actor-massacre").unwrap();
        assert_eq!(massacre.troubles.len(), 1);
        assert_eq!(massacre.troubles[0].every, Duration::from_millis(100));
        let large = Scenario::named("large").unwrap();
        let told = ("routing.quotas.eu-west-1.tokens_per_minute".to_owned(), "4000000".to_owned());
        assert!(large.settings.contains(&told), "{:?}", large.settings);
        assert_eq!(Scenario::named("sigterm-deploy").unwrap().left_out, ["sigterm"]);
    }

    #[test]
    fn a_setting_that_only_the_harness_can_fill_in_is_left_out_and_named() {
        let full = Scenario::named("disk-full").unwrap();
        assert!(full.settings.iter().all(|(path, _)| path != "routing.state_file"), "{:?}", full.settings);
        assert!(full.describe().contains("the setting routing.state_file, disk_full"), "{}", full.describe());
    }

    #[tokio::test]
    async fn every_scenario_prepares_a_simulator_and_its_faults_can_be_installed() {
        for name in Scenario::names() {
            let simulator = super::super::local::simulated().await.unwrap();
            let scenario = Scenario::named(name).unwrap();
            scenario.prepare(&simulator).unwrap_or_else(|error| panic!("{name}: {error:#}"));
            for fault in &scenario.faults {
                let id = simulator.install(fault.clone()).unwrap_or_else(|error| panic!("{name}, {}: {error}", fault.kind_name()));
                simulator.uninstall(id);
            }
            simulator.shutdown().await;
        }
    }

    #[test]
    fn a_wrong_name_is_told_with_the_right_ones() {
        let error = Scenario::named("_faults").unwrap_err().to_string();
        assert!(error.contains("one-region-throttles") && !error.contains("_quota"), "{error}");
    }
}

//! The parts of a scenario: target, regions, models, phases, bounds, rules.

use std::{collections::BTreeMap, time::Duration};

use outcrop_sim::{Amount, Behaviour, Quota, Watermark};
use serde::de::DeserializeOwned;

use super::{
    BoundPlan, GatewayPlan, ModelPlan, Phase, RegionPlan, Shape, StopIf, Target, UrlPlan,
    section::{Section, bound},
    tree::{self, Node, Value},
};
use crate::{
    check,
    history::{AtLeast, Budget, Micros, Rules},
    measure,
    units::Rate,
};

/// A value of one of the simulator's types, which are strict themselves.
pub(super) fn foreign<T: DeserializeOwned>(section: &Section, node: &Node) -> Option<T> {
    match tree::plain(node).try_into() {
        Ok(value) => Some(value),
        Err(error) => {
            let error: toml::de::Error = error;
            section.complain(&node.place, error.message());
            None
        }
    }
}

pub(super) fn target(mut section: Section) -> Target {
    let kind = section.needed_text("kind");
    let target = match kind.as_str() {
        "gateway" | "" => Target::Gateway(GatewayPlan {
            config: section.text("config").map(Into::into),
            set: assignments(&mut section),
            set_per_quota: section.texts("set_per_quota"),
            replicas: u32::try_from(section.whole("replicas").unwrap_or(1).max(1)).unwrap_or(1),
            start_unready: section.truth("start_unready").unwrap_or(false),
        }),
        "url" => Target::Url(UrlPlan {
            url: section.text("url"),
            key_env: section.text("key_env"),
            ports: ports(&mut section),
            bind: section.take("bind").and_then(|node| foreign(&section, &node)),
        }),
        other => {
            section.complain(&section.place.clone(), format!("`{other}` is no kind of target: gateway or url"));
            Target::Url(UrlPlan { url: None, key_env: None, ports: Vec::new(), bind: None })
        }
    };
    section.finish();
    target
}

fn ports(section: &mut Section) -> Vec<u16> {
    let Some(node) = section.take("ports") else { return Vec::new() };
    foreign(section, &node).unwrap_or_default()
}

/// `set = { "routing.max_wait" = "0s" }`
fn assignments(section: &mut Section) -> BTreeMap<String, String> {
    let Some(mut set) = section.section("set") else { return BTreeMap::new() };
    let rest = set.rest();
    let text = |node: &Node| match &node.value {
        Value::Text(text) => text.clone(),
        _ => tree::plain(node).to_string(),
    };
    rest.iter().map(|(path, node)| (path.clone(), text(node))).collect()
}

pub(super) fn regions(section: &mut Section) -> Vec<RegionPlan> {
    let regions: Vec<RegionPlan> = section
        .sections("region")
        .into_iter()
        .map(|mut region| {
            let name = region.needed_text("name");
            let quota = region.take("quota").and_then(|node| foreign::<Quota>(&region, &node));
            region.finish();
            RegionPlan { name, quota }
        })
        .collect();
    if regions.is_empty() {
        section.complain(&section.place.clone(), "a scenario needs a `region`");
    }
    regions
}

/// Burn-down of models whose output costs more quota than it has tokens. Source: Bedrock user guide, token burndown.
const CLAUDE_BURNDOWN: u64 = 5;

pub(super) fn models(section: &mut Section) -> Vec<ModelPlan> {
    let models: Vec<ModelPlan> = section
        .sections("model")
        .into_iter()
        .map(|mut model| {
            let id = model.needed_text("id");
            let ask = model.text("ask").unwrap_or_else(|| id.clone());
            let usual = if id.contains("claude") { CLAUDE_BURNDOWN } else { 1 };
            let burndown = model.whole("burndown").unwrap_or(usual);
            let behaviour = model.take("behaviour").and_then(|node| foreign::<Behaviour>(&model, &node)).unwrap_or_default();
            let watermark = Watermark { ..behaviour.watermark.clone().unwrap_or_default() };
            let output_tokens: Amount = watermark.output_tokens;
            model.finish();
            ModelPlan { ask, id, burndown, behaviour: Behaviour { watermark: Some(watermark), ..behaviour }, output_tokens }
        })
        .collect();
    if models.is_empty() {
        section.complain(&section.place.clone(), "a scenario needs a `model`");
    }
    models
}

pub(super) fn phases(section: &mut Section) -> Vec<Phase> {
    let phases: Vec<Phase> = section.sections("phase").into_iter().map(phase).collect();
    if phases.is_empty() {
        section.complain(&section.place.clone(), "a scenario needs a `phase`");
    }
    phases
}

fn phase(mut section: Section) -> Phase {
    let name = section.needed_text("name");
    let lasting = section.needed_duration("for");
    if lasting.is_zero() && section.has("for") {
        section.complain(&section.place.clone(), format!("phase {name} lasts no time"));
    }
    let shape = shape(&mut section, &name);
    let judged = section.truth("judged").unwrap_or(true);
    let faults_off = match section.text("faults").as_deref() {
        Some("off") => true,
        Some("on") | None => false,
        Some(other) => {
            section.complain(&section.place.clone(), format!("faults are \"on\" or \"off\", not {other:?}"));
            false
        }
    };
    section.finish();
    Phase { name, lasting, shape, judged, faults_off }
}

fn shape(section: &mut Section, name: &str) -> Shape {
    let place = section.place.clone();
    let nothing = Rate::PerSecond(0.0);
    match section.text("curve").as_deref() {
        None => {
            if section.has("from") || section.has("to") {
                let (from, to) = (section.rate("from").unwrap_or(nothing), section.rate("to").unwrap_or(nothing));
                return Shape::Ramp(from, to);
            }
            if !section.has("rate") {
                section.complain(&place, format!("phase {name} needs `rate`, `from` and `to`, or a `curve`"));
            }
            Shape::Constant(section.rate("rate").unwrap_or(nothing))
        }
        Some("day") => Shape::Day(section.rate("low").unwrap_or(nothing), section.rate("high").unwrap_or(nothing)),
        Some(other) => {
            section.complain(&place, format!("`{other}` is no curve: day"));
            Shape::Constant(nothing)
        }
    }
}

/// `bounds`, or a fault's `expect`. A bound of one phase stands in a table of the phase's name.
pub(super) fn bounds(section: &mut Section, key: &str, phases: &[Phase]) -> Vec<BoundPlan> {
    let Some(mut table) = section.section(key) else { return Vec::new() };
    let mut plans = Vec::new();
    for (name, node) in table.rest() {
        match &node.value {
            _ if is_none(&node) => {}
            Value::Table(inner) => {
                if !phases.iter().any(|phase| phase.name == name) {
                    table.complain(&node.place, format!("there is no phase `{name}`"));
                }
                let wanted = inner.iter().filter(|(_, node)| !is_none(node));
                plans.extend(wanted.filter_map(|(measure, node)| plan(&table, measure, node, Some(&name))));
            }
            _ => plans.extend(plan(&table, &name, &node, None)),
        }
    }
    plans
}

/// A bound that is inherited and not wanted here.
fn is_none(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text == "none")
}

fn plan(section: &Section, measure: &str, node: &Node, phase: Option<&String>) -> Option<BoundPlan> {
    let Some(known) = measure::find(measure) else {
        section.complain(&node.place, format!("`{measure}` is no measure; there are {}", measure::names().join(", ")));
        return None;
    };
    match bound(&node.value) {
        Ok(bound) if bound.value != 0.0 && bound.unit != known.unit => {
            section.complain(&node.place, format!("`{measure}` is measured {}", measure::unit_words(known.unit)));
            None
        }
        Ok(bound) => Some(BoundPlan { measure: measure.to_owned(), bound, phase: phase.cloned(), place: node.place.clone() }),
        Err(words) => {
            section.complain(&node.place, format!("`{measure}` {words}"));
            None
        }
    }
}

pub(super) fn rules(section: &mut Section) -> Rules {
    let mut rules = Rules { at_least: vacuous(section), ..Rules::default() };
    rules.must = ["I1", "I2", "I3", "I4", "I5", "I7", "I11", "I12", "I14", "I18", "I20"].map(str::to_owned).to_vec();
    let Some(mut given) = section.section("rules") else { return rules };
    let mut length = |key: &str, rule: &mut Micros| {
        if let Some(duration) = given.duration(key) {
            *rule = Micros::from(duration);
        }
    };
    length("recovery", &mut rules.recovery);
    length("liveness", &mut rules.liveness);
    length("word_lag", &mut rules.word_lag);
    length("send_lag", &mut rules.send_lag);
    length("longest_backoff", &mut rules.longest_backoff);
    length("shutdown_grace", &mut rules.shutdown_grace);
    length("access_bench", &mut rules.access_bench);
    length("probe_gap", &mut rules.probe_gap);
    length("dead_after", &mut rules.dead_after);
    length("quiet_within", &mut rules.quiet_within);
    length("oracle_wait", &mut rules.oracle_wait);
    length("finding", &mut rules.finding);
    rules.resume = given.truth("resume").unwrap_or(rules.resume);
    rules.spill_reserve = given.share("spill_reserve").unwrap_or(rules.spill_reserve);
    rules.refused_with_room = given.share("refused_with_room").unwrap_or(rules.refused_with_room);
    rules.early_promises = given.share("early_promises").unwrap_or(rules.early_promises);
    rules.cache_share = given.share("cache_share").unwrap_or(rules.cache_share);
    rules.moves = given.share("moves").unwrap_or(rules.moves);
    rules.spend = given.whole("spend").unwrap_or(rules.spend);
    if let Some(mut limits) = given.section("key_limits") {
        let keys: Vec<String> = limits.keys();
        rules.key_limits = keys.into_iter().filter_map(|key| Some((key.clone(), limits.whole(&key)?))).collect();
        limits.finish();
    }
    rules.pool = given.whole("pool").unwrap_or(rules.pool);
    rules.rss_slack_kib = given.whole("rss_slack_mib").map_or(rules.rss_slack_kib, |mib| mib * 1024);
    rules.fd_slack = given.whole("fd_slack").unwrap_or(rules.fd_slack);
    if let Some(mut budget) = given.section("attempts") {
        let usual = Budget::default();
        rules.budget = Budget {
            per_request: budget.number("per_request").unwrap_or(usual.per_request),
            per_second: budget.number("per_second").unwrap_or(usual.per_second),
            burst: budget.number("burst").unwrap_or(usual.burst),
        };
        budget.finish();
    }
    let must = given.texts("must");
    known(&given, &must);
    rules.must.extend(must.into_iter().filter(|id| !rules.must.contains(id)).collect::<Vec<_>>());
    if let Some(mut waived) = given.section("waived") {
        let reasons: Vec<String> = check::ALL.iter().map(|invariant| invariant.id.to_owned()).collect();
        for id in reasons {
            if let Some(reason) = waived.text(&id) {
                rules.must.retain(|other| *other != id);
                rules.waived.insert(id, reason);
            }
        }
        waived.finish();
    }
    given.finish();
    rules
}

fn known(section: &Section, ids: &[String]) {
    for id in ids {
        if !check::ALL.iter().any(|invariant| invariant.id == id) {
            section.complain(&section.place, format!("`{id}` is no invariant: I1 to I20"));
        }
    }
}

fn vacuous(section: &mut Section) -> AtLeast {
    let Some(mut guard) = section.section("vacuous") else {
        section.complain(&section.place.clone(), "a scenario needs `vacuous`: what must have been reached for it to say anything");
        return AtLeast::default();
    };
    let mut at_least = AtLeast { each_fault_hit: guard.whole("each_fault_hit").unwrap_or(0), ..AtLeast::default() };
    if let Some(mut least) = guard.section("at_least") {
        at_least.upstream_calls = least.whole("upstream_calls").unwrap_or(0);
        at_least.regions_used = least.whole("regions_used").unwrap_or(0);
        at_least.quota_pressure = least.number("quota_pressure").unwrap_or(0.0);
        least.finish();
    }
    at_least.labels = guard.texts("labels");
    for label in at_least.labels.iter().filter(|label| !check::LABELS.iter().any(|(name, _)| name == label)) {
        guard.complain(&guard.place, format!("`{label}` is no label; there are {}", check::LABELS.map(|(name, _)| name).join(", ")));
    }
    if at_least == AtLeast::default() {
        guard.complain(&guard.place, "`vacuous` must ask for something");
    }
    guard.finish();
    at_least
}

pub(super) fn stop_if(section: &mut Section) -> StopIf {
    let Some(mut stop) = section.section("stop_if") else { return StopIf::default() };
    let success_below = stop.share("success_below").map(|share| (share, stop.duration("lasting").unwrap_or(Duration::from_secs(60))));
    let stop_if = StopIf { success_below, rss_mb: stop.whole("rss_mb") };
    stop.finish();
    stop_if
}

//! Which request does what.

use http::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Answer, State};
use crate::{
    behaviour::Behaviour,
    faults::{Fault, FaultId},
    quota::{BucketKey, ProfileClass, Quota},
    simulator::Simulator,
    world::RegionMode,
};

/// A fault or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<serde_json::Value>),
    One(serde_json::Value),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaSet {
    region: String,
    model: String,
    profile: Option<ProfileClass>,
    quota: Quota,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaScale {
    region: String,
    model: String,
    profile: Option<ProfileClass>,
    factor: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BehaviourSet {
    region: String,
    model: String,
    behaviour: Behaviour,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionSet {
    mode: RegionMode,
}

/// Does what a request asks.
pub(super) async fn answer(simulator: &Simulator, method: &Method, path: &str, body: &[u8]) -> Answer {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let (get, put, post, delete) = (Method::GET, Method::PUT, Method::POST, Method::DELETE);
    match *segments {
        [] if *method == get => {
            let now = simulator.clock().elapsed().into();
            Answer::json(&State { now, regions: simulator.regions(), received: simulator.journal().received() })
        }
        ["faults"] if *method == get => Answer::json(&simulator.faults()),
        ["faults"] if *method == post => with(body, |faults| install(simulator, faults)),
        ["faults"] if *method == delete => {
            simulator.clear_faults();
            Answer::Done
        }
        ["faults", id] if *method == delete => match id.parse() {
            Ok(id) if simulator.uninstall(FaultId(id)) => Answer::Done,
            _ => Answer::Failed(StatusCode::NOT_FOUND, format!("fault `{id}` is not installed")),
        },
        ["quotas"] if *method == put => with(body, |set| set_quota(simulator, set)),
        ["quotas", "scale"] if *method == post => with(body, |scale| scale_quota(simulator, scale)),
        ["quotas"] if *method == delete => {
            simulator.clear_quotas();
            Answer::Done
        }
        ["behaviours"] if *method == put => with(body, |BehaviourSet { region, model, behaviour }| {
            simulator.behave(&region, &model, behaviour).map_or_else(Answer::bad, done)
        }),
        ["regions", region] if *method == put => match serde_json::from_slice::<RegionSet>(body) {
            Ok(RegionSet { mode }) => simulator.set_region(region, mode).await.map_or_else(Answer::bad, done),
            Err(fault) => Answer::bad(fault),
        },
        ["calls"] if *method == get => Answer::json(&simulator.journal().records()),
        ["calls"] if *method == delete => Answer::json(&simulator.journal().take_ended()),
        ["connections"] if *method == get => Answer::json(&simulator.journal().connections()),
        ["connections"] if *method == delete => Answer::json(&simulator.journal().take_closed_connections()),
        ["buckets"] if *method == get => Answer::json(&simulator.quota_entries()),
        ["buckets"] if *method == delete => Answer::json(&simulator.take_quota_entries()),
        ["gauges"] if *method == get => Answer::json(&simulator.journal().gauges()),
        _ => Answer::Failed(StatusCode::NOT_FOUND, format!("there is no {method} {path}")),
    }
}

fn done(_nothing: ()) -> Answer {
    Answer::Done
}

fn with<T: DeserializeOwned>(body: &[u8], act: impl FnOnce(T) -> Answer) -> Answer {
    serde_json::from_slice(body).map_or_else(Answer::bad, act)
}

/// Installs all of the faults, or none and says what is wrong with the first bad one.
fn install(simulator: &Simulator, faults: OneOrMany) -> Answer {
    let values = match faults {
        OneOrMany::One(fault) => vec![fault],
        OneOrMany::Many(faults) => faults,
    };
    // Read one by one: an untagged list would not say what is wrong.
    let faults: Result<Vec<Fault>, _> = values.into_iter().map(serde_json::from_value).collect();
    let faults = match faults {
        Ok(faults) => faults,
        Err(fault) => return Answer::bad(fault),
    };
    let origin = simulator.clock().elapsed();
    let mut ids = Vec::with_capacity(faults.len());
    for fault in faults {
        match simulator.install_from(origin, fault) {
            Ok(id) => ids.push(id),
            Err(problem) => {
                for id in ids {
                    simulator.uninstall(id);
                }
                return Answer::bad(problem);
            }
        }
    }
    Answer::json(&ids)
}

fn set_quota(simulator: &Simulator, set: QuotaSet) -> Answer {
    let QuotaSet { region, model, profile, quota } = set;
    simulator.quota_of(BucketKey { region, model, profile }, quota).map_or_else(Answer::bad, done)
}

fn scale_quota(simulator: &Simulator, scale: QuotaScale) -> Answer {
    let QuotaScale { region, model, profile, factor } = scale;
    if !(factor.is_finite() && factor > 0.0) {
        return Answer::bad("`factor` must be above 0");
    }
    if simulator.scale_quota(&BucketKey { region, model, profile }, factor) {
        Answer::Done
    } else {
        Answer::Failed(StatusCode::NOT_FOUND, "there is no such quota".to_owned())
    }
}

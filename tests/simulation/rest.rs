//! After the storm: is everything back where it was?

use std::time::Duration;

use outcrop_gateway::tree::GatewayReport;

use crate::{books::of_models, world::World};

/// What was found when everything should have come to rest.
#[derive(Debug, Clone, Default)]
pub struct Rest {
    /// What was still under way a moment after the last client had gone.
    pub under_way: Vec<String>,
    /// How long it took until nothing was missing.
    pub took: Duration,
    /// What was missing to the end.
    pub missing: Vec<String>,
}

/// Calls and leases end so soon after their clients.
const MOMENT: Duration = Duration::from_secs(2);
/// Levels, breakers and restarts take longer. A bucket that was learned to refill slowly and to hold a large request needs minutes.
const LONGEST: Duration = Duration::from_secs(1_800);

pub async fn rest(world: &World) -> Rest {
    tokio::time::sleep(MOMENT).await;
    let mut rest = Rest { under_way: under_way(world).await, ..Rest::default() };
    let began = world.front.now();
    loop {
        rest.missing = missing(world).await;
        rest.took = world.front.now() - began;
        if rest.missing.is_empty() || rest.took >= LONGEST {
            return rest;
        }
        // At first often, since most is back soon.
        tokio::time::sleep(Duration::from_secs(1).max(rest.took / 20)).await;
    }
}

async fn report(world: &World) -> GatewayReport {
    world.gateway.ports().describe().await
}

async fn under_way(world: &World) -> Vec<String> {
    let report = report(world).await;
    let mut found = Vec::new();
    let mut expect = |what: &str, count: u64| {
        if count > 0 {
            found.push(format!("{count} {what}"));
        }
    };
    expect("upstream calls in flight by the gateway's count", report.calls_in_flight);
    // Questions to the control plane are nobody's request, and may wait for their own time limit.
    let running = of_models(world.simulator.journal().records()).iter().filter(|call| call.ended.is_none()).count();
    expect("upstream calls running by the simulator's count", running as u64);
    expect(
        "requests in the waiting room",
        report.waiting.map_or(0, |waiting| waiting.waiting.iter().map(|(_, count)| *count as u64).sum()),
    );
    let leases = report.targets.iter().flat_map(|region| &region.targets).map(|target| u64::from(target.in_flight)).sum();
    expect("leases of targets", leases);
    if let Some(lane) = report.chat_lane {
        expect("jobs running", lane.running as u64);
        expect("jobs queued", lane.queued as u64);
    }
    expect("client connections open", world.front.connections.open() as u64);
    found
}

async fn missing(world: &World) -> Vec<String> {
    let report = report(world).await;
    let mut missing = world.gateway.ports().tree.not_ready();
    if report.targets.len() != world.simulator.regions().len() {
        missing.push(format!("{} of {} targets answer", report.targets.len(), world.simulator.regions().len()));
    }
    let absent = [
        ("the settings keeper", report.settings.is_none()),
        ("the ledger", report.ledger.is_none()),
        ("the key directory", report.keys.is_none()),
        ("the catalogue keeper", report.catalogue.is_none()),
        ("the profile finder", report.profiles.is_none()),
        ("the routing keeper", report.memory.is_none()),
        ("the waiting room", report.waiting.is_none()),
        ("the chat lane", report.chat_lane.is_none()),
    ];
    missing.extend(absent.iter().filter(|(_, absent)| *absent).map(|(name, _)| format!("{name} does not answer")));
    for target in report.targets.iter().flat_map(|region| &region.targets) {
        if target.opens_in_ms > 0 {
            missing.push(format!("{} in {} opens in {} ms", target.model, target.region, target.opens_in_ms));
        }
        for (name, quota) in [("requests", &target.requests_per_minute), ("tokens", &target.tokens_per_minute)] {
            if let Some(quota) = quota.as_ref().filter(|quota| quota.level_ratio < 0.999) {
                missing.push(format!("{} of {} in {}: level at {:.4} of its depth", name, target.model, target.region, quota.level_ratio));
            }
        }
    }
    missing
}

//! What the tests of several rooms stand on.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use outcrop_domain::{
    clock::{Blocking, Clock, Entropy, Moment, Ports},
    routing::{
        quota::Priors,
        strategy::Strategy,
        view::{CacheLife, Demand, RouteRequest, Spill, TargetSet},
    },
};
use outcrop_upstream::fetch::FetchLimits;
use tokio::time::Instant;

use crate::{
    settings::{ChatPolicy, LiveSettings, RegionQuotas, ResponsesPolicy, RoutingPolicy, SettingsCell, Timeouts},
    targets::{HealthBoard, RoutingMemory},
};

/// tokio's clock, which tests pause and advance. It starts late enough for tests to speak of earlier times.
#[derive(Debug)]
struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment(Duration::from_secs(1_000) + self.0.elapsed())
    }

    fn wall(&self) -> SystemTime {
        // Noon: days begin and end far away.
        SystemTime::UNIX_EPOCH + Duration::from_secs(12 * 3_600) + self.0.elapsed()
    }
}

/// Always draws the middle, and works at once.
#[derive(Debug)]
struct Middle;

impl Entropy for Middle {
    fn next_u64(&self) -> u64 {
        1 << 63
    }
}

impl Blocking for Middle {
    fn run(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

/// Ports of a test; within a paused runtime.
pub(crate) fn ports() -> Ports {
    Ports { clock: Arc::new(TestClock(Instant::now())), entropy: Arc::new(Middle), blocking: Arc::new(Middle) }
}

/// The region of a [`small_board`].
pub(crate) const REGION: &str = "us-east-1";

/// Settings with this routing; nothing is fetched.
pub(crate) fn live_settings(routing: RoutingPolicy) -> LiveSettings {
    LiveSettings {
        chat: ChatPolicy::default(),
        routing,
        timeouts: Timeouts::default(),
        fetch: FetchLimits { max_bytes: 1, total: Duration::from_secs(1) },
        responses: ResponsesPolicy::default(),
    }
}

/// A board on which every model of one region holds 6,000 tokens and regains 100 a second, and its settings.
pub(crate) fn small_board(ports: &Ports) -> (Arc<HealthBoard>, SettingsCell) {
    let each = Priors { tokens_per_minute: Some(6_000.0), ..Priors::default() };
    let quotas = HashMap::from([(REGION.into(), RegionQuotas { each, ..RegionQuotas::default() })]);
    let routing = RoutingPolicy { strategy: Strategy::Adaptive, quotas, ..RoutingPolicy::default() };
    let settings: SettingsCell = Arc::new(ArcSwap::from_pointee(live_settings(routing)));
    (Arc::new(HealthBoard::new(Arc::clone(&settings), Arc::clone(&ports.clock), RoutingMemory::default())), settings)
}

/// A request without a conversation that reserves so many tokens, and may wait for so long from `now` on.
pub(crate) fn route_request(tokens: f64, now: Moment, within: Duration) -> RouteRequest {
    RouteRequest {
        demand: Demand::of_tokens(tokens),
        prefix: 0.0,
        affinity: 0,
        cache: CacheLife::Short,
        arrived: now,
        deadline: now.after(within),
        spill: Spill::Allowed,
        allowed: TargetSet::ALL,
        tried: TargetSet::EMPTY,
        draw: 0.5,
        turn: 0,
    }
}

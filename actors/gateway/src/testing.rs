//! What the tests of several rooms stand on.

use std::time::{Duration, SystemTime};

use outcrop_domain::{
    clock::{Blocking, Clock, Entropy, Moment, Ports},
    routing::view::{CacheLife, Demand, RouteRequest, Spill, TargetSet},
};
use tokio::time::Instant;

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
    use std::sync::Arc;
    Ports { clock: Arc::new(TestClock(Instant::now())), entropy: Arc::new(Middle), blocking: Arc::new(Middle) }
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

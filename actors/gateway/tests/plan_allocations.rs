//! Choosing a target allocates nothing: a board of 150 models in 8 regions, every allocation of this thread counted.
//!
//! The steps are those of `lanes/chat/attempt/plan.rs`, in its order, each through the part that a job calls there: the board's
//! pool and cells, what all targets share, views, the plan, the reservation, the lease, and giving back. The job's own lists of
//! routes and views are made once per request, with the request; here they are kept from one to the next.
#![allow(unsafe_code, reason = "a global allocator that counts, in this test binary and nowhere else")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::HashMap,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use outcrop_domain::{
    clock::{Clock, Moment},
    ids::{ModelId, Region},
    routing::{
        probe::{Probe, ProbeView, Urgency, probe},
        quota::Priors,
        reserve::{Estimate, Reservation},
        silence::PromptSize,
        strategy::{Strategy, limited, plan, spilled},
        view::{CacheLife, Decision, Resource, RouteRequest, TargetSet, TargetView},
    },
};
use outcrop_gateway::{
    settings::{ChatPolicy, LiveSettings, RegionQuotas, ResponsesPolicy, RoutingPolicy, Timeouts},
    targets::{Answering, Debit, HealthBoard, Lease, LeaseWish, Patience, RoutingMemory, Sight, TargetCell, TargetMsg},
};
use outcrop_supervision::Slot;
use outcrop_upstream::fetch::FetchLimits;

struct Counting;

thread_local! {
    /// Allocations of this thread.
    static COUNTED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is the system's; a number is counted up beside it, in memory that is there before and without allocating.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has none left, and nobody reads it.
        let _gone = COUNTED.try_with(|counted| counted.set(counted.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations while `work` runs.
fn allocations<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = COUNTED.get();
    let result = work();
    (COUNTED.get() - before, result)
}

const MODELS: usize = 150;
const REGIONS: [&str; 8] =
    ["us-east-1", "us-west-2", "us-east-2", "eu-west-1", "eu-central-1", "ap-northeast-1", "ap-southeast-2", "ca-central-1"];
const STRATEGIES: [Strategy; 5] =
    [Strategy::Adaptive, Strategy::Ordered, Strategy::RoundRobin, Strategy::LowestLatency, Strategy::Disabled];
/// What the settings say of every target.
const TOKENS_PER_MINUTE: f64 = 1_000_000.0;
const CONVERSATION: u64 = 0x1234_5678_9abc_def0;

/// Stands still unless it is moved.
#[derive(Debug, Default)]
struct StillClock(AtomicU64);

impl StillClock {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Moment {
        Moment(Duration::from_secs(100) + Duration::from_micros(self.0.load(Ordering::Relaxed)))
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }
}

/// What a request brings along.
#[derive(Debug, Clone, Copy)]
struct Ask {
    strategy: Strategy,
    reservation: Reservation,
    /// Tokens that its conversation has cached; 0 = it has none.
    prefix: f64,
}

impl Ask {
    fn chat(strategy: Strategy) -> Self {
        Self { strategy, reservation: Reservation { input_estimate: 300, max_tokens: 500 }, prefix: 0.0 }
    }

    fn turn(strategy: Strategy) -> Self {
        Self { strategy, reservation: Reservation { input_estimate: 30_000, max_tokens: 500 }, prefix: 25_000.0 }
    }

    fn sight(self) -> Sight {
        if self.strategy.minds_quotas() { Sight::Quotas } else { Sight::Health }
    }
}

struct World {
    board: HealthBoard,
    clock: Arc<dyn Clock>,
    still: Arc<StillClock>,
    models: Vec<ModelId>,
    regions: Vec<Region>,
    owner: Slot<TargetMsg>,
    /// What a job keeps for the length of its request.
    routes: Vec<Arc<TargetCell>>,
    views: Vec<TargetView>,
    probes: Vec<ProbeView>,
}

impl World {
    fn new() -> Self {
        let each = Priors { requests_per_minute: Some(10_000.0), tokens_per_minute: Some(TOKENS_PER_MINUTE), tokens_per_day: None };
        let regions: Vec<Region> = REGIONS.map(Region::from).into();
        let quotas: HashMap<Region, RegionQuotas> =
            regions.iter().map(|region| (region.clone(), RegionQuotas { each, ..RegionQuotas::default() })).collect();
        let settings = LiveSettings {
            chat: ChatPolicy::default(),
            routing: RoutingPolicy { strategy: Strategy::Adaptive, quotas, ..RoutingPolicy::default() },
            timeouts: Timeouts::default(),
            fetch: FetchLimits { max_bytes: 1, total: Duration::from_secs(1) },
            responses: ResponsesPolicy::default(),
        };
        let still = Arc::new(StillClock::default());
        let clock: Arc<dyn Clock> = Arc::clone(&still) as Arc<dyn Clock>;
        let board = HealthBoard::new(Arc::new(ArcSwap::from_pointee(settings)), Arc::clone(&clock), RoutingMemory::default());
        let models = (0..MODELS).map(|number| ModelId::from(format!("maker.model-{number}-v1:0"))).collect();
        let owner = Slot::new("target");
        let (routes, views, probes) =
            (Vec::with_capacity(REGIONS.len()), Vec::with_capacity(REGIONS.len()), Vec::with_capacity(REGIONS.len()));
        Self { board, clock, still, models, regions, owner, routes, views, probes }
    }

    /// Every target has been called and is known by its pace, and the conversation lives in the third region of the last model.
    fn warm() -> Self {
        let mut world = Self::new();
        for model in 0..MODELS {
            world.find(model);
            for route in &world.routes {
                let mut lease = world.lease(route, Sight::Health, None).unwrap();
                world.still.advance(Duration::from_millis(3));
                lease.answered();
            }
        }
        world.board.shared().settle_home(CONVERSATION, world.routes[2].id(), None, CacheLife::Short, world.clock.now());
        world
    }

    /// The targets of a model, as a request looks them up.
    fn find(&mut self, model: usize) {
        let pool = self.board.pool(&self.models[model]);
        self.routes.clear();
        self.routes.extend(self.regions.iter().map(|region| self.board.target(&pool, region).1));
    }

    fn lease(&self, route: &Arc<TargetCell>, sight: Sight, debit: Option<Debit>) -> Option<Lease> {
        let patience =
            Patience { answering: Answering::Streamed, size: PromptSize::Small, at_most: Duration::from_secs(60), writes: Duration::ZERO };
        let (cell, owner, clock) = (Arc::clone(route), self.owner.clone(), Arc::clone(&self.clock));
        Lease::take(LeaseWish { cell, owner, clock, patience, sight, debit })
    }

    /// One request of a model: planned, reserved, and given back, before its call or as one whose client left at once.
    fn route(&mut self, ask: Ask, model: usize) -> Decision {
        self.find(model);
        let (now, shared) = (self.clock.now(), self.board.shared());
        let pool = self.board.pool(&self.models[model]);
        let turn = shared.request(now);
        let demand = pool.demand(&ask.reservation, shared.drift(CONVERSATION));
        assert!(shared.retries_left(now) > 0 && !pool.must_queue(&demand));
        let request = RouteRequest {
            demand,
            prefix: ask.prefix,
            affinity: CONVERSATION,
            cache: CacheLife::Short,
            arrived: now,
            deadline: now.after(Duration::from_secs(10)),
            spill: pool.may_spill(now),
            allowed: TargetSet::ALL,
            tried: TargetSet::EMPTY,
            draw: 0.01,
            turn,
        };
        let home = (ask.prefix > 0.0).then(|| shared.home(CONVERSATION, now)).flatten();
        self.views.clear();
        self.views.extend(self.routes.iter().map(|route| {
            let view = route.view(ask.sight(), shared.is_drained(route.region()), Answering::Streamed, PromptSize::Small, now);
            TargetView { price: 1.0, ..view }
        }));
        let decision = plan(ask.strategy, &request, &self.views, home, now);
        match decision {
            Decision::Send(position) => {
                if spilled(&request, &self.views, home, position, now) {
                    pool.spilled(ask.prefix, now);
                }
                let (route, estimate) = (&self.routes[position], Estimate { input: ask.reservation.input_estimate, conversation: None });
                let take = || match ask.sight() {
                    Sight::Quotas => Debit::take(route, &self.clock, demand, estimate).unwrap(),
                    Sight::Health => Debit::force(route, &self.clock, demand, estimate),
                };
                drop(take());
                drop(self.lease(route, ask.sight(), Some(take())).unwrap());
            }
            Decision::Full { .. } | Decision::Wait { .. } => {
                let pressed = limited(&decision, &request, &self.views);
                for (set, resource) in pressed.into_iter().zip(Resource::ALL) {
                    let of_set = self.routes.iter().enumerate().filter(|(position, _)| set.contains(*position));
                    of_set.for_each(|(_, route)| {
                        black_box(route.claim_pressure(resource, now));
                    });
                }
                self.probes.clear();
                self.probes.extend(self.routes.iter().map(|route| route.probe_view()));
                if let Some(Probe::Test(position)) = probe(&request, &self.views, &self.probes, home, Urgency::Arrival, now) {
                    let _claimed = black_box(self.routes[position].claim_quota_probe(&self.probes[position], now));
                }
            }
            Decision::None { .. } => {}
        }
        decision
    }

    /// Every target's buckets are empty.
    fn empty(&mut self) -> Vec<Debit> {
        let mut held = Vec::new();
        let reservation = Reservation { input_estimate: 0, max_tokens: TOKENS_PER_MINUTE as u64 };
        for model in 0..MODELS {
            self.find(model);
            let demand = self.board.pool(&self.models[model]).demand(&reservation, None);
            held.extend(self.routes.iter().map(|route| Debit::force(route, &self.clock, demand, Estimate::default())));
        }
        held
    }
}

#[test]
fn what_is_allocated_is_counted() {
    assert_eq!(allocations(|| black_box(Box::new(7))).0, 1);
    let mut world = World::new();
    let (first, _) = allocations(|| world.route(Ask::chat(Strategy::Adaptive), 0));
    assert!(first > 0, "the first request of a model makes its targets");
}

#[test]
fn a_route_among_150_models_in_8_regions_is_planned_reserved_and_given_back_without_an_allocation() {
    let mut world = World::warm();
    for strategy in STRATEGIES {
        for ask in [Ask::chat(strategy), Ask::turn(strategy)] {
            let (counted, sent) = allocations(|| {
                let sends = (0..MODELS).filter(|model| matches!(world.route(ask, *model), Decision::Send(_)));
                sends.count()
            });
            assert_eq!((counted, sent), (0, MODELS), "{ask:?}");
        }
    }
    assert_eq!(world.route(Ask::turn(Strategy::Adaptive), MODELS - 1), Decision::Send(2), "the conversation has a home");
}

#[test]
fn where_all_are_full_that_is_found_without_an_allocation() {
    let mut world = World::warm();
    let held = world.empty();
    for strategy in STRATEGIES.into_iter().filter(|strategy| strategy.minds_quotas()) {
        for ask in [Ask::chat(strategy), Ask::turn(strategy)] {
            let (counted, full) = allocations(|| {
                let found = (0..MODELS).filter(|model| matches!(world.route(ask, *model), Decision::Full { .. } | Decision::Wait { .. }));
                found.count()
            });
            assert_eq!((counted, full), (0, MODELS), "{ask:?}");
        }
    }
    drop(held);
    assert!(matches!(world.route(Ask::chat(Strategy::Adaptive), 0), Decision::Send(_)), "what was held is given back");
}

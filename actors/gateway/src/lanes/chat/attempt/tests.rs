//! A half-open target's probe, dropped at every await of the request that holds it.

use std::{
    collections::HashMap,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use arc_swap::ArcSwap;
use outcrop_domain::{
    clock::{Blocking, Clock, Entropy, Ports},
    ids::{ModelId, Region},
    model::{BUILTIN, Catalogue, CataloguePolicy, ModelBook, OfferedModel, RegionOffer},
    routing::{Gate, reserve::Reservation, silence::PromptSize, strategy::Strategy, view::CacheLife},
};
use outcrop_supervision::Slot;
use outcrop_upstream::{
    fetch::{FetchLimits, FetchSettings, Fetcher},
    frames::FrameStream,
    ports::{RuntimeAnswer, RuntimeCall, RuntimeClient},
};
use ractor::Actor as _;

use super::*;
use crate::{
    foundation::UsageInbox,
    settings::{ChatPolicy, RoutingPolicy, Timeouts},
    targets::{HealthBoard, RegionTargets, RoutingMemory, Target as TargetActor, TargetArgs, TargetMsg},
};

const MODEL: &str = "amazon.nova-lite-v1:0";
const REGION: &str = "us-east-1";

/// Time stands at what the test says.
#[derive(Debug, Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Moment {
        Moment(Duration::from_secs(self.0.load(Ordering::Relaxed)))
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

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

/// Never called: the tests bring their own calls.
#[derive(Debug)]
struct Nobody(Region);

impl RuntimeClient for Nobody {
    fn region(&self) -> &Region {
        &self.0
    }

    fn call(&self, _call: RuntimeCall) -> BoxFuture<'_, Result<RuntimeAnswer, UpstreamFailure>> {
        panic!("called")
    }

    fn open_stream(&self, _call: RuntimeCall) -> BoxFuture<'_, Result<FrameStream, UpstreamFailure>> {
        panic!("called")
    }
}

struct World {
    context: ChatContext,
    clock: Arc<Hand>,
    owner: Slot<TargetMsg>,
    settings: Arc<LiveSettings>,
    resolution: Resolution,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(Hand::default());
        let ports = Ports { clock: Arc::clone(&clock) as Arc<dyn Clock>, entropy: Arc::new(Middle), blocking: Arc::new(Middle) };
        let settings = Arc::new(LiveSettings {
            chat: ChatPolicy::default(),
            routing: RoutingPolicy::default(),
            timeouts: Timeouts::default(),
            fetch: FetchLimits { max_bytes: 1, total: Duration::from_secs(1) },
        });
        let owner = Slot::new("target-us-east-1");
        let cell = Arc::new(ArcSwap::new(Arc::clone(&settings)));
        let board = Arc::new(HealthBoard::new(Arc::clone(&cell), Arc::clone(&ports.clock), RoutingMemory::default()));
        let args = TargetArgs {
            region: REGION.into(),
            board: Arc::clone(&board),
            settings: Arc::clone(&cell),
            waiting: Slot::new("waiting-room"),
            ports: ports.clone(),
        };
        let (actor, _join) = TargetActor::spawn(None, TargetActor, args).await.unwrap();
        owner.fill(actor);
        let catalogue = catalogue();
        let resolution = catalogue.resolve(MODEL).unwrap();
        let handle = RegionHandle { client: Arc::new(Nobody(REGION.into())), owner: owner.clone() };
        let context = ChatContext {
            settings: cell,
            catalogue: Arc::new(ArcSwap::from_pointee(catalogue)),
            profiles: Slot::new("profile-finder"),
            board,
            regions: RegionTargets(HashMap::from([(REGION.into(), handle)])),
            waiting: Slot::new("waiting-room"),
            usage: Arc::new(UsageInbox::new(Slot::new("ledger-writer"))),
            fetcher: Arc::new(Fetcher::new(&FetchSettings::default()).unwrap()),
            sniff: |_, _, _| None,
            ports,
        };
        Self { context, clock, owner, settings, resolution }
    }

    fn attempts(&self) -> Attempts<'_> {
        let deadline = self.context.ports.clock.now().after(Duration::from_secs(3_600));
        Attempts::new(AttemptScope {
            context: &self.context,
            settings: &self.settings,
            resolution: &self.resolution,
            facts: RouteFacts {
                strategy: Strategy::Ordered,
                reservation: Reservation { input_estimate: 10, max_tokens: 100 },
                prefix: 0.0,
                affinity: 0,
                cache: CacheLife::Short,
                size: PromptSize::Small,
            },
            answering: Answering::Streamed,
            log: Arc::default(),
            deadline,
        })
    }

    fn lease(&self) -> Option<Lease> {
        Lease::take(LeaseWish {
            cell: self.cell(),
            owner: self.owner.clone(),
            clock: Arc::clone(&self.context.ports.clock),
            patience: Patience { answering: Answering::Streamed, size: PromptSize::Small, at_most: Duration::from_secs(60) },
            sight: Sight::Health,
            debit: None,
        })
    }

    fn cell(&self) -> Arc<TargetCell> {
        self.context.board.cell(&ModelId::from(MODEL), &REGION.into())
    }

    /// Waits until the target's actor has read everything that was sent to it.
    async fn learned(&self) {
        self.owner.call(|reply| TargetMsg::Describe { reply }, Duration::from_secs(60)).await.unwrap();
    }

    /// Makes the target half-open.
    async fn half_open(&self) {
        let mut lease = self.lease().unwrap();
        lease.failed(&failure(Cause::Unavailable));
        drop(lease);
        self.learned().await;
        // Longer than any backoff.
        self.clock.0.fetch_add(3_600, Ordering::Relaxed);
        assert_eq!(self.gate(), (Gate::HalfOpen, false));
    }

    fn gate(&self) -> (Gate, bool) {
        let view = self.cell().view(Sight::Health, false, PromptSize::Small, self.context.ports.clock.now());
        (view.gate, view.probing)
    }
}

/// Read once: the model data is large.
fn catalogue() -> Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    let build = || Catalogue::build(&ModelBook::load(BUILTIN).unwrap(), &[offer()], &CataloguePolicy::default());
    CATALOGUE.get_or_init(build).clone()
}

fn offer() -> RegionOffer {
    let model = OfferedModel {
        id: MODEL.into(),
        name: "Nova Lite".to_owned(),
        provider: "Amazon".to_owned(),
        input: vec!["TEXT".to_owned()],
        output: vec!["TEXT".to_owned()],
        streaming: true,
        lifecycle: "ACTIVE".to_owned(),
        on_demand: true,
        available: true,
    };
    RegionOffer { region: REGION.into(), models: vec![model], profiles: Vec::new(), problems: Vec::new() }
}

fn failure(cause: Cause) -> UpstreamFailure {
    let (code, message) = ("Scripted".to_owned(), "no".to_owned());
    UpstreamFailure { cause, status: 500, code, message, request_id: None, retry_after: None, region: None }
}

/// How the call ends whose awaits are counted.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Answer,
    BadRequest,
    Outage,
}

/// Awaits within the call.
const AWAITS: usize = 4;

fn call(ending: Ending) -> BoxFuture<'static, Result<(), UpstreamFailure>> {
    Box::pin(async move {
        for _ in 0..AWAITS {
            let mut waited = false;
            std::future::poll_fn(
                |_| if std::mem::replace(&mut waited, true) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending },
            )
            .await;
        }
        match ending {
            Ending::Answer => Ok(()),
            Ending::BadRequest => Err(failure(Cause::BadRequest)),
            Ending::Outage => Err(failure(Cause::Unavailable)),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_probe_dropped_at_any_await_is_given_back() {
    for ending in [Ending::Answer, Ending::BadRequest, Ending::Outage] {
        for polls in 1..=AWAITS + 2 {
            let world = World::new().await;
            world.half_open().await;
            let mut attempts = world.attempts();
            let mut running = Box::pin(attempts.run(|_, _| call(ending)));
            for poll in 1..=polls {
                // A future that has ended must not be polled again.
                if futures_util::poll!(running.as_mut()).is_ready() {
                    break;
                }
                if poll <= AWAITS {
                    assert!(world.gate().1, "{ending:?}: the probe is out during the call");
                }
            }
            drop(running);
            world.learned().await;
            assert!(!world.gate().1, "{ending:?}: dropped after {polls} polls, the probe is still out");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_report_nobody_reads_is_given_back() {
    let world = World::new().await;
    world.half_open().await;
    // Its mailbox is closed from now on, and no supervisor starts another.
    world.owner.get().unwrap().stop_and_wait(None, None).await.unwrap();
    let mut lease = world.lease().unwrap();
    assert_eq!(world.gate(), (Gate::HalfOpen, true));
    lease.answered();
    assert_eq!(world.gate(), (Gate::HalfOpen, false), "though the lease lives as long as the stream does");
}

#[tokio::test(start_paused = true)]
async fn a_claim_from_before_a_restart_does_not_free_the_probe_of_another() {
    let world = World::new().await;
    world.half_open().await;
    let take = || world.lease();
    let old = take().unwrap();
    assert!(take().is_none(), "one probe at a time");
    let args = TargetArgs {
        region: REGION.into(),
        board: Arc::clone(&world.context.board),
        settings: Arc::clone(&world.context.settings),
        waiting: Slot::new("waiting-room"),
        ports: world.context.ports.clone(),
    };
    let (_next, _join) = TargetActor::spawn(None, TargetActor, args).await.unwrap();
    let new = take().expect("a restart frees all probes");
    drop(old);
    assert!(take().is_none(), "the new probe is still out");
    drop(new);
    assert!(take().is_some());
}

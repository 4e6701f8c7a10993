//! A gateway without its edges: a board, owners of targets and a waiting room.

use std::{collections::HashMap, sync::OnceLock};

use arc_swap::ArcSwap;
use outcrop_domain::{
    ids::{ModelId, Region},
    model::{BUILTIN, Catalogue, CataloguePolicy, ModelBook, ModelSpec, OfferedModel, ProfileClass, RegionOffer},
    routing::{Gate, quota::Priors, reserve::Reservation, silence::PromptSize, strategy::Strategy, view::CacheLife},
};
use outcrop_supervision::Slot;
use outcrop_upstream::{
    fetch::{FetchSettings, Fetcher},
    frames::FrameStream,
    ports::{RuntimeAnswer, RuntimeCall, RuntimeClient},
};
use ractor::Actor as _;

use super::super::*;
use crate::{
    foundation::UsageInbox,
    settings::{RegionQuotas, RoutingPolicy},
    targets::{HealthBoard, RegionTargets, RoutingMemory, Target as TargetActor, TargetArgs, TargetMsg, WaitingRoom, WaitingRoomArgs},
    testing::{live_settings, ports},
};

pub(super) const MODEL: &str = "amazon.nova-lite-v1:0";
/// In the order of the settings.
pub(super) const REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];

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

pub(super) struct World {
    pub(super) context: ChatContext,
    pub(super) settings: Arc<LiveSettings>,
    resolution: Resolution,
}

impl World {
    /// Of one region.
    pub(super) async fn new() -> Self {
        Self::with(1, RoutingPolicy::default()).await
    }

    /// Of so many regions, whose actors run.
    pub(super) async fn with(regions: usize, routing: RoutingPolicy) -> Self {
        let ports = ports();
        let settings = Arc::new(live_settings(routing));
        let cell = Arc::new(ArcSwap::new(Arc::clone(&settings)));
        let board = Arc::new(HealthBoard::new(Arc::clone(&cell), Arc::clone(&ports.clock), RoutingMemory::default()));
        let waiting = Slot::new("waiting-room");
        let mut handles = HashMap::new();
        for region in REGIONS.iter().take(regions).map(|region| Region::from(*region)) {
            let owner = Slot::new(format!("target-{region}"));
            let (board, settings, waiting, ports) = (Arc::clone(&board), Arc::clone(&cell), waiting.clone(), ports.clone());
            let args = TargetArgs { region: region.clone(), board, settings, waiting, ports };
            owner.fill(TargetActor::spawn(None, TargetActor, args).await.unwrap().0);
            handles.insert(region.clone(), RegionHandle { client: Arc::new(Nobody(region)), owner });
        }
        let owners = handles.iter().map(|(region, handle)| (region.clone(), handle.owner.clone())).collect();
        let args = WaitingRoomArgs { board: Arc::clone(&board), owners, ports: ports.clone() };
        waiting.fill(WaitingRoom::spawn(None, WaitingRoom, args).await.unwrap().0);
        let resolution = catalogue().resolve(MODEL).unwrap();
        let context = ChatContext {
            settings: cell,
            catalogue: Arc::new(ArcSwap::from_pointee(catalogue().clone())),
            profiles: Slot::new("profile-finder"),
            refused_flags: Arc::default(),
            flag_keeper: Slot::new("flag-keeper"),
            board,
            regions: RegionTargets(handles),
            waiting,
            usage: Arc::new(UsageInbox::new(Slot::new("ledger-writer"))),
            fetcher: Arc::new(Fetcher::new(&FetchSettings::default()).unwrap()),
            sniff: |_, _, _| None,
            ports,
        };
        Self { context, settings, resolution }
    }

    /// From now on the ids of the regions are of these kinds, and one of a geography costs so many times the listed price.
    pub(super) fn costs(&mut self, class: impl Fn(usize) -> ProfileClass, geography: &str) {
        let mut model = ModelSpec::clone(&self.resolution.model);
        model.price.as_mut().unwrap().rule.geography = geography.parse().unwrap();
        self.resolution.model = Arc::new(model);
        let targets = self.resolution.targets.iter().enumerate();
        self.resolution.targets = targets.map(|(position, target)| Target { class: class(position), ..target.clone() }).collect();
    }

    /// The attempts of a streamed request that reserves some hundred tokens.
    pub(super) fn attempts(&self) -> Attempts<'_> {
        self.attempts_reserving(100)
    }

    /// The same, with so many tokens of output at most.
    pub(super) fn attempts_reserving(&self, max_tokens: u64) -> Attempts<'_> {
        let deadline = self.now().after(Duration::from_secs(7_200));
        Attempts::new(AttemptScope {
            context: &self.context,
            settings: &self.settings,
            resolution: &self.resolution,
            facts: RouteFacts {
                strategy: self.settings.routing.strategy,
                reservation: Reservation { input_estimate: 10, max_tokens },
                prefix: 0.0,
                affinity: 0,
                cache: CacheLife::Short,
                size: PromptSize::Small,
                writes: Duration::ZERO,
            },
            answering: Answering::Streamed,
            log: Arc::default(),
            deadline,
            made_before: 0,
            aside: false,
        })
    }

    /// A lease of a region, as somebody gets it who looks at health alone.
    pub(super) fn lease(&self, region: usize) -> Option<Lease> {
        Lease::take(LeaseWish {
            cell: self.cell(region),
            owner: self.owner(region),
            clock: Arc::clone(&self.context.ports.clock),
            patience: Patience {
                answering: Answering::Streamed,
                size: PromptSize::Small,
                at_most: Duration::from_secs(60),
                writes: Duration::ZERO,
            },
            sight: Sight::Health,
            debit: None,
        })
    }

    /// A region is known to give its first byte after `usual`.
    pub(super) async fn knows_pace(&self, region: usize, usual: Duration) {
        let mut lease = self.lease(region).unwrap();
        tokio::time::sleep(usual).await;
        lease.answered();
    }

    /// A call to a region failed.
    pub(super) async fn fails(&self, region: usize, cause: Cause) {
        self.lease(region).unwrap().failed(&failure(cause));
        self.learned().await;
    }

    pub(super) fn cell(&self, region: usize) -> Arc<TargetCell> {
        self.context.board.cell(&ModelId::from(MODEL), &REGIONS[region].into())
    }

    pub(super) fn owner(&self, region: usize) -> Slot<TargetMsg> {
        self.context.regions.0[&Region::from(REGIONS[region])].owner.clone()
    }

    /// Waits until the targets' actors have read everything that was sent to them.
    pub(super) async fn learned(&self) {
        for handle in self.context.regions.0.values() {
            handle.owner.call(|reply| TargetMsg::Describe { reply }, Duration::from_secs(60)).await.unwrap();
        }
    }

    /// Makes the first target half-open.
    pub(super) async fn half_open(&self) {
        self.fails(0, Cause::Unavailable).await;
        // Longer than any backoff.
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(self.gate(0), (Gate::HalfOpen, false));
    }

    /// How the gate of a region stands, and whether its probe is out.
    pub(super) fn gate(&self, region: usize) -> (Gate, bool) {
        let view = self.cell(region).view(Sight::Health, false, Answering::Streamed, PromptSize::Small, self.now());
        (view.gate, view.probing)
    }

    pub(super) fn now(&self) -> Moment {
        self.context.ports.clock.now()
    }
}

/// Settings with a strategy.
pub(super) fn routing(strategy: Strategy) -> RoutingPolicy {
    RoutingPolicy { strategy, ..RoutingPolicy::default() }
}

/// Quotas in tokens per minute, by region; the shadow holds a minute's worth.
pub(super) fn quotas(tokens_per_minute: &[f64]) -> RoutingPolicy {
    let of =
        |tokens: f64| RegionQuotas { each: Priors { tokens_per_minute: Some(tokens), ..Priors::default() }, ..RegionQuotas::default() };
    let quotas = REGIONS.iter().zip(tokens_per_minute).map(|(region, tokens)| ((*region).into(), of(*tokens))).collect();
    RoutingPolicy { quotas, ..routing(Strategy::Adaptive) }
}

/// Read once: the model data is large.
fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    let build = || Catalogue::build(&ModelBook::load(BUILTIN).unwrap(), &REGIONS.map(offer), &CataloguePolicy::default());
    CATALOGUE.get_or_init(build)
}

fn offer(region: &str) -> RegionOffer {
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
    RegionOffer { region: region.into(), models: vec![model], profiles: Vec::new(), problems: Vec::new() }
}

pub(super) fn failure(cause: Cause) -> UpstreamFailure {
    let (code, message) = ("Scripted".to_owned(), "no".to_owned());
    UpstreamFailure { cause, status: 500, code, message, request_id: None, retry_after: None, region: None, model_error: None }
}

/// A call that ends like this after so many milliseconds.
pub(super) fn after(milliseconds: u64, result: Result<(), Cause>) -> BoxFuture<'static, Result<(), UpstreamFailure>> {
    Box::pin(async move {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        result.map_err(failure)
    })
}

/// A call of which nothing is ever heard.
pub(super) fn never() -> BoxFuture<'static, Result<(), UpstreamFailure>> {
    Box::pin(std::future::pending())
}

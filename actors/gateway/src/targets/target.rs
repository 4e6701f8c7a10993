//! The actor that decides about one region's targets.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use outcrop_domain::{
    clock::{Moment, Ports},
    error::{Cause, UpstreamFailure},
    ids::Region,
    routing::{
        Breaker, Gate, Outcome,
        daily::Pace,
        quota::{Refused, Sent, TargetQuota},
        reserve::Drift,
        silence::RegionTrips,
        view::{Demand, Resource},
    },
};
use outcrop_supervision::{Reply, Slot};
use outcrop_upstream::ports::RuntimeClient;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;

use super::{
    Debit, HealthBoard, ModelPool, Sight, TargetCell, TargetHealth, WaitingRoomMsg,
    ended::{EndedCall, EndedCalls},
    probe::ProbeClaim,
    tell::{tell_of_gate, tell_of_quota, tell_operators},
};
use crate::settings::SettingsCell;

/// What a [`Target`] is told.
#[derive(Debug)]
pub enum TargetMsg {
    /// A call ended in a way that may move a breaker.
    AttemptEnded(AttemptEnded),
    /// Calls have ended: they lie on the board.
    CallsEnded,
    /// The time has passed in which calls that ended were gathered.
    Gathered,
    /// Something is to be learned of a target's quotas.
    QuotaTold(Box<QuotaTold>),
    /// A second has passed in which quotas moved.
    Tick,
    /// Asks for the region's state.
    Describe {
        /// The answer.
        reply: Reply<TargetReport>,
    },
}

/// How one call ended.
#[derive(Debug)]
pub struct AttemptEnded {
    pub(super) cell: Arc<TargetCell>,
    pub(super) outcome: Outcome,
    pub(super) failure: Option<UpstreamFailure>,
    /// Whether whoever called sees quotas.
    pub(super) sight: Sight,
    pub(super) began: Moment,
    pub(super) ended: Moment,
    /// Held until the actor has learned.
    pub(super) probe: Option<ProbeClaim>,
}

/// News of a target's quotas.
#[derive(Debug)]
pub struct QuotaTold {
    pub(super) cell: Arc<TargetCell>,
    pub(super) news: QuotaNews,
}

/// What may be learned of a target's quotas.
#[derive(Debug)]
pub(super) enum QuotaNews {
    /// A call got through that there seemed to be no room for, or that was sent while the quotas were closed.
    Granted { demand: Demand, sent: Sent },
    /// A call was refused.
    Refused { debit: Debit, by: Refused },
    /// A call was not made, or AWS did not count it.
    NotCounted { debit: Debit },
    /// Requests wait at the limit of this resource.
    Limited(Resource),
}

impl QuotaTold {
    /// Requests wait at the limit of a target's resource.
    #[must_use]
    pub fn limited(cell: &Arc<TargetCell>, resource: Resource) -> Box<Self> {
        Box::new(Self { cell: Arc::clone(cell), news: QuotaNews::Limited(resource) })
    }
}

/// State of a region, for consoles and tests.
#[derive(Debug, Clone, Serialize)]
pub struct TargetReport {
    /// The region.
    pub region: Region,
    /// An operator took it out.
    pub drained: bool,
    /// Its targets, by model.
    pub targets: Vec<TargetHealth>,
}

/// What a [`Target`] starts from.
#[derive(Debug, Clone)]
pub struct TargetArgs {
    /// The region it decides about.
    pub region: Region,
    /// Where health is published.
    pub board: Arc<HealthBoard>,
    /// Backoffs.
    pub settings: SettingsCell,
    /// Hears of new room.
    pub waiting: Slot<WaitingRoomMsg>,
    /// Time and jitter.
    pub ports: Ports,
}

/// Decides when the models of one region may be called.
///
/// * Owns: the breakers and the quotas of the region's targets (published on the [`HealthBoard`]).
/// * Told by: leases, when a call failed, was given up after too long a silence, was answered by a target that was not
///   healthy, or is the first in a while that ended and has a reservation to settle; jobs and the waiting room, when
///   requests wait at a limit.
/// * Tells: the waiting room, when there is new room for a model that somebody waits for; jobs read the board.
/// * On restart: keeps breakers and quotas from the board, learns from the calls that ended meanwhile, and frees all
///   probes; reservations whose reports were lost with the mailbox settle themselves, other reports come again with the
///   next calls.
/// * Bounded by: two messages per call that failed, two per 10 ms for those that ended, of which 65,536 wait at most; calls
///   are bounded by the lanes.
#[derive(Debug, Default)]
pub struct Target;

/// What the actor remembers beside the board.
#[derive(Debug)]
pub struct TargetState {
    args: TargetArgs,
    trips: RegionTrips,
    /// Calls of the region that have ended.
    ended: Arc<EndedCalls>,
    /// The buffer that changes places with theirs.
    taken: Vec<EndedCall>,
    /// A [`TargetMsg::Gathered`] is under way.
    gathering: bool,
    /// A [`TargetMsg::Tick`] is under way.
    ticking: bool,
    /// Something was told since the last tick.
    moved: bool,
}

/// Quotas are let pass time, published and measured this often while they move.
const TICK: Duration = Duration::from_secs(1);

/// So long those that end are gathered once one has: while the owner runs, a call's unused tokens are back so much later.
const GATHER: Duration = Duration::from_millis(10);

impl Actor for Target {
    type Msg = TargetMsg;
    type State = TargetState;
    type Arguments = TargetArgs;

    async fn pre_start(&self, myself: ActorRef<TargetMsg>, args: TargetArgs) -> Result<TargetState, ActorProcessingErr> {
        for cell in args.board.of_region(&args.region) {
            cell.free_probe();
        }
        let ended = args.board.ended(&args.region);
        let mut state =
            TargetState { args, trips: RegionTrips::default(), ended, taken: Vec::new(), gathering: false, ticking: false, moved: true };
        // The one before was told of these, and can look no more.
        state.learn_from_ended();
        state.keep_gathering(&myself);
        state.keep_ticking(&myself);
        Ok(state)
    }

    async fn handle(&self, myself: ActorRef<TargetMsg>, message: TargetMsg, state: &mut TargetState) -> Result<(), ActorProcessingErr> {
        match message {
            TargetMsg::CallsEnded => state.on_calls_ended(&myself),
            TargetMsg::Gathered => state.on_gathered(&myself),
            TargetMsg::AttemptEnded(ended) => state.on_attempt_ended(ended),
            TargetMsg::QuotaTold(told) => state.on_quota_told(*told),
            TargetMsg::Tick => state.on_tick(),
            TargetMsg::Describe { reply } => state.on_describe(reply),
        }
        state.keep_ticking(&myself);
        Ok(())
    }
}

impl TargetState {
    fn keep_ticking(&mut self, myself: &ActorRef<TargetMsg>) {
        if self.moved && !self.ticking {
            self.ticking = true;
            // The timer ends with the actor.
            let _timer = myself.send_after(TICK, || TargetMsg::Tick);
        }
    }

    fn keep_gathering(&mut self, myself: &ActorRef<TargetMsg>) {
        if !self.gathering {
            self.gathering = true;
            // The timer ends with the actor.
            let _timer = myself.send_after(GATHER, || TargetMsg::Gathered);
        }
    }

    fn on_calls_ended(&mut self, myself: &ActorRef<TargetMsg>) {
        self.learn_from_ended();
        self.keep_gathering(myself);
    }

    fn on_gathered(&mut self, myself: &ActorRef<TargetMsg>) {
        self.gathering = false;
        if self.learn_from_ended() || !self.ended.rest() {
            self.keep_gathering(myself);
        }
    }

    fn on_attempt_ended(&mut self, ended: AttemptEnded) {
        let policy = self.args.settings.load().routing.breaker;
        let (own, other) = match (ended.outcome, ended.sight) {
            // Whoever sees quotas leaves throttles to them.
            (Outcome::Failed(Cause::Throttled | Cause::QuotaExhausted), Sight::Quotas) => {
                if ended.outcome == Outcome::Failed(Cause::QuotaExhausted) {
                    // What those are told who find the day spent.
                    ended.cell.last_failure.store(ended.failure.map(Arc::new));
                }
                return;
            }
            (Outcome::Failed(Cause::Throttled | Cause::QuotaExhausted), Sight::Health) => (&ended.cell.throttles, None),
            // An answer heals both, a failure of any other kind is one of health.
            (Outcome::Answered, _) => (&ended.cell.breaker, Some(&ended.cell.throttles)),
            _ => (&ended.cell.breaker, None),
        };
        let mut changed = false;
        for breaker in std::iter::once(own).chain(other) {
            let before = **breaker.load();
            let mut after = before;
            after.learn(ended.outcome, ended.began, ended.ended, &policy, self.args.ports.entropy.unit());
            if after != before {
                breaker.store(Arc::new(after));
                changed = true;
            }
        }
        if changed {
            ended.cell.last_failure.store(ended.failure.clone().map(Arc::new));
            let windows = own.load().windows();
            tell_operators(&ended.cell, ended.failure.as_ref(), windows, ended.ended);
            if region_wide(ended.outcome) && self.trips.tripped(ended.cell.id, ended.ended) {
                self.trip_region(&ended);
            }
            ended.cell.announce();
        }
        drop(ended.probe);
    }

    /// Several models of a region failed at once: the region failed, and no other model need find out by itself.
    fn trip_region(&self, ended: &AttemptEnded) {
        let policy = self.args.settings.load().routing.breaker;
        tracing::warn!(region = %self.args.region, "several models failed within seconds: the whole region is left alone");
        for cell in self.args.board.of_region(&self.args.region) {
            let before: Breaker = **cell.breaker.load();
            if before.gate(ended.ended) == Gate::Closed {
                let mut after = before;
                after.learn(ended.outcome, ended.ended, ended.ended, &policy, self.args.ports.entropy.unit());
                cell.breaker.store(Arc::new(after));
                cell.last_failure.store(ended.failure.clone().map(Arc::new));
                tell_operators(&cell, ended.failure.as_ref(), after.windows(), ended.ended);
                cell.announce();
            }
        }
    }

    fn on_quota_told(&mut self, told: QuotaTold) {
        self.moved = true;
        let QuotaTold { cell, news } = told;
        // What has ended comes before what is judged by the levels. A call that got through is learned from before its own
        // end, which lies there already when its answer came in one piece.
        if !matches!(news, QuotaNews::Granted { .. }) {
            self.learn_from_ended();
        }
        let now = self.args.ports.clock.now();
        let unit = self.args.ports.entropy.unit();
        let mut room = false;
        match news {
            QuotaNews::Granted { demand, sent } => {
                if sent.probed() {
                    cell.meters.quota_probe(true);
                }
                change(&cell, now, |quota| quota.granted(now, &demand, &sent));
                room = true;
            }
            QuotaNews::Refused { mut debit, by } => {
                let probed = debit.probed();
                let (demand, sent) = debit.close();
                change(&cell, now, |quota| quota.refused(now, &demand, &sent, by, unit));
                if probed {
                    cell.meters.quota_probe(false);
                }
                tell_of_quota(&cell, by);
                cell.announce();
            }
            QuotaNews::NotCounted { mut debit } => {
                let (demand, _) = debit.close();
                change(&cell, now, |quota| quota.give_back(now, &demand));
                room = true;
            }
            QuotaNews::Limited(resource) => change(&cell, now, |quota| quota.limited(now, resource)),
        }
        if room {
            self.nudge(&self.args.board.pool(&cell.model));
        }
    }

    /// Learns from all calls that have ended. False when there were none.
    fn learn_from_ended(&mut self) -> bool {
        let mut calls = std::mem::take(&mut self.taken);
        self.ended.take(&mut calls);
        let any = !calls.is_empty();
        if any {
            self.moved = true;
            calls.sort_by_key(|call| call.debit.cell().id);
            for of_target in calls.chunk_by_mut(|one, next| one.debit.cell().id == next.debit.cell().id) {
                self.learn_from(of_target);
            }
            calls.clear();
        }
        self.taken = calls;
        any
    }

    /// Learns from calls of one target that have ended.
    fn learn_from(&self, calls: &mut [EndedCall]) {
        let Some(cell) = calls.first().map(|call| Arc::clone(call.debit.cell())) else { return };
        let now = self.args.ports.clock.now();
        let warn = change(&cell, now, |quota| {
            let settle = |call: &mut EndedCall| {
                let (demand, _) = call.debit.close();
                quota.settle(now, &demand, call.used)
            };
            calls.iter_mut().map(settle).fold(false, |warn, pace| warn | (pace == Pace::Warn))
        });
        if warn {
            tracing::warn!(model.id = %cell.model, region = %cell.region, "80 % of the daily token quota are used");
        }
        let pool = self.args.board.pool(&cell.model);
        for (estimate, usage) in calls.iter().filter_map(|call| Some((call.debit.estimate(), call.usage.as_ref()?))) {
            pool.learn_bias(estimate.input, usage);
            if let (Some(conversation), Some(drift)) = (estimate.conversation, Drift::of(estimate.input, usage)) {
                self.args.board.shared().learn_drift(conversation, drift);
            }
        }
        self.nudge(&pool);
    }

    /// Tells the waiting room that a model has more room than before, if somebody waits for it.
    fn nudge(&self, pool: &ModelPool) {
        if pool.claim_nudge() && self.args.waiting.cast(WaitingRoomMsg::Room { model: pool.model().clone() }).is_err() {
            // It looks at everything when it is back.
            pool.looked();
        }
    }

    fn on_tick(&mut self) {
        self.ticking = false;
        self.learn_from_ended();
        let now = self.args.ports.clock.now();
        let mut busy = false;
        for cell in self.args.board.of_region(&self.args.region) {
            change(&cell, now, |quota| quota.advance(now));
            let views = cell.quota.view(now);
            cell.meters.quota_levels(&views);
            let full = views.iter().all(|view| !view.known || view.level >= view.depth);
            busy |= !full || **cell.quota_gate.load() != Gate::Closed;
        }
        self.moved = busy;
    }

    fn on_describe(&mut self, reply: Reply<TargetReport>) {
        self.learn_from_ended();
        let now = self.args.ports.clock.now();
        let board = &self.args.board;
        let targets = board.of_region(&self.args.region).iter().map(|cell| cell.describe(now)).collect();
        reply.send(TargetReport { region: self.args.region.clone(), drained: board.shared().is_drained(&self.args.region), targets });
    }
}

/// Failures that say something of the region and not of the model.
fn region_wide(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Silent | Outcome::Failed(Cause::Connection | Cause::Timeout | Cause::Unavailable))
}

/// Changes a target's quotas and publishes what came of it.
fn change<T>(cell: &TargetCell, now: Moment, how: impl FnOnce(&mut TargetQuota) -> T) -> T {
    // Nobody else locks it, but for a moment who writes down what the next run should know; a panic of an earlier owner left
    // it as it was between two steps.
    let mut book = cell.book.lock().unwrap_or_else(PoisonError::into_inner);
    let result = cell.quota.update(&mut book, now, how);
    let gate = book.gate(now);
    if **cell.quota_gate.load() != gate {
        cell.quota_gate.store(Arc::new(gate));
        tell_of_gate(cell, now);
        cell.announce();
    }
    cell.publish_probing(&book);
    result
}

/// How to reach one region: its client and its actor.
#[derive(Debug, Clone)]
pub struct RegionHandle {
    /// Calls models there.
    pub client: Arc<dyn RuntimeClient>,
    /// Decides about its targets.
    pub owner: Slot<TargetMsg>,
}

/// All regions.
#[derive(Debug, Clone, Default)]
pub struct RegionTargets(pub std::collections::HashMap<Region, RegionHandle>);

#[cfg(test)]
mod tests;

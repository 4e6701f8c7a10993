//! The actor with whom requests wait when no target has room for them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use outcrop_domain::{
    clock::{Moment, Ports},
    ids::{ModelId, Region},
    routing::{
        Gate,
        reserve::Estimate,
        silence::PromptSize,
        strategy::Strategy,
        view::{MAX_TARGETS, Resource, RouteRequest, TargetView},
        waiting::{Sweep, Ticket, Waiting, Woken as Verdict},
    },
};
use outcrop_supervision::{Refusal, Reply, Slot};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;

use super::{Answering, Debit, HealthBoard, ModelPool, QuotaTold, Sight, TargetCell, TargetMsg};

/// What a [`WaitingRoom`] is told.
#[derive(Debug)]
pub enum WaitingRoomMsg {
    /// A request found no room and waits.
    Wait(Box<Wish>),
    /// A model has more room than before.
    Room {
        /// Which.
        model: ModelId,
    },
    /// The time has come to look again.
    Due {
        /// For which model.
        model: ModelId,
    },
    /// Asks who waits.
    Describe {
        /// The answer.
        reply: Reply<WaitingReport>,
    },
}

/// A request that waits.
#[derive(Debug)]
pub struct Wish {
    /// The targets of its model.
    pub pool: Arc<ModelPool>,
    /// What it needs; its targets are places in the pool.
    pub request: RouteRequest,
    /// What its size was estimated from.
    pub estimate: Estimate,
    /// The place in line that it had before, when it comes back.
    pub place: Option<Place>,
    /// What becomes of it. Once nobody waits for this, the request leaves the line.
    pub reply: Reply<Woken>,
}

/// A place in line, kept by a request that comes back because the target it was sent to refused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    ticket: Ticket,
    /// Of the room: the next one counts its tickets anew, and this one's mean nothing to it.
    room: u64,
}

/// How a wait ended.
#[derive(Debug)]
pub enum Woken {
    /// There is room, and it is reserved.
    Send {
        /// The target's place in the pool.
        target: usize,
        /// The reservation.
        debit: Debit,
        /// To come back with.
        place: Place,
        /// It leaves a warm home where it might have waited on.
        spilled: bool,
    },
    /// Its deadline has come and nothing fits.
    Overdue,
}

/// Who waits, for consoles and tests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WaitingReport {
    /// Requests in line, by model.
    pub waiting: Vec<(ModelId, usize)>,
}

/// What a [`WaitingRoom`] starts from.
#[derive(Debug, Clone)]
pub struct WaitingRoomArgs {
    /// Where targets are seen and debited.
    pub board: Arc<HealthBoard>,
    /// Who decides about targets.
    pub owners: HashMap<Region, Slot<TargetMsg>>,
    /// Time.
    pub ports: Ports,
}

/// Keeps requests in line until a target has room for them, oldest first.
///
/// * Owns: one line per model, and with it what is held of the targets for the oldest in it.
/// * Told by: jobs that wait; targets, when there is new room; its own timers.
/// * Tells: jobs what became of their wait; targets, that somebody waits at their limit.
/// * On restart: begins with empty lines; whoever waited is told so and comes back with the deadline it had.
/// * Bounded by: [`QUEUE_LIMIT`](outcrop_domain::routing::waiting::QUEUE_LIMIT) requests a model; one look in 50 ms a model.
#[derive(Debug, Default)]
pub struct WaitingRoom;

/// The lines.
#[derive(Debug)]
pub struct WaitingRoomState {
    args: WaitingRoomArgs,
    /// Number of this room in its process.
    room: u64,
    lines: BTreeMap<ModelId, Line>,
}

/// Least time between two looks at a line: settlements come by the hundred a second.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longest time between two looks: drains and other changes are seen that late.
const LOOK_AT_LEAST: Duration = Duration::from_secs(1);
/// A timer may come so much early, as our clock has it: taken for a stale one, it would be the line's last.
const TIMER_SLACK: Duration = Duration::from_millis(2);
/// Longest time between two looks while the single probe of a target is out, whose answer may come any moment.
const LOOK_FOR_PROBE: Duration = Duration::from_millis(250);

impl Actor for WaitingRoom {
    type Msg = WaitingRoomMsg;
    type State = WaitingRoomState;
    type Arguments = WaitingRoomArgs;

    async fn pre_start(&self, _myself: ActorRef<WaitingRoomMsg>, args: WaitingRoomArgs) -> Result<WaitingRoomState, ActorProcessingErr> {
        // What a predecessor held and published is nobody's any more.
        for pool in args.board.pools() {
            pool.cells().iter().for_each(|cell| cell.hold(0.0));
            pool.publish_waiting(Waiting::default().classes(), false);
            pool.looked();
        }
        let room = args.board.shared().next_room();
        Ok(WaitingRoomState { args, room, lines: BTreeMap::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<WaitingRoomMsg>,
        message: WaitingRoomMsg,
        state: &mut WaitingRoomState,
    ) -> Result<(), ActorProcessingErr> {
        let now = state.args.ports.clock.now();
        match message {
            WaitingRoomMsg::Wait(wish) => {
                let room = state.room;
                let line = state.lines.entry(wish.pool.model().clone()).or_insert_with(|| Line::new(Arc::clone(&wish.pool), room));
                line.join(*wish);
                line.look_by(line.soonest(now), now, &myself);
            }
            WaitingRoomMsg::Room { model } => {
                if let Some(line) = state.lines.get_mut(&model) {
                    line.look_by(line.soonest(now), now, &myself);
                }
            }
            WaitingRoomMsg::Due { model } => {
                if let Some(line) = state.lines.get_mut(&model)
                    && line.timer.is_some_and(|timer| now.after(TIMER_SLACK) >= timer)
                {
                    line.timer = None;
                    if let Some(next) = line.look(&state.args, now) {
                        line.look_by(next, now, &myself);
                    }
                }
            }
            WaitingRoomMsg::Describe { reply } => {
                let mut waiting: Vec<_> = state.lines.iter().map(|(model, line)| (model.clone(), line.waiting.len())).collect();
                waiting.retain(|(_, waiting)| *waiting > 0);
                waiting.sort();
                reply.send(WaitingReport { waiting });
            }
        }
        Ok(())
    }
}

/// The requests that wait for one model.
#[derive(Debug)]
struct Line {
    room: u64,
    pool: Arc<ModelPool>,
    waiting: Waiting,
    waiters: BTreeMap<Ticket, Waiter>,
    looked: Option<Moment>,
    timer: Option<Moment>,
}

#[derive(Debug)]
struct Waiter {
    estimate: Estimate,
    reply: Reply<Woken>,
}

impl Line {
    fn new(pool: Arc<ModelPool>, room: u64) -> Self {
        Self { room, pool, waiting: Waiting::default(), waiters: BTreeMap::new(), looked: None, timer: None }
    }

    fn join(&mut self, wish: Wish) {
        let Wish { request, estimate, place, reply, .. } = wish;
        let ticket = match place {
            Some(place) if place.room == self.room => {
                self.waiting.put_back(place.ticket, request);
                Ok(place.ticket)
            }
            Some(_) | None => self.waiting.push(request),
        };
        match ticket {
            Ok(ticket) => {
                self.waiters.insert(ticket, Waiter { estimate, reply });
                self.publish();
            }
            Err(full) => {
                tracing::debug!(model.id = %self.pool.model(), %full, "a request may not wait: its line is full");
                reply.refuse(Refusal::QueueFull);
            }
        }
    }

    fn publish(&self) {
        self.pool.publish_waiting(self.waiting.classes(), !self.waiting.is_empty());
    }

    /// The soonest that it may be looked at.
    fn soonest(&self, now: Moment) -> Moment {
        self.looked.map_or(now, |looked| looked.after(LOOK_EVERY).max(now))
    }

    /// Sets the timer, unless it is set for an earlier time.
    fn look_by(&mut self, at: Moment, now: Moment, myself: &ActorRef<WaitingRoomMsg>) {
        if self.waiting.is_empty() || self.timer.is_some_and(|timer| timer <= at) {
            return;
        }
        self.timer = Some(at);
        let model = self.pool.model().clone();
        // The timer ends with the actor. One that was set for later comes too, and is told from this by its time.
        let _timer = myself.send_after(at.since(now), move || WaitingRoomMsg::Due { model });
    }

    /// Sends whom it can, refuses whom it must. Returns when to look again, if anybody is left.
    fn look(&mut self, args: &WaitingRoomArgs, now: Moment) -> Option<Moment> {
        self.looked = Some(now);
        self.pool.looked();
        self.let_go();
        let (cells, clock, shared) = (self.pool.cells(), &args.ports.clock, args.board.shared());
        // A line is judged by first bytes of short prompts: no plan for waiters turns on them.
        let view = |cell: &Arc<TargetCell>| {
            cell.view(Sight::Quotas, shared.is_drained(cell.region()), Answering::Streamed, PromptSize::Small, now)
        };
        let mut views: Vec<TargetView> = cells.iter().take(MAX_TARGETS).map(view).collect();
        let spill = self.pool.may_spill(now);
        let mut sweep = Sweep::new(Strategy::Adaptive, &mut views, now);
        loop {
            let mut reserved = None;
            let reserve = |index: usize, request: &RouteRequest| {
                // What is held is held for whoever comes first in this walk: the plan has left it alone.
                reserved = cells.get(index).and_then(|cell| Debit::take_beside(cell, clock, request.demand, Estimate::default(), 0.0).ok());
                reserved.is_some()
            };
            let Some(verdict) = self.waiting.next_to_wake(&mut sweep, |key| shared.home(key, now), spill, reserve) else { break };
            self.tell(verdict, reserved);
        }
        let limited = sweep.limited();
        for (cell, view) in cells.iter().zip(&views) {
            cell.hold(view.held);
        }
        self.publish();
        press(args, &cells, &limited, now);
        let next = self.waiting.next_timer(&views, now)?;
        Some(next.min(reopening(&views, now)).max(now.after(LOOK_EVERY)))
    }

    /// Lets those leave for whom nobody waits any more.
    fn let_go(&mut self) {
        let gone: Vec<Ticket> = self.waiters.iter().filter(|(_, waiter)| waiter.reply.is_closed()).map(|(ticket, _)| *ticket).collect();
        for ticket in gone {
            self.waiters.remove(&ticket);
            self.waiting.remove(ticket);
        }
    }

    fn tell(&mut self, verdict: Verdict, reserved: Option<Debit>) {
        let (Verdict::Send { ticket, .. } | Verdict::Overdue { ticket, .. }) = verdict;
        let Some(waiter) = self.waiters.remove(&ticket) else { return };
        let woken = match (verdict, reserved) {
            (Verdict::Send { index, spilled, .. }, Some(debit)) => {
                Woken::Send { target: index, debit: debit.estimated(waiter.estimate), place: Place { ticket, room: self.room }, spilled }
            }
            // It was woken for room that was not reserved: as good as no room.
            (Verdict::Send { .. }, None) | (Verdict::Overdue { .. }, _) => Woken::Overdue,
        };
        // A debit that finds no caller was not sent, and gives itself back.
        waiter.reply.send(woken);
    }
}

/// Tells owners at whose limits somebody waits.
fn press(args: &WaitingRoomArgs, cells: &[Arc<TargetCell>], limited: &[outcrop_domain::routing::view::TargetSet], now: Moment) {
    for (set, resource) in limited.iter().zip(Resource::ALL) {
        for (_, cell) in cells.iter().enumerate().filter(|(place, _)| set.contains(*place)) {
            let Some(owner) = args.owners.get(cell.region()) else { continue };
            if cell.claim_pressure(resource, now) && owner.cast(TargetMsg::QuotaTold(QuotaTold::limited(cell, resource))).is_err() {
                tracing::debug!(region = %cell.region(), "the target's actor is restarting and does not learn of the demand");
            }
        }
    }
}

/// When a target that is closed now may open.
fn reopening(views: &[TargetView], now: Moment) -> Moment {
    let opens = views.iter().filter_map(|view| match view.gate {
        Gate::Open { until } => Some(until),
        Gate::HalfOpen if view.probing => Some(now.after(LOOK_FOR_PROBE)),
        Gate::HalfOpen | Gate::Closed => None,
    });
    opens.min().unwrap_or(now.after(LOOK_AT_LEAST)).min(now.after(LOOK_AT_LEAST))
}

#[cfg(test)]
mod tests;

//! Waiting: for a closed target to open, or in line for room.

use std::{sync::Arc, time::Duration};

use outcrop_domain::{
    clock::Moment,
    error::GatewayError,
    routing::{
        strategy::Strategy,
        view::{RouteRequest, TargetSet},
    },
};
use outcrop_supervision::{CallError, Refusal, Reply};
use tokio::sync::watch;

use super::Attempts;
use crate::targets::{Debit, Place, Sight, WaitingRoomMsg, Wish, Woken};

/// How long a request may wait, and what it has of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    began: Moment,
    /// Until when it may wait for room.
    deadline: Moment,
    /// When the request as a whole must have ended.
    last: Moment,
    /// Left of the budget for closed targets.
    left: Duration,
    /// No call before this: the pause between two rounds over the same targets.
    not_before: Moment,
    /// Its place in line, once it had one.
    place: Option<Place>,
    /// The line has told it that its time is over, or that there is no place.
    over: bool,
    /// The line was full: it may not wait, and others come first.
    line_full: bool,
}

impl Waits {
    pub(super) fn new(now: Moment, deadline: Moment, max_wait: Duration) -> Self {
        let until = now.after(max_wait).min(deadline);
        Self {
            began: now,
            deadline: until,
            last: deadline,
            left: max_wait,
            not_before: Moment::default(),
            place: None,
            over: false,
            line_full: false,
        }
    }

    pub(super) fn began(&self) -> Moment {
        self.began
    }

    pub(super) fn deadline(&self) -> Moment {
        self.deadline
    }

    /// May it wait no longer?
    pub(super) fn is_over(&self, now: Moment) -> bool {
        self.over || now >= self.deadline
    }

    /// Has the line let it go without room?
    pub(super) fn line_is_over(&self) -> bool {
        self.over
    }

    pub(super) fn line_is_full(&self) -> bool {
        self.line_full
    }

    /// May it wait until then for what becomes of somebody else's test, though its time is over? Not whom nobody lets wait.
    pub(super) fn may_be_late(&self, until: Moment, now: Moment) -> bool {
        let is_late = now >= self.deadline && until <= self.deadline.after(LATE) && until < self.last;
        is_late && !self.line_full && !self.left.is_zero() && until.since(now) <= self.left
    }

    /// What is left of the wait: for whoever sees health alone only waiting counts, for whoever stands in line the time since
    /// it came.
    pub(super) fn left(&self, sight: Sight, now: Moment) -> Duration {
        match sight {
            Sight::Health => self.left,
            Sight::Quotas => self.left.min(self.deadline.since(now)),
        }
    }

    pub(super) fn pause_until(&mut self, at: Moment) {
        self.not_before = at;
    }

    pub(super) fn paused(&self, now: Moment) -> Option<Moment> {
        (now < self.not_before).then_some(self.not_before)
    }
}

impl Attempts<'_> {
    /// Waits for a closed target to open. False: it would take too long.
    pub(super) async fn wait(&mut self, now: Moment, at: Moment, changed: &mut watch::Receiver<u64>) -> bool {
        let wanted = at.since(now);
        let allowed = self.waits.left.min(self.deadline.since(now));
        if allowed.is_zero() || wanted > allowed {
            return false;
        }
        // A probe that is out (wanted = 0) ends with a change of the board; a backoff ends by itself.
        let pause = if wanted.is_zero() { allowed } else { wanted };
        tokio::select! {
            biased;
            _ = changed.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
        self.waits.left = self.waits.left.saturating_sub(self.now().since(now).max(MIN_WAIT));
        true
    }

    /// Stands in line until a target has room. `None`: plan again.
    ///
    /// # Errors
    /// When it may wait no longer and nothing fits.
    pub(super) async fn queue(&mut self) -> Result<Option<(usize, Debit)>, GatewayError> {
        let now = self.now();
        if self.waits.is_over(now) {
            // Who was asked for has heard more than that.
            let only_came_late = self.waits.line_full && self.last.is_none();
            return Err(if only_came_late { self.line_full(now) } else { self.no_room(now) });
        }
        let (reply, answer) = Reply::channel();
        let wish = Wish {
            pool: Arc::clone(&self.pool),
            request: self.in_places(self.request(now)),
            estimate: self.facts.estimate(),
            place: self.waits.place,
            reply,
        };
        let joined = self.context.waiting.cast(WaitingRoomMsg::Wait(Box::new(wish))).is_ok();
        // Longer than the line keeps anybody: a line that never answers is one that died.
        let patience = self.waits.deadline.since(now).saturating_add(LINE_GRACE);
        let woken = if joined { answer.within(patience).await } else { Err(CallError::WorkerLost) };
        let ended = self.now();
        // The region that ended the wait, if one did.
        let there = match &woken {
            Ok(Woken::Send { target, .. }) => self.routes.iter().find(|route| route.place == *target),
            _ => None,
        };
        let region = there.map_or("none", |route| route.target.region.as_str()).to_owned();
        metrics::histogram!("outcrop_routing_wait_seconds", "model" => self.pool.model().to_string(), "region" => region)
            .record(ended.since(now).as_secs_f64());
        match woken {
            Ok(Woken::Send { target, debit, place, spilled }) => {
                self.waits.place = Some(place);
                if spilled {
                    self.pool.spilled(self.facts.prefix, ended);
                }
                let position = self.routes.iter().position(|route| route.place == target);
                Ok(position.map(|position| (position, debit)))
            }
            Ok(Woken::Overdue) => {
                // What throttled it before the wait has refilled since: that counts as untried.
                self.routes.iter_mut().filter(|route| route.throttled).for_each(|route| route.tried = false);
                self.last_plan(ended);
                Ok(None)
            }
            Err(CallError::Refused(Refusal::QueueFull)) => {
                self.waits.line_full = true;
                self.last_plan(ended);
                Ok(None)
            }
            // The waiting room died or is dying. Whoever can, waits with the next one.
            Err(_) => {
                self.waits.pause_until(ended.after(LINE_BACK));
                Ok(None)
            }
        }
    }

    /// It may not wait any longer: one more plan, which may spill or probe; then it is over.
    fn last_plan(&mut self, now: Moment) {
        self.waits.over = true;
        self.waits.deadline = self.waits.deadline.min(now);
    }

    /// The request with places in the pool for positions in the routes.
    pub(super) fn in_places(&self, request: RouteRequest) -> RouteRequest {
        let (mut allowed, mut tried) = (TargetSet::EMPTY, TargetSet::EMPTY);
        for route in &self.routes {
            allowed.insert(route.place);
            // What throttled it has an empty shadow now, and that is backoff enough.
            if route.tried && !route.throttled {
                tried.insert(route.place);
            }
        }
        // The line plans everybody by quotas and homes: those who do not go by homes have none.
        let prefix = if self.facts.strategy == Strategy::Adaptive { request.prefix } else { 0.0 };
        RouteRequest { allowed, tried, prefix, ..request }
    }
}

/// So long after its deadline a request waits for what becomes of a test that somebody else sent.
const LATE: Duration = Duration::from_secs(1);

/// What a wait costs at least, so that a flood of board changes cannot make it endless.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// A supervisor has started the next waiting room by then.
const LINE_BACK: Duration = Duration::from_millis(100);

/// The line tells at the deadline, or shortly after.
const LINE_GRACE: Duration = Duration::from_secs(2);

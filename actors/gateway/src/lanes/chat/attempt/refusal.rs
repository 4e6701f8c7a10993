//! What a request is told that no target answered.

use std::time::Duration;

use outcrop_domain::{
    clock::Moment,
    error::{Cause, GatewayError},
    routing::{
        Gate,
        strategy::Strategy,
        view::RESOURCES,
        waiting::{QUEUE_LIMIT, retry_after},
    },
};

use super::{Attempts, Route};

impl Attempts<'_> {
    /// No target has room, and it may wait no longer. Told from our own view of the quotas.
    pub(super) fn no_room(&mut self, now: Moment) -> GatewayError {
        self.look(now);
        let open: Vec<_> = self.views.iter().filter(|view| view.open()).collect();
        // Where nothing is left to pay a call from, quotas are not what is missing.
        if open.is_empty() || (self.last.is_some() && self.cannot_pay(now)) {
            return self.give_up(now);
        }
        tracing::debug!(
            model.id = %self.pool.model(),
            tokens = self.demand.tokens(),
            prefix = self.facts.prefix,
            home = ?self.home(now),
            spill = ?self.pool.may_spill(now),
            targets = ?self.rooms(),
            "refused: no target has room"
        );
        let eta = open.iter().map(|view| view.eta(&self.demand)).fold(f64::INFINITY, f64::min);
        let come_back = |eta: Duration| retry_after(eta, self.context.ports.entropy.unit());
        if !eta.is_finite() {
            let largest = open.iter().map(|view| view.tokens().depth).fold(0.0, f64::max);
            return GatewayError::RateLimited {
                message: format!(
                    "this request reserves about {:.0} tokens (its input and max_tokens), and no region's quota for this model holds more \
                     than about {largest:.0}: lower max_tokens or shorten the input",
                    self.demand.tokens()
                ),
                retry_after: come_back(Duration::MAX),
            };
        }
        let come_back = come_back(Duration::try_from_secs_f64(eta).unwrap_or(Duration::MAX));
        match self.last.take() {
            // Upstream's own words, to the one whose call it refused.
            Some(mut failure) if failure.cause == Cause::Throttled => {
                failure.retry_after = Some(come_back);
                GatewayError::Upstream(failure)
            }
            last => {
                self.last = last;
                GatewayError::RateLimited {
                    message: format!(
                        "the quotas of this model are used up in every region this request may use; the first has room in about {} s",
                        come_back.as_secs()
                    ),
                    retry_after: come_back,
                }
            }
        }
    }

    /// What is believed of each target, for the log: who was refused may ask why.
    fn rooms(&self) -> Vec<Room<'_>> {
        let seen = self.routes.iter().zip(&self.views);
        let room = seen.map(|(route, view)| Room {
            region: route.target.region.as_str(),
            open: view.open(),
            tried: route.tried,
            id: view.id,
            level: view.resources.map(|resource| resource.level),
            depth: view.resources.map(|resource| resource.depth),
            held: view.held,
        });
        room.collect()
    }

    /// As many wait for this model as may.
    pub(super) fn line_full(&mut self, now: Moment) -> GatewayError {
        self.look(now);
        let room = self.views.iter().filter(|view| view.open()).map(|view| view.eta(&self.demand)).fold(f64::INFINITY, f64::min);
        let room = Duration::try_from_secs_f64(room).ok();
        let reopens = self.reopens(now);
        let eta = room.into_iter().chain(reopens).min().unwrap_or(Duration::MAX);
        GatewayError::RateLimited {
            message: format!("the quotas of this model are used up, and {QUEUE_LIMIT} requests wait for them already"),
            retry_after: retry_after(eta, self.context.ports.entropy.unit()),
        }
    }

    /// The error that tells the caller most, with our own view of when to come back.
    pub(super) fn give_up(&self, now: Moment) -> GatewayError {
        let reopens = self.reopens(now);
        let known = self.last.clone().or_else(|| {
            let failures = self.considered().filter_map(|route| route.cell.last_failure());
            failures.min_by_key(|failure| rank(failure.cause)).map(|failure| failure.as_ref().clone())
        });
        let ours = reopens.unwrap_or(MIN_RETRY_AFTER).max(MIN_RETRY_AFTER);
        match known {
            Some(mut failure) => {
                if self.last.is_none() {
                    // Learned from another request: its id and the words of upstream and the model about it are not this caller's.
                    failure.request_id = None;
                    failure.model_error = None;
                    failure.message = format!(
                        "this model is held back in every region this request may use after failures of earlier calls ({})",
                        failure.cause.as_str()
                    );
                }
                failure.retry_after = Some(failure.retry_after.map_or(ours, |theirs| theirs.max(ours)));
                GatewayError::Upstream(failure)
            }
            None if now >= self.deadline => GatewayError::DeadlineExceeded { after: self.settings.timeouts.total },
            None => {
                GatewayError::Unavailable { message: "no region can be called for this model at the moment".to_owned(), retry_after: ours }
            }
        }
    }

    /// Until the first of the closed routes may be called again.
    fn reopens(&self, now: Moment) -> Option<Duration> {
        let closed = self.considered().filter_map(|route| match route.cell.gate(self.sight, now) {
            Gate::Open { until } => Some(until.since(now)),
            Gate::Closed | Gate::HalfOpen => None,
        });
        closed.min()
    }

    /// The routes that a plan may choose.
    fn considered(&self) -> impl Iterator<Item = &Route> {
        let at_most = if self.facts.strategy == Strategy::Disabled { 1 } else { usize::MAX };
        self.routes.iter().take(at_most)
    }
}

/// A target as a refused request saw it.
#[derive(Debug)]
#[expect(dead_code, reason = "read by its Debug form, in a line of the log")]
struct Room<'a> {
    region: &'a str,
    open: bool,
    tried: bool,
    id: u64,
    /// Left of its requests and tokens.
    level: [f64; RESOURCES],
    depth: [f64; RESOURCES],
    /// Tokens that are kept for older requests.
    held: f64,
}

/// Never tell a client to come back at once.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Which of several failures tells the caller most: those that pass by themselves come first.
pub(super) fn rank(cause: Cause) -> u8 {
    match cause {
        Cause::Throttled => 0,
        Cause::QuotaExhausted => 1,
        Cause::NotReady => 2,
        Cause::Unavailable => 3,
        Cause::Timeout => 4,
        Cause::Connection => 5,
        Cause::Malformed => 6,
        Cause::BrokenStream => 7,
        Cause::Credentials => 8,
        Cause::AccessDenied => 9,
        Cause::ModelMissing => 10,
        Cause::BadRequest | Cause::ContextOverflow => 11,
    }
}

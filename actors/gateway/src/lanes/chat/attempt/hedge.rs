//! A second copy of a call whose first byte is late: whichever begins first is the answer.

use std::time::Duration;

use outcrop_domain::{
    clock::Moment,
    error::UpstreamFailure,
    model::Target,
    routing::{Gate, strategy::Strategy, view::TargetView},
};
use outcrop_upstream::ports::BoxFuture;

use super::{Attempts, Route};
use crate::targets::{Answering, Lease, RegionHandle, Sight};

/// How a call ended, hedged or not.
pub(super) enum Ended<T> {
    /// The first call.
    First(Result<T, UpstreamFailure>),
    /// The copy, at the route of this position, with its lease.
    Copy(usize, Box<Lease>, Result<T, UpstreamFailure>),
    /// The first target was found silent.
    Silent,
}

/// Never sooner: a copy doubles what the request holds of the quotas, and may be billed twice.
const LEAST_HEDGE: Duration = Duration::from_secs(2);
/// So many usual times without a first byte are late.
const LATE: f64 = 2.0;
/// A copy goes nowhere that is fuller than this with it.
const HEDGE_FILL: f64 = 0.6;
/// A longer prefix is read anew by the copy: that costs more quota than the wait is worth.
const HEDGE_PREFIX: f64 = 8_000.0;

impl Attempts<'_> {
    /// Makes the call of `position`, and a copy of it elsewhere when its first byte is late, the settings allow it and the
    /// budget pays for it. A copy that loses is dropped, and its connection with it. Returns also where a copy was sent.
    pub(super) async fn race<T, F>(&self, position: usize, began: Moment, call: &mut F) -> (Ended<T>, Option<usize>)
    where
        F: for<'c> FnMut(&'c Target, &'c RegionHandle) -> BoxFuture<'c, Result<T, UpstreamFailure>>,
    {
        let Some(route) = self.routes.get(position) else { return (Ended::Silent, None) };
        self.context.board.shared().called(self.settings.routing.hedge_thousandths);
        let mut first = call(&route.target, &route.handle);
        tokio::select! {
            biased;
            ended = &mut first => return (Ended::First(ended), None),
            // The call is dropped, and with it its connection.
            () = self.silence(position, began) => return (Ended::Silent, None),
            () = self.late(route, began) => {}
        }
        let copy = self.copy(position).and_then(|(other, lease)| Some((other, Box::new(lease), self.routes.get(other)?)));
        let Some((other, mut lease, there)) = copy else {
            return (self.first_alone(first, position, began).await, None);
        };
        self.log.begun(&there.target.region);
        metrics::counter!("outcrop_hedges_total", "model" => self.pool.model().to_string()).increment(1);
        let mut second = call(&there.target, &there.handle);
        let ended = tokio::select! {
            biased;
            ended = &mut first => match ended {
                Ok(value) => Ended::First(Ok(value)),
                // The copy is under way already: it may do better, unless it is not heard of either.
                Err(failure) => match self.heard(second, other, lease.began()).await {
                    Some(Ok(value)) => Ended::Copy(other, lease, Ok(value)),
                    Some(Err(copys)) => {
                        lease.failed(&copys);
                        Ended::First(Err(failure))
                    }
                    None => {
                        // Told as the first call's failure, which says more.
                        let _silence = lease.silent();
                        Ended::First(Err(failure))
                    }
                },
            },
            ended = &mut second => match ended {
                Ok(value) => Ended::Copy(other, lease, Ok(value)),
                Err(failure) => {
                    lease.failed(&failure);
                    drop(lease);
                    self.first_alone(first, position, began).await
                }
            },
        };
        (ended, Some(other))
    }

    async fn first_alone<T>(&self, first: BoxFuture<'_, Result<T, UpstreamFailure>>, position: usize, began: Moment) -> Ended<T> {
        self.heard(first, position, began).await.map_or(Ended::Silent, Ended::First)
    }

    /// How a call ends; `None` when its target was found silent, and the call was dropped.
    async fn heard<T>(
        &self,
        call: BoxFuture<'_, Result<T, UpstreamFailure>>,
        position: usize,
        began: Moment,
    ) -> Option<Result<T, UpstreamFailure>> {
        tokio::select! {
            biased;
            ended = call => Some(ended),
            () = self.silence(position, began) => None,
        }
    }

    /// Ends when the first byte of a call is late. Never, where nothing is hedged.
    async fn late(&self, route: &Route, began: Moment) {
        let usual = route.cell.usual_first_byte(self.facts.size);
        match usual {
            Some(usual) if self.settings.routing.hedge_thousandths > 0 && self.patience.answering == Answering::Streamed => {
                let after = LEAST_HEDGE.max(usual.mul_f64(LATE));
                tokio::time::sleep(began.after(after).since(self.now())).await;
            }
            _ => std::future::pending().await,
        }
    }

    /// A target that can afford a copy of the call, leased and debited.
    fn copy(&self, position: usize) -> Option<(usize, Lease)> {
        if self.facts.prefix > HEDGE_PREFIX || self.facts.strategy == Strategy::Disabled {
            return None;
        }
        let now = self.now();
        let shared = self.context.board.shared();
        let affords = |route: &Route| {
            let view = |sight| route.cell.view(sight, shared.is_drained(&route.target.region), self.facts.size, now);
            let (health, room): (TargetView, TargetView) = (view(self.sight), view(Sight::Quotas));
            // Also for those who look at health alone: nobody needs a copy as much as others need the room.
            health.gate == Gate::Closed && health.open() && room.fits(&self.demand) && room.fill(&self.demand) <= HEDGE_FILL
        };
        let mut others = self.routes.iter().enumerate().filter(|(other, route)| *other != position && !route.tried);
        let (other, _) = others.find(|(_, route)| affords(route))?;
        if !shared.hedge() {
            return None;
        }
        let debit = self.reserve(other).ok()?;
        Some((other, self.lease(other, debit)?))
    }
}

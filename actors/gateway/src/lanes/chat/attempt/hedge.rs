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
use crate::targets::{Answering, Lease, RegionHandle, Sight, Watched};

/// How a call ended, hedged or not.
pub(super) enum Ended<T> {
    /// The first call.
    First(Result<T, UpstreamFailure>),
    /// The copy answered.
    Copy(Box<CopyWon<T>>),
    /// The first target was found silent.
    Silent,
}

/// An answer of a copy.
pub(super) struct CopyWon<T> {
    /// Position of its route.
    pub(super) position: usize,
    pub(super) lease: Lease,
    pub(super) value: T,
    /// What became of the first call meanwhile.
    pub(super) first: FirstCall,
}

/// A first call whose copy answered.
pub(super) enum FirstCall {
    /// It was under way.
    Overtaken,
    /// Its target was found silent.
    Silent,
    /// It had failed.
    Failed(UpstreamFailure),
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
    pub(super) async fn race<T, F>(&self, position: usize, watched: Watched, call: &mut F) -> (Ended<T>, Option<usize>)
    where
        F: for<'c> FnMut(&'c Target, &'c RegionHandle) -> BoxFuture<'c, Result<T, UpstreamFailure>>,
    {
        let Some(route) = self.routes.get(position) else { return (Ended::Silent, None) };
        if self.aside {
            return (Ended::First(call(&route.target, &route.handle).await), None);
        }
        self.context.board.shared().called(self.settings.routing.hedge_thousandths);
        let mut first = call(&route.target, &route.handle);
        tokio::select! {
            biased;
            ended = &mut first => return (Ended::First(ended), None),
            // The call is dropped, and with it its connection.
            () = self.silence(position, None, watched) => return (Ended::Silent, None),
            () = self.late(route, watched.began) => {}
        }
        let copy = self.copy(position).and_then(|(other, lease)| Some((other, lease, self.routes.get(other)?)));
        let Some((other, mut lease, there)) = copy else {
            return (self.first_alone(first, position, watched).await, None);
        };
        self.log.begun(&there.target.region);
        metrics::counter!("outcrop_hedges_total", "model" => self.pool.model().to_string()).increment(1);
        let second = call(&there.target, &there.handle);
        let copys = lease.watched();
        let (mut first, mut second) =
            (Box::pin(self.heard(first, position, Some(other), watched)), Box::pin(self.heard(second, other, Some(position), copys)));
        let ended = tokio::select! {
            biased;
            ended = &mut first => match ended {
                Some(Ok(value)) => Ended::First(Ok(value)),
                // The copy is under way already: it may do better, unless it is not heard of either.
                failed => match second.await {
                    Some(Ok(value)) => {
                        let first = match failed {
                            Some(Err(failure)) => FirstCall::Failed(failure),
                            _ => FirstCall::Silent,
                        };
                        Ended::Copy(Box::new(CopyWon { position: other, lease, value, first }))
                    }
                    copys => {
                        told(&mut lease, copys);
                        // Told as the first call's failure, which says more.
                        failed.map_or(Ended::Silent, Ended::First)
                    }
                },
            },
            ended = &mut second => match ended {
                Some(Ok(value)) => Ended::Copy(Box::new(CopyWon { position: other, lease, value, first: FirstCall::Overtaken })),
                failed => {
                    told(&mut lease, failed);
                    drop(lease);
                    first.await.map_or(Ended::Silent, Ended::First)
                }
            },
        };
        (ended, Some(other))
    }

    async fn first_alone<T>(&self, first: BoxFuture<'_, Result<T, UpstreamFailure>>, position: usize, watched: Watched) -> Ended<T> {
        self.heard(first, position, None, watched).await.map_or(Ended::Silent, Ended::First)
    }

    /// How a call ends; `None` when its target was found silent, and the call was dropped. `copy`: where the other call is, when
    /// there are two.
    async fn heard<T>(
        &self,
        call: BoxFuture<'_, Result<T, UpstreamFailure>>,
        position: usize,
        copy: Option<usize>,
        watched: Watched,
    ) -> Option<Result<T, UpstreamFailure>> {
        tokio::select! {
            biased;
            ended = call => Some(ended),
            () = self.silence(position, copy, watched) => None,
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
        // This call counts as made already.
        let may_call_again = self.made < self.settings.routing.max_attempts as usize;
        if self.facts.prefix > HEDGE_PREFIX || self.facts.strategy == Strategy::Disabled || !may_call_again {
            return None;
        }
        let now = self.now();
        let shared = self.context.board.shared();
        let affords = |route: &Route| {
            let view = |sight| self.view(route, sight, now);
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

/// Tells the target of a copy how it failed; `None`: it was not heard of.
fn told<T>(lease: &mut Lease, failed: Option<Result<T, UpstreamFailure>>) {
    match failed {
        Some(Ok(_)) => {}
        Some(Err(failure)) => lease.failed(&failure),
        // The request learns of its first call.
        None => drop(lease.silent()),
    }
}

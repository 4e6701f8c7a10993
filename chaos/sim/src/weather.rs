//! What a region does with connections now, and when that may change.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    faults::Gate,
    world::{Region, RegionMode, World},
};

/// Watches the mode of a region and the place faults that concern it.
pub(crate) struct Weather {
    world: Arc<World>,
    region: Arc<Region>,
    mode: watch::Receiver<RegionMode>,
    faults: watch::Receiver<u64>,
}

impl Weather {
    pub(crate) fn new(world: &Arc<World>, region: &Arc<Region>) -> Self {
        Self { world: Arc::clone(world), region: Arc::clone(region), mode: region.mode.subscribe(), faults: world.faults.revision() }
    }

    /// How it is.
    pub(crate) fn look(&mut self) -> Gate {
        // Marked as seen before the look: a change in between is then seen as one.
        self.mode.borrow_and_update();
        self.faults.borrow_and_update();
        self.world.gate(&self.region)
    }

    /// Completes when it may have changed; `next` is when it will by itself. Cancel-safe: all of it is state.
    pub(crate) async fn changed(&mut self, next: Option<Duration>) {
        let clock = self.world.clock;
        let by_itself = async {
            match next {
                Some(at) => tokio::time::sleep_until(clock.instant(at)).await,
                None => std::future::pending().await,
            }
        };
        // The senders live in the world, which this holds: neither channel can close.
        tokio::select! {
            biased;
            _ = self.mode.changed() => {}
            _ = self.faults.changed() => {}
            () = by_itself => {}
        }
    }
}

//! Connections in memory.

use std::{io, sync::Arc};

use super::Simulator;
use crate::{
    faults::{Door, FaultKind},
    listener::{self, Visitor},
    lock::held,
    memory_stream::{self, SimStream},
    weather::Weather,
    world::Region,
};

impl Simulator {
    /// Opens a connection to `region` in memory, as a client would over a network: no socket, no thread. Must be
    /// called within a runtime; the connection is served by a task of the simulator.
    ///
    /// A region that is a black hole, or whose name is not resolved, keeps the caller waiting until that ends: callers
    /// bring their own connect timeout, as towards the real AWS.
    ///
    /// # Errors
    /// `ConnectionRefused` where nobody listens, `NotFound` for regions that are not simulated or whose name does not
    /// exist, `NotConnected` once the simulator has been shut down.
    pub async fn connect(&self, region: &str) -> io::Result<SimStream> {
        let world = &self.inner.world;
        let region = self.region(region).map_err(|unknown| io::Error::new(io::ErrorKind::NotFound, unknown))?;
        self.admitted_by_weather(&region).await?;
        let visitor = Visitor::new(world, &region);
        match visitor.strike.as_ref().map(|strike| &strike.kind) {
            Some(FaultKind::Refuse {}) => return Err(io::ErrorKind::ConnectionRefused.into()),
            Some(FaultKind::Blackhole { .. }) => {
                self.stopped().await;
                return Err(io::ErrorKind::NotConnected.into());
            }
            _ => {}
        }
        let (near, far) = memory_stream::pair();
        let serving = listener::serve(Arc::clone(world), region, far, visitor, memory_stream::reset);
        let mut tasks = held(&self.inner.listeners);
        // Frees the memory of connections that have ended.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(serving);
        Ok(near)
    }

    /// Waits until the region lets a connection in, or says that it does not.
    async fn admitted_by_weather(&self, region: &Arc<Region>) -> io::Result<()> {
        let world = &self.inner.world;
        let mut weather = Weather::new(world, region);
        let mut waited = false;
        loop {
            if *world.stopping.borrow() {
                return Err(io::ErrorKind::NotConnected.into());
            }
            let gate = weather.look();
            let refusal = match gate.door {
                Door::Open | Door::Reset => return Ok(()),
                Door::Refused => Some(io::ErrorKind::ConnectionRefused),
                Door::NoName => Some(io::ErrorKind::NotFound),
                Door::Silent | Door::NoAnswer => None,
            };
            if !std::mem::replace(&mut waited, true) {
                world.note_gate(&gate);
            }
            if let Some(kind) = refusal {
                return Err(kind.into());
            }
            tokio::select! {
                // Both are state, looked at again above.
                () = weather.changed(gate.next_change) => {}
                () = self.stopped() => {}
            }
        }
    }

    async fn stopped(&self) {
        // The sender lives in the world: the channel cannot close.
        let mut stopping = self.inner.world.stopping.subscribe();
        let _state = stopping.wait_for(|stopping| *stopping).await;
    }
}

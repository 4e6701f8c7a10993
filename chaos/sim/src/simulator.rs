//! The handle tests hold.

mod connect;
mod limits;
mod trouble;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
};

use crate::{
    auth::Credential,
    builder::SimulatorBuilder,
    clock::SimClock,
    control,
    error::SimError,
    journal::Journal,
    listener::{self, Visitor},
    lock::held,
    pace::Pace,
    script::{AnswerFn, Rule, RuleId},
    world::{Region, RegionMode, World},
};

/// A running simulator. Clones are the same simulator; the last one dropped stops it.
#[derive(Debug, Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    world: Arc<World>,
    /// One accept loop for each listening region; dropping them closes everything.
    listeners: Mutex<JoinSet<()>>,
    /// Where control requests are answered.
    control: OnceLock<SocketAddr>,
}

/// A simulator that someone else keeps running.
#[derive(Debug, Clone)]
pub(crate) struct WeakSimulator(Weak<Inner>);

impl WeakSimulator {
    pub(crate) fn upgrade(&self) -> Option<Simulator> {
        self.0.upgrade().map(|inner| Simulator { inner })
    }
}

impl Simulator {
    /// Starts describing a simulator.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder::new()
    }

    pub(crate) fn of(world: Arc<World>) -> Self {
        Self { inner: Arc::new(Inner { world, listeners: Mutex::new(JoinSet::new()), control: OnceLock::new() }) }
    }

    pub(crate) fn listen(&self, region: &str, listener: TcpListener, address: SocketAddr) {
        if let Ok(region) = self.region(region) {
            held(&self.inner.listeners).spawn(listener::listen(Arc::clone(&self.inner.world), region, listener, address));
        }
    }

    pub(crate) fn listen_for_control(&self, listener: TcpListener, address: SocketAddr) {
        let stopping = self.inner.world.stopping.subscribe();
        held(&self.inner.listeners).spawn(control::listen(self.weak(), stopping, listener));
        // Set once, by the builder.
        self.inner.control.get_or_init(|| address);
    }

    fn weak(&self) -> WeakSimulator {
        WeakSimulator(Arc::downgrade(&self.inner))
    }

    /// Base URL of the control port, if there is one. See [`crate::control`].
    #[must_use]
    pub fn control_endpoint(&self) -> Option<String> {
        self.inner.control.get().map(|address| format!("http://{address}"))
    }

    /// Answers the control requests of one connection over any byte stream.
    pub fn serve_control<IO>(&self, io: IO) -> impl Future<Output = ()> + Send + use<IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        control::serve(self.weak(), io)
    }

    /// Base URL of a region, for clients of either Bedrock service. Regions without a port, and regions that are
    /// not simulated, have a name under `.invalid`, which no client can reach over the network.
    #[must_use]
    pub fn endpoint(&self, region: &str) -> String {
        match self.address(region) {
            Some(address) => format!("http://{address}"),
            None => format!("http://bedrock.{region}.invalid"),
        }
    }

    /// Where a region listens.
    #[must_use]
    pub fn address(&self, region: &str) -> Option<SocketAddr> {
        self.inner.world.regions.get(region).and_then(|region| region.address)
    }

    /// Names of the regions, sorted.
    #[must_use]
    pub fn regions(&self) -> Vec<String> {
        self.inner.world.regions.keys().cloned().collect()
    }

    /// The clock signatures are judged by and the journal counts from.
    #[must_use]
    pub fn clock(&self) -> SimClock {
        self.inner.world.clock
    }

    /// The book of all calls.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.inner.world.journal
    }

    /// Serves one connection to `region` over any byte stream, until either side ends it or the simulator is shut down.
    ///
    /// # Errors
    /// The region is not simulated.
    pub fn serve_connection<IO>(&self, region: &str, io: IO) -> impl Future<Output = Result<(), SimError>> + Send + use<IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let world = Arc::clone(&self.inner.world);
        let region = self.region(region);
        async move {
            let region = region?;
            let visitor = Visitor::new(&world, &region);
            // A foreign stream has no reset; dropping it is all that can be done.
            listener::serve(world, region, io, visitor, |_| {}).await;
            Ok(())
        }
    }

    /// Adds a rule behind all others.
    pub fn script(&self, rule: Rule) -> RuleId {
        self.inner.world.script.add(rule)
    }

    /// Removes a rule; false when it was removed before. Calls it already decided keep their orders.
    pub fn unscript(&self, rule: RuleId) -> bool {
        self.inner.world.script.remove(rule)
    }

    /// Removes every rule.
    pub fn clear_script(&self) {
        self.inner.world.script.clear();
    }

    /// How many calls a rule has decided; `None` once it is removed.
    #[must_use]
    pub fn rule_hits(&self, rule: RuleId) -> Option<u64> {
        self.inner.world.script.hits(rule)
    }

    /// Computes every answer that is not scripted; `None` gives the word back to the built-in brain.
    pub fn answer_with(&self, answer: Option<AnswerFn>) {
        *held(&self.inner.world.answerer.0) = answer;
    }

    /// Changes how fast a region answers, from its next call on.
    ///
    /// # Errors
    /// The region is not simulated.
    pub fn set_pace(&self, region: &str, pace: Pace) -> Result<(), SimError> {
        *held(&self.region(region)?.pace) = pace;
        Ok(())
    }

    /// Takes a region down or up, and returns when its listener has followed.
    ///
    /// # Errors
    /// The region is not simulated.
    pub async fn set_region(&self, region: &str, mode: RegionMode) -> Result<(), SimError> {
        let region = self.region(region)?;
        region.mode.send_replace(mode);
        if region.address.is_some() {
            let mut applied = region.applied.subscribe();
            let mut stopping = self.inner.world.stopping.subscribe();
            tokio::select! {
                // Both only look at state: losing one loses nothing. A stopped simulator has no listener to wait for.
                _ = applied.wait_for(|applied| *applied == mode) => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
        }
        Ok(())
    }

    /// Closes every connection of a region now; new ones are served as before.
    ///
    /// # Errors
    /// The region is not simulated.
    pub fn cut_connections(&self, region: &str) -> Result<(), SimError> {
        self.region(region)?.cuts.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Makes a region's clock differ from the simulator's: signatures are judged, and `Date` is sent, by that clock.
    ///
    /// # Errors
    /// The region is not simulated.
    pub fn set_skew(&self, region: &str, ahead: Duration, direction: Skew) -> Result<(), SimError> {
        let milliseconds = i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX);
        let offset = match direction {
            Skew::Ahead => milliseconds,
            Skew::Behind => -milliseconds,
        };
        self.region(region)?.skew_ms.store(offset, Ordering::Relaxed);
        Ok(())
    }

    /// Takes a model away from the account in one region (`AccessDeniedException`), or gives it back.
    ///
    /// # Errors
    /// The region is not simulated.
    pub fn set_access(&self, region: &str, model: &str, access: Access) -> Result<(), SimError> {
        let region = self.region(region)?;
        let mut denied = held(&region.denied);
        match access {
            Access::Denied => denied.insert(model.to_owned()),
            Access::Granted => denied.remove(model),
        };
        Ok(())
    }

    /// Adds or replaces an access key; a replaced one is good again.
    pub fn put_credential(&self, credential: Credential) {
        self.inner.world.keyring.put(credential, Some(self.inner.world.clock.elapsed()));
    }

    /// Adds an API key.
    pub fn put_bearer(&self, token: impl Into<String>) {
        self.inner.world.keyring.put_bearer(token.into(), Some(self.inner.world.clock.elapsed()));
    }

    /// Makes an access key or API key expire (`ExpiredTokenException`); false when it is unknown.
    pub fn expire_key(&self, key: &str) -> bool {
        self.inner.world.keyring.expire(key)
    }

    /// Makes AWS forget an access key or API key; false when it is unknown.
    pub fn revoke_key(&self, key: &str) -> bool {
        self.inner.world.keyring.revoke(key)
    }

    /// Connections of a region that are open now.
    #[must_use]
    pub fn open_connections(&self, region: &str) -> usize {
        self.region(region).map_or(0, |region| region.open_connections.load(Ordering::Relaxed))
    }

    /// Connections of a region accepted so far.
    #[must_use]
    pub fn accepted_connections(&self, region: &str) -> u64 {
        self.region(region).map_or(0, |region| region.accepted_connections.load(Ordering::Relaxed))
    }

    /// Closes every port and connection and waits until all of them are closed.
    pub async fn shutdown(&self) {
        self.inner.world.stopping.send_replace(true);
        let mut listeners = std::mem::take(&mut *held(&self.inner.listeners));
        while let Some(ended) = listeners.join_next().await {
            if let Err(fault) = ended {
                tracing::warn!(error = %fault, "a region's listener ended badly");
            }
        }
    }

    fn region(&self, name: &str) -> Result<Arc<Region>, SimError> {
        self.inner.world.regions.get(name).cloned().ok_or_else(|| SimError::UnknownRegion { region: name.to_owned() })
    }
}

/// Which way a region's clock differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skew {
    /// The region is in the future.
    Ahead,
    /// The region is in the past.
    Behind,
}

/// Whether the account may use a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Granted,
    /// It may not.
    Denied,
}

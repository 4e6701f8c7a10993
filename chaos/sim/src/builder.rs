//! Setting up a simulator.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, atomic::AtomicU64},
};

use tokio::{net::TcpListener, sync::watch};

use crate::{
    auth::{AuthMode, Credential, Keyring},
    behaviour::Behaviours,
    brain::Memory,
    clock::SimClock,
    error::SimError,
    fast::FastAnswers,
    faults::Board,
    journal::{Journal, JournalLimits},
    models::ModelBook,
    pace::Pace,
    playback::Chunking,
    quota::Quotas,
    script::Script,
    simulator::Simulator,
    world::{Answerer, Region, World},
};

/// Access key every simulator knows unless its builder says otherwise.
pub const DEFAULT_ACCESS_KEY: &str = "AKIDSIMULATOR";
/// Secret of [`DEFAULT_ACCESS_KEY`]. It protects nothing.
pub const DEFAULT_SECRET_KEY: &str = "simulator-secret-key";
/// API key every simulator knows unless its builder says otherwise.
pub const DEFAULT_BEARER_TOKEN: &str = "bedrock-api-key-simulator";

/// Profiles on one page when the caller does not say. Source: observed size of a whole region's list is below it.
const DEFAULT_PAGE: usize = 100;

/// What a simulator is made of.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct SimulatorBuilder {
    regions: Vec<(String, u16)>,
    address: IpAddr,
    credentials: Vec<Credential>,
    bearers: Vec<String>,
    auth: AuthMode,
    seed: u64,
    pace: Pace,
    clock: Option<SimClock>,
    chunking: Chunking,
    fast: Option<FastAnswers>,
    models: ModelBook,
    journal: JournalLimits,
    nonce: Option<String>,
    control: Option<u16>,
    page_size: usize,
}

impl SimulatorBuilder {
    pub(crate) fn new() -> Self {
        Self {
            regions: Vec::new(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            credentials: Vec::new(),
            bearers: Vec::new(),
            auth: AuthMode::Checked,
            seed: 0,
            pace: Pace::NONE,
            clock: None,
            chunking: Chunking::Random,
            fast: None,
            models: ModelBook::builtin(),
            journal: JournalLimits::default(),
            nonce: None,
            control: None,
            page_size: DEFAULT_PAGE,
        }
    }

    /// Adds a region on `port`; 0 lets the system choose a free one.
    pub fn region(mut self, name: impl Into<String>, port: u16) -> Self {
        self.regions.push((name.into(), port));
        self
    }

    /// Adds regions on free ports.
    pub fn regions<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.regions.extend(names.into_iter().map(|name| (name.into(), 0)));
        self
    }

    /// Listens on this address instead of 127.0.0.1.
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Adds an access key; the first one replaces the default key.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credentials.push(credential);
        self
    }

    /// Adds an API key; the first one replaces the default key.
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.bearers.push(token.into());
        self
    }

    /// Whether callers must identify themselves.
    pub fn auth(mut self, mode: AuthMode) -> Self {
        self.auth = mode;
        self
    }

    /// Seed of everything drawn: chunks, pauses, padding, request ids, answers.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How fast every region answers at first.
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The clock signatures are judged by.
    pub fn clock(mut self, clock: SimClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How streams fall into writes.
    pub fn chunking(mut self, chunking: Chunking) -> Self {
        self.chunking = chunking;
        self
    }

    /// Answers Converse and ConverseStream from stored bytes, unvalidated, unmetered and unpaced.
    ///
    /// Cheapest with [`AuthMode::Off`]: then such calls are only counted in the journal.
    pub fn fast(mut self, answers: FastAnswers) -> Self {
        self.fast = Some(answers);
        self
    }

    /// The models there are.
    pub fn models(mut self, models: ModelBook) -> Self {
        self.models = models;
        self
    }

    /// How much the journal remembers.
    pub fn journal(mut self, limits: JournalLimits) -> Self {
        self.journal = limits;
        self
    }

    /// Looks for nonces in request bodies: `prefix` and the hexadecimal digits after it (`n0nce-` finds `n0nce-1f3a`).
    pub fn nonce(mut self, prefix: impl Into<String>) -> Self {
        self.nonce = Some(prefix.into());
        self
    }

    /// Listens for control requests on `port`; 0 lets the system choose a free one. See [`crate::control`].
    pub fn control(mut self, port: u16) -> Self {
        self.control = Some(port);
        self
    }

    /// Inference profiles on one page when the caller does not say; at least 1.
    pub fn page_size(mut self, profiles: usize) -> Self {
        self.page_size = profiles.max(1);
        self
    }

    /// Binds every region's port and starts to accept.
    ///
    /// # Errors
    /// No region, a region given twice, or a port that cannot be bound.
    pub async fn start(self) -> Result<Simulator, SimError> {
        self.check()?;
        let mut bound = Vec::with_capacity(self.regions.len());
        for (name, port) in &self.regions {
            let wanted = SocketAddr::new(self.address, *port);
            let failed = |source| SimError::Bind { region: name.clone(), address: wanted, source };
            let listener = TcpListener::bind(wanted).await.map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            bound.push((name.clone(), listener, address));
        }
        let control = match self.control {
            Some(port) => Some(self.bind_control(port).await?),
            None => None,
        };
        let addresses = bound.iter().map(|(name, _, address)| (name.clone(), *address)).collect();
        let simulator = Simulator::of(Arc::new(self.world(&addresses)));
        for (name, listener, address) in bound {
            simulator.listen(&name, listener, address);
        }
        if let Some((listener, address)) = control {
            simulator.listen_for_control(listener, address);
        }
        Ok(simulator)
    }

    async fn bind_control(&self, port: u16) -> Result<(TcpListener, SocketAddr), SimError> {
        let wanted = SocketAddr::new(self.address, port);
        let failed = |source| SimError::BindControl { address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok((listener, address))
    }

    /// Makes a simulator without any port, for [`Simulator::serve_connection`].
    ///
    /// # Errors
    /// No region, or a region given twice.
    pub fn in_memory(self) -> Result<Simulator, SimError> {
        self.check()?;
        Ok(Simulator::of(Arc::new(self.world(&BTreeMap::new()))))
    }

    fn check(&self) -> Result<(), SimError> {
        if self.regions.is_empty() {
            return Err(SimError::NoRegions);
        }
        for (index, (name, _)) in self.regions.iter().enumerate() {
            if self.regions.iter().skip(index + 1).any(|(other, _)| other == name) {
                return Err(SimError::DuplicateRegion { region: name.clone() });
            }
        }
        Ok(())
    }

    fn world(self, addresses: &BTreeMap<String, SocketAddr>) -> World {
        let keyring = Keyring::default();
        if self.credentials.is_empty() {
            keyring.put(Credential::new(DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY), None);
        }
        if self.bearers.is_empty() {
            keyring.put_bearer(DEFAULT_BEARER_TOKEN.to_owned(), None);
        }
        self.credentials.into_iter().for_each(|credential| keyring.put(credential, None));
        self.bearers.into_iter().for_each(|token| keyring.put_bearer(token, None));
        let clock = self.clock.unwrap_or_else(SimClock::system);
        let region = |name: &str| Arc::new(Region::new(name, addresses.get(name).copied(), self.seed, self.pace));
        World {
            seed: self.seed,
            clock,
            models: self.models,
            keyring,
            auth_mode: self.auth,
            script: Script::new(self.seed),
            faults: Board::new(self.seed),
            behaviours: Behaviours::default(),
            ideal_cache: Mutex::new(Memory::new(0)),
            quotas: Arc::new(Quotas::new(clock, self.journal.quota_entries)),
            journal: Arc::new(Journal::new(self.journal, self.nonce.as_deref())),
            regions: self.regions.iter().map(|(name, _)| (name.clone(), region(name))).collect(),
            answerer: Answerer::default(),
            fast: self.fast,
            chunking: self.chunking,
            page_size: self.page_size,
            stopping: watch::Sender::new(false),
            connections: AtomicU64::new(0),
        }
    }
}

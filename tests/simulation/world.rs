//! The gateway as its composition root makes it, the simulated AWS below it, and the door in front of it.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::Router;
use outcrop::{
    app,
    http::{self, Connections, Edge, ServerOptions},
    live,
    settings::{Environment, Flag, LoadOptions, Settings},
};
use outcrop_domain::clock::Ports;
use outcrop_gateway::tree::{Gateway, Restarting};
use outcrop_sim::{
    Amount, Behaviour, DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Delay, Dist, JournalLimits, SimClock, SimStream, Simulator, Span, Watermark,
};
use outcrop_upstream::transport::{Connector, Transport, TransportSettings};
use tokio::{
    io::DuplexStream,
    time::{Instant, timeout},
};

use crate::{books::Rows, load::NONCE, options::Options, ports::ports, shim::EPOCH};

/// The key of all clients.
pub const KEY: &str = "sk-simulated";

/// What clients reach.
pub struct Front {
    clock: SimClock,
    origin: Instant,
    router: Router,
    edge: Edge,
    server: ServerOptions,
    pub connections: Connections,
}

pub struct World {
    pub simulator: Simulator,
    pub gateway: Gateway,
    pub front: Arc<Front>,
    pub rows: Arc<Rows>,
    settings: Settings,
    ports: Ports,
}

impl World {
    pub async fn start(options: &Options) -> Self {
        let origin = Instant::now();
        let clock = SimClock::starting_at(SystemTime::UNIX_EPOCH + EPOCH);
        let simulator = simulator(options, clock);
        let settings = settings(options, &simulator);
        let transport = Transport::over(connector(&simulator), &TransportSettings::default());
        let ports = ports(options.seed, clock, options.plant);
        let gateway = app::start_over(&transport, &settings, &ports, None).await.unwrap();
        let rows = Rows::new(options.plant);
        let edge = Edge::new(gateway.ports().clone(), live::edge_limits(&settings), ports.clone(), Arc::clone(&rows) as _);
        let prefixes = live::prefixes(&settings);
        let router = http::router(edge.clone(), prefixes);
        let server = ServerOptions { header_read_timeout: settings.server.header_read_timeout, ..ServerOptions::default() };
        let front = Front { clock, origin, router, edge, server, connections: Connections::default() };
        Self { simulator, gateway, front: Arc::new(front), rows, settings, ports }
    }

    /// As a reload without any change.
    pub fn reload(&self) -> Result<(), Restarting> {
        let tree = &self.gateway.ports().tree;
        tree.set_limits(app::lane_limits(&self.settings));
        tree.reload(live::reload(&self.settings, &self.ports))
    }

    /// Until the gateway can serve.
    pub async fn ready(&self) {
        for _ in 0..600 {
            if self.gateway.ports().tree.not_ready().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the gateway never became ready: {:?}", self.gateway.ports().tree.not_ready());
    }
}

impl Front {
    /// Time since the start.
    pub fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    pub fn instant(&self, at: Duration) -> Instant {
        self.origin + at
    }

    /// A connection to the gateway.
    pub fn dial(&self) -> DuplexStream {
        // Small: a reader that stops is felt.
        let (near, far) = tokio::io::duplex(4 * 1024);
        self.connections.serve_stream(far, self.router.clone(), self.edge.clone(), self.server);
        near
    }

    pub fn begin_drain(&self) {
        self.edge.begin_drain();
    }
}

fn simulator(options: &Options, clock: SimClock) -> Simulator {
    let limits = JournalLimits { body_bytes: 0, total_body_bytes: 0, word_runs: 0, ..JournalLimits::default() };
    let simulator = Simulator::builder()
        .regions(options.regions.clone())
        .seed(options.seed)
        .clock(clock)
        .journal(limits)
        .nonce(NONCE)
        .in_memory()
        .unwrap();
    let delay = |(p50, p99): (u64, u64)| Delay { dist: Dist::Lognormal, p50: Span::millis(p50), p99: Some(Span::millis(p99)), cap: None };
    let (words, most) = options.pace.words;
    let behaviour = Behaviour {
        first_token: Some(delay(options.pace.first_token_ms)),
        inter_token: Some(delay(options.pace.per_token_ms)),
        watermark: Some(Watermark {
            words: Amount { p50: words, p99: Some(most), cap: None },
            output_tokens: Amount { p50: 60, p99: Some(600), cap: None },
            ..Watermark::default()
        }),
        cache: None,
    };
    simulator.behave("*", "*", behaviour).unwrap();
    for limit in &options.quotas {
        simulator.quota(limit.region, limit.model, limit.quota).unwrap();
    }
    simulator
}

/// Longest time to make a connection, as the gateway's settings have it by default.
const CONNECT: Duration = Duration::from_secs(3);

/// The network: names of AWS lead into the simulator.
fn connector(simulator: &Simulator) -> Connector {
    let simulator = simulator.clone();
    Connector::from_streams(move |uri| {
        let simulator = simulator.clone();
        async move {
            let region = uri.host().and_then(|host| host.split('.').nth(1)).unwrap_or_default().to_owned();
            match timeout(CONNECT, simulator.connect(&region)).await {
                Ok(connected) => connected,
                Err(_) => Err::<SimStream, io::Error>(io::ErrorKind::TimedOut.into()),
            }
        }
    })
}

fn settings(options: &Options, simulator: &Simulator) -> Settings {
    let mut flags = Vec::new();
    let mut flag = |path: &str, value: &str| {
        flags.push(Flag { name: "the simulation".to_owned(), path: path.to_owned(), value: value.to_owned() });
    };
    flag("aws.regions", &options.regions.join(","));
    for region in &options.regions {
        flag(&format!("aws.endpoints.{region}.default"), &simulator.endpoint(region));
    }
    flag("aws.credentials.access_key_id", DEFAULT_ACCESS_KEY);
    flag("aws.credentials.secret_access_key", DEFAULT_SECRET_KEY);
    flag("keys.secrets", &format!("tester:{KEY}"));
    flag("models.check_availability", "false");
    let models: Vec<&str> = options.models.iter().map(|model| model.id).collect();
    flag("models.allow", &models.join(","));
    // Supervisors that bear with an actor that is killed every second.
    flag("admin.chaos", "true");
    let load = LoadOptions { file: None, search: Vec::new(), environment: Environment::default(), flags, set: options.settings.clone() };
    Settings::load(&load).unwrap_or_else(|problems| panic!("{problems}"))
}

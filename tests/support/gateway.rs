//! The gateway and its simulated AWS in one process, put together as `app` does it.

use std::{net::SocketAddr, ops::Deref, sync::Arc, time::Duration};

use outcrop::{
    app,
    http::{self, Connections, Edge, EdgeLimits, ServerOptions},
    live,
    settings::{Environment, Flag, LoadOptions, Settings},
    shutdown, world,
};
use outcrop_domain::clock::Ports;
use outcrop_gateway::{
    ports::GatewayPorts,
    tree::{Gateway, GatewayReport},
};
use outcrop_sim::{Call, DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Operation, Simulator, SimulatorBuilder};
use outcrop_supervision::LaneReport;
use tokio::{net::TcpListener, runtime::Handle, task::JoinHandle};

use super::{
    EAST, EUROPE, WEST,
    client::Client,
    records::Records,
    wait::{LIMIT, eventually, soon},
};

/// The gateway key of the client that tests are given.
pub const KEY: &str = "sk-test-key";

/// A running gateway. It is also its own best client: `gateway.chat(..)`.
pub struct TestGateway {
    pub simulator: Simulator,
    pub address: SocketAddr,
    pub client: Client,
    pub records: Arc<Records>,
    pub edge: Edge,
    pub connections: Connections,
    options: LoadOptions,
    world: Ports,
    gateway: Gateway,
    listener: JoinHandle<std::io::Result<()>>,
}

type OfSimulator = Box<dyn FnOnce(SimulatorBuilder) -> SimulatorBuilder>;
type Preparation = Box<dyn FnOnce(&Simulator)>;
type OfWorld = Box<dyn FnOnce(Ports) -> Ports>;
type OfLimits = Box<dyn FnOnce(&mut EdgeLimits)>;

/// What a test wants of its gateway.
pub struct Builder {
    regions: Vec<String>,
    set: Vec<String>,
    simulator: Option<OfSimulator>,
    prepare: Option<Preparation>,
    limits: Option<OfLimits>,
    world: Option<OfWorld>,
    head_timeout: Option<Duration>,
    beside: Option<Handle>,
    ready: bool,
}

impl TestGateway {
    /// Three regions, default settings.
    pub fn builder() -> Builder {
        Builder {
            regions: [EAST, WEST, EUROPE].map(str::to_owned).to_vec(),
            set: Vec::new(),
            simulator: None,
            prepare: None,
            limits: None,
            world: None,
            head_timeout: None,
            beside: None,
            ready: true,
        }
    }

    /// As most tests want it.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// What the edge may ask.
    pub fn ports(&self) -> &GatewayPorts {
        self.gateway.ports()
    }

    /// The inference calls that AWS has seen, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.simulator.journal().calls().into_iter().filter(is_inference).collect()
    }

    /// The bodies of the inference calls, oldest first.
    pub fn bodies(&self) -> Vec<serde_json::Value> {
        self.calls().iter().map(|call| serde_json::from_slice(&call.body).expect("JSON")).collect()
    }

    /// The body of the only inference call.
    pub fn body(&self) -> serde_json::Value {
        let mut bodies = self.bodies();
        assert_eq!(bodies.len(), 1, "{bodies:?}");
        bodies.remove(0)
    }

    /// Regions of the inference calls, oldest first.
    pub fn regions(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.region).collect()
    }

    /// Waits for inference calls that fulfil a condition.
    pub async fn calls_until(&self, condition: impl Fn(&[&Call]) -> bool) -> Vec<Call> {
        let wanted = |calls: &[Call]| condition(&calls.iter().filter(|call| is_inference(call)).collect::<Vec<_>>());
        let calls = self.simulator.journal().wait_for(wanted, LIMIT).await.expect("calls");
        calls.into_iter().filter(is_inference).collect()
    }

    /// Waits until no request is under way anywhere.
    pub async fn idle(&self) -> GatewayReport {
        eventually("nothing runs", async || is_idle(&self.ports().describe().await) && self.simulator.journal().in_flight() == 0).await;
        self.ports().describe().await
    }

    /// Nothing was asked of AWS, and nothing runs.
    pub async fn untouched(&self) {
        let report = self.idle().await;
        assert_eq!(self.calls().len(), 0, "{:?}", self.calls());
        assert_eq!(report.calls_in_flight, 0);
    }

    /// Reads the settings anew with further ones, as a reload does.
    pub fn reload(&mut self, set: &[&str]) {
        self.options.set.extend(set.iter().map(|&assignment| assignment.to_owned()));
        let settings = Settings::load(&self.options).unwrap_or_else(|problems| panic!("{problems}"));
        self.ports().tree.reload(live::reload(&settings, &self.world)).expect("every keeper is there");
        self.ports().tree.set_limits(app::lane_limits(&settings));
        self.edge.set_limits(live::edge_limits(&settings));
    }

    /// Shuts down as a signal does it, and waits for the end.
    pub async fn drain(self, grace: Duration) {
        let Self { gateway, connections, listener, simulator, .. } = self;
        shutdown::drain(gateway, &connections, grace).await;
        soon("the listener ends", listener).await.expect("no panic").expect("no error");
        simulator.shutdown().await;
    }

    /// Nothing may be left running; then everything is shut down.
    pub async fn end(self) {
        self.idle().await;
        let lines = self.records.lines();
        assert!(lines.iter().all(|line| line.edge.is_some()), "a request ended without a response: {lines:?}");
        self.drain(Duration::from_secs(5)).await;
    }
}

impl Deref for TestGateway {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

fn is_inference(call: &Call) -> bool {
    let ways = [Operation::Converse, Operation::ConverseStream, Operation::InvokeModel, Operation::InvokeModelWithResponseStream];
    ways.contains(&call.operation)
}

fn is_idle(report: &GatewayReport) -> bool {
    let lanes = [&report.chat_lane, &report.responses_lane, &report.stored_lane, &report.background_lane];
    let rest = |lane: &Option<LaneReport>| lane.as_ref().is_some_and(|lane| lane.running == 0 && lane.queued == 0);
    report.calls_in_flight == 0 && report.background_responses == 0 && lanes.into_iter().all(rest)
}

impl Builder {
    /// The regions, in order.
    pub fn regions<const N: usize>(mut self, regions: [&str; N]) -> Self {
        self.regions = regions.map(str::to_owned).to_vec();
        self
    }

    /// A setting: `path=value`.
    pub fn set(mut self, assignment: impl Into<String>) -> Self {
        self.set.push(assignment.into());
        self
    }

    /// How the simulator is built.
    pub fn simulator(mut self, change: impl FnOnce(SimulatorBuilder) -> SimulatorBuilder + 'static) -> Self {
        self.simulator = Some(Box::new(change));
        self
    }

    /// What is done with the simulator before the gateway starts.
    pub fn prepare(mut self, prepare: impl FnOnce(&Simulator) + 'static) -> Self {
        self.prepare = Some(Box::new(prepare));
        self
    }

    /// Limits of the edge that no setting changes.
    pub fn limits(mut self, change: impl FnOnce(&mut EdgeLimits) + 'static) -> Self {
        self.limits = Some(Box::new(change));
        self
    }

    /// Other ports than the real ones.
    pub fn world(mut self, change: impl FnOnce(Ports) -> Ports + 'static) -> Self {
        self.world = Some(Box::new(change));
        self
    }

    /// The longest wait for a request head; settings allow no less than a second.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = Some(timeout);
        self
    }

    /// The simulator runs on this runtime, not on the gateway's.
    pub fn simulator_on(mut self, runtime: Handle) -> Self {
        self.beside = Some(runtime);
        self
    }

    /// Returns at once, whatever is known of models.
    pub fn not_waiting(mut self) -> Self {
        self.ready = false;
        self
    }

    /// Starts everything.
    pub async fn start(self) -> TestGateway {
        let simulator = Simulator::builder().regions(self.regions.clone()).seed(11);
        let simulator = match self.simulator {
            Some(change) => change(simulator),
            None => simulator,
        };
        let simulator = match self.beside {
            Some(runtime) => runtime.spawn(simulator.start()).await.expect("no panic"),
            None => simulator.start().await,
        };
        let simulator = simulator.expect("a simulator");
        if let Some(prepare) = self.prepare {
            prepare(&simulator);
        }
        let options = options(&simulator, &self.regions, self.set);
        let settings = Settings::load(&options).unwrap_or_else(|problems| panic!("{problems}"));
        let world = match self.world {
            Some(change) => change(world::real()),
            None => world::real(),
        };
        let gateway = app::start(&settings, &world, None).await.expect("a gateway");
        let records = Arc::new(Records::default());
        let mut limits = live::edge_limits(&settings);
        if let Some(change) = self.limits {
            change(&mut limits);
        }
        let edge = Edge::new(gateway.ports().clone(), limits, world.clone(), Arc::clone(&records) as _);
        let listener = TcpListener::bind(settings.server.address()).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Connections::default();
        let prefixes = live::prefixes(&settings);
        let router = http::router(edge.clone(), prefixes);
        let server = ServerOptions {
            header_read_timeout: self.head_timeout.unwrap_or(settings.server.header_read_timeout),
            max_head_bytes: usize::try_from(settings.server.header_limit).unwrap(),
            max_connections: settings.server.max_connections as usize,
        };
        let listener = tokio::spawn(http::serve(listener, router, edge.clone(), server, connections.clone()));
        let client = Client { address, key: Some(KEY.to_owned()) };
        let started = TestGateway { simulator, address, client, records, edge, connections, options, world, gateway, listener };
        if self.ready {
            let regions = self.regions.len();
            let tree = &started.ports().tree;
            eventually("every region is discovered", async || tree.not_ready().is_empty() && discovered(&tree.describe().await) == regions)
                .await;
        }
        started
    }
}

/// Regions whose models are known.
fn discovered(report: &GatewayReport) -> usize {
    report.catalogue.as_ref().map_or(0, |catalogue| catalogue.regions.values().filter(|region| region.models > 0).count())
}

fn options(simulator: &Simulator, regions: &[String], set: Vec<String>) -> LoadOptions {
    let mut flags = Vec::new();
    let mut flag = |path: &str, value: &str| {
        flags.push(Flag { name: "the suite".to_owned(), path: path.to_owned(), value: value.to_owned() });
    };
    flag("aws.regions", &regions.join(","));
    for region in regions {
        flag(&format!("aws.endpoints.{region}.default"), &simulator.endpoint(region));
    }
    flag("aws.credentials.access_key_id", DEFAULT_ACCESS_KEY);
    flag("aws.credentials.secret_access_key", DEFAULT_SECRET_KEY);
    flag("keys.secrets", &format!("tester:{KEY}"));
    // A question per model and region: most tests know the answer.
    flag("models.check_availability", "false");
    flag("server.bind", "127.0.0.1");
    flag("server.port", "0");
    LoadOptions { file: None, search: Vec::new(), environment: Environment::default(), flags, set }
}

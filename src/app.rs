//! The composition root: from settings to a running gateway. Nothing else names the parts of every room.

use std::{fs, sync::Arc};

use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use outcrop_domain::clock::Ports;
use outcrop_gateway::{
    archive::{Stores, settle_interrupted},
    foundation::BackgroundJob,
    targets::RoutingMemory,
    tree::{Gateway, GatewayParts, LaneLimits, RegionParts, start_gateway},
};
use outcrop_store::{FileSnapshot, MemoryStore, Snapshots, SqliteStore};
use outcrop_supervision::IntakeLimits;
use outcrop_upstream::{
    aws::{
        Access, AssumedRole, AvailabilityCheck, Aws, AwsSettings, BearerToken, CredentialChain, CredentialSource, CredentialsKeeper,
        StaticKeys,
    },
    fetch::{FetchSettings, Fetcher},
    sniff::sniff,
    transport::{ProxySettings, Transport, TransportSettings},
};

use crate::{
    live,
    settings::{Lane, Lanes, Service, Settings},
    telemetry::UPKEEP_INTERVAL,
};

/// A background job's future.
type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts the gateway that the settings describe.
///
/// # Errors
/// What could not be built, and why.
pub async fn start(settings: &Settings, world: &Ports, recorder: Option<PrometheusHandle>) -> anyhow::Result<Gateway> {
    let transport = Transport::new(&transport_settings(settings, extra_roots(settings)?)).context("building the way to AWS")?;
    start_over(&transport, settings, world, recorder).await
}

/// As [`start`], over a way to AWS that is given: an AWS in memory, for instance.
///
/// # Errors
/// What could not be built, and why.
pub async fn start_over(
    transport: &Transport,
    settings: &Settings,
    world: &Ports,
    recorder: Option<PrometheusHandle>,
) -> anyhow::Result<Gateway> {
    let (access, mut background) = access(settings, transport, world)?;
    background.extend(recorder.map(metrics_upkeep));
    let regions = regions(settings, transport, &access, world)?;
    let fetcher = Fetcher::new(&fetch_settings(settings, extra_roots(settings)?)).context("building the URL fetcher")?;
    let memory_store = settings.routing.state_file.as_ref().map(FileSnapshot::new);
    let parts = GatewayParts {
        regions,
        settings: live::settings(settings),
        keys: live::keys(settings, world),
        book: Arc::clone(&settings.models.book),
        policy: live::policy(settings),
        discovery_interval: settings.models.discovery_interval,
        limits: lane_limits(settings),
        stores: stores(settings, world)?,
        drain: settings.server.shutdown_grace,
        fetcher: Arc::new(fetcher),
        sniff,
        memory: memory_store.as_ref().map_or_else(RoutingMemory::default, |store| remembered(store, world)),
        memory_store: memory_store.map(|store| Arc::new(store) as Arc<dyn Snapshots>),
        // Who kills actors on purpose wants to see them come back, not the process end.
        tolerance: if settings.admin.chaos { CHAOS_TOLERANCE } else { 1 },
        background,
        ports: world.clone(),
    };
    start_gateway(parts).await.context("starting the actor tree")
}

/// The operator's own roots, PEM.
fn extra_roots(settings: &Settings) -> anyhow::Result<Option<Vec<u8>>> {
    settings.aws.ca_bundle.as_ref().map(fs::read).transpose().context("reading aws.ca_bundle")
}

/// What the last run knew of its targets. One that cannot be used is told and left: learning anew costs less than not starting.
fn remembered(store: &FileSnapshot, world: &Ports) -> RoutingMemory {
    let read = store.load().map_err(|error| error.to_string()).and_then(|bytes| match bytes {
        None => Ok(RoutingMemory::default()),
        Some(bytes) => RoutingMemory::read(&bytes, world.clock.wall()).map_err(|error| error.to_string()),
    });
    match read {
        Ok(memory) => {
            tracing::info!(targets = memory.len(), "the last run's knowledge of targets was read");
            memory
        }
        Err(problem) => {
            tracing::warn!(problem, "the last run's knowledge of targets (routing.state_file) is not used, and no region is drained");
            RoutingMemory::default()
        }
    }
}

/// Ten kills a second for ten minutes, on any one supervisor.
const CHAOS_TOLERANCE: u32 = 2_000;

/// Folds the recorder's samples away, so that their memory stays bounded between scrapes.
fn metrics_upkeep(recorder: PrometheusHandle) -> BackgroundJob {
    let work = Arc::new(move || Box::pin(upkeep(recorder.clone())) as Work);
    BackgroundJob { name: "metrics-upkeep", work }
}

async fn upkeep(recorder: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP_INTERVAL).await;
        recorder.run_upkeep();
    }
}

/// Limits of the lanes.
#[must_use]
pub fn lane_limits(settings: &Settings) -> LaneLimits {
    let Lanes { chat, responses, stored, background } = &settings.lanes;
    let of =
        |lane: &Lane| IntakeLimits { running: lane.concurrency as usize, queued: lane.queue_limit as usize, max_wait: lane.queue_wait };
    LaneLimits { chat: of(chat), responses: of(responses), stored: of(stored), background: of(background) }
}

/// Where responses and conversations are kept. What an earlier process was at when it ended is ended here, before the first
/// request is taken.
fn stores(settings: &Settings, world: &Ports) -> anyhow::Result<Stores> {
    let Some(file) = &settings.store.file else {
        return Ok(Stores::of(Arc::new(MemoryStore::shared(settings.store.memory)), true));
    };
    let store = SqliteStore::open(file).context("opening the store of responses (store.file)")?;
    let stores = Stores::of(Arc::new(store), false);
    let interrupted = settle_interrupted(&stores, world.clock.wall().into()).context("reading the store of responses (store.file)")?;
    if interrupted > 0 {
        tracing::warn!(responses = interrupted, "responses that the last run had not completed are failed now");
    }
    Ok(stores)
}

fn transport_settings(settings: &Settings, extra_ca_pem: Option<Vec<u8>>) -> TransportSettings {
    let proxy = &settings.aws.proxy;
    TransportSettings {
        connect_timeout: settings.timeouts.connect,
        extra_ca_pem,
        proxy: ProxySettings {
            http: proxy.http.as_ref().map(|url| url.expose().to_owned()),
            https: proxy.https.as_ref().map(|url| url.expose().to_owned()),
            no_proxy: (!proxy.bypass.is_empty()).then(|| proxy.bypass.join(",")),
        },
        ..TransportSettings::default()
    }
}

/// The right to call AWS, and the work that keeps it fresh: fixed credentials, a Bedrock API key, or the standard chain.
fn access(settings: &Settings, transport: &Transport, world: &Ports) -> anyhow::Result<(Access, Vec<BackgroundJob>)> {
    let aws = &settings.aws;
    let source = match (&aws.credentials, &aws.bearer_token) {
        (Some(fixed), _) => CredentialSource::Static(StaticKeys {
            access_key_id: fixed.access_key_id.clone(),
            secret_access_key: fixed.secret_access_key.clone(),
            session_token: fixed.session_token.clone(),
        }),
        (None, Some(token)) => {
            let token = BearerToken::new(token.clone()).context("aws.bearer_token")?;
            return Ok((Access::Bearer(token), Vec::new()));
        }
        (None, None) => CredentialSource::Chain(CredentialChain {
            profile: aws.profile.clone(),
            region: aws.regions.first().cloned().context("no region is configured")?,
            assume: aws.assume_role.as_ref().map(|role| AssumedRole {
                arn: role.arn.clone(),
                external_id: role.external_id.clone(),
                session_name: role.session_name.clone(),
            }),
        }),
    };
    let keeper = Arc::new(CredentialsKeeper::new(source, transport, Arc::clone(&world.clock)));
    let work = {
        let keeper = Arc::clone(&keeper);
        Arc::new(move || {
            let keeper = Arc::clone(&keeper);
            Box::pin(async move { keeper.keep_fresh().await }) as Work
        })
    };
    Ok((Access::Keys(keeper), vec![BackgroundJob { name: "credentials-refresher", work }]))
}

fn regions(settings: &Settings, transport: &Transport, access: &Access, world: &Ports) -> anyhow::Result<Vec<RegionParts>> {
    let build = |region: &outcrop_domain::ids::Region| {
        let aws_settings = AwsSettings {
            fips: settings.aws.fips,
            dual_stack: settings.aws.dual_stack,
            runtime_endpoint: settings.aws.endpoints.url(Service::BedrockRuntime, region),
            control_endpoint: settings.aws.endpoints.url(Service::Bedrock, region),
            availability: if settings.models.check_availability { AvailabilityCheck::Ask } else { AvailabilityCheck::Assume },
            ..AwsSettings::default()
        };
        let aws = Aws::new(aws_settings, transport.clone(), access.clone(), Arc::clone(&world.clock));
        anyhow::Ok(RegionParts { region: region.clone(), runtime: Arc::new(aws.runtime(region)?), control: Arc::new(aws.control(region)?) })
    };
    settings.aws.regions.iter().map(|region| build(region).with_context(|| format!("region {region}"))).collect()
}

fn fetch_settings(settings: &Settings, extra_ca_pem: Option<Vec<u8>>) -> FetchSettings {
    let fetch = &settings.fetch;
    let networks = fetch.allowed_networks.iter().map(ToString::to_string);
    FetchSettings {
        allow_http: fetch.allow_http,
        ports: fetch.ports.clone(),
        allow: fetch.allowed_hosts.iter().cloned().chain(networks).collect(),
        max_redirects: fetch.max_redirects as usize,
        extra_ca_pem,
    }
}

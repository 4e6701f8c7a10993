//! `outcrop serve`: from settings to a listening gateway, and its end.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use outcrop_domain::clock::Ports;
use outcrop_gateway::{ports::GatewayPorts, tree::Gateway};
use outcrop_supervision::RootExit;
use tokio::{net::TcpListener, task::JoinSet};

use super::SettingsArgs;
use crate::{
    app,
    http::{
        self, Connections, Edge, ServerOptions,
        admin::{Admin, ReloadFn, Reloaded},
    },
    live,
    settings::{Change, LoadOptions, Settings, changes},
    shutdown::{self, Asked, Signals},
    telemetry::{self, LogHandle},
    world,
};

pub(super) async fn run(arguments: SettingsArgs) -> anyhow::Result<()> {
    let (settings, options) = arguments.load()?;
    let forgets = settings.store.file.is_none();
    let serving = Serving::start(settings, options).await?;
    if forgets {
        // `outcrop local` says nothing: there everything is gone with its simulated AWS anyway.
        tracing::warn!("stored responses and conversations are in memory only and end with this process: store.file is not set");
    }
    serving.until_the_end().await
}

/// A gateway that listens.
pub(super) struct Serving {
    gateway: Gateway,
    edge: Edge,
    connections: Connections,
    settings: Arc<ArcSwap<Settings>>,
    reload: ReloadFn,
    signals: Signals,
    listeners: JoinSet<std::io::Result<()>>,
    /// Where clients connect.
    pub(super) address: SocketAddr,
    /// Where operators connect.
    pub(super) admin_address: Option<SocketAddr>,
}

impl Serving {
    /// Starts everything; the gateway answers when this returns, though models may still be discovered.
    pub(super) async fn start(settings: Settings, options: LoadOptions) -> anyhow::Result<Self> {
        let signals = Signals::listen().context("listening for signals")?;
        let logs = Arc::new(telemetry::start_logs(settings.log.format, &settings.log.filter())?);
        telemetry::log_panics();
        let recorder = settings.metrics.enabled.then(telemetry::start_metrics).transpose()?;
        raise_file_limit();
        let world = world::real();
        let gateway = app::start(&settings, &world, recorder.clone()).await?;
        let connections = Connections::default();
        let edge = Edge::new(gateway.ports().clone(), live::edge_limits(&settings), world.clone(), Arc::new(logs.request_log()));
        let mut listeners = JoinSet::new();
        let listener = TcpListener::bind(settings.server.address())
            .await
            .with_context(|| format!("listening on {} (server.bind, server.port)", settings.server.address()))?;
        let address = listener.local_addr()?;
        let prefixes = live::prefixes(&settings);
        let router = http::router(edge.clone(), prefixes);
        listeners.spawn(http::serve(listener, router, edge.clone(), server_options(&settings), connections.clone()));
        let current = Arc::new(ArcSwap::from_pointee(settings));
        let reload = reloader(gateway.ports().clone(), edge.clone(), logs, Arc::clone(&current), options, world);
        let admin_address = start_admin(&current.load(), &edge, gateway.ports(), recorder, &reload, &mut listeners).await?;
        tracing::info!(%address, admin.address = admin_address.map(tracing::field::display), "listening");
        Ok(Self { gateway, edge, connections, settings: current, reload, signals, listeners, address, admin_address })
    }

    /// Serves until a signal, or until the tree or a listener fails.
    pub(super) async fn until_the_end(mut self) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                biased;
                asked = self.signals.next() => match asked {
                    Asked::Reload => match (self.reload)() {
                        Ok(reloaded) => tracing::info!(applied = ?reloaded.applied, needs_restart = ?reloaded.needs_restart, "settings reloaded"),
                        Err(problems) => tracing::error!(problems, "settings not reloaded: the old ones stay in force"),
                    },
                    Asked::Stop => return self.stop().await,
                },
                exit = self.gateway.ended() => match exit {
                    RootExit::Stopped => return Ok(()),
                    RootExit::Failed { reason } => bail!("the actor tree gave up: {reason}"),
                    RootExit::Killed => bail!("the actor tree was killed"),
                },
                Some(ended) = self.listeners.join_next() => {
                    ended.context("a listener died")?.context("a listener failed")?;
                }
            }
        }
    }

    /// The orderly end, unless somebody asks for it a second time and so has no patience left.
    async fn stop(self) -> anyhow::Result<()> {
        let Self { gateway, edge, connections, settings, mut signals, listeners: _listening, .. } = self;
        let (delay, grace) = (settings.load().server.shutdown_delay, settings.load().server.shutdown_grace);
        edge.begin_drain();
        let in_order = async {
            if !delay.is_zero() {
                tracing::info!(delay_seconds = delay.as_secs(), "not ready any more; still accepting requests");
                tokio::time::sleep(delay).await;
            }
            shutdown::drain(gateway, &connections, grace).await;
        };
        tokio::select! {
            biased;
            () = signals.stop() => bail!("asked to stop a second time: ended at once, without waiting for running requests"),
            () = in_order => Ok(()),
        }
    }

    /// The gateway's ports.
    pub(super) fn ports(&self) -> &GatewayPorts {
        self.gateway.ports()
    }
}

fn server_options(settings: &Settings) -> ServerOptions {
    let server = &settings.server;
    ServerOptions {
        header_read_timeout: server.header_read_timeout,
        max_head_bytes: usize::try_from(server.header_limit).unwrap_or(usize::MAX),
        max_connections: server.max_connections as usize,
    }
}

async fn start_admin(
    settings: &Settings,
    edge: &Edge,
    gateway: &GatewayPorts,
    metrics: Option<PrometheusHandle>,
    reload: &ReloadFn,
    listeners: &mut JoinSet<std::io::Result<()>>,
) -> anyhow::Result<Option<SocketAddr>> {
    if !settings.admin.enabled {
        return Ok(None);
    }
    let wanted = settings.admin.address();
    let listener = TcpListener::bind(wanted).await.with_context(|| format!("listening on {wanted} (admin.bind, admin.port)"))?;
    let address = listener.local_addr()?;
    let admin = Admin { gateway: gateway.clone(), edge: edge.clone(), metrics, reload: Arc::clone(reload) };
    let router = http::admin::router(admin.clone(), &settings.admin.metrics_path);
    let router = if settings.admin.chaos { router.merge(http::chaos::router(admin)) } else { router };
    // Its connections are counted apart: a scraper must not hold a shutdown.
    listeners.spawn(http::serve(listener, router, edge.clone(), ServerOptions::default(), Connections::default()));
    Ok(Some(address))
}

fn reloader(
    gateway: GatewayPorts,
    edge: Edge,
    logs: Arc<LogHandle>,
    current: Arc<ArcSwap<Settings>>,
    options: LoadOptions,
    world: Ports,
) -> ReloadFn {
    let at_start = current.load_full();
    let one_at_a_time = Mutex::new(());
    Arc::new(move || {
        // SIGHUP and the admin port may come together; nothing in here waits.
        let _turn = one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let new = Settings::load(&options).map_err(|problems| problems.to_string())?;
        let paths = |list: Vec<Change>, reloadable: bool| {
            list.into_iter().filter(|change| change.reloadable == reloadable).map(|change| change.path).collect()
        };
        let reloaded = Reloaded {
            applied: paths(changes(&current.load(), &new), true),
            // Against the start, so that what waits is told again by every reload until then.
            needs_restart: paths(changes(&at_start, &new), false),
        };
        let mut reload = live::reload(&new, &world);
        reload.policy.regions.clone_from(&at_start.aws.regions);
        gateway.tree.reload(reload).map_err(|error| error.to_string())?;
        gateway.tree.set_limits(app::lane_limits(&new));
        edge.set_limits(live::edge_limits(&new));
        logs.set_level(&new.log.filter()).map_err(|error| error.to_string())?;
        current.store(Arc::new(new));
        Ok(reloaded)
    })
}

/// Each open stream takes two descriptors; the default limit of many systems is 1,024.
fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "could not raise the limit of open files");
    }
}

//! Accepting and serving the connections of a region.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    auth::AuthMode,
    fast::{self, ShortCut},
    script::CutManner,
    service::Service,
    wire::{Wire, WireControl},
    world::{Region, RegionMode, World},
};

/// Between two tries to take a region's port again after it was given up.
const REBIND_PAUSE: Duration = Duration::from_millis(20);

/// Accepts connections until the simulator stops. Its connections end with it.
pub(crate) async fn listen(world: Arc<World>, region: Arc<Region>, listener: TcpListener, address: SocketAddr) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    let mut mode = region.mode.subscribe();
    let mut stopping = world.stopping.subscribe();
    loop {
        let wanted = *mode.borrow_and_update();
        if wanted == RegionMode::Refuse {
            listener = None;
        } else if listener.is_none() {
            listener = rebind(address, &region.name).await;
            if listener.is_none() {
                continue;
            }
        }
        region.applied.send_if_modified(|applied| std::mem::replace(applied, wanted) != wanted);
        tokio::select! {
            biased;
            // Both are state, read again above: nothing is lost when another arm wins.
            _ = stopping.wait_for(|stopping| *stopping) => break,
            changed = mode.changed() => if changed.is_err() { break },
            // Cancel-safe; frees the memory of connections that have ended.
            Some(_) = connections.join_next() => {}
            // Cancel-safe: an accepted connection is never dropped unserved.
            accepted = accept(listener.as_ref()) => {
                if let Some(stream) = accepted {
                    connections.spawn(serve(Arc::clone(&world), Arc::clone(&region), stream, reset_on_close));
                }
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn rebind(address: SocketAddr, region: &str) -> Option<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Some(listener),
        Err(fault) => {
            tracing::warn!(region, error = %fault, "the port of a region cannot be taken again yet");
            tokio::time::sleep(REBIND_PAUSE).await;
            None
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    let Some(listener) = listener else { return std::future::pending().await };
    match listener.accept().await {
        Ok((stream, _)) => {
            if let Err(fault) = stream.set_nodelay(true) {
                tracing::debug!(error = %fault, "a connection keeps Nagle's algorithm");
            }
            Some(stream)
        }
        Err(fault) => {
            // Out of file descriptors, or the peer left before it was accepted: the next try is as good as any.
            tracing::warn!(error = %fault, "a connection could not be accepted");
            tokio::time::sleep(REBIND_PAUSE).await;
            None
        }
    }
}

/// Makes the kernel send a reset when the stream is dropped.
fn reset_on_close(stream: &TcpStream) {
    if let Err(fault) = stream.set_zero_linger() {
        tracing::debug!(error = %fault, "a connection will be closed instead of reset");
    }
}

/// Serves one connection until either side ends it.
pub(crate) async fn serve<IO>(world: Arc<World>, region: Arc<Region>, io: IO, on_reset: fn(&IO))
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let control = Arc::new(WireControl::new(world.next_connection(), world.clock));
    let _counted = Counted::new(&region);
    let mut wire = Wire::new(io, Arc::clone(&control), on_reset);
    let keeper = Keeper { world: Arc::clone(&world), region: Arc::clone(&region), control: Arc::clone(&control) };
    let refused = world.script.refuses_connection(&region.name, world.clock.elapsed(), control.number());
    if refused || matches!(*region.mode.borrow(), RegionMode::Refuse | RegionMode::Reset) {
        control.cut_now(CutManner::Reset);
        return;
    }
    if let Some(answers) = world.fast.as_ref().filter(|_| world.auth_mode == AuthMode::Off) {
        match keeper.keep(fast::serve(&mut wire, answers, &world.journal)).await {
            Some(Ok(ShortCut::HandOver)) => {}
            Some(Ok(ShortCut::Closed) | Err(_)) | None => return,
        }
    }
    let service = Service { world: Arc::clone(&world), region: Arc::clone(&region), wire: Arc::clone(&control) };
    let connection = http1::Builder::new()
        // Idle connections live as long as their client wants; the date is the region's own.
        .header_read_timeout(None)
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(wire), service_fn(move |request| service.clone().call(request)));
    if let Some(Err(fault)) = keeper.keep(connection).await {
        tracing::debug!(region = %region.name, error = %fault, "a connection ended badly");
    }
}

/// Counts an open connection.
struct Counted {
    region: Arc<Region>,
}

impl Counted {
    fn new(region: &Arc<Region>) -> Self {
        region.open_connections.fetch_add(1, Ordering::Relaxed);
        region.accepted_connections.fetch_add(1, Ordering::Relaxed);
        Self { region: Arc::clone(region) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.region.open_connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs a connection under the orders of its calls, its region and the simulator.
struct Keeper {
    world: Arc<World>,
    region: Arc<Region>,
    control: Arc<WireControl>,
}

impl Keeper {
    /// The output of `work`, or `None` when the connection is to be dropped before.
    async fn keep<F: Future>(&self, work: F) -> Option<F::Output> {
        let mut mode = self.region.mode.subscribe();
        let mut cuts = self.region.cuts.subscribe();
        let mut stopping = self.world.stopping.subscribe();
        let mut work = std::pin::pin!(work);
        loop {
            let now = *mode.borrow_and_update();
            if matches!(now, RegionMode::Refuse | RegionMode::Reset) {
                self.control.cut_now(CutManner::Reset);
                return None;
            }
            tokio::select! {
                biased;
                // Cancel-safe: a permit of `Notify` and the state of the watches outlive a lost race.
                () = self.control.until_cut() => return None,
                _ = stopping.wait_for(|stopping| *stopping) => {
                    self.control.shut_down();
                    return None;
                }
                _ = cuts.changed() => {
                    self.control.cut_now(CutManner::Close);
                    return None;
                }
                changed = mode.changed() => if changed.is_err() { return None },
                // A silent region does not touch its connections at all.
                output = &mut work, if now != RegionMode::BlackHole => return Some(output),
            }
        }
    }
}

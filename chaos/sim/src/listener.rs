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
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    auth::AuthMode,
    fast::{self, ShortCut},
    faults::{Door, FaultKind, Gate, Running, Strike},
    journal::Ended,
    script::CutManner,
    service::Service,
    span::Nanos,
    weather::Weather,
    wire::{Wire, WireControl},
    world::{Region, World},
};

/// Between two tries to take a region's port again after it was given up.
const REBIND_PAUSE: Duration = Duration::from_millis(20);
/// Bytes a black hole reads at a time.
const SWALLOWED: usize = 4 * 1024;

/// Accepts connections until the simulator stops. Its connections end with it.
pub(crate) async fn listen(world: Arc<World>, region: Arc<Region>, listener: TcpListener, address: SocketAddr) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    let mut weather = Weather::new(&world, &region);
    let mut stopping = world.stopping.subscribe();
    loop {
        let gate = weather.look();
        if !gate.listens() {
            if listener.take().is_some() {
                world.note_gate(&gate);
            }
        } else if listener.is_none() {
            listener = rebind(address, &region.name).await;
            if listener.is_none() {
                continue;
            }
        }
        let wanted = *region.mode.borrow();
        region.applied.send_if_modified(|applied| std::mem::replace(applied, wanted) != wanted);
        tokio::select! {
            biased;
            // All of it is state, read again above: nothing is lost when another arm wins.
            _ = stopping.wait_for(|stopping| *stopping) => break,
            () = weather.changed(gate.next_change) => {}
            // Cancel-safe; frees the memory of connections that have ended.
            Some(_) = connections.join_next() => {}
            // Cancel-safe: an accepted connection is never dropped unserved.
            accepted = accept(listener.as_ref()) => {
                if let Some(stream) = accepted {
                    let visitor = Visitor::new(&world, &region);
                    connections.spawn(serve(Arc::clone(&world), Arc::clone(&region), stream, visitor, reset_on_close));
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

/// A new connection, and the fault that strikes it.
pub(crate) struct Visitor {
    pub(crate) number: u64,
    pub(crate) strike: Option<Strike>,
    /// The state of the region when it came.
    gate: Gate,
    came_at: Duration,
}

impl Visitor {
    pub(crate) fn new(world: &World, region: &Region) -> Self {
        let (number, came_at) = (world.next_connection(), world.clock.elapsed());
        Self { number, strike: world.faults.strike_connection(&region.name, number, came_at), gate: world.gate(region), came_at }
    }
}

/// Serves one connection until either side ends it.
pub(crate) async fn serve<IO>(world: Arc<World>, region: Arc<Region>, io: IO, visitor: Visitor, on_reset: fn(&IO))
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let control = Arc::new(WireControl::new(visitor.number, world.clock, visitor.came_at));
    let _counted = Counted::new(&world, &region, &control);
    let mut wire = Wire::new(io, Arc::clone(&control), on_reset);
    let keeper = Keeper { world: Arc::clone(&world), region: Arc::clone(&region), control: Arc::clone(&control) };
    let turned_away = matches!(visitor.gate.door, Door::Refused | Door::Reset);
    if turned_away {
        world.note_gate(&visitor.gate);
    }
    if turned_away || world.script.refuses_connection(&region.name, world.clock.elapsed(), control.number()) {
        control.cut_now(CutManner::Reset);
        return;
    }
    match visitor.strike.as_ref().map(|strike| &strike.kind) {
        Some(FaultKind::Blackhole { .. }) => {
            keeper.keep(swallow(&mut wire)).await;
            return;
        }
        Some(FaultKind::Close { .. }) => return control.cut_now(CutManner::Close),
        Some(_) => return control.cut_now(CutManner::Reset),
        None => {}
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

/// Reads and says nothing until the peer leaves.
async fn swallow<IO: AsyncRead + Unpin>(wire: &mut Wire<IO>) {
    let mut bytes = vec![0; SWALLOWED];
    while wire.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

/// Counts an open connection.
struct Counted {
    world: Arc<World>,
    region: Arc<Region>,
    control: Arc<WireControl>,
}

impl Counted {
    fn new(world: &Arc<World>, region: &Arc<Region>, control: &Arc<WireControl>) -> Self {
        region.open_connections.fetch_add(1, Ordering::Relaxed);
        region.accepted_connections.fetch_add(1, Ordering::Relaxed);
        world.journal.connection_opened(control.number(), &region.name, control.opened_at());
        Self { world: Arc::clone(world), region: Arc::clone(region), control: Arc::clone(control) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.region.open_connections.fetch_sub(1, Ordering::Relaxed);
        let peer_closed = self.control.peer_closed_at().map(Nanos::from);
        let ended = Ended { at: self.world.clock.elapsed().into(), peer_closed, bytes: self.control.written() };
        self.world.journal.connection_closed(self.control.number(), &self.region.name, &ended);
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
        let mut weather = Weather::new(&self.world, &self.region);
        let mut cuts = self.region.cuts.subscribe();
        let mut stopping = self.world.stopping.subscribe();
        let mut work = std::pin::pin!(work);
        let mut stood_still = false;
        loop {
            let gate = weather.look();
            let running = gate.running(self.control.opened_at());
            if running == Running::Reset {
                self.world.note_gate(&gate);
                self.control.cut_now(CutManner::Reset);
                return None;
            }
            let still = running == Running::Still;
            self.control.stand_still(still);
            if still && !std::mem::replace(&mut stood_still, still) {
                self.world.note_gate(&gate);
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
                () = weather.changed(gate.next_change) => {}
                // Polled in each round, and so again when the wire stands still no more.
                output = &mut work => return Some(output),
            }
        }
    }
}

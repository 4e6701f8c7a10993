//! The accept loop: our own, so that it runs over any byte stream, drains gracefully and sets what must be set.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_util::task::TaskTracker;

use super::edge::{Edge, EdgeService};

/// How connections are treated.
#[derive(Debug, Clone, Copy)]
pub struct ServerOptions {
    /// Longest wait for a request's whole head.
    pub header_read_timeout: Duration,
    /// Largest head in bytes.
    pub max_head_bytes: usize,
    /// Most connections at once; further ones wait in the kernel's backlog.
    pub max_connections: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { header_read_timeout: Duration::from_secs(15), max_head_bytes: 64 * 1024, max_connections: 16_384 }
    }
}

/// The open connections of a listener, and the switch that ends them.
#[derive(Debug, Clone)]
pub struct Connections {
    tracker: TaskTracker,
    stop: watch::Sender<bool>,
    open: Arc<AtomicUsize>,
}

impl Default for Connections {
    fn default() -> Self {
        Self { tracker: TaskTracker::new(), stop: watch::Sender::new(false), open: Arc::default() }
    }
}

impl Connections {
    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Serves one connection over any byte stream, as [`serve`] does each that it accepts. Returns at once; the connection
    /// is a task of these connections and ends with them.
    pub fn serve_stream<S>(&self, stream: S, router: Router, edge: Edge, options: ServerOptions)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let of_this_listener = self.clone();
        self.tracker.spawn(async move { serve_connection(stream, EdgeService::new(router, edge), options, &of_this_listener).await });
    }

    /// Stops accepting, lets running requests end, and returns when all have, or after `grace`.
    /// True when all ended in time.
    pub async fn drain(&self, grace: Duration) -> bool {
        self.stop.send_replace(true);
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }
}

/// Accepts connections until [`Connections::drain`].
///
/// # Errors
/// When the listener itself fails for good.
pub async fn serve(listener: TcpListener, router: Router, edge: Edge, options: ServerOptions, connections: Connections) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(options.max_connections));
    let mut stop = connections.stop.subscribe();
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            biased;
            () = stopping(&mut stop) => return Ok(()),
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let service = EdgeService::new(router.clone(), edge.clone());
                let of_this_listener = connections.clone();
                // Each connection is a task of this listener's tracker, which ends it on drain.
                connections.tracker.spawn(async move {
                    serve_tcp(stream, service, options, &of_this_listener).await;
                    drop(permit);
                });
            }
            Err(error) if is_transient(&error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Pause after a failed accept, so that an exhausted descriptor table does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Everything but a broken listener passes: out of descriptors or memory, a peer that left, a network that blinked.
fn is_transient(error: &io::Error) -> bool {
    /// `EBADF`, `EINVAL` and `ENOTSOCK`: this socket will never accept again.
    const BROKEN: [i32; 3] = [9, 22, 88];
    error.raw_os_error().is_none_or(|code| !BROKEN.contains(&code))
}

async fn serve_tcp(stream: TcpStream, service: EdgeService, options: ServerOptions, connections: &Connections) {
    // Tokens are small writes: Nagle's algorithm would hold each back for the acknowledgement of the last.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    serve_connection(stream, service, options, connections).await;
}

/// Serves one connection over any byte stream.
pub(super) async fn serve_connection<S>(stream: S, service: EdgeService, options: ServerOptions, connections: &Connections)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    connections.open.fetch_add(1, Ordering::Relaxed);
    let mut stop = connections.stop.subscribe();
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_read_timeout)
        // At most a hundred header lines, hyper's own limit: it keeps as many on its stack, and those of a higher one on the heap.
        .max_buf_size(options.max_head_bytes.max(MIN_BUFFER))
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let served = tokio::select! {
        biased;
        served = connection.as_mut() => served,
        () = stopping(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended with an error");
    }
    connections.open.fetch_sub(1, Ordering::Relaxed);
}

/// Resolves when the listener stops. Cancel-safe.
async fn stopping(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody can ask for a stop any more, which is one.
    drop(stop.wait_for(|stopping| *stopping).await);
}

/// hyper refuses smaller buffers.
const MIN_BUFFER: usize = 8 * 1024;

/// hyper's services cannot fail: every error is a response.
pub(super) type ServiceError = Infallible;

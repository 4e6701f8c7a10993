//! Connections of clients: plain HTTP/1.1 over sockets or in memory, used again or fresh.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::AbortHandle,
    time::Instant,
};

/// A byte stream.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection that is being made.
pub type Dialling = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>>;

/// Makes connections to what is tested.
pub trait Dial: Send + Sync {
    /// Makes one.
    fn dial(&self) -> Dialling;
}

/// Over TCP.
#[derive(Debug, Clone, Copy)]
pub struct TcpDial(pub SocketAddr);

impl Dial for TcpDial {
    fn dial(&self) -> Dialling {
        let address = self.0;
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }
}

/// A connection and the task that drives it.
struct Line {
    sender: SendRequest<Full<Bytes>>,
    task: AbortHandle,
    idle_since: Instant,
}

impl Drop for Line {
    /// Closes at once: a client that is gone is gone.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Idle connections are not used again after this long: servers close theirs at about a minute, and a request that meets
/// the closing is lost for nothing.
const FRESH: Duration = Duration::from_secs(20);

/// A client's connections.
#[derive(Clone)]
pub struct Net {
    dial: Arc<dyn Dial>,
    idle: Arc<Mutex<Vec<Line>>>,
    reuse: bool,
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net").field("reuse", &self.reuse).finish_non_exhaustive()
    }
}

/// A response whose body is being read. Dropped, it closes its connection, unless it is [kept](Exchange::keep).
pub(super) struct Exchange {
    pub(super) response: Response<Incoming>,
    line: Line,
}

/// Why there is no response.
#[derive(Debug, Clone, Copy)]
pub(super) enum Failed {
    /// No connection.
    Unreachable,
    /// It broke before the response's head.
    Cut,
}

impl Net {
    /// Connections made by `dial`, used again if `reuse`.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>, reuse: bool) -> Self {
        Self { dial, idle: Arc::default(), reuse }
    }

    /// A connection of its own, for clients that misbehave on it.
    pub(super) async fn raw(&self) -> io::Result<Box<dyn Io>> {
        self.dial.dial().await
    }

    /// Sends a request and waits for the response's head.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Exchange, Failed> {
        let mut request = request;
        if let Some(mut line) = self.take_idle() {
            match line.sender.try_send_request(request).await {
                Ok(response) => return Ok(Exchange { response, line }),
                Err(mut error) => match error.take_message() {
                    // It was never sent: the idle connection had been closed.
                    Some(unsent) => request = unsent,
                    None => return Err(Failed::Cut),
                },
            }
        }
        let mut line = self.connect().await?;
        match line.sender.send_request(request).await {
            Ok(response) => Ok(Exchange { response, line }),
            Err(_) => Err(Failed::Cut),
        }
    }

    /// Closes all idle connections.
    pub fn close(&self) {
        self.lock().clear();
    }

    async fn connect(&self) -> Result<Line, Failed> {
        let io = self.dial.dial().await.map_err(|_| Failed::Unreachable)?;
        let (sender, connection) = handshake(TokioIo::new(io)).await.map_err(|_| Failed::Cut)?;
        // Ends with its line; what goes wrong on it is seen by the request.
        let task = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Line { sender, task, idle_since: Instant::now() })
    }

    fn take_idle(&self) -> Option<Line> {
        let mut idle = self.lock();
        idle.retain(|line| !line.sender.is_closed() && line.idle_since.elapsed() < FRESH);
        idle.pop()
    }

    /// A list is whole after every change.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    /// The body was read to its end: the connection may be used again.
    pub(super) fn keep(mut self, net: &Net) {
        if net.reuse && !self.line.sender.is_closed() {
            self.line.idle_since = Instant::now();
            net.lock().push(self.line);
        }
    }
}

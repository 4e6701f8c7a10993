//! A connector behind one type, so that the wire below everything can be replaced.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use super::BoxError;
use crate::ports::BoxFuture;

/// Makes connections. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    connect: Arc<dyn Fn(Uri) -> BoxFuture<'static, Result<BoxedConnection, BoxError>> + Send + Sync>,
}

impl Connector {
    /// From a function that gives byte streams: one half of a `tokio::io::duplex` whose other half a server in
    /// memory reads, for instance.
    pub fn from_streams<F, Fut, S>(connect: F) -> Self
    where
        F: Fn(Uri) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::from_fn(move |destination| {
            let connecting = connect(destination);
            async move { Ok(BoxedConnection::over_stream(connecting.await?)) }
        })
    }

    pub(super) fn from_fn<F, Fut>(connect: F) -> Self
    where
        F: Fn(Uri) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<BoxedConnection, BoxError>> + Send + 'static,
    {
        Self { connect: Arc::new(move |destination| Box::pin(connect(destination))) }
    }
}

impl Service<Uri> for Connector {
    type Response = BoxedConnection;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<BoxedConnection, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        (self.connect)(destination)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

trait AnyConnection: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> AnyConnection for T {}

/// A connection of any kind.
pub struct BoxedConnection {
    inner: Box<dyn AnyConnection>,
    /// A proxy forwards the requests: they name the whole URL.
    forwarded: bool,
}

impl BoxedConnection {
    pub(super) fn new<T: Read + Write + Send + Unpin + 'static>(connection: T) -> Self {
        Self { inner: Box::new(connection), forwarded: false }
    }

    /// A byte stream that knows nothing of sockets.
    pub(crate) fn over_stream<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: S) -> Self {
        Self::new(TokioIo::new(stream))
    }

    pub(super) fn forwarded<T: Read + Write + Send + Unpin + 'static>(connection: T) -> Self {
        Self { inner: Box::new(connection), forwarded: true }
    }
}

impl Connection for BoxedConnection {
    fn connected(&self) -> Connected {
        // Without the addresses of its sockets, which every response would carry for nobody.
        Connected::new().proxy(self.forwarded)
    }
}

impl Read for BoxedConnection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl Write for BoxedConnection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffers: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, buffers)
    }
}

impl fmt::Debug for BoxedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxedConnection").field("forwarded", &self.forwarded).finish_non_exhaustive()
    }
}

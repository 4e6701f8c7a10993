//! Connections in memory: byte streams that can be reset, which a plain duplex pipe cannot.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// Bytes in flight in each direction: what a socket's buffers hold by default, about.
const BUFFER: usize = 64 * 1024;

/// One end of a connection in memory. After a reset by the other end it reads what was sent before, then
/// `ConnectionReset`; writes fail at once.
#[derive(Debug)]
pub struct SimStream {
    inner: DuplexStream,
    reset: Arc<AtomicBool>,
}

/// Two ends of one connection.
pub(crate) fn pair() -> (SimStream, SimStream) {
    let (near, far) = tokio::io::duplex(BUFFER);
    let reset = Arc::new(AtomicBool::new(false));
    (SimStream { inner: near, reset: Arc::clone(&reset) }, SimStream { inner: far, reset })
}

/// Makes both ends see a reset once `stream` is dropped.
pub(crate) fn reset(stream: &SimStream) {
    stream.reset.store(true, Ordering::Release);
}

impl SimStream {
    fn is_reset(&self) -> bool {
        self.reset.load(Ordering::Acquire)
    }
}

impl AsyncRead for SimStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let before = buffer.filled().len();
        let room = buffer.remaining() > 0;
        ready!(Pin::new(&mut stream.inner).poll_read(context, buffer))?;
        if room && buffer.filled().len() == before && stream.is_reset() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        if stream.is_reset() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut stream.inner).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_reset_end_reads_what_was_sent_before_and_then_the_reset() {
        let (mut near, mut far) = pair();
        far.write_all(b"last").await.unwrap();
        reset(&far);
        drop(far);
        let mut seen = [0; 4];
        near.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"last");
        assert_eq!(near.read(&mut seen).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(near.write(b"x").await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_closed_end_reads_to_its_end() {
        let (mut near, far) = pair();
        drop(far);
        assert_eq!(near.read(&mut [0; 4]).await.unwrap(), 0);
    }
}

//! A connection's bytes: notices the client leaving and lets answers cut it at an exact byte.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};

use crate::{clock::SimClock, script::CutManner};

const NOT_CUT: u8 = 0;
const CUT_CLOSE: u8 = 1;
const CUT_RESET: u8 = 2;

/// What the calls of one connection and the connection itself tell each other.
#[derive(Debug)]
pub(crate) struct WireControl {
    number: u64,
    clock: SimClock,
    cut: AtomicU8,
    after_flush: AtomicBool,
    shut_down: AtomicBool,
    peer_closed_at: OnceLock<Duration>,
    wake: Notify,
}

impl WireControl {
    pub(crate) fn new(number: u64, clock: SimClock) -> Self {
        Self {
            number,
            clock,
            cut: AtomicU8::new(NOT_CUT),
            after_flush: AtomicBool::new(false),
            shut_down: AtomicBool::new(false),
            peer_closed_at: OnceLock::new(),
            wake: Notify::new(),
        }
    }

    /// Number of the connection, over all regions.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Ends the connection at once; bytes not yet written are lost.
    pub(crate) fn cut_now(&self, manner: CutManner) {
        self.mark(manner);
        self.wake.notify_one();
    }

    /// Ends the connection once everything written so far has been handed to the transport.
    pub(crate) fn cut_after_flush(&self, manner: CutManner) {
        self.mark(manner);
        self.after_flush.store(true, Ordering::Release);
    }

    /// Notes that the simulator is stopping, so that open calls are recorded as such.
    pub(crate) fn shut_down(&self) {
        self.shut_down.store(true, Ordering::Release);
    }

    /// Completes when the connection is to be dropped.
    pub(crate) async fn until_cut(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire) != NOT_CUT
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::Acquire)
    }

    /// When the peer was first seen to be gone.
    pub(crate) fn peer_closed_at(&self) -> Option<Duration> {
        self.peer_closed_at.get().copied()
    }

    fn mark(&self, manner: CutManner) {
        let code = match manner {
            CutManner::Close => CUT_CLOSE,
            CutManner::Reset => CUT_RESET,
        };
        self.cut.store(code, Ordering::Release);
    }

    fn note_peer_closed(&self) {
        // Only the first sighting counts; a later one changes nothing.
        self.peer_closed_at.get_or_init(|| self.clock.elapsed());
    }
}

/// The byte stream of one connection.
pub(crate) struct Wire<IO> {
    io: IO,
    control: Arc<WireControl>,
    /// Bytes already read that the next reader must see first.
    unread: Bytes,
    /// Makes the transport reset instead of close when it is dropped.
    on_reset: fn(&IO),
}

impl<IO> Wire<IO> {
    pub(crate) fn new(io: IO, control: Arc<WireControl>, on_reset: fn(&IO)) -> Self {
        Self { io, control, unread: Bytes::new(), on_reset }
    }

    /// Puts back bytes that were read ahead. Only valid while nothing else is unread.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        self.unread = bytes;
    }
}

impl<IO> Drop for Wire<IO> {
    fn drop(&mut self) {
        if self.control.cut.load(Ordering::Acquire) == CUT_RESET {
            (self.on_reset)(&self.io);
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Wire<IO> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.unread.has_remaining() {
            let take = wire.unread.len().min(buffer.remaining());
            buffer.put_slice(&wire.unread.split_to(take));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let room = buffer.remaining() > 0;
        let read = ready!(Pin::new(&mut wire.io).poll_read(context, buffer));
        if read.is_err() || (room && buffer.filled().len() == before) {
            wire.control.note_peer_closed();
        }
        Poll::Ready(read)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Wire<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let written = ready!(Pin::new(&mut wire.io).poll_write(context, bytes));
        Poll::Ready(wire.control.noting(written))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let written = ready!(Pin::new(&mut wire.io).poll_write_vectored(context, slices));
        Poll::Ready(wire.control.noting(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let flushed = ready!(Pin::new(&mut wire.io).poll_flush(context));
        // hyper flushes the transport only after its own buffer is empty: every byte before the cut is out.
        if flushed.is_ok() && wire.control.after_flush.load(Ordering::Acquire) {
            wire.control.wake.notify_one();
        }
        Poll::Ready(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

impl WireControl {
    fn noting(&self, written: io::Result<usize>) -> io::Result<usize> {
        if written.is_err() {
            self.note_peer_closed();
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn wire() -> (Wire<tokio::io::DuplexStream>, tokio::io::DuplexStream, Arc<WireControl>) {
        let (near, far) = tokio::io::duplex(1024);
        let control = Arc::new(WireControl::new(1, SimClock::system()));
        (Wire::new(near, Arc::clone(&control), |_| {}), far, control)
    }

    #[tokio::test]
    async fn bytes_put_back_are_read_first() {
        let (mut wire, mut far, _) = wire();
        far.write_all(b"world").await.unwrap();
        wire.unread(Bytes::from_static(b"hello "));
        let mut read = [0; 11];
        wire.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"hello world");
    }

    #[tokio::test]
    async fn a_leaving_peer_is_noted() {
        let (mut wire, far, control) = wire();
        assert_eq!(control.peer_closed_at(), None);
        drop(far);
        assert_eq!(wire.read(&mut [0; 4]).await.unwrap(), 0);
        assert!(control.peer_closed_at().is_some());
    }

    #[tokio::test]
    async fn a_cut_waits_for_the_flush() {
        let (mut wire, _far, control) = wire();
        control.cut_after_flush(CutManner::Close);
        assert!(control.is_cut());
        wire.write_all(b"last words").await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(1), control.until_cut()).await.is_err());
        wire.flush().await.unwrap();
        control.until_cut().await;
    }
}

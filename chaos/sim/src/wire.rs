//! A connection's bytes: notices the client leaving, shapes what leaves, and cuts at an exact byte.

mod control;
mod plan;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep_until},
};

pub(crate) use control::WireControl;
pub(crate) use plan::{WireCut, WirePlan};

use crate::script::CutManner;
use plan::Turn;

/// Bytes kept of a peer that talks to a connection that stands still; beyond that it is not listened to.
const MOST_KEPT: usize = 1024 * 1024;

/// The byte stream of one connection, below HTTP: what is said of bytes here is true on the socket.
pub(crate) struct Wire<IO> {
    io: IO,
    control: Arc<WireControl>,
    /// Bytes already read that the next reader must see first.
    unread: BytesMut,
    /// Makes the transport reset instead of close when it is dropped.
    on_reset: fn(&IO),
    /// No byte leaves before.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<IO> Wire<IO> {
    pub(crate) fn new(io: IO, control: Arc<WireControl>, on_reset: fn(&IO)) -> Self {
        Self { io, control, unread: BytesMut::new(), on_reset, pause: None }
    }

    /// Puts back bytes that were read ahead. Only valid while nothing else is unread.
    pub(crate) fn unread(&mut self, bytes: BytesMut) {
        self.unread = bytes;
    }
}

impl<IO> Drop for Wire<IO> {
    fn drop(&mut self) {
        self.control.dropped();
        if self.control.cut_manner() == Some(CutManner::Reset) {
            (self.on_reset)(&self.io);
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Wire<IO> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.control.is_still() {
            return wire.poll_still(context);
        }
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

impl<IO: AsyncRead + Unpin> Wire<IO> {
    /// Reads on behalf of nobody: what comes is kept for later, only the peer's leaving is passed on.
    fn poll_still(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unread.len() < MOST_KEPT {
            let mut bytes = [0; 4 * 1024];
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                self.control.note_peer_closed();
                return Poll::Ready(read);
            }
            self.unread.extend_from_slice(buffer.filled());
        }
        Poll::Pending
    }
}

impl<IO: AsyncWrite + Unpin> Wire<IO> {
    /// How many of the offered bytes may leave now; pending while none may, for ever once the response is cut.
    fn poll_turn(&mut self, context: &mut Context<'_>, offered: usize) -> Poll<io::Result<usize>> {
        if self.control.is_still() {
            // Whoever moves it again also polls it.
            return Poll::Pending;
        }
        if !self.control.is_shaped() || offered == 0 {
            return Poll::Ready(Ok(offered));
        }
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match self.control.turn(offered) {
                Turn::Write(bytes) => return Poll::Ready(Ok(bytes)),
                Turn::Pause(until) => self.pause = Some(Box::pin(sleep_until(until))),
                Turn::Hold => return Poll::Pending,
                Turn::HalfClose => {
                    // The read half stays open: when the peer closes too, hyper ends the connection.
                    ready!(Pin::new(&mut self.io).poll_shutdown(context))?;
                    self.control.half_closed();
                }
            }
        }
    }

    fn wrote(&self, written: io::Result<usize>) -> io::Result<usize> {
        match &written {
            Ok(bytes) => self.control.note_written(*bytes),
            Err(_) => self.control.note_peer_closed(),
        }
        written
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Wire<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let allowed = ready!(wire.poll_turn(context, bytes.len()))?;
        let written = ready!(Pin::new(&mut wire.io).poll_write(context, bytes.get(..allowed).unwrap_or(bytes)));
        Poll::Ready(wire.wrote(written))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.control.is_shaped() || self.control.is_still() {
            let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
            return self.poll_write(context, first);
        }
        let wire = self.get_mut();
        let written = ready!(Pin::new(&mut wire.io).poll_write_vectored(context, slices));
        Poll::Ready(wire.wrote(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.control.is_still() {
            return Poll::Pending;
        }
        let flushed = ready!(Pin::new(&mut wire.io).poll_flush(context));
        // hyper flushes the transport only after its own buffer is empty: every byte before is out.
        if flushed.is_ok() {
            wire.control.flushed();
        }
        Poll::Ready(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;

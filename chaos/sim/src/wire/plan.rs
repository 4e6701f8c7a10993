//! How the bytes of one response leave.

use std::time::Duration;

use tokio::time::Instant;

use crate::{draw::Stream, pace::Latency};

/// A slow line writes ten times in a tenth of a second: fine enough to be smooth, coarse enough for the timer.
const WRITES_PER_SECOND: u64 = 100;
/// How far a slow line may catch up after the timer was late.
const CATCH_UP: Duration = Duration::from_millis(20);

/// What happens to the bytes of one response on their way out. Counts are of bytes on the wire, head and framing included.
#[derive(Debug, Default)]
pub(crate) struct WirePlan {
    /// After exactly so many bytes.
    pub(crate) cut: Option<(u64, WireCut)>,
    /// Most bytes of one write.
    pub(crate) slice: Option<usize>,
    pub(crate) bytes_per_s: Option<u64>,
    /// Before each write.
    pub(crate) delay: Option<(Latency, Stream)>,
    pub(crate) progress: Progress,
}

/// How far a plan has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The delay of the next write is over.
    waited: bool,
    /// When a slow line is free again.
    free_at: Option<Instant>,
    half_closed: bool,
}

/// How a response ends before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireCut {
    /// Orderly, both halves.
    Close,
    /// Reset.
    Reset,
    /// Orderly, the write half only.
    Half,
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// At most so many bytes may leave.
    Write(usize),
    /// Nothing before that.
    Pause(Instant),
    /// The write half is to be closed.
    HalfClose,
    /// Nothing any more.
    Hold,
}

impl WirePlan {
    /// Whether it does anything at all.
    pub(crate) fn is_idle(&self) -> bool {
        self.cut.is_none() && self.slice.is_none() && self.bytes_per_s.is_none() && self.delay.is_none()
    }

    /// The cut that is due when so many bytes have left.
    pub(super) fn due(&self, sent: u64) -> Option<WireCut> {
        self.cut.filter(|(at, _)| sent >= *at).map(|(_, cut)| cut)
    }

    /// What may happen to the next `offered` bytes. Cuts other than half closes are the caller's.
    pub(super) fn turn(&mut self, sent: u64, offered: usize) -> Turn {
        match self.due(sent) {
            Some(WireCut::Half) if !self.progress.half_closed => return Turn::HalfClose,
            Some(_) => return Turn::Hold,
            None => {}
        }
        if let Some(free_at) = self.progress.free_at.take() {
            return Turn::Pause(free_at);
        }
        if let Some((latency, stream)) = self.delay.as_mut().filter(|_| !self.progress.waited) {
            self.progress.waited = true;
            let delay = latency.draw(stream);
            if !delay.is_zero() {
                return Turn::Pause(Instant::now() + delay);
            }
        }
        let before_cut = self.cut.map_or(usize::MAX, |(at, _)| usize::try_from(at - sent).unwrap_or(usize::MAX));
        let a_moments_worth =
            self.bytes_per_s.map_or(usize::MAX, |rate| usize::try_from(rate / WRITES_PER_SECOND).unwrap_or(usize::MAX).max(1));
        Turn::Write(offered.min(before_cut).min(self.slice.unwrap_or(usize::MAX)).min(a_moments_worth))
    }

    /// So many bytes have left.
    pub(super) fn wrote(&mut self, bytes: u64, last_free: Option<Instant>) -> Option<Instant> {
        self.progress.waited = false;
        let rate = self.bytes_per_s?;
        let now = Instant::now();
        // Counted from when the line was free, or a late timer would slow it down for good.
        let began = last_free.map_or(now, |free| free.max(now.checked_sub(CATCH_UP).unwrap_or(now)));
        let free = began + Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / rate.max(1));
        self.progress.free_at = Some(free);
        Some(free)
    }

    pub(super) fn note_half_closed(&mut self) {
        self.progress.half_closed = true;
    }
}

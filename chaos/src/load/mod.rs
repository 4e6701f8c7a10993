//! The load: an open-loop generator and clients that read answers byte by byte.
//!
//! Everything that is sent is planned before the start; answers never delay a send. Latency counts from the intended
//! time. The generator watches itself: when it cannot keep its own plan the run is tainted and cannot pass.

mod answer;
mod client;
mod generator;
mod raw;
mod reading;
mod sse;
mod watch;
mod wire;
mod words;

pub use client::{Asked, Client, Keys};
pub use generator::{CANARY_KEY, Generator, LOAD_KEY, LiveCounts, keys, origin};
pub use sse::{SseEvents, SseLine};
pub use watch::SelfWatch;
pub use wire::{Dial, Dialling, Io, Net, TcpDial};
pub use words::WordReader;

/// Which words' times are kept: enough to see how a stream flows, few enough to keep the history small. The same words on
/// both sides, so that they can be compared.
#[must_use]
pub fn is_sampled(index: u64) -> bool {
    /// The first words show the beginning, later ones that it goes on flowing.
    const FIRST: u64 = 4;
    const EVERY: u64 = 16;
    const LAST: u64 = 320;
    index < FIRST || (index < LAST && index.is_multiple_of(EVERY))
}

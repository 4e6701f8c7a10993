//! The real clock, randomness and blocking threads behind the domain's ports.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use outcrop_domain::clock::{Blocking, Clock, Entropy, Moment, Ports};

/// The ports of the real world.
#[must_use]
pub fn real() -> Ports {
    Ports { clock: Arc::new(RealClock { start: Instant::now() }), entropy: Arc::new(ThreadEntropy), blocking: Arc::new(BlockingThreads) }
}

#[derive(Debug)]
struct RealClock {
    start: Instant,
}

impl Clock for RealClock {
    fn now(&self) -> Moment {
        Moment(self.start.elapsed())
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

#[derive(Debug)]
struct ThreadEntropy;

impl Entropy for ThreadEntropy {
    fn next_u64(&self) -> u64 {
        rand::RngCore::next_u64(&mut rand::rng())
    }
}

#[derive(Debug)]
struct BlockingThreads;

impl Blocking for BlockingThreads {
    fn run(&self, work: Box<dyn FnOnce() + Send>) {
        // Detached on purpose: the work reports through its own channel.
        drop(tokio::task::spawn_blocking(work));
    }
}

//! Time, chance and blocking work of a simulated gateway.

use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use outcrop_chaos::draw::Draw;
use outcrop_domain::clock::{Blocking, Clock, Entropy, Moment, Ports};
use outcrop_sim::SimClock;

use crate::plant::Plant;

/// The ports of one seed.
pub fn ports(seed: u64, clock: SimClock, plant: Plant) -> Ports {
    let entropy: Arc<dyn Entropy> = match plant {
        Plant::RealChance => Arc::new(RealChance),
        _ => Arc::new(Drawn(Mutex::new(Draw::stream(seed, "entropy", 0)))),
    };
    Ports { clock: Arc::new(Simulated(clock)), entropy, blocking: Arc::new(AtOnce) }
}

#[derive(Debug)]
struct Simulated(SimClock);

impl Clock for Simulated {
    fn now(&self) -> Moment {
        Moment(self.0.elapsed())
    }

    fn wall(&self) -> SystemTime {
        self.0.wall()
    }
}

#[derive(Debug)]
struct Drawn(Mutex<Draw>);

impl Entropy for Drawn {
    fn next_u64(&self) -> u64 {
        self.0.lock().unwrap().bits()
    }
}

/// A planted bug: chance that no seed gives.
#[derive(Debug)]
struct RealChance;

impl Entropy for RealChance {
    fn next_u64(&self) -> u64 {
        let (since, process) = (std::time::Instant::now(), std::process::id());
        let address = &raw const since as u64;
        Draw::stream(address ^ u64::from(process), &format!("{since:?}"), 0).bits()
    }
}

#[derive(Debug)]
struct AtOnce;

impl Blocking for AtOnce {
    fn run(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

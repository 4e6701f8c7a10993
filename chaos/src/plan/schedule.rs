//! Every arrival of a run, computed before the start.

use std::time::Duration;

use super::{maker::Maker, rate::Resolved};
use crate::{
    draw::Draw,
    scenario::{Arrivals, ClientPlan, Scenario},
};

/// The whole plan of sends.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    /// In the order of time.
    pub arrivals: Vec<Arrival>,
}

/// One request that will be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrival {
    /// Number, from 0.
    pub id: u64,
    /// When, from the start of the load.
    pub at: Duration,
    /// Index in the mix.
    pub kind: usize,
    /// Its turn of a conversation.
    pub talk: Option<Talk>,
    /// Tokens of its own text.
    pub input_tokens: u64,
    /// Number that its nonce is made of.
    pub nonce: u64,
    /// What its client does to it.
    pub deed: Option<ClientDeed>,
    /// It comes back when a refusal says so.
    pub obeys: bool,
}

/// A turn of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Talk {
    /// Conversation.
    pub id: u64,
    /// Turn, from 0.
    pub turn: u32,
    /// Tokens before its first turn.
    pub prefix_tokens: u64,
}

/// What a client does, with its draws made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientDeed {
    /// Index of the fault in the scenario.
    pub fault: usize,
    /// What.
    pub plan: ClientPlan,
    /// When it leaves, for those who leave.
    pub after: Duration,
}

impl Schedule {
    /// Expands a scenario.
    #[must_use]
    pub fn of(scenario: &Scenario, resolved: &Resolved, seed: u64) -> Self {
        let mut maker = Maker::new(scenario, resolved, seed);
        let mut begin = Duration::ZERO;
        for (number, phase) in (0..).zip(&scenario.phases) {
            if resolved.share(phase.shape, 0.0).is_some() {
                let unjudged = scenario.phases.iter().take(usize::try_from(number).unwrap_or(0) + 1).all(|phase| !phase.judged);
                maker.fill(begin, phase, unjudged);
            } else {
                let mut draw = Draw::stream(seed, "arrivals", number);
                let times = times(scenario.load.arrivals, phase.lasting, &mut draw, |part| resolved.at(phase.shape, part));
                maker.send_at(times.into_iter().map(|at| begin + at));
            }
            begin += phase.lasting;
        }
        Self { arrivals: maker.arrivals }
    }
}

/// Times of arrivals within a phase, by thinning a process of the highest rate.
fn times(arrivals: Arrivals, lasting: Duration, draw: &mut Draw, rate: impl Fn(f64) -> f64) -> Vec<Duration> {
    /// The rate is looked at in so many points to find its highest.
    const POINTS: u32 = 200;
    let highest = (0..=POINTS).map(|point| rate(f64::from(point) / f64::from(POINTS))).fold(0.0, f64::max);
    let mut times = Vec::new();
    if highest <= 0.0 || lasting.is_zero() {
        return times;
    }
    let step = Duration::from_secs_f64(1.0 / highest);
    let mut at = Duration::ZERO;
    let mut owed = 0.0;
    loop {
        at += match arrivals {
            Arrivals::Poisson => draw.exponential(step),
            Arrivals::Even => step,
        };
        if at >= lasting {
            return times;
        }
        let share = rate(at.as_secs_f64() / lasting.as_secs_f64()) / highest;
        let taken = match arrivals {
            Arrivals::Poisson => draw.chance(share),
            Arrivals::Even => {
                owed += share;
                owed >= 1.0 && {
                    owed -= 1.0;
                    true
                }
            }
        };
        if taken {
            times.push(at);
        }
    }
}

impl Talk {
    /// The nonce of this turn; later turns repeat it in their history.
    #[must_use]
    pub fn nonce(&self, seed: u64) -> u64 {
        Draw::stream(seed, "talk", self.id.wrapping_mul(1_000).wrapping_add(u64::from(self.turn))).bits()
    }

    /// The turn before with this number.
    #[must_use]
    pub fn at_turn(&self, turn: u32) -> Self {
        Self { turn, ..*self }
    }
}

#[cfg(test)]
mod tests;

//! Planted bugs, in the simulation's own doubles and never in the gateway: they show that the checks can fail.

use std::time::Duration;

use crate::{
    load::Deed,
    options::Options,
    runner::{self, Outcome},
};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Plant {
    #[default]
    None,
    /// A client misses a word.
    LoseWord,
    /// A client leaves, and its connection stays.
    KeepCall,
    /// A usage row is not written.
    LoseRow,
    /// An answer is told as a throttle.
    Throttle,
    /// A call goes on that belongs to nobody.
    KeepLease,
    /// Chance comes from the system.
    RealChance,
}

const ALL: [Plant; 7] =
    [Plant::None, Plant::LoseWord, Plant::KeepCall, Plant::LoseRow, Plant::Throttle, Plant::KeepLease, Plant::RealChance];

impl Plant {
    pub fn number(self) -> usize {
        ALL.iter().position(|plant| *plant == self).unwrap()
    }

    pub fn of_number(number: usize) -> Self {
        ALL[number]
    }

    /// A seed in which nothing else goes wrong.
    pub fn prepare(self, options: &mut Options) {
        // With real chance the storm is wanted: what differs must be able to show.
        if self == Self::RealChance {
            return;
        }
        options.weather = crate::options::Weather::Calm;
        options.faults.clear();
        options.deeds.clear();
        options.drains.clear();
        options.quotas.clear();
        options.settings.retain(|setting| !setting.starts_with("lanes.") && !setting.starts_with("routing.quotas"));
        options.settings.retain(|setting| !setting.starts_with("routing.strategy"));
        options.strategy = "adaptive";
        options.settings.push("routing.strategy=adaptive".to_owned());
        for arrival in &mut options.arrivals {
            arrival.deed = Deed::Stay;
        }
        if self == Self::KeepCall {
            options.pace.per_token_ms = (400, 400);
            options.pace.words = (20, 20);
            for arrival in &mut options.arrivals {
                arrival.stream = true;
                arrival.deed = Deed::Leave(Duration::from_millis(1_500));
            }
        }
    }
}

/// The seed into which bugs are planted.
const SEED: u64 = 1;

pub fn outcome(plant: Plant) -> Outcome {
    runner::run_apart(SEED, plant, None)
}

/// The plant is found by this check, and the same seed without it by none.
pub fn expect(plant: Plant, check: &str) {
    let outcome = outcome(plant);
    let found: Vec<&str> = outcome.failed.iter().map(String::as_str).collect();
    assert!(found.contains(&check), "{plant:?} was found by {found:?}\n{}", outcome.text);
    let control = runner::run_control(SEED, plant);
    assert!(control.failed.is_empty(), "without {plant:?} its seed violates {:?}\n{}", control.failed, control.text);
}
